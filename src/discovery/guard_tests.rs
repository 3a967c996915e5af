//! The ceiling on incarnations: newcomers wait outside, members stay, expired ones make room.

use std::net::SocketAddr;

use chitchat::{ChitchatId, Serializable};

use super::super::testkit::{Op, id, syn, syn_ack};
use super::*;

fn guard(max_incarnations: usize) -> Guard {
    Guard::new("shop", id("me", 7), max_incarnations)
}

fn from() -> SocketAddr {
    "10.0.0.9:1".parse().unwrap()
}

fn ids(range: std::ops::Range<u64>) -> Vec<ChitchatId> {
    range.map(|generation| id("a", generation)).collect()
}

#[test]
fn newcomers_beyond_the_ceiling_are_cut_out_and_counted() {
    let mut guard = guard(4);
    let message = guard.admit(from(), &syn(&ids(0..10), 1)).expect("those who fit");
    assert_eq!(message.serialize_to_vec(), syn(&ids(0..3), 1));
    assert_eq!((guard.known(), guard.refused().over_ceiling), (4, 7));
}

#[test]
fn at_the_ceiling_members_are_heard_and_strangers_ignored() {
    let mut guard = guard(4);
    guard.admit(from(), &syn(&ids(0..3), 1));
    let a = id("a", 1);
    let ops = [Op::Node(&a, 0), Op::KeyValue("k", "v", 1)];
    let message = guard.admit(from(), &syn_ack(&ids(0..10), &ops)).expect("members are heard");
    assert_eq!(message.serialize_to_vec(), syn_ack(&ids(0..3), &ops));
    assert!(guard.admit(from(), &syn(&ids(20..21), 1)).is_none(), "a stranger alone gets no answer");
    assert_eq!(guard.known(), 4);
}

#[test]
fn expired_incarnations_make_room_but_not_before_chitchat_had_time_to_learn_them() {
    let mut guard = guard(4);
    guard.admit(from(), &syn(&ids(0..3), 1));
    let own = id("me", 7);
    guard.sync([&own].into_iter());
    assert_eq!(guard.known(), 4, "admitted just now, perhaps still on the way");
    guard.sync([&own].into_iter());
    assert_eq!(guard.known(), 1, "chitchat does not know them: expired");
    assert!(guard.admit(from(), &syn(&ids(20..23), 1)).is_some());
}

#[test]
fn impossible_names_never_enter() {
    let mut guard = guard(10);
    let odd = [id("", 1), id("é", 1), id(&"n".repeat(65), 1), id("a b", 1), id("ok", 1)];
    let message = guard.admit(from(), &syn(&odd, 1)).expect("the sound one");
    assert_eq!(message.serialize_to_vec(), syn(&odd[4..], 1));
    assert_eq!((guard.known(), guard.refused().bad_name), (2, 4));
}

#[test]
fn a_full_house_of_longest_names_still_fits_a_reply() {
    let mut guard = guard(super::super::config::limits::INCARNATIONS);
    let v6 = SocketAddr::from(([0xfdu16; 8], 7946));
    let name = "n".repeat(super::super::config::limits::NODE_NAME_BYTES);
    for first in (0..1_000).step_by(100) {
        let crowd: Vec<_> = (first..first + 100).map(|g| ChitchatId::new(name.as_str(), g, v6)).collect();
        guard.admit(from(), &syn(&crowd, 1));
    }
    let own_digest: usize = guard.known.keys().map(|id| id.serialized_len() + 24).sum();
    assert!(own_digest < 49_122, "{own_digest}: below the first assertion of chitchat");
}

#[test]
fn a_restart_begins_with_an_empty_house_and_keeps_the_counters() {
    let mut guard = guard(2);
    guard.admit(from(), &syn(&ids(0..3), 1));
    guard.admit(from(), b"junk");
    guard.restart(id("me", 8));
    assert_eq!((guard.known(), guard.refused().over_ceiling, guard.refused().malformed), (1, 2, 1));
    let me_before = id("me", 7);
    let ops = [Op::Node(&me_before, 0), Op::KeyValue("k", "v", 1)];
    assert!(guard.admit(from(), &syn_ack(&[], &ops)).is_some(), "our past is not ourselves");
}

/// 399 made-up incarnations of one sender, in one packet of 19 kB: nobody who came later was listed.
#[test]
fn one_sender_cannot_fill_the_house_and_who_comes_itself_finds_room() {
    let most = super::super::config::limits::INCARNATIONS;
    let mut guard = guard(most);
    guard.admit(from(), &syn(&ids(0..399), 1));
    assert_eq!(guard.known(), 1 + most / 2, "its share");
    let honest: SocketAddr = "10.0.0.7:1".parse().unwrap();
    let members: Vec<_> = (0..50).map(|g| id("member", g)).collect();
    let message = guard.admit(honest, &syn(&members, 1)).expect("another's share is free");
    assert_eq!(message.serialize_to_vec(), syn(&members, 1));
    // A second liar fills what is left for those that are told of.
    guard.admit("10.0.0.8:1".parse().unwrap(), &syn(&ids(1_000..1_399), 1));
    assert_eq!(guard.known(), most - most / 8);
    let newcomer = ChitchatId::new("late", 1, "10.0.0.3:1".parse().unwrap());
    let own_word = syn(std::slice::from_ref(&newcomer), 1);
    assert!(guard.admit(honest, &own_word).is_none(), "by another's word there is no room");
    assert!(guard.admit(newcomer.gossip_advertise_addr, &own_word).is_some(), "it came itself");
    // What one told of counts as long as it is known.
    let in_chitchat: Vec<_> = guard.known.keys().cloned().collect();
    guard.sync(in_chitchat.iter());
    guard.admit(from(), &syn(&ids(2_000..2_399), 1));
    assert_eq!(guard.known(), most - most / 8 + 1);
}

/// Who comes itself is one, with some restarts, and no crowd.
#[test]
fn one_address_cannot_come_as_a_crowd() {
    let most = super::super::config::limits::INCARNATIONS;
    let mut guard = guard(most);
    let own: SocketAddr = ([10, 0, 0, 1], 7946).into();
    guard.admit(own, &syn(&ids(0..399), 1));
    assert_eq!(guard.known(), 1 + FEW_TOLD + most / 2);
}
