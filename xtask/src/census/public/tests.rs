//! What counts as public in small sources.

use super::*;
use crate::census::source::parse;

fn found(text: &str) -> Vec<String> {
    let root = Module::of_items(Path::new("lib.rs"), parse("lib.rs", text).unwrap().items).unwrap();
    let walk = Walk::of(&root, &|file| file.display().to_string());
    let mut all: Vec<String> = walk
        .found
        .iter()
        .map(|(place, has)| format!("{}{}", place.what, if *has { " *" } else { "" }))
        .collect();
    all.retain(|what| what != "the crate");
    all.sort();
    all
}

#[test]
fn what_can_be_named_from_outside_counts() {
    let all = found(
        "mod hidden_away { pub struct Shown; pub struct Unseen; impl Unseen { pub fn no(&self) {} }
            impl Shown { pub fn yes(&self) {} fn no(&self) {} pub(crate) fn nor(&self) {} pub const MOST: u8 = 1; } }
        pub use hidden_away::Shown;
        pub mod open { pub fn go() {} fn stay() {} pub(crate) fn within() {} mod shut { pub fn in_vain() {} } }
        pub trait Talks { fn talk(&self); const LOUD: bool; }
        impl Talks for Shown { fn talk(&self) {} }
        pub enum Kind { A, B }
        #[doc(hidden)] pub fn secret() {}
        #[cfg(test)] pub fn tested() {}
        #[macro_export] macro_rules! shout { () => {} }
        macro_rules! whisper { () => {} }",
    );
    assert_eq!(
        all,
        [
            "Kind",
            "Shown",
            "Shown::MOST",
            "Shown::yes",
            "Talks",
            "Talks::LOUD",
            "Talks::talk",
            "go",
            "mod open",
            "shout"
        ]
    );
}

#[test]
fn what_is_passed_on_counts_once_whatever_the_way() {
    let all = found(
        "pub mod a { mod deep { pub fn f() {} pub fn g() {} } pub use deep::f; pub use self::deep::*; }
        mod b { pub use crate::a::f as renamed; pub use super::c::Type; }
        mod c { pub struct Type; impl Type { pub fn new() {} } }
        pub use b::renamed; pub use b::Type; pub use crate::c::Type as Again;
        pub use std::fmt; pub use other_crate::Thing;",
    );
    assert_eq!(all, ["Type", "Type::new", "f", "g", "mod a"]);
}

#[test]
fn examples_are_seen_on_items_functions_and_modules() {
    let all = found(
        "/// ```\n/// f();\n/// ```\npub fn f() {}
        pub struct S;
        impl S { /// ```no_run\n/// s.go();\n/// ```\n pub fn go(&self) {} }
        pub mod m { //! ```\n//! m::x();\n//! ```\n }",
    );
    assert_eq!(all, ["S", "S::go *", "f *", "mod m *"]);
}

#[test]
fn an_example_at_the_head_of_a_modules_file_is_seen() {
    let mut root =
        Module::of_items(Path::new("lib.rs"), parse("lib.rs", "pub mod m {}").unwrap().items).unwrap();
    let lines = ["```", "m::x();", "```"];
    root.modules.get_mut("m").unwrap().1.docs = lines.map(str::to_owned).to_vec();
    let walk = Walk::of(&root, &|file| file.display().to_string());
    let found: Vec<(&str, bool)> =
        walk.found.iter().map(|(place, has)| (place.what.as_str(), *has)).collect();
    assert_eq!(found, [("mod m", true), ("the crate", false)]);
}
