//! The page's files, in the binary: one table, and nothing from anywhere else. Free of any server, so that whoever
//! speaks the same API can serve the same page.

/// One file of the page.
pub struct Asset {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! assets {
    ($($name:literal: $media_type:literal,)*) => {
        /// Every file of the page; the first is the page itself.
        pub const ASSETS: &[Asset] = &[
            $(Asset { name: $name, media_type: $media_type, text: include_str!(concat!("dashboard/page/", $name)) },)*
        ];
    };
}

assets! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
}

/// The API's description: what is tested against its answers.
pub const OPENAPI: &str = include_str!("../docs/openapi.json");
