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
    "api.js": "text/javascript; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "clock.js": "text/javascript; charset=utf-8",
    "compare.js": "text/javascript; charset=utf-8",
    "conflicts.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "events.js": "text/javascript; charset=utf-8",
    "find.js": "text/javascript; charset=utf-8",
    "figures.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "graph.js": "text/javascript; charset=utf-8",
    "head.js": "text/javascript; charset=utf-8",
    "health.js": "text/javascript; charset=utf-8",
    "history.js": "text/javascript; charset=utf-8",
    "inspector.js": "text/javascript; charset=utf-8",
    "islands.js": "text/javascript; charset=utf-8",
    "lag.js": "text/javascript; charset=utf-8",
    "layout.js": "text/javascript; charset=utf-8",
    "matrix.js": "text/javascript; charset=utf-8",
    "members.js": "text/javascript; charset=utf-8",
    "news.js": "text/javascript; charset=utf-8",
    "rates.js": "text/javascript; charset=utf-8",
    "sessions.js": "text/javascript; charset=utf-8",
    "stamps.js": "text/javascript; charset=utf-8",
    "stream.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "tombstones.js": "text/javascript; charset=utf-8",
    "verdict.js": "text/javascript; charset=utf-8",
}

/// The API's description: what is tested against its answers.
pub const OPENAPI: &str = include_str!("../docs/openapi.json");
