//! The second witness: what clears a suspicion, and what is too old to (docs/MEMBERSHIP.md#the-two-witnesses). And the
//! networks in which one witness alone would kill.

use sessionmesh::core::membership::message::{Message, Pulse, Rumour};
use sessionmesh::core::membership::{Input, State, Why};

use super::OTHERS;
use super::net::*;

const MINUTE_MS: u64 = 60_000;

/// A suspects S, and what S said shortly before and shortly after that began.
fn suspected(seed: u8) -> (Net, Pulse, Pulse) {
    let mut net = Net::with_puppets(seed);
    net.isolate(S);
    net.until(5_000, "suspected", |n| n.state(A, S) == State::Suspect);
    net.run(100);
    let began_ms = net.began_ms(A, S);
    let [before, after] = [began_ms - 30, began_ms + 30].map(|at_ms| net.beat_at(S, at_ms));
    let pulse = |beat_ms| Pulse { incarnation: 0, beat_ms };
    (net, pulse(before), pulse(after))
}

fn nothing() -> Message {
    Message::Gossip { rumours: vec![] }
}

#[test]
fn one_packet_produced_since_clears_and_is_told_to_the_others() {
    let mut net = Net::of(6, 11);
    net.crash(S);
    net.until(5_000, "suspected", |n| n.all(&OTHERS, S, State::Suspect));
    net.run(50);
    let pulse = net.pulse(S);
    net.forge(S, A, pulse, nothing());
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::HeardSince));
    net.run(20);
    for at in OTHERS {
        assert_eq!((net.state(at, S), net.why(at, S)), (State::Alive, Why::HeardSince), "at {at}");
        assert_eq!(net.member(at, S).incarnation, 0, "not by refutation");
        assert_eq!(net.detector(at).stats().cleared, 1);
    }
    // And no more than that: it is gone.
    net.until(8_000, "dead after all", |n| n.all(&OTHERS, S, State::Dead));
}

#[test]
fn what_others_tell_clears_only_if_it_was_produced_since() {
    let (mut net, before, after) = suspected(12);
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse: before });
    assert_eq!(net.state(A, S), State::Suspect);
    let heard_ms = net.member(A, S).heard_ms().expect("it is news, though old");
    assert!(net.began_ms(A, S) - heard_ms <= 30, "dated by the speaker's clock");
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse: after });
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::HeardSince));
}

/// Packets that were long on their way, or are copies.
#[test]
fn a_late_packet_of_the_suspects_does_not_clear() {
    let (mut net, mut before, after) = suspected(13);
    let late = [
        nothing(),
        Message::Ping { seq: 3, rumours: vec![] },
        Message::Ack { seq: 40_000, rumours: vec![] },
        Message::Nack { seq: 9 },
    ];
    for message in late {
        before.beat_ms += 2;
        net.forge(S, A, before, message.clone());
        assert_eq!(net.state(A, S), State::Suspect, "{message:?}");
    }
    net.forge(S, A, after, nothing());
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::HeardSince));
}

/// An answer to a ping that left since is new whatever clock it carries; a copy of an old packet is not.
#[test]
fn an_answer_to_a_later_ping_clears_whatever_its_clock_says() {
    let (mut net, before, _) = suspected(14);
    net.sent.clear();
    net.until(3_500, "asked again", |n| {
        n.flights(A, S).any(|f| matches!(f.packet.message, Message::Ping { .. }))
    });
    assert_eq!(net.state(A, S), State::Suspect);
    let Some(&Message::Ping { seq, .. }) = net.flights(A, S).last().map(|f| &f.packet.message) else {
        panic!("no ping")
    };
    // However late it comes.
    net.run(1_200);
    assert_eq!(net.state(A, S), State::Suspect);
    net.forge(S, A, before, Message::Ack { seq, rumours: vec![] });
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::HeardSince));
}

/// S answered, and died; the answer was long on its way and arrives after the suspicion began. A knew S's clock better
/// before, and knows it as well after.
#[test]
fn a_late_answer_to_a_ping_that_left_before_does_not_clear() {
    let (mut net, before, _) = suspected(33);
    let began_ms = net.began_ms(A, S);
    let is_late = |f: &&Flight| f.at_ms < began_ms && f.at_ms + 500 > began_ms;
    let seq = net.flights(A, S).filter(is_late).find_map(|f| match f.packet.message {
        Message::Ping { seq, .. } => Some(seq),
        _ => None,
    });
    let ack = Message::Ack { seq: seq.expect("a ping of the probe that failed"), rumours: vec![] };
    net.forge(S, A, before, ack);
    assert_eq!(net.state(A, S), State::Suspect, "produced before");
    let pulse = Pulse { beat_ms: net.beat_at(S, began_ms - 5), ..before };
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse });
    assert_eq!(net.state(A, S), State::Suspect, "told of, and dated as before");
}

// ----- lines that are cut for some ------------------------------------------------------------------------------

/// A's packets do not reach S, but S's reach A. Of two, only the deaf one gives the other up.
#[test]
fn a_line_cut_one_way_kills_nobody_who_is_heard() {
    let mut net = Net::of(6, 15);
    net.cut(|from, to| from == A && to == S);
    net.run(10 * MINUTE_MS);
    assert_eq!(net.dead(), []);
    let mut net = Net::of(2, 15);
    net.cut(|from, _| from == A);
    net.run(10 * MINUTE_MS);
    assert_eq!(net.dead(), [(B, A)]);
}

