//! The agent beside the other fronts: when sessions end, asked of each, and the random browsers of the layer's tests.

#[path = "../../../tests/web/kit.rs"]
mod kit;
#[path = "../../../tests/meshes/mod.rs"]
mod meshes;
mod programs;
mod when_ends;
