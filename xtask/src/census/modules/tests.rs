//! Who names whom in small sources.

use super::*;
use crate::census::source::parse;

fn sources(files: &[(&str, &str)]) -> Sources {
    let source = |&(file, text): &(&str, &str)| Source {
        file: file.to_owned(),
        path: format!("/w/{file}").into(),
        package: "x".into(),
        part: Part::Library,
        text: text.to_owned(),
        items: parse(file, text).unwrap().items,
    };
    Sources(files.iter().map(source).collect())
}

fn edges_of(files: &[(&str, &str)]) -> Vec<String> {
    let target =
        Target { name: "x".into(), kind: "lib".into(), root: "/w/src/lib.rs".into(), is_tested: true };
    let edges = edges(&target, &sources(files));
    edges.iter().map(|((from, to), at)| format!("{from} -> {to} {}", at.len())).collect()
}

#[test]
fn every_way_to_name_a_module_counts() {
    let root = ("src/lib.rs", "mod a; mod b; pub use b::Thing; use crate::b::inner as other;");
    let b = ("src/b/mod.rs", "pub struct Thing;");
    for (text, is_edge) in [
        ("use crate::b::Thing;", true),
        ("use crate::{b, c::d};", true),
        ("fn f() { crate::b::go(); }", true),
        ("use super::b::Thing;", true),
        ("mod inner { use super::super::b; }", true),
        ("use crate::Thing;", true),
        ("use crate::other;", true),
        ("fn f() { println!(\"{}\", crate::b::NAME); }", true),
        ("use self::b::Thing;", false),
        ("mod inner { use super::b; }", false),
        ("use b::Thing;", false),
        ("use crate::a::Own;", false),
        ("#[cfg(test)] mod tests { use crate::b::Thing; }", false),
        ("// crate::b::Thing", false),
    ] {
        let found = edges_of(&[root, ("src/a.rs", text), b]);
        let expected: &[&str] = if is_edge { &["a -> b 1"] } else { &[] };
        assert_eq!(found, expected, "{text}");
    }
    let below = ("src/a/deep.rs", "use super::super::b::Thing; use super::Own;");
    assert_eq!(edges_of(&[root, below, b]), ["a -> b 1"]);
}

#[test]
fn a_circle_is_told_with_where_it_is_closed() {
    let files = [
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "use crate::b::X;\nuse crate::c::Z;"),
        ("src/b.rs", "\nuse crate::a::Y;"),
        ("src/c.rs", ""),
    ];
    let target =
        Target { name: "x".into(), kind: "lib".into(), root: "/w/src/lib.rs".into(), is_tested: true };
    let [circles, members] = figures_of("x", &edges(&target, &sources(&files)));
    let places: Vec<String> =
        circles.places.iter().map(|place| format!("{}:{} {}", place.file, place.line, place.what)).collect();
    assert_eq!(places, ["src/a.rs:1 a -> b (1 times): b", "src/b.rs:2 b -> a (1 times): a"]);
    assert_eq!((circles.count, members.count), (1, 2));
}
