//! Pages in a real browser: what two tabs do to each other's session, and the dashboard; and the page's own files.

#[path = "../web/kit.rs"]
mod kit;
#[path = "../meshes/mod.rs"]
mod meshes;

#[cfg(target_os = "linux")]
mod dashboard;
mod page;
#[cfg(target_os = "linux")]
mod tabs;
