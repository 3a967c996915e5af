//! What a partition does to a shopping cart, as a test: `cargo run -p sessionmesh-sim --example merge_expectations`.
//!
//! Three nodes are cut in two, both sides change one session, the cut heals. Replace the two closures of a case by
//! what your service does on two sides, and the assertions by what you expect of the merge. Each case runs under
//! twenty seeds on a network that loses, doubles, reorders and delays: an expectation must not depend on luck.

use std::collections::{BTreeMap, BTreeSet};

use sessionmesh::core::replica::Happened;
use sessionmesh::core::session::SessionId;
use sessionmesh_sim::{Faults, World};

/// What the mesh holds after the heal.
#[derive(Debug, PartialEq, Eq)]
struct Merged {
    /// The fields asked for that are there, the same at every node; `None` if no node shows the session.
    fields: Option<BTreeMap<String, String>>,
    /// Values that lost against concurrent ones, as watchers were told.
    lost: BTreeSet<String>,
}

/// Lets both sides of a cut change a session, heals the cut, and reads `keys` at every node.
fn merge(
    seed: u64,
    begin: &[(&str, &str)],
    left: impl Fn(&mut World, SessionId),
    right: impl Fn(&mut World, SessionId),
    keys: &[&str],
) -> Merged {
    let mut world = World::new(seed, 3);
    world.net.faults = Faults::hostile();
    world.settle();
    let id = world.create(0, begin);
    world.settle();
    world.cut(&[0], &[1, 2]);
    left(&mut world, id);
    world.run(2_000);
    right(&mut world, id);
    world.run(20_000);
    assert!(
        world.visible(1, id),
        "seed {seed}: while it lasts, the right side cannot know of a logout on the left"
    );
    world.heal();
    world.settle();
    let field = |at, key: &str| Some((key.to_owned(), world.field(at, id, key)?));
    let shown = |at| world.visible(at, id).then(|| keys.iter().filter_map(|key| field(at, key)).collect());
    let fields: Option<BTreeMap<String, String>> = shown(0);
    assert!((1..3).all(|at| shown(at) == fields), "seed {seed}: all nodes show the same");
    let told = world.nodes.iter().flatten().flat_map(|node| &node.events);
    let lost = told.filter_map(|event| match event {
        Happened::Conflict(conflict) if conflict.id == id => conflict.lost.2.as_deref(),
        _ => None,
    });
    Merged { fields, lost: lost.map(|value| String::from_utf8_lossy(value).into_owned()).collect() }
}

/// Runs a case under many seeds, checks that luck changes nothing, and prints a row.
fn case(name: &str, run: impl Fn(u64) -> Merged) -> Merged {
    let first = run(0);
    for seed in 1..20 {
        assert_eq!(run(seed), first, "{name}: seed {seed} differs from seed 0");
    }
    let shown = first.fields.as_ref().map_or("no session".to_owned(), |fields| {
        fields.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
    });
    let lost = first.lost.iter().map(String::as_str).collect::<Vec<_>>().join("  ");
    println!("{name:<34} {shown:<34} {}", if lost.is_empty() { "-" } else { &lost });
    first
}

fn set(world: &mut World, at: usize, id: SessionId, key: &str, value: &str) {
    let written = world.edit(at, id, &[(key, Some(value))]);
    assert!(written.is_ok(), "both sides take writes: {written:?}");
}

fn fields(expected: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn main() {
    println!("{:<34} {:<34} reported as lost", "left | right", "after the heal");

    let apart = case("a field per item: apples | pears", |seed| {
        let left = |w: &mut World, id| set(w, 0, id, "cart.apples", "1");
        let right = |w: &mut World, id| set(w, 1, id, "cart.pears", "2");
        merge(seed, &[("user", "ada")], left, right, &["cart.apples", "cart.pears"])
    });
    assert_eq!(apart.fields, fields(&[("cart.apples", "1"), ("cart.pears", "2")]), "both adds survive");
    assert!(apart.lost.is_empty(), "different fields are no conflict");

    let json = case("one JSON value: apples | pears", |seed| {
        let left = |w: &mut World, id| set(w, 0, id, "cart", r#"{"apples":1}"#);
        let right = |w: &mut World, id| set(w, 1, id, "cart", r#"{"pears":2}"#);
        merge(seed, &[("cart", "{}")], left, right, &["cart"])
    });
    assert_eq!(json.fields, fields(&[("cart", r#"{"pears":2}"#)]), "the later write wins whole");
    assert_eq!(json.lost, [r#"{"apples":1}"#.to_owned()].into(), "and the other is reported");

    let logout = case("logout | pears", |seed| {
        let left = |w: &mut World, id| w.destroy(0, id);
        let right = |w: &mut World, id| set(w, 1, id, "cart.pears", "2");
        merge(seed, &[("user", "ada")], left, right, &["user"])
    });
    assert_eq!(logout.fields, None, "a logout beats what is concurrent with it");
}
