//! What is counted of small sources.

use super::*;
use crate::census::source::parse;

fn found(text: &str) -> Found {
    let mut found = Found::default();
    let (file, package) = ("x.rs".to_owned(), "x".to_owned());
    let items = parse(&file, text).unwrap().items;
    found.read(&Source { file, path: "x.rs".into(), package, part: Part::Library, text: text.into(), items });
    found
}

fn names(places: &[Place]) -> Vec<String> {
    places.iter().map(|place| format!("{}:{}", place.line, place.what)).collect()
}

#[test]
fn text_errors_are_found_wherever_they_are_returned() {
    let found = found(
        "fn a() -> Result<u8, String> { todo() }
fn b() -> Option<std::result::Result<(), std::string::String>> { None }
fn c() -> impl Future<Output = Result<(), String>> { async { Ok(()) } }
async fn d() -> Result<String, Error> { fn inner() -> Result<(), String> { Ok(()) } Ok(s()) }
trait T { fn e() -> Result<(), String>; }
impl T for U { fn e() -> Result<(), String> { Ok(()) } }
#[cfg(test)] mod tests { fn f() -> Result<(), String> { Ok(()) } }
#[test] fn g() -> Result<(), String> { Ok(()) }
fn h(f: impl Fn() -> Result<(), String>) -> Result<(), &'static str> { Ok(()) }",
    );
    assert_eq!(names(&found.text_errors), ["1:a", "2:b", "3:c", "4:inner", "5:e", "6:e"]);
}

#[test]
fn tuples_and_long_lists_are_found_and_receivers_are_no_parameters() {
    let found = found(
        "fn a((x, y): (u8, u8)) {}
fn b(p: &(u8, u8)) {}
fn c(v: Vec<(u8, u8)>, unit: ()) {}
impl S { fn d(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}
fn e(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {} }
impl T for S { fn f(a: (u8, u8), b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {} }",
    );
    assert_eq!(names(&found.tuples), ["1:a", "2:b"]);
    assert_eq!(names(&found.long), ["5:e: 7"]);
}

#[test]
fn bools_count_in_public_functions_only() {
    let found = found(
        "pub fn a(x: bool, y: bool, z: Option<bool>) {}
pub(crate) fn b(x: bool) {}
fn c(x: bool) {}
pub trait T { fn d(&self, x: bool); }
impl T for S { fn d(&self, x: bool) {} }
impl S { pub fn e(&self, x: bool) {} fn f(x: bool) {} }
trait Own { fn g(x: bool); }",
    );
    assert_eq!(names(&found.flags), ["1:a: x", "1:a: y", "4:d: x", "6:e: x"]);
}

#[test]
fn twelve_fields_are_not_too_many_and_thirteen_are() {
    let fields = |n: usize| (0..n).map(|n| format!("f{n}: u8")).collect::<Vec<_>>().join(", ");
    let types = vec!["u8"; 13].join(", ");
    let found =
        found(&format!("struct A {{ {} }}\nstruct B {{ {} }}\nstruct C({types});", fields(12), fields(13)));
    assert_eq!(names(&found.wide), ["2:B: 13", "3:C: 13"]);
}
