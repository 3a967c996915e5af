//! Who may say what of whom: a member that lies about another takes it out of nobody's view, and cannot silence it.

use sessionmesh::core::limits::{FAREWELL_PAUSE_MS, MAX_INCARNATION, MAX_TOLD_STEP};
use sessionmesh::core::membership::message::{Message, Pulse, Rumour};
use sessionmesh::core::membership::{Input, State, Why};

use super::net::*;

const SECOND_MS: u64 = 1_000;

fn goodbye(of: usize) -> Rumour {
    Rumour::Left { subject: origin(of), incarnation: 0 }
}

/// 29 bytes made a living member "left", for good, in every view.
#[test]
fn a_goodbye_in_anothers_name_takes_nobody_out() {
    let mut net = Net::of(8, 51);
    for _ in 0..3 {
        net.tell(B, A, goodbye(S));
        net.run(FAREWELL_PAUSE_MS + SECOND_MS);
    }
    assert!(
        (0..8)
            .filter(|&at| at != S)
            .all(|at| net.state(at, S) == State::Alive && net.story(at, S).is_empty())
    );
}

#[test]
fn made_up_goodbyes_cost_a_probe_each_in_a_while() {
    let mut net = Net::with_puppets(52);
    let before = net.detector(A).stats().probes;
    (0..1_000).for_each(|_| net.tell(B, A, goodbye(S)));
    assert!(net.detector(A).stats().probes <= before + 2);
}

/// It left while this node was told by others only, and is silent.
#[test]
fn a_goodbye_that_others_tell_is_believed_of_whoever_does_not_answer() {
    let mut net = Net::with_puppets(53);
    net.crash(S);
    net.tell(B, A, goodbye(S));
    net.until(SECOND_MS, "gone", |n| n.state(A, S) == State::Left);
    assert_eq!((net.story(A, S), net.why(A, S)), (vec![State::Left], Why::Hearsay));
}

/// Cut off, said to have left by a liar, and back: it is asked, and answers.
#[test]
fn who_left_by_anothers_word_is_back_when_it_answers() {
    for dead_first in [false, true] {
        let mut net = Net::with_puppets(54);
        net.isolate(S);
        if dead_first {
            net.until(10 * SECOND_MS, "dead", |n| n.state(A, S) == State::Dead);
        }
        net.tell(B, A, goodbye(S));
        net.until(SECOND_MS, "gone", |n| n.state(A, S) == State::Left);
        net.heal();
        net.input(A, Input::LinkUp(origin(S)));
        net.until(SECOND_MS, "back", |n| n.state(A, S) == State::Alive);
    }
}

/// Left by another's word, and leaving indeed: it is not back for the answer that says so.
#[test]
fn who_leaves_by_its_own_word_is_not_back_in_between() {
    let mut net = Net::of(3, 58);
    let leaver = 2;
    net.isolate(leaver);
    net.tell(B, A, goodbye(leaver));
    net.until(10 * SECOND_MS, "gone", |n| n.state(A, leaver) == State::Left);
    net.changes.clear();
    net.input(leaver, Input::Leave);
    net.heal();
    net.input(A, Input::LinkUp(origin(leaver)));
    net.until(10 * SECOND_MS, "by its own word", |n| n.why(A, leaver) == Why::Goodbye);
    assert_eq!(net.story(A, leaver), [State::Left]);
}

/// Both have been told that the other left, while they could not hear each other.
#[test]
fn two_that_take_each_other_for_gone_find_each_other() {
    let (mut net, other) = (Net::of(3, 59), 2);
    // Nobody relays, and nobody else asks either of them after the other.
    net.crash(B);
    net.cut(|_, _| true);
    net.tell(B, A, goodbye(other));
    net.tell(B, other, goodbye(A));
    let gone = |n: &Net| n.state(A, other) == State::Left && n.state(other, A) == State::Left;
    net.until(10 * SECOND_MS, "gone", gone);
    // What was asked before is over.
    net.run(10 * SECOND_MS);
    net.heal();
    let back = |n: &Net| n.state(A, other) == State::Alive && n.state(other, A) == State::Alive;
    net.until(10 * SECOND_MS, "back", back);
}

