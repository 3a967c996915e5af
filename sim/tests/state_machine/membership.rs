//! The failure detector's rules, one directed execution each, in a small network in virtual time. What random faults
//! find is the simulator's to find; here each rule is seen at work, and seen to be missed when it is broken.

mod evidence;
mod flood;
mod liars;
mod lives;
mod many;
mod net;
mod stalls;

use net::*;
use sessionmesh::core::membership::message::{Message, Pulse, Rumour};
use sessionmesh::core::membership::{Input, State, Why};

const OTHERS: [usize; 5] = [A, B, C, D, E];
/// Six members: each probes every other within two rounds of five (ms).
const ROUNDS_MS: u64 = 2 * 5 * 250;
/// A probe that fails takes this long when all is well (ms).
const PROBE_MS: u64 = 400;
/// The windows of suspicion of six with one accuser, two, and enough (ms).
const WINDOW_MS: [u64; 3] = [4_000, 2_500, 1_000];

// ----- suspicion and death --------------------------------------------------------------------------------------

/// All accuse within their own checks, and most hear of enough of the others for the window to be the shortest.
#[test]
fn a_silent_member_is_suspected_and_then_dead_at_all_within_the_window() {
    for seed in 0..8 {
        let mut net = Net::of(6, seed);
        net.crash(S);
        let by_one = |n: &Net| OTHERS.iter().any(|&at| n.state(at, S) == State::Suspect);
        net.until(ROUNDS_MS + PROBE_MS, "suspected by one", by_one);
        net.until(300, "suspected by all", |n| n.all(&OTHERS, S, State::Suspect));
        let mut closes_ms = [0; 5];
        while !net.all(&OTHERS, S, State::Dead) {
            for at in OTHERS {
                if let Some(suspicion) = &net.member(at, S).suspicion {
                    let own_check_ms = suspicion.began_ms + 500 + PROBE_MS;
                    closes_ms[at] = suspicion.closes_ms(&net.config, 6).max(own_check_ms);
                    assert!(net.now_ms <= closes_ms[at], "at {at}");
                }
            }
            net.run(1);
        }
        for at in OTHERS {
            assert_eq!(net.story(at, S), [State::Suspect, State::Dead], "at {at}");
            assert_eq!(net.first_ms(at, S, State::Dead), Some(closes_ms[at]), "at {at}");
            let Why::Silent(silent_ms) = net.why(at, S) else { panic!("{:?}", net.why(at, S)) };
            assert!((WINDOW_MS[2]..=WINDOW_MS[1]).contains(&silent_ms), "{silent_ms} ms at {at}");
            assert!(net.detector(at).living() == 4 && net.detector(at).stats().deaths == 1);
        }
        assert!(net.changes.iter().all(|(_, _, change)| change.member == origin(S)), "nobody else");
    }
}

/// One accuser waits long, each further one shortens the wait; with enough it is the shortest.
#[test]
fn the_window_shrinks_with_accusers_and_death_comes_when_it_closes() {
    let mut net = Net::with_puppets(1);
    net.isolate(S);
    let mut windows_ms = Vec::new();
    for accuser in [B, C, D, E] {
        net.tell(accuser, A, net.accusation(S, 0, accuser));
        let suspicion = net.member(A, S).suspicion.clone().expect("it is suspected");
        windows_ms.push(suspicion.closes_ms(&net.config, 6) - suspicion.began_ms);
    }
    assert!(windows_ms.windows(2).all(|w| w[0] > w[1]), "{windows_ms:?}");
    assert_eq!([windows_ms[0], windows_ms[1], windows_ms[3]], WINDOW_MS);
    let began_ms = net.began_ms(A, S);
    net.until(2_000, "dead", |n| n.state(A, S) == State::Dead);
    assert_eq!((net.now_ms - began_ms, net.why(A, S)), (WINDOW_MS[2], Why::Silent(WINDOW_MS[2])));
}