/// Of all only E's packets reach S, and S's reach all.
#[test]
fn who_hears_but_one_lives_and_kills_nobody() {
    for seed in 0..4 {
        let mut net = Net::of(6, seed);
        net.cut(|from, to| to == S && from != E);
        net.run(5 * MINUTE_MS);
        assert_eq!(net.dead(), []);
    }
}

/// With relays A hears of S by them. Without, by what the others tell when it suspects S.
#[test]
fn a_line_cut_both_ways_with_others_between_kills_nobody() {
    for indirect in [3, 0] {
        let mut net = Net::empty(17);
        net.config.indirect = indirect;
        (A..=S).for_each(|_| _ = net.sit());
        let mut net = net.linked();
        net.cut(|from, to| (from.min(to), from.max(to)) == (A, S));
        net.run(10 * MINUTE_MS);
        assert_eq!(net.dead(), []);
        assert_eq!(net.changes.is_empty(), indirect > 0, "with relays there is no doubt");
    }
}

// ----- clocks that stood still ----------------------------------------------------------------------------------

#[test]
fn who_stood_still_accuses_nobody_and_is_alive_again_soon() {
    for seed in 0..4 {
        let mut net = Net::of(6, seed);
        net.freeze(S);
        net.run(12_000);
        assert!(net.all(&OTHERS, S, State::Dead));
        net.changes.clear();
        net.thaw(S);
        let back_ms = net.until(2_000, "alive again", |n| n.all(&OTHERS, S, State::Alive));
        net.run(10_000);
        assert!(net.detector(S).stats().stood_still == 1 && back_ms <= 2_000);
        for (at, peer) in net.pairs() {
            let wanted = if peer == S { vec![State::Alive] } else { vec![] };
            assert_eq!(net.story(at, peer), wanted, "of {peer} at {at}");
        }
    }
}

/// Its questions are as old as itself: what was not answered then says nothing now.
#[test]
fn what_was_asked_before_standing_still_is_asked_again() {
    let mut net = Net::with_puppets(34);
    net.until(500, "it asks", |n| !n.sent.is_empty());
    net.freeze(A);
    net.run(12_000);
    net.wake(A, 0);
    net.run(5_000);
    assert_eq!(net.changes, []);
    assert_eq!(net.detector(A).stats().stood_still, 1);
}

/// It was in doubt of somebody when it stood still: that time is not silence.
#[test]
fn a_suspicion_held_while_standing_still_keeps_what_was_left_of_its_window() {
    let mut net = Net::with_puppets(18);
    net.isolate(S);
    net.until(5_000, "suspected", |n| n.state(A, S) == State::Suspect);
    net.run(1_000);
    net.freeze(A);
    net.run(12_000);
    net.wake(A, 0);
    // Four seconds for one accuser, of which three are left.
    let dead_ms = net.until(3_500, "dead", |n| n.state(A, S) == State::Dead);
    assert!((3_000..=3_000 + 250).contains(&dead_ms), "after {dead_ms} ms");
}

/// Its own check is done again at once, and is answered now.
#[test]
fn a_suspicion_held_while_standing_still_is_checked_anew() {
    let mut net = Net::with_puppets(18);
    net.isolate(S);
    net.until(5_000, "suspected", |n| n.state(A, S) == State::Suspect);
    for accuser in [B, C, D] {
        net.tell(accuser, A, net.accusation(S, 0, accuser));
    }
    net.run(900);
    net.freeze(A);
    net.heal();
    net.run(12_000);
    net.changes.clear();
    net.wake(A, 0);
    net.run(5_000);
    assert_eq!(net.story(A, S), [State::Alive]);
}

/// A monotonic clock stands still while its machine is suspended, and beats are read by the others' clocks.
#[test]
fn beats_of_a_machine_that_was_suspended_date_right() {
    let mut net = Net::of(6, 19);
    net.freeze(S);
    net.isolate(S);
    let slept_ms = net.until(5_000, "suspected", |n| n.all(&OTHERS, S, State::Suspect)) + 200;
    net.run(200);
    net.wake(S, slept_ms);
    net.sent.clear();
    net.input(S, Input::Suspended(slept_ms));
    net.until(300, "it speaks", |n| n.sent.iter().any(|f| f.from == S));
    let spoke = net.sent.iter().find(|f| f.from == S).expect("it spoke").clone();
    assert_eq!(spoke.packet.pulse.beat_ms, net.beat_at(S, spoke.at_ms));
    net.forge(S, A, spoke.packet.pulse, nothing());
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::HeardSince));
    net.heal();
    net.until(500, "alive at all", |n| n.all(&OTHERS, S, State::Alive));
    assert_eq!(net.detector(S).stats().stood_still, 0);
}

/// What others say of a member is dated by when it answered last: while this machine slept, its clock went on.
#[test]
fn what_was_said_while_this_machine_slept_clears_nobody_afterwards() {
    let mut net = Net::with_puppets(61);
    net.run(2_000);
    net.freeze(A);
    net.run(5_000);
    let said = net.pulse(S);
    net.isolate(S);
    net.run(15_000);
    net.wake(A, 20_000);
    net.input(A, Input::Suspended(20_000));
    net.until(5_000, "suspected", |n| n.state(A, S) == State::Suspect);
    net.run(200);
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse: said });
    net.run(20);
    assert_eq!(net.state(A, S), State::Suspect, "it said that before it fell silent");
}