/// A member that is leaving answers pings for some seconds. It says that it leaves.
#[test]
fn who_leaves_says_so_in_its_answers() {
    let mut net = Net::of(3, 55);
    net.cut(|from, to| (from, to) == (S, A) || (from, to) == (S, B));
    let leaver = 2;
    net.heal();
    net.input(leaver, Input::Leave);
    net.tell(B, A, goodbye(leaver));
    net.until(SECOND_MS, "gone", |n| n.state(A, leaver) == State::Left);
    net.run(5 * SECOND_MS);
    assert_eq!(net.state(A, leaver), State::Left, "though it still answers");
}

/// One packet with incarnation 2^31 of another: its own word counted for nothing any more, so that it stayed dead though
/// it was linked.
#[test]
fn an_incarnation_that_another_tells_cannot_silence_a_member() {
    for incarnation in [MAX_INCARNATION, MAX_TOLD_STEP, 3] {
        let mut net = Net::of(6, 56);
        for at in (0..6).filter(|&at| at != S) {
            let pulse = Pulse { incarnation, ..net.pulse(S) };
            net.tell(B, at, Rumour::Alive { subject: origin(S), pulse });
            if incarnation == MAX_INCARNATION {
                assert_eq!(net.member(at, S).incarnation, 0, "beyond what a member can have risen by");
            }
        }
        net.isolate(S);
        net.until(20 * SECOND_MS, "dead", |n| (0..6).all(|at| at == S || n.state(at, S) == State::Dead));
        net.heal();
        net.until(10 * SECOND_MS, "back", |n| (0..6).all(|at| at == S || n.state(at, S) == State::Alive));
        // What it answers itself corrects the word, as soon as nobody passes that on any more.
        let own = |n: &Net| n.detector(S).incarnation();
        net.until(10 * SECOND_MS, "corrected", |n| {
            (0..6).all(|at| at == S || n.member(at, S).incarnation <= own(n))
        });
        net.run(10 * SECOND_MS);
        let held = (0..6).filter(|&at| at != S).map(|at| net.member(at, S).incarnation).max();
        assert!(own(&net) < 16 && held <= Some(own(&net)), "{held:?}, its own is {}", own(&net));
    }
}

/// Accused under the greatest incarnation there is, again and again: it could refute nothing any more.
#[test]
fn accusations_cannot_use_up_a_members_incarnations() {
    let mut net = Net::with_puppets(57);
    for _ in 0..1_000 {
        for incarnation in [MAX_INCARNATION, MAX_INCARNATION - 1, net.detector(A).incarnation() + 16] {
            net.tell(B, A, net.accusation(A, incarnation, B));
        }
    }
    assert!(net.detector(A).incarnation() <= 64, "{} in no time", net.detector(A).incarnation());
    let before = net.detector(A).incarnation();
    net.run(10);
    net.tell(B, A, net.accusation(A, before, B));
    assert_eq!(net.detector(A).incarnation(), before + 1, "it still refutes");
    // Every packet is read again.
    net.run(2_000);
}

/// Whoever was not asked cannot answer for another.
#[test]
fn only_a_relay_that_was_asked_speaks_for_a_member() {
    let mut net = Net::with_puppets(58);
    net.isolate(S);
    net.sent.clear();
    let (mut seen, mut forged) = (0, 0);
    for _ in 0..20_000 {
        let asked = net.sent[seen..].iter().filter(|f| f.from == A).filter_map(|f| match f.packet.message {
            Message::PingReq { seq, target } if target == origin(S) => Some(seq),
            _ => None,
        });
        let asked: Vec<u16> = asked.collect();
        seen = net.sent.len();
        for seq in asked {
            let target = net.pulse(S);
            net.forge(77, A, Pulse { incarnation: 0, beat_ms: 1 }, Message::Relayed { seq, target });
            forged += 1;
        }
        if net.state(A, S) == State::Dead {
            break;
        }
        net.run(1);
    }
    assert!(forged > 0 && net.state(A, S) == State::Dead, "{forged} answers were made up");
}