/// An accuser and this node itself make two.
#[test]
fn an_accuser_counts_once_however_often_and_by_whomever_it_is_told() {
    let mut net = Net::with_puppets(2);
    net.isolate(S);
    let first = net.accusation(S, 0, B);
    net.tell(B, A, first);
    let votes = |net: &Net| net.member(A, S).suspicion.as_ref().map(|s| (s.votes(), s.accusers().count()));
    assert_eq!(votes(&net), Some((1, 1)));
    let began_ms = net.began_ms(A, S);
    for teller in [B, C, D] {
        net.tell(teller, A, first);
        net.tell(teller, A, net.accusation(S, 0, B));
        assert_eq!(votes(&net), Some((1, 1)));
    }
    net.until(5_000, "dead", |n| n.state(A, S) == State::Dead);
    assert_eq!(net.now_ms - began_ms, WINDOW_MS[1], "B and A");
}

#[test]
fn who_is_no_living_member_accuses_nobody() {
    let mut net = Net::with_puppets(3);
    net.isolate(E);
    net.until(10_000, "dead", |n| n.state(A, E) == State::Dead);
    net.tell(D, A, Rumour::Left { subject: origin(D), incarnation: 0 });
    let stranger =
        Rumour::Suspect { subject: origin(S), incarnation: 0, accuser: origin(99), began_beat_ms: 1 };
    for accusation in [stranger, net.accusation(S, 0, E), net.accusation(S, 0, D)] {
        net.tell(B, A, accusation);
        net.run(20);
        assert_eq!(net.state(A, S), State::Alive, "{accusation:?}");
    }
    net.forge(E, A, net.pulse(E), Message::Gossip { rumours: vec![net.accusation(S, 0, E)] });
    assert_eq!(net.state(A, S), State::Alive, "by the dead one itself");
    net.tell(C, A, net.accusation(S, 0, C));
    assert_eq!(net.state(A, S), State::Suspect, "a member's counts");
}

/// What others say is not enough: the first witness is this node's own probe.
#[test]
fn nobody_dies_by_what_others_say() {
    for seed in 0..8 {
        let mut net = Net::with_puppets(seed);
        for accuser in [B, C, D, E] {
            net.tell(accuser, A, net.accusation(S, 0, accuser));
        }
        net.until(WINDOW_MS[2] - 1, "asked and answered", |n| n.state(A, S) == State::Alive);
        assert_eq!(net.why(A, S), Why::HeardSince);
        // Mute now, and accused by four again: not before A has asked in vain.
        net.isolate(S);
        net.run(1);
        let from = net.sent.len();
        for accuser in [B, C, D, E] {
            net.tell(accuser, A, net.accusation(S, 0, accuser));
        }
        net.until(3_000, "dead", |n| n.state(A, S) == State::Dead);
        let asked = |f: &&Flight| f.to == S && f.reliable && matches!(f.packet.message, Message::Ping { .. });
        assert!(net.sent[from..].iter().any(|f| asked(&f)), "over the stream too");
    }
}

#[test]
fn a_ping_to_a_suspect_and_an_answer_carry_its_suspicion_first() {
    let mut net = Net::with_puppets(4);
    net.isolate(S);
    net.until(5_000, "suspected", |n| n.state(A, S) == State::Suspect);
    net.run(1);
    net.sent.clear();
    // Other news, and an old question of the suspect's.
    net.tell(B, A, Rumour::Left { subject: origin(E), incarnation: 0 });
    let old = Pulse { incarnation: 0, beat_ms: net.beat_at(S, net.began_ms(A, S) - 30) };
    net.forge(S, A, old, Message::Ping { seq: 7, rumours: vec![] });
    let is_ack = |f: &Flight| matches!(f.packet.message, Message::Ack { seq: 7, .. });
    assert!(net.flights(A, S).any(|f| is_ack(f) && f.rumours().len() > 1), "an answer, with other news");
    net.until(10_000, "dead", |n| n.state(A, S) == State::Dead);
    net.run(3_000);
    let (mut pings, mut to_dead) = (0, 0);
    let dead_ms = net.first_ms(A, S, State::Dead).expect("dead");
    for flight in net.flights(A, S).filter(|f| !matches!(f.packet.message, Message::Gossip { .. })) {
        let first = flight.rumours().first();
        let Some(Rumour::Suspect { subject, accuser, .. }) = first else { panic!("{flight:?}") };
        assert_eq!((*subject, *accuser), (origin(S), origin(A)));
        pings += 1;
        to_dead += usize::from(flight.at_ms >= dead_ms);
    }
    assert!(pings > to_dead + 1 && to_dead >= 2, "{pings} and {to_dead}");
}

