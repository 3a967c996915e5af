//! Which incarnation stands for a name, and when a life is over.

use super::*;

fn incarnation(node: &str, generation: u64, origin: u128, live: bool) -> Incarnation {
    Incarnation {
        node: node.to_owned(),
        generation,
        addr: "10.0.0.1:1".parse().unwrap(),
        live,
        heartbeat: 1,
        origin_hex: Some(keys::origin_to_hex(Origin(origin))),
        left: false,
        metadata: BTreeMap::new(),
        facts: BTreeMap::new(),
    }
}

fn look(view: &mut View, incarnations: &[Incarnation]) -> Vec<DiscoveryEvent> {
    let members = view.condense(incarnations);
    view.replace(members).into_iter().filter(|event| !matches!(event, DiscoveryEvent::Changed(_))).collect()
}

fn gone(origin: u128) -> Vec<DiscoveryEvent> {
    vec![DiscoveryEvent::Gone { node: "b".into(), origin: Origin(origin) }]
}

/// (generation, origin, live) of all incarnations of one name -> generation of the member.
#[test]
fn the_newest_live_generation_is_the_member() {
    type Case<'a> = (&'a [(u64, u128, bool)], u64);
    let table: [Case; 5] = [
        (&[(1, 1, true)], 1),
        (&[(1, 1, true), (2, 2, true)], 2),
        (&[(1, 1, true), (2, 2, false)], 1),
        (&[(1, 1, false), (2, 2, false)], 2),
        (&[(3, 3, true), (2, 2, true), (9, 9, false)], 3),
    ];
    for (incarnations, expected) in table {
        let mut view = View::new("a");
        let incarnations: Vec<_> =
            incarnations.iter().map(|&(g, o, live)| incarnation("b", g, o, live)).collect();
        look(&mut view, &incarnations);
        assert_eq!(view.members().iter().map(|m| m.generation).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn without_a_sound_origin_nobody_is_a_member() {
    let mut view = View::new("a");
    let mut silent = incarnation("b", 1, 1, true);
    silent.origin_hex = None;
    let mut odd = incarnation("c", 1, 1, true);
    odd.origin_hex = Some("not hex, é".into());
    look(&mut view, &[silent, odd]);
    assert!(view.members().is_empty());
}

#[test]
fn a_new_life_ends_the_old_one_even_after_it_was_forgotten() {
    let mut view = View::new("a");
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true)]), []);
    assert_eq!(look(&mut view, &[]), []);
    assert_eq!(look(&mut view, &[incarnation("b", 2, 22, true)]), gone(11));
    assert_eq!(look(&mut view, &[incarnation("b", 2, 22, false)]), [], "silence is not an end");
}

#[test]
fn a_new_generation_of_the_same_life_ends_nothing() {
    let mut view = View::new("a");
    look(&mut view, &[incarnation("b", 1, 11, true)]);
    assert_eq!(look(&mut view, &[incarnation("b", 2, 11, true)]), []);
}

#[test]
fn a_goodbye_is_said_once() {
    let mut view = View::new("a");
    look(&mut view, &[incarnation("b", 1, 11, true)]);
    let mut leaving = incarnation("b", 1, 11, true);
    leaving.left = true;
    assert_eq!(look(&mut view, std::slice::from_ref(&leaving)), gone(11));
    assert!(!view.members()[0].alive, "who has left is not alive, whatever its heartbeat");
    leaving.live = false;
    assert_eq!(look(&mut view, &[leaving]), []);
    assert_eq!(look(&mut view, &[incarnation("b", 2, 22, true)]), [], "its end was told already");
}

#[test]
fn an_older_generation_standing_in_ends_nothing_and_the_view_is_sent_only_when_it_changed() {
    let mut view = View::new("a");
    let both = [incarnation("b", 1, 11, true), incarnation("b", 2, 22, true)];
    look(&mut view, &both);
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)]), []);
    assert_eq!(look(&mut view, &both), []);
    let same = view.condense(&both);
    assert_eq!(view.replace(same), []);
}

/// B's clock was set back and B began a new life: its earlier one has the greater generation. A cut hid B, so that of two
/// lives out of sight the greater generation stood for the name: the living life was declared gone for good, and what
/// it wrote in the cut was no longer waited for by anybody.
#[test]
fn a_greater_generation_that_nobody_sees_alive_ends_nothing() {
    let mut view = View::new("a");
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)]), []);
    let cut = [incarnation("b", 1, 11, false), incarnation("b", 2, 22, false)];
    assert_eq!(look(&mut view, &cut), []);
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)]), []);
    // Nor one that said goodbye before the clock was set back.
    let mut left = incarnation("b", 2, 22, false);
    left.left = true;
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, false), left]), []);
    // Seen alive, it does.
    assert_eq!(look(&mut view, &[incarnation("b", 3, 33, true)]), gone(11));
}

#[test]
fn lives_are_bounded() {
    let mut view = View::new("a");
    for node in 0..limits::REMEMBERED_ORIGINS + 50 {
        look(&mut view, &[incarnation(&format!("n{node}"), 1, 1, true)]);
    }
    assert!(view.lives.len() <= limits::REMEMBERED_ORIGINS);
}
