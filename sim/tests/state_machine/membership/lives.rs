//! Lives that end and return: goodbyes, names taken over, flapping, healed splits, and what the board carries.

use sessionmesh::core::membership::message::{Message, Rumour};
use sessionmesh::core::membership::{Input, Listed, State, Why};

use super::OTHERS;
use super::net::*;

const SECOND_MS: u64 = 1_000;

#[test]
fn a_goodbye_spreads_within_a_second_and_is_final() {
    let mut net = Net::of(24, 21);
    let others: Vec<usize> = (0..24).filter(|&at| at != S).collect();
    net.input(S, Input::Leave);
    net.crash(S);
    net.run(SECOND_MS);
    assert!(net.all(&others, S, State::Left));
    assert!(others.iter().all(|&at| matches!(net.why(at, S), Why::Goodbye | Why::Hearsay)));
    assert!(others.iter().any(|&at| net.why(at, S) == Why::Goodbye), "those whom it told itself");
    let pulse = net.pulse_of(S, 5);
    net.forge(S, A, pulse, Message::Gossip { rumours: vec![] });
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse });
    net.tell(B, A, net.accusation(S, 5, B));
    net.input(A, Input::Board(&[listed(S)]));
    net.input(A, Input::LinkUp(origin(S)));
    net.run(10 * SECOND_MS);
    assert!(others.iter().all(|&at| net.story(at, S) == [State::Left] && net.detector(at).living() == 22));
}

#[test]
fn a_life_that_was_superseded_returns_if_the_board_lists_it_alive() {
    let mut net = Net::with_puppets(22);
    net.input(A, Input::Gone(origin(S)));
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Left, Why::Superseded));
    net.forge(S, A, net.pulse(S), Message::Gossip { rumours: vec![] });
    net.input(A, Input::Board(&[Listed { alive: false, ..listed(S) }]));
    assert_eq!(net.state(A, S), State::Left);
    net.input(A, Input::Board(&[listed(S)]));
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::Listed));
    net.sent.clear();
    net.run(4 * SECOND_MS);
    assert!(net.flights(A, S).count() > 0, "it is probed again");
    net.input(A, Input::Board(&[Listed { left: true, ..listed(S) }]));
    net.input(A, Input::Board(&[listed(S)]));
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Left, Why::Goodbye), "a goodbye is final");
}

/// The board misses a heart after seconds only: that it still lists who was just replaced says nothing.
#[test]
fn a_board_that_has_listed_a_superseded_life_all_along_does_not_bring_it_back() {
    let mut net = Net::with_puppets(22);
    let all: Vec<Listed> = [B, C, D, E, S].map(listed).to_vec();
    net.input(A, Input::Board(&all));
    net.input(A, Input::Gone(origin(S)));
    net.crash(S);
    net.changes.clear();
    for _ in 0..3 {
        net.run(SECOND_MS);
        net.input(A, Input::Board(&all));
        assert_eq!((net.state(A, S), net.why(A, S)), (State::Left, Why::Superseded));
    }
    assert!(net.changes.is_empty(), "{:?}", net.changes);
    // Off the list and back on it is news, as is dead and back alive.
    net.input(A, Input::Board(&all[..4]));
    net.input(A, Input::Board(&all));
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::Listed));
}

/// Four deaths within half a minute; three are not enough.
#[test]
fn who_dies_again_and_again_is_damped_and_forgiven_after_a_calm() {
    let mut net = Net::with_puppets(23);
    for deaths in 1..=4 {
        net.isolate(S);
        net.until(10 * SECOND_MS, "dead", |n| n.state(A, S) == State::Dead);
        assert_eq!(net.is_flapping(A, S), deaths == 4, "{deaths} deaths");
        net.heal();
        net.forge(S, A, net.pulse_of(S, deaths), Message::Gossip { rumours: vec![] });
        assert_eq!(net.state(A, S), State::Alive, "a member all the same");
    }
    net.run(60 * SECOND_MS);
    assert!(net.is_flapping(A, S) && !net.is_flapping(A, B));
    net.run(70 * SECOND_MS);
    assert!(!net.is_flapping(A, S));
}

/// Without any board: the dead are probed, one at a time, and all of them once one of them is back.
#[test]
fn a_healed_split_is_whole_again_within_two_seconds() {
    for (n, seed) in [(6, 24), (10, 25), (10, 26), (10, 27), (24, 28)] {
        let mut net = Net::of(n, seed);
        let side = move |at: usize| at < n / 2;
        net.cut(move |from, to| side(from) != side(to));
        net.run(30 * SECOND_MS);
        for (at, peer) in net.pairs() {
            let wanted = if side(at) == side(peer) { State::Alive } else { State::Dead };
            assert_eq!(net.state(at, peer), wanted, "{peer} at {at}");
        }
        net.heal();
        let whole = |net: &Net| net.pairs().iter().all(|&(at, peer)| net.state(at, peer) == State::Alive);
        net.until(2 * SECOND_MS, "whole", whole);
        net.changes.clear();
        net.run(10 * SECOND_MS);
        assert!(net.changes.is_empty(), "{:?}", net.changes);
    }
}

// ----- the board ------------------------------------------------------------------------------------------------

