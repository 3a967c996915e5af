//! Puts the page together: HTML, one style sheet, one script, and the trace between them.

use super::data::Data;

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
/// The script's modules in the order in which they are run; they share one scope.
const MODULES: [&str; 16] = [
    include_str!("page/data.js"),
    include_str!("page/spans.js"),
    include_str!("page/words.js"),
    include_str!("page/state.js"),
    include_str!("page/past.js"),
    include_str!("page/paint.js"),
    include_str!("page/lanes.js"),
    include_str!("page/arrows.js"),
    include_str!("page/marks.js"),
    include_str!("page/strips.js"),
    include_str!("page/hit.js"),
    include_str!("page/lag.js"),
    include_str!("page/details.js"),
    include_str!("page/list.js"),
    include_str!("page/input.js"),
    include_str!("page/main.js"),
];

/// The page that shows `data`.
pub(super) fn assemble(data: Data) -> String {
    let script = format!("(() => {{\n'use strict';\n{}}})();\n", MODULES.join("\n"));
    let trace = data.embedded();
    drop(data);
    let mut page = String::with_capacity(trace.len() + script.len() + STYLE.len() + HTML.len());
    let mut rest = HTML;
    for (mark, part) in [("/*STYLE*/", STYLE), ("/*TRACE*/", trace.as_str()), ("/*SCRIPT*/", script.as_str())]
    {
        // The marks stand in a file of this crate, in this order: a test renders a page.
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page.push_str(rest);
    page
}