// ----- refutation -----------------------------------------------------------------------------------------------

/// While nothing of the suspect's gets through, it hears of its suspicion and raises its incarnation; nobody else does.
#[test]
fn a_refutation_raises_the_owners_incarnation_only_and_clears_at_all() {
    let mut net = Net::of(6, 5);
    net.cut(|from, _| from == S);
    net.until(5_000, "suspected", |n| n.all(&OTHERS, S, State::Suspect));
    net.until(500, "refuted", |n| n.detector(S).incarnation() > 0);
    net.run(200);
    assert_eq!(net.detector(S).incarnation(), 1, "once, however many accuse");
    assert!(
        OTHERS.iter().all(|&at| net.member(at, S).incarnation == 0 && net.state(at, S) == State::Suspect)
    );
    net.heal();
    net.until(300, "cleared", |n| n.all(&OTHERS, S, State::Alive));
    net.run(2_000);
    for (at, peer) in net.pairs() {
        let wanted = u32::from(peer == S);
        assert_eq!((net.state(at, peer), net.member(at, peer).incarnation), (State::Alive, wanted));
        assert_eq!(net.detector(peer).incarnation(), wanted);
        assert!(peer == S || net.story(at, peer).is_empty(), "nobody else was in doubt");
        assert!(peer != S || net.story(at, S) == [State::Suspect, State::Alive]);
    }
    assert!(OTHERS.iter().any(|&at| net.why(at, S) == Why::Refuted));
}

/// Whoever accuses, and whoever tells of it, hears at once.
#[test]
fn a_refutation_goes_to_the_accuser_and_to_who_told_of_it() {
    let mut net = Net::with_puppets(10);
    let accusation = net.accusation(A, 0, C);
    net.tell(B, A, accusation);
    assert_eq!((net.detector(A).incarnation(), net.detector(A).stats().refuted), (1, 1));
    for hearer in [B, C] {
        let is_it = |r: &Rumour| matches!(r, Rumour::Alive { pulse, .. } if pulse.incarnation == 1);
        let refutes = |f: &Flight| f.rumours().iter().any(|r| r.subject() == origin(A) && is_it(r));
        assert!(net.flights(A, hearer).any(refutes), "{hearer}");
    }
    // Told again, it is refuted already.
    net.tell(D, A, accusation);
    assert_eq!((net.detector(A).incarnation(), net.detector(A).stats().refuted), (1, 1));
    assert!(net.flights(A, D).any(|f| matches!(f.rumours(), [Rumour::Alive { .. }])));
}

#[test]
fn the_dead_stay_dead_until_they_refute() {
    let mut net = Net::with_puppets(6);
    net.isolate(S);
    net.until(10_000, "dead", |n| n.state(A, S) == State::Dead);
    net.forge(S, A, net.pulse(S), Message::Gossip { rumours: vec![] });
    net.forge(S, A, net.pulse(S), Message::Ping { seq: 1, rumours: vec![] });
    net.tell(B, A, Rumour::Alive { subject: origin(S), pulse: net.pulse(S) });
    net.input(A, Input::LinkUp(origin(S)));
    net.input(A, Input::Board(&[listed(S), listed(B)]));
    net.input(A, Input::Fact { of: origin(S), key: "inc", value: "0" });
    assert_eq!(net.state(A, S), State::Dead);
    net.forge(S, A, net.pulse_of(S, 1), Message::Gossip { rumours: vec![] });
    assert_eq!((net.state(A, S), net.why(A, S)), (State::Alive, Why::Refuted));
    assert_eq!((net.detector(A).stats().revived, net.detector(A).living()), (1, 5));
    // Again, and by what another tells.
    net.until(10_000, "dead", |n| n.state(A, S) == State::Dead);
    for (incarnation, state) in [(1, State::Dead), (2, State::Alive)] {
        net.tell(B, A, Rumour::Alive { subject: origin(S), pulse: net.pulse_of(S, incarnation) });
        assert_eq!(net.state(A, S), state, "incarnation {incarnation}");
    }
}

