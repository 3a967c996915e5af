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

/// One look after `rounds` in which every live heart has gone on beating, or none.
fn look_at(view: &mut View, round: u64, incarnations: &[Incarnation]) -> Vec<DiscoveryEvent> {
    let mut incarnations = incarnations.to_vec();
    incarnations.iter_mut().filter(|i| i.live).for_each(|i| i.heartbeat = round);
    let members = view.condense((round * 1_000, 1_000), &incarnations);
    view.replace(members).into_iter().filter(|event| !matches!(event, DiscoveryEvent::Changed(_))).collect()
}

fn look(view: &mut View, incarnations: &[Incarnation]) -> Vec<DiscoveryEvent> {
    look_at(view, 1, incarnations)
}

/// Looks for ten rounds, from `round` on.
fn watch(view: &mut View, round: u64, incarnations: &[Incarnation]) -> Vec<DiscoveryEvent> {
    (round..round + 10).flat_map(|round| look_at(view, round, incarnations)).collect()
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
        let mut view = View::new("a", Origin(1));
        let incarnations: Vec<_> =
            incarnations.iter().map(|&(g, o, live)| incarnation("b", g, o, live)).collect();
        look(&mut view, &incarnations);
        assert_eq!(view.members().iter().map(|m| m.generation).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn without_a_sound_origin_nobody_is_a_member() {
    let mut view = View::new("a", Origin(1));
    let mut silent = incarnation("b", 1, 1, true);
    silent.origin_hex = None;
    let mut odd = incarnation("c", 1, 1, true);
    odd.origin_hex = Some("not hex, é".into());
    look(&mut view, &[silent, odd]);
    assert!(view.members().is_empty());
}

#[test]
fn a_new_life_ends_the_old_one_even_after_it_was_forgotten() {
    let mut view = View::new("a", Origin(1));
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true)]), []);
    assert_eq!(look(&mut view, &[]), []);
    assert_eq!(watch(&mut view, 10, &[incarnation("b", 2, 22, true)]), gone(11));
    assert_eq!(watch(&mut view, 20, &[incarnation("b", 2, 22, false)]), [], "silence is not an end");
}

#[test]
fn a_new_generation_of_the_same_life_ends_nothing() {
    let mut view = View::new("a", Origin(1));
    look(&mut view, &[incarnation("b", 1, 11, true)]);
    assert_eq!(watch(&mut view, 10, &[incarnation("b", 2, 11, true)]), []);
}

#[test]
fn a_goodbye_is_said_once() {
    let mut view = View::new("a", Origin(1));
    look(&mut view, &[incarnation("b", 1, 11, true)]);
    let mut leaving = incarnation("b", 1, 11, true);
    leaving.left = true;
    assert_eq!(look(&mut view, std::slice::from_ref(&leaving)), gone(11));
    assert!(!view.members()[0].alive, "who has left is not alive, whatever its heartbeat");
    leaving.live = false;
    assert_eq!(look(&mut view, &[leaving]), []);
    assert_eq!(watch(&mut view, 10, &[incarnation("b", 2, 22, true)]), [], "its end was told already");
}

#[test]
fn an_older_generation_standing_in_ends_nothing_and_the_view_is_sent_only_when_it_changed() {
    let mut view = View::new("a", Origin(1));
    let both = [incarnation("b", 1, 11, true), incarnation("b", 2, 22, true)];
    look(&mut view, &both);
    let standing_in = [incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)];
    assert_eq!(look_at(&mut view, 2, &standing_in), []);
    assert_eq!(look_at(&mut view, 3, &both), []);
    let same = view.condense((3_000, 1_000), &both);
    assert_eq!(view.replace(same), []);
}

/// B's clock was set back and B began a new life: its earlier one has the greater generation. A cut hid B, so that of two
/// lives out of sight the greater generation stood for the name: the living life was declared gone for good, and what
/// it wrote in the cut was no longer waited for by anybody.
#[test]
fn a_greater_generation_that_nobody_sees_alive_ends_nothing() {
    let mut view = View::new("a", Origin(1));
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)]), []);
    let cut = [incarnation("b", 1, 11, false), incarnation("b", 2, 22, false)];
    assert_eq!(look(&mut view, &cut), []);
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, true), incarnation("b", 2, 22, false)]), []);
    // One that said goodbye before the clock was set back ends itself, and not the other.
    let mut left = incarnation("b", 2, 22, false);
    left.left = true;
    assert_eq!(look(&mut view, &[incarnation("b", 1, 11, false), left]), gone(22));
    assert_eq!(view.members()[0].origin, Origin(11));
    // One that goes on beating does: for whom it has not heard, and not for whom a goodbye spoke.
    assert_eq!(watch(&mut view, 10, &[incarnation("b", 3, 33, true)]), gone(11));
}

#[test]
fn a_goodbye_of_an_earlier_life_of_ours_is_heard_and_our_own_end_is_no_event() {
    let mut view = View::new("a", Origin(1));
    let mut before = incarnation("a", 9, 99, false);
    before.left = true;
    let mut own = incarnation("a", 1, 1, true);
    let ended = vec![DiscoveryEvent::Gone { node: "a".into(), origin: Origin(99) }];
    assert_eq!(look(&mut view, &[before.clone(), own.clone()]), ended);
    assert_eq!(view.members()[0].origin, Origin(1));
    own.left = true;
    assert_eq!(watch(&mut view, 10, &[before, own]), []);
}

#[test]
fn lives_are_bounded() {
    let mut view = View::new("a", Origin(1));
    for node in 0..limits::REMEMBERED_ORIGINS + 50 {
        look(&mut view, &[incarnation(&format!("n{node}"), 1, 1, true)]);
    }
    assert!(view.lives.len() <= limits::REMEMBERED_ORIGINS);
}
