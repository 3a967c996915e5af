//! Every list of a detector's is bounded, whatever is thrown at it.

use std::collections::BTreeSet;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::{
    MAX_ACCUSERS, MAX_DEAD_BURST, MAX_MEMBERS, MAX_PROBES, MAX_PUBLISHED_SUSPECTS, MAX_RELAYS, MAX_RUMOURS,
};
use sessionmesh::core::membership::message::{Message, Pulse, Rumour};
use sessionmesh::core::membership::{Input, Listed, State};

use super::net::*;

/// Seats where nobody sits: whoever is listed there is silent.
const CROWD: std::ops::Range<usize> = 100..700;

fn crowd() -> Vec<Listed> {
    CROWD.map(listed).collect()
}

/// A, five puppets, and a crowd on the board.
fn crowded(seed: u8) -> Net {
    let mut net = Net::with_puppets(seed);
    net.input(A, Input::Board(&crowd()));
    net.sent.clear();
    net
}

fn accuse_all(net: &mut Net) {
    for subject in CROWD {
        let accusation = net.accusation(B, 0, B);
        let Rumour::Suspect { began_beat_ms, .. } = accusation else { unreachable!() };
        let (subject, accuser) = (origin(subject), origin(B));
        net.tell(B, A, Rumour::Suspect { subject, incarnation: 0, accuser, began_beat_ms });
    }
}

fn pings(net: &Net) -> usize {
    let is_ping = |f: &&Flight| f.from == A && matches!(f.packet.message, Message::Ping { .. });
    net.sent.iter().filter(is_ping).count()
}

#[test]
fn members_are_bounded_and_the_gone_make_room() {
    let mut net = Net::with_puppets(41);
    let many: Vec<Listed> = (100..5_100).map(|at| Listed { left: at < 3_000, ..listed(at) }).collect();
    net.input(A, Input::Board(&many));
    let len = |net: &Net| net.detector(A).members().len();
    assert!(len(&net) <= MAX_MEMBERS && net.knows(A, 5_000), "those that left made room");
    for stranger in 10_000..13_000 {
        net.forge(stranger, A, Pulse::default(), Message::Gossip { rumours: vec![] });
    }
    assert_eq!(len(&net), MAX_MEMBERS);
    assert!((B..=S).all(|at| net.knows(A, at)), "nobody who lives makes room");
    let living = net.detector(A).members().values().filter(|m| m.state.is_living()).count();
    assert_eq!(net.detector(A).living(), living);
    net.run(2_000);
    assert!(len(&net) <= MAX_MEMBERS);
}

#[test]
fn rumours_are_bounded() {
    let mut net = crowded(42);
    accuse_all(&mut net);
    assert_eq!(net.detector(A).stats().suspicions, CROWD.len() as u64);
    net.sent.clear();
    let mut told: BTreeSet<Origin> = BTreeSet::new();
    for seq in 0..200 {
        net.forge(C, A, net.pulse(C), Message::Ping { seq, rumours: vec![] });
    }
    for flight in net.flights(A, C) {
        told.extend(flight.rumours().iter().map(Rumour::subject));
    }
    assert_eq!(told.len(), MAX_RUMOURS);
}

#[test]
fn probes_are_bounded_and_those_that_waited_come_later() {
    let mut net = crowded(43);
    let before = net.detector(A).stats().probes;
    for peer in CROWD {
        net.input(A, Input::LinkDown(origin(peer)));
    }
    assert!((MAX_PROBES - 1..=MAX_PROBES).contains(&pings(&net)), "{}", pings(&net));
    assert!(net.detector(A).stats().probes - before <= MAX_PROBES as u64);
    // All the checks of a crowd of suspects happen all the same: they die within a few rounds of probes.
    accuse_all(&mut net);
    let dead = |n: &Net| CROWD.filter(|&at| n.state(A, at) == State::Dead).count();
    net.until(20_000, "all dead", |n| dead(n) == CROWD.len());
    assert!((B..=S).all(|at| net.state(A, at) == State::Alive));
}

#[test]
fn relays_are_bounded() {
    let mut net = crowded(44);
    for (seq, target) in (0..).zip(CROWD) {
        net.forge(B, A, net.pulse(B), Message::PingReq { seq, target: origin(target) });
    }
    assert!((MAX_RELAYS..=MAX_RELAYS + 1).contains(&pings(&net)), "{}", pings(&net));
    let nacks =
        |n: &Net| n.flights(A, B).filter(|f| matches!(f.packet.message, Message::Nack { .. })).count();
    net.run(2_000);
    assert_eq!(nacks(&net), MAX_RELAYS, "the others wait as if their request were lost");
}

#[test]
fn accusers_are_bounded() {
    let mut net = crowded(45);
    let (subject, incarnation) = (origin(100), 0);
    for accuser in 101..140 {
        let accuser = origin(accuser);
        net.tell(B, A, Rumour::Suspect { subject, incarnation, accuser, began_beat_ms: 1 });
    }
    let suspicion = net.member(A, 100).suspicion.as_ref().expect("it is suspected");
    assert_eq!((suspicion.votes(), suspicion.accusers().count()), (MAX_ACCUSERS, MAX_ACCUSERS));
}

/// A crowd dies, and one of it returns: so many others are asked at once, and so many suspicions were written.
#[test]
fn what_is_written_and_the_dead_asked_at_once_are_bounded() {
    let mut net = crowded(46);
    accuse_all(&mut net);
    net.until(20_000, "all dead", |n| CROWD.into_iter().all(|at| n.state(A, at) == State::Dead));
    let written = net.published.iter().filter(|(at, key, _)| (*at, *key) == (A, "suspects"));
    let most = written.map(|(.., value)| value.split(' ').count()).max();
    assert_eq!(most, Some(MAX_PUBLISHED_SUSPECTS));
    net.run(1);
    net.sent.clear();
    let pulse = Pulse { incarnation: 1, beat_ms: 1 };
    net.forge(100, A, pulse, Message::Gossip { rumours: vec![] });
    assert_eq!(pings(&net), MAX_DEAD_BURST);
    net.forge(101, A, pulse, Message::Gossip { rumours: vec![] });
    assert_eq!(pings(&net), MAX_DEAD_BURST, "and not again at once");
}