/// Who knows better says so, once for each suspicion.
#[test]
fn a_suspicion_of_an_old_incarnation_is_contradicted_and_not_believed() {
    let mut net = Net::with_puppets(7);
    net.forge(S, A, net.pulse_of(S, 1), Message::Gossip { rumours: vec![] });
    net.run(5);
    for round in 0..2 {
        net.sent.clear();
        let accusation = net.accusation(S, 0, B);
        (0..3).for_each(|_| net.tell(B, A, accusation));
        net.tell(C, A, accusation);
        assert_eq!(net.state(A, S), State::Alive);
        let contradicts = |f: &&Flight| {
            let is_it = |r: &Rumour| matches!(r, Rumour::Alive { pulse, .. } if pulse.incarnation == 1);
            f.rumours().iter().any(|r| r.subject() == origin(S) && is_it(r))
        };
        assert_eq!(net.flights(A, B).filter(contradicts).count(), 1, "round {round}");
        net.run(1);
    }
    // A suspicion of the present incarnation that began before S spoke last is old as well; a later one is not.
    net.run(500);
    let old = net.accusation(S, 1, B);
    net.run(100);
    net.forge(S, A, net.pulse_of(S, 1), Message::Gossip { rumours: vec![] });
    net.tell(B, A, old);
    assert_eq!(net.state(A, S), State::Alive);
    net.run(50);
    net.tell(B, A, net.accusation(S, 1, B));
    assert_eq!(net.state(A, S), State::Suspect);
}

// ----- relays and health ----------------------------------------------------------------------------------------

#[test]
fn a_relay_answers_and_declines_when_the_target_is_silent() {
    let mut net = Net::with_puppets(8);
    let ask = |net: &mut Net, seq, target| {
        net.sent.clear();
        net.forge(B, A, net.pulse(B), Message::PingReq { seq, target: origin(target) });
    };
    let told = |net: &Net| -> Vec<Message> {
        let answers = net.flights(A, B).map(|f| f.packet.message.clone());
        answers.filter(|m| matches!(m, Message::Relayed { .. } | Message::Nack { .. })).collect()
    };
    ask(&mut net, 70, S);
    let spoke = net.beat_at(S, net.now_ms + 1);
    net.run(10);
    assert!(matches!(told(&net)[..], [Message::Relayed { seq: 70, target }] if target.beat_ms == spoke));
    net.isolate(S);
    ask(&mut net, 71, S);
    net.run(net.config.direct_min_ms - 1);
    assert_eq!(told(&net), []);
    net.run(3_000);
    assert_eq!(told(&net), [Message::Nack { seq: 71 }]);
    net.heal();
    net.run(5_000);
    // It declines after the time an answer takes, and passes on one that comes late all the same.
    net.line = Box::new(|f| Some(if f.from == S { 200 } else { 1 }));
    ask(&mut net, 72, S);
    net.run(500);
    assert!(matches!(told(&net)[..], [Message::Nack { seq: 72 }, Message::Relayed { seq: 72, .. }]));
    ask(&mut net, 73, 99);
    assert!(net.sent.is_empty(), "of whom it knows nothing");
}

/// Relays that are there say so. If even they are silent, this node may be the deaf one.
#[test]
fn local_health_falls_when_relays_are_silent_and_recovers() {
    let mut net = Net::with_puppets(9);
    net.isolate(S);
    let failed = net.detector(A).stats().probes_failed;
    for _ in 0..3_000 {
        net.run(1);
        assert_eq!(net.detector(A).health_penalty(), 0, "the relays have declined");
    }
    assert!(net.detector(A).stats().probes_failed > failed);
    net.heal();
    net.run(3_000);
    let is_request = |f: &Flight| matches!(f.packet.message, Message::PingReq { .. });
    net.line = Box::new(move |f| (f.to != S && f.from != S && !is_request(f)).then_some(1));
    net.until(3_000, "in doubt of itself", |n| n.detector(A).health_penalty() > 0);
    net.until(1_000, "recovered by answers", |n| n.detector(A).health_penalty() == 0);
    (0..20).for_each(|_| net.input(A, Input::Overflow));
    assert_eq!(net.detector(A).health_penalty(), net.config.health_max, "bounded");
    net.heal();
    net.until(3_000, "recovered again", |n| n.detector(A).health_penalty() == 0);
    // Late, but not so late that it stood still.
    net.freeze(A);
    net.run(800);
    net.thaw(A);
    net.run(0);
    assert_eq!((net.detector(A).health_penalty(), net.detector(A).stats().stood_still), (1, 0));
}