fn written(net: &Net, by: usize, key: &str) -> Option<String> {
    net.published.iter().rfind(|(at, k, _)| (*at, *k) == (by, key)).map(|(.., value)| value.clone())
}

/// One hears no packet; it reads what A and S have written.
#[test]
fn the_board_carries_a_suspicion_and_its_refutation() {
    let mut net = Net::empty(29);
    net.sit();
    (B..S).for_each(|_| net.puppet());
    net.sit();
    let mut net = net.linked();
    net.config.probe_interval_ms = 60_000;
    let reader = net.sit();
    net.cut(move |from, to| from == S || to == reader);
    let all: Vec<Listed> = OTHERS.iter().chain([&S]).map(|&at| listed(at)).collect();
    net.input(reader, Input::Board(&all));
    net.published.clear();
    net.until(10 * SECOND_MS, "written", |n| written(n, A, "suspects").is_some());
    let held = net.member(A, S).suspicion.clone().expect("what was written is held");
    assert!(net.now_ms >= held.began_ms + SECOND_MS, "nothing that does not last is written");
    assert_eq!(net.state(reader, S), State::Alive);
    let value = written(&net, A, "suspects").expect("written");
    net.input(reader, Input::Fact { of: origin(A), key: "suspects", value: &value });
    assert_eq!((net.state(reader, S), net.why(reader, S)), (State::Suspect, Why::Accused(origin(A))));
    net.until(2 * SECOND_MS, "refuted", |n| written(n, S, "inc").is_some());
    let value = written(&net, S, "inc").expect("written");
    net.input(reader, Input::Fact { of: origin(S), key: "inc", value: &value });
    assert_eq!((net.state(reader, S), net.why(reader, S)), (State::Alive, Why::Refuted));
    assert_eq!(net.member(reader, S).incarnation.to_string(), value);
    net.heal();
    net.until(5 * SECOND_MS, "taken back", |n| written(n, A, "suspects").as_deref() == Some(""));
}

/// What a later version may have written, and nonsense.
#[test]
fn facts_that_make_no_sense_are_left_alone() {
    let mut net = Net::with_puppets(30);
    let long = format!("{:032x}:0:5 ", origin(9).0).repeat(1_000);
    let own = format!("{:032x}:0:5", origin(A).0);
    for (key, value) in [
        ("inc", "-1"),
        ("inc", "4294967295"),
        ("inc", "one"),
        ("suspects", "::: x"),
        ("suspects", &long),
        ("suspects", &own),
        ("later", "1"),
    ] {
        net.input(A, Input::Fact { of: origin(B), key, value });
        assert!((B..=S).all(|at| net.state(A, at) == State::Alive && net.member(A, at).incarnation == 0));
    }
    assert_eq!((net.detector(A).members().len(), net.detector(A).incarnation()), (5, 0));
}

/// Whoever left is kept for a minute after the board has forgotten it, the dead for as long as is set.
#[test]
fn who_is_over_is_forgotten_once_the_board_has_and_time_has_passed() {
    let mut net = Net::empty(31);
    net.config.dead_keep_ms = 20 * SECOND_MS;
    let mut net = net.filled_with_puppets();
    let all: Vec<Listed> = [B, C, D, E, S].map(listed).to_vec();
    net.input(A, Input::Board(&all));
    for leaver in [D, E] {
        net.tell(leaver, A, Rumour::Left { subject: origin(leaver), incarnation: 0 });
    }
    let left_ms = net.now_ms;
    net.isolate(S);
    net.until(10 * SECOND_MS, "dead", |n| n.state(A, S) == State::Dead);
    net.run(30 * SECOND_MS);
    assert!([D, E, S].iter().all(|&at| net.knows(A, at)), "all are listed");
    net.input(A, Input::Board(&[listed(B), listed(C), listed(E)]));
    net.run(2 * SECOND_MS);
    assert!(!net.knows(A, S) && net.knows(A, D), "dead for long; left for not so long");
    net.run(left_ms + 59 * SECOND_MS - net.now_ms);
    assert!(net.knows(A, D));
    net.run(3 * SECOND_MS);
    assert!(!net.knows(A, D) && net.knows(A, E), "E is listed still");
    net.run(300 * SECOND_MS);
    assert!(net.knows(A, E) && net.state(A, B) == State::Alive && net.detector(A).members().len() == 3);
    assert_eq!(net.detector(A).living(), 2);
}

/// A dead member that the board has forgotten too is remembered for a while, and probed.
#[test]
fn the_dead_are_probed_until_they_are_forgotten() {
    let mut net = Net::empty(32);
    net.config.dead_keep_ms = 20 * SECOND_MS;
    let mut net = net.filled_with_puppets();
    net.isolate(S);
    net.until(10 * SECOND_MS, "dead", |n| n.state(A, S) == State::Dead);
    net.sent.clear();
    net.run(19 * SECOND_MS);
    assert!(
        (18..=20).contains(
            &net.flights(A, S).filter(|f| matches!(f.packet.message, Message::Ping { .. })).count()
        )
    );
    assert!(net.knows(A, S));
    net.run(3 * SECOND_MS);
    assert!(!net.knows(A, S));
    net.sent.clear();
    net.run(10 * SECOND_MS);
    assert_eq!(net.flights(A, S).count(), 0);
}
