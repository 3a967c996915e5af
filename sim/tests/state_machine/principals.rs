//! Principals in the core: what a revocation ends and what it does not, whatever the order of arrival, and an index
//! that is always what a scan would find.

mod hands;

use std::collections::{BTreeMap, BTreeSet};

use hands::{Hand, give, give_all};
use proptest::prelude::*;
use sessionmesh::core::causality::Dot;
use sessionmesh::core::limits::MAX_PRINCIPAL_BYTES;
use sessionmesh::core::replica::{Change, Happened, Lookup, Replica, WriteError};
use sessionmesh::core::session::{Login, PRINCIPAL_KEY, REVOKED_KEY, SessionId};
use sessionmesh_sim::World;

fn linked(n: usize) -> World {
    let mut world = World::new(7, n);
    world.settle();
    world
}

fn shown(world: &World, id: SessionId) -> Vec<bool> {
    world.up().into_iter().map(|at| world.visible(at, id)).collect()
}

#[test]
fn a_principals_sessions_are_listed_everywhere_the_oldest_first_and_nobody_elses() {
    let mut world = linked(3);
    let first = world.create_of(0, "ada");
    world.run(1_000);
    let second = world.create_of(1, "ada");
    world.create_of(1, "bob");
    world.create(2, &[("user", "ada")]);
    world.run(1_000);
    let later = world.create(2, &[]);
    world.run(1_000);
    world.login(0, later, "ada").unwrap();
    world.settle();
    for at in 0..3 {
        // The third was created last, though it was logged in on another node.
        assert_eq!(world.sessions_of(at, "ada"), [first, second, later], "node {at}");
        assert_eq!(world.sessions_of(at, "bob").len(), 1);
        assert_eq!(world.sessions_of(at, "nobody"), []);
    }
    world.destroy(2, second);
    world.login(1, later, "bob").unwrap();
    world.settle();
    for at in 0..3 {
        assert_eq!(world.sessions_of(at, "ada"), [first], "node {at}");
        assert_eq!(world.sessions_of(at, "bob").len(), 2);
    }
    // Expired ones are not listed, and leave the index with their record.
    world.run(1_801_000);
    assert_eq!(world.sessions_of(0, "ada"), []);
    world.run(60_000);
    world.settle();
}

#[test]
fn a_revocation_ends_all_sessions_on_every_node_and_no_other() {
    let mut world = linked(3);
    let of_ada: Vec<_> = (0..3).map(|at| world.create_of(at, "ada")).collect();
    let others = [world.create_of(1, "bob"), world.create(2, &[])];
    world.settle();
    let revoked = world.revoke(0, "ada", None);
    let mut ended = of_ada.clone();
    ended.sort_unstable();
    assert_eq!(revoked.ended, ended, "all were held here");
    world.settle();
    assert!(of_ada.iter().all(|id| shown(&world, *id) == [false; 3]));
    assert!(others.iter().all(|id| shown(&world, *id) == [true; 3]));
    // The revocation is nobody's session.
    for at in 0..3 {
        let counts = world.replica(at).counts();
        assert_eq!((counts.sessions, counts.tombstones, counts.revocations), (2, 3, 1), "node {at}");
        assert_eq!(world.sessions_of(at, "ada"), []);
    }
    // It took one end a session: nobody ended again what came ended.
    let writes: u64 = (0..3).map(|at| world.replica(at).counter()).sum();
    assert_eq!(writes, 3 + 2 + 1 + 3);
}

#[test]
fn a_login_concurrent_with_the_revocation_falls_whoever_meets_whom_first() {
    for revoker in [0, 2] {
        let mut world = linked(3);
        let old = world.create_of(1, "ada");
        let anonymous = world.create(1, &[]);
        world.settle();
        world.cut(&[0], &[1, 2]);
        world.run(30_000);
        let other_side = 2 - revoker;
        // Before and after the revocation by every clock.
        let before = world.create_of(other_side, "ada");
        world.run(5_000);
        world.revoke(revoker, "ada", None);
        world.run(5_000);
        let after = world.create_of(other_side, "ada");
        world.login(other_side, anonymous, "ada").unwrap();
        let bob = world.create_of(other_side, "bob");
        assert!(world.visible(other_side, before) && world.visible(other_side, after));
        assert!(!world.visible(revoker, old) && world.visible(other_side, old));
        world.heal();
        world.settle();
        for id in [old, before, after, anonymous] {
            assert_eq!(shown(&world, id), [false; 3], "revoked on node {revoker}");
        }
        assert_eq!(shown(&world, bob), [true; 3]);
    }
}

#[test]
fn a_login_that_had_seen_the_revocation_stands_whatever_it_meets() {
    let mut world = linked(3);
    world.create_of(0, "ada");
    world.settle();
    // Behind the cut, a node that will know the first revocation only by what the second has seen.
    world.cut(&[2], &[0, 1]);
    world.run(30_000);
    let concurrent = world.create_of(2, "ada");
    world.revoke(0, "ada", None);
    world.run(2_000);
    let again = world.create_of(1, "ada");
    world.run(2_000);
    world.revoke(1, "ada", Some(again));
    world.run(2_000);
    let third = world.create_of(0, "ada");
    world.heal();
    world.settle();
    assert_eq!(shown(&world, again), [true; 3]);
    assert_eq!(shown(&world, third), [true; 3]);
    assert_eq!(shown(&world, concurrent), [false; 3]);
}

/// A node that never saw a revocation, only one that had seen it: a login there is after both.
#[test]
fn having_seen_is_transitive() {
    let [mut a, mut b, mut c] = Hand::three();
    let (first, _) = a.revoke("ada", None);
    give(&mut a, &mut b, first);
    let kept = b.create("ada");
    let (second, _) = b.revoke("ada", Some(kept));
    give(&mut b, &mut c, second);
    let late = c.create("ada");
    give(&mut a, &mut c, first);
    assert!(c.visible(late), "the first is in what the second has seen");
    give(&mut b, &mut c, kept);
    assert!(c.visible(kept));
    assert_eq!(c.replica.counts().revocations, 2);
}

#[test]
fn whichever_arrives_first_a_revoked_session_is_not_shown() {
    for revocation_first in [true, false] {
        let [mut a, mut b, mut c] = Hand::three();
        let session = a.create("ada");
        let (revocation, _) = b.revoke("ada", None);
        let [first, second] = if revocation_first {
            [(&mut b, revocation), (&mut a, session)]
        } else {
            [(&mut a, session), (&mut b, revocation)]
        };
        give(first.0, &mut c, first.1);
        give(second.0, &mut c, second.1);
        assert!(!c.visible(session) && c.of("ada").is_empty());
        assert!(c.events.contains(&Happened::Destroyed(session)), "watchers are told");
        // Its end reaches the writer, which never sees the revocation itself.
        give(&mut c, &mut a, session);
        assert!(!a.visible(session));
    }
}

/// The session that is kept may arrive before the revocation or after it, and as old as it was.
#[test]
fn the_spared_session_stands_in_every_order_and_its_next_revocation_ends_it() {
    let [mut a, mut b, mut c] = Hand::three();
    let (kept, other) = (a.create("ada"), a.create("ada"));
    give(&mut a, &mut b, kept);
    give(&mut a, &mut b, other);
    let (revocation, ended) = a.revoke("ada", Some(kept));
    assert_eq!(ended, [other]);
    give(&mut a, &mut b, revocation);
    give(&mut a, &mut c, revocation);
    give(&mut a, &mut c, kept);
    assert!(b.visible(kept) && c.visible(kept) && !b.visible(other));
    let (again, _) = b.revoke("ada", Some(kept));
    give(&mut b, &mut a, again);
    let (all, ended) = a.revoke("ada", None);
    assert_eq!(ended, [kept]);
    give(&mut a, &mut c, all);
    assert!(!c.visible(kept));
}

/// A later revocation does the work of those it has seen, but must not take their place: were their records destroyed,
/// the tombstones could arrive where the later one does not, if its maker dies in between.
#[test]
fn a_revocation_outlives_a_later_one_that_is_lost() {
    let [mut a, mut b, mut c] = Hand::three();
    let old = c.create("ada");
    let (first, _) = a.revoke("ada", None);
    give(&mut a, &mut b, first);
    let between = b.create("ada");
    let (_, ended) = b.revoke("ada", None);
    assert_eq!((ended, b.replica.counts().revocations), (vec![between], 2));
    // All that node b has of the first reaches the others, and then it dies.
    give(&mut b, &mut a, first);
    give(&mut a, &mut c, first);
    assert!(!c.visible(old));
}

#[test]
fn a_revocation_is_nobodys_session() {
    let [mut a, mut b, _] = Hand::three();
    let (id, _) = a.revoke("ada", None);
    give(&mut a, &mut b, id);
    for hand in [&mut a, &mut b] {
        assert!(matches!(hand.replica.lookup(id, || hand.now), Lookup::Absent));
        let touch = hand.replica.edit(id, hand.now, &Change::default());
        assert_eq!(touch, Err(WriteError::Absent));
        for blind in [false, true] {
            assert_eq!(hand.replica.destroy(id, hand.now, blind), Err(WriteError::Absent));
        }
        assert_eq!(hand.replica.counts().sessions, 0);
        // It goes when no session it could end can be left, and tells nobody.
        hand.pass(hand.replica.limits().max_lifetime_ms + 3_600_000);
        assert_eq!(hand.replica.counts().revocations, 0);
        assert_eq!(hand.events, [], "no event names it");
    }
}

#[test]
fn what_is_reserved_or_too_long_is_refused() {
    let [mut a, ..] = Hand::three();
    let id = a.create("ada");
    let set = |key| Change { fields: vec![(key, Some(&b"x"[..]))], ..Change::default() };
    let removed = |key| Change { fields: vec![(key, None)], ..Change::default() };
    let seen = |key| {
        let dot = Dot { origin: a.origin, counter: 1 };
        Change { remove_seen: vec![(key, dot)], ..Change::default() }
    };
    for key in [PRINCIPAL_KEY, REVOKED_KEY, "\0\0", "\0\0anything"] {
        for change in [set(key), removed(key), seen(key)] {
            assert_eq!(a.replica.edit(id, a.now, &change), Err(WriteError::ReservedKey), "{key:?}");
        }
        let create =
            a.replica.create(hands::id(99), a.now, &set(key), hands::HALF_HOUR, a.now.wall_ms + 9_000);
        assert_eq!(create, Err(WriteError::ReservedKey));
    }
    for key in ["\0", "\0mesh", "\0a\0"] {
        assert!(a.replica.edit(id, a.now, &set(key)).is_ok(), "{key:?}");
    }
    assert_eq!(a.principal(id).as_deref(), Some("ada"), "found behind the one key that sorts before it");
    for principal in ["", &"x".repeat(MAX_PRINCIPAL_BYTES + 1)] {
        let login = Change { principal: Some(Some(principal)), ..Change::default() };
        let refused = WriteError::Principal { bytes: principal.len(), max: MAX_PRINCIPAL_BYTES };
        assert_eq!(a.replica.edit(id, a.now, &login), Err(refused.clone()));
        assert_eq!(a.replica.revoke(principal, None, hands::id(98), a.now).map(|r| r.ended), Err(refused));
    }
    let longest = "x".repeat(MAX_PRINCIPAL_BYTES);
    let login = Change { principal: Some(Some(&longest)), ..Change::default() };
    assert!(a.replica.edit(id, a.now, &login).is_ok());
    assert_eq!(a.of(&longest), [id]);
}

#[test]
fn a_saver_of_whole_maps_does_not_log_in_again_and_a_clear_logs_out() {
    let [mut a, ..] = Hand::three();
    let id = a.create("ada");
    let save = Change { principal: Some(Some("ada")), skip_unchanged: true, ..Change::default() };
    assert!(!a.replica.edit(id, a.now, &save).unwrap().wrote);
    let save = Change { principal: Some(Some("bob")), ..save };
    assert!(a.replica.edit(id, a.now, &save).unwrap().wrote);
    assert_eq!((a.of("ada"), a.of("bob")), (vec![], vec![id]));
    let cleared = Change { clear: true, principal: Some(Some("bob")), ..Change::default() };
    assert!(a.replica.edit(id, a.now, &cleared).is_ok());
    assert_eq!(a.of("bob"), [id]);
    assert!(a.replica.edit(id, a.now, &Change { clear: true, ..Change::default() }).is_ok());
    assert_eq!((a.of("bob"), a.principal(id)), (vec![], None));
    a.check();
}

/// A peer's bytes that are no login are no principal, counted, and never a panic.
#[test]
fn a_malformed_login_is_no_principal() {
    let [mut a, mut b, _] = Hand::three();
    let good = Login { principal: "ada", seen: Default::default() }.to_bytes();
    for (n, bytes) in
        [&b""[..], b"ada", &good[..good.len() - 1], &[&good[..], b"\0"].concat()].into_iter().enumerate()
    {
        let id = a.forge(n as u64, &[(PRINCIPAL_KEY, bytes)]);
        give(&mut a, &mut b, id);
        assert_eq!((b.visible(id), b.principal(id)), (true, None), "{bytes:?}");
        assert_eq!(b.replica.counts().violations, n as u64 + 1);
    }
    // A marker without a login, or a malformed one: no session, and no revocation.
    let ada = b.create("ada");
    for (n, fields) in [vec![(REVOKED_KEY, &b"\xc0"[..])], vec![(PRINCIPAL_KEY, &*good), (REVOKED_KEY, b"x")]]
        .into_iter()
        .enumerate()
    {
        let id = a.forge(90 + n as u64, &fields);
        give(&mut a, &mut b, id);
        assert!(!b.visible(id) && b.visible(ada));
    }
    a.check();
    b.check();
}

/// Runs `f` while every partition but those of `ids` is locked: it comes to an end only if it needs none of them.
fn touching_only<T: Send>(replica: &Replica, ids: &[SessionId], f: impl FnOnce() -> T + Send) -> T {
    fn lock_from<T>(replica: &Replica, ix: u16, but: &BTreeSet<u16>, f: &mut dyn FnMut() -> T) -> T {
        match ix {
            ix if ix == replica.limits().partitions => f(),
            ix if but.contains(&ix) => lock_from(replica, ix + 1, but, f),
            ix => replica.locked(ix, |_| lock_from(replica, ix + 1, but, f)),
        }
    }
    let but = ids.iter().map(|id| id.partition(replica.limits().partitions)).collect();
    std::thread::scope(|scope| {
        let (done, answer) = std::sync::mpsc::channel();
        let mut f = Some(f);
        lock_from(replica, 0, &but, &mut || {
            let (f, done) = (f.take().unwrap(), done.clone());
            scope.spawn(move || done.send(f()));
            answer.recv_timeout(std::time::Duration::from_secs(60)).expect("waits for another partition")
        })
    })
}

/// A principal with two sessions among many others: neither listing nor revoking may look at those.
#[test]
fn nobody_elses_records_are_visited() {
    let [mut a, ..] = Hand::three();
    let ids: Vec<SessionId> = (0..2_000).map(|n| a.create(&format!("user {}", n / 2))).collect();
    let (theirs, revocation) = (&ids[1_400..1_402], hands::id(5));
    let (replica, now) = (&a.replica, a.now);
    let listed = touching_only(replica, theirs, || replica.sessions_of("user 700", || now));
    assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(theirs.iter().copied()));
    let touched = [theirs[0], theirs[1], revocation];
    let revoked = touching_only(replica, &touched, || replica.revoke("user 700", None, revocation, now));
    assert_eq!(revoked.unwrap().ended.len(), 2);
    assert_eq!(a.replica.counts().sessions as usize, ids.len() - 2);
}

// ----- At random ------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Op {
    Create(usize, usize),
    Login(usize, usize, Option<usize>),
    Destroy(usize, usize),
    Revoke(usize, usize),
    Give(usize, usize, usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (node, principal, session) = (0..3usize, 0..2usize, 0..64usize);
    prop_oneof![
        3 => (node.clone(), principal.clone()).prop_map(|(at, p)| Op::Create(at, p)),
        3 => (node.clone(), session.clone(), prop::option::weighted(0.8, principal.clone()))
            .prop_map(|(at, s, p)| Op::Login(at, s, p)),
        1 => (node.clone(), session.clone()).prop_map(|(at, s)| Op::Destroy(at, s)),
        2 => (node.clone(), principal).prop_map(|(at, p)| Op::Revoke(at, p)),
        12 => (node, 1..3usize, session).prop_map(|(from, by, s)| Op::Give(from, (from + by) % 3, s)),
        1 => (1..600_000u64).prop_map(Op::Pass),
    ]
}

const WHO: [&str; 2] = ["ada", "bob"];

/// What a story said, read apart from the product: by what was held at the node, and not by any vector.
#[derive(Default)]
struct Story {
    /// Sessions and revocations, in the order of their making.
    ids: Vec<SessionId>,
    /// Per revocation: whose, and those of the same principal before it in the causal order.
    revocations: BTreeMap<Dot, (usize, BTreeSet<Dot>)>,
    /// Per session: each login it ever had, with all revocations of the principal that are before it.
    logins: BTreeMap<SessionId, Vec<(usize, BTreeSet<Dot>)>>,
    destroyed: BTreeSet<SessionId>,
    /// Per node, the revocations that are before what it does next.
    past: [BTreeSet<Dot>; 3],
}

impl Story {
    fn play(&mut self, hands: &mut [Hand; 3], op: &Op) {
        let session = |ids: &[SessionId], at: usize| ids.get(at % ids.len().max(1)).copied();
        match *op {
            Op::Create(at, p) => {
                let id = hands[at].create(WHO[p]);
                self.ids.push(id);
                self.login(at, id, p);
            }
            Op::Login(at, s, p) => {
                let Some(id) = session(&self.ids, s) else { return };
                if hands[at].login(id, p.map(|p| WHO[p]))
                    && let Some(p) = p
                {
                    self.login(at, id, p);
                }
            }
            Op::Destroy(at, s) => {
                let Some(id) = session(&self.ids, s) else { return };
                if hands[at].replica.destroy(id, hands[at].now, false).is_ok_and(|w| w.wrote) {
                    self.destroyed.insert(id);
                }
            }
            Op::Revoke(at, p) => {
                let (id, _) = hands[at].revoke(WHO[p], None);
                if !self.ids.contains(&id) {
                    self.ids.push(id);
                }
                let name = hands[at].marker(id).expect("made");
                // What a revocation has seen are those of its own principal.
                let of = |dot: &&Dot| self.revocations.get(*dot).is_some_and(|r| r.0 == p);
                let before = self.past[at].iter().filter(of).copied().collect();
                self.revocations.insert(name, (p, before));
                self.past[at].insert(name);
            }
            Op::Give(from, to, s) => {
                let Some(id) = session(&self.ids, s) else { return };
                let (source, target) = hands::two(hands, from, to);
                give(source, target, id);
                if let Some(name) = target.marker(id) {
                    let before = self.revocations.get(&name).map(|r| r.1.clone());
                    self.past[to].extend(before.expect("it was made"));
                    self.past[to].insert(name);
                }
            }
            Op::Pass(ms) => hands.iter_mut().for_each(|hand| hand.pass(ms)),
        }
    }

    fn login(&mut self, at: usize, id: SessionId, p: usize) {
        self.logins.entry(id).or_default().push((p, self.past[at].clone()));
    }

    /// A login of a session is revoked by what is not before it.
    fn revoked(&self, (p, past): &(usize, BTreeSet<Dot>)) -> bool {
        self.revocations.iter().any(|(name, (of, _))| of == p && !past.contains(name))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_story_ends_with_the_right_sessions_and_a_true_index(ops in prop::collection::vec(op(), 1..60)) {
        let mut hands = Hand::three();
        let mut story = Story::default();
        for op in &ops {
            story.play(&mut hands, op);
            for hand in &hands {
                prop_assert_eq!(hand.replica.check_principals(), Ok(()), "after {:?}", op);
            }
        }
        give_all(&mut hands);
        for hand in &hands {
            prop_assert_eq!(hand.replica.check_principals(), Ok(()));
            for (id, logins) in &story.logins {
                let record = hand.replica.dump();
                let live = record.get(&id.to_text()).is_some_and(|d| d.live.is_some());
                let stands = hand.principal(*id);
                if live && let Some(who) = &stands {
                    let of = logins.iter().filter(|(p, _)| WHO[*p] == who);
                    prop_assert!(of.into_iter().any(|login| !story.revoked(login)), "a revoked login of {} lives", who);
                }
                let safe = !story.destroyed.contains(id) && !logins.iter().any(|login| story.revoked(login));
                if safe && let Some(held) = record.get(&id.to_text()) {
                    prop_assert!(held.live.is_some(), "a login that had seen everything was ended");
                }
            }
        }
    }
}

/// One user revoked again and again: a record each time, which every log-in looked at for a month. 36,100 took 81 s.
#[test]
fn a_revocation_takes_the_place_of_this_nodes_last_one_and_ends_what_came_between() {
    let mut world = linked(3);
    let revocations = |world: &World, at: usize| world.replica(at).counts().revocations;
    for round in 0..20 {
        let of_ada = [world.create_of(0, "ada"), world.create_of(1, "ada")];
        world.settle();
        let first = world.revoke(0, "ada", None);
        assert_eq!(
            first.ended.len(),
            2,
            "round {round}: a log-in that had seen the last one has not seen this one"
        );
        world.settle();
        assert!(of_ada.iter().all(|id| shown(&world, *id) == [false; 3]));
    }
    assert!(world.replica(0).counts().revocations <= 3, "{}", world.replica(0).counts().revocations);
    // Another node's, and one that spares somebody, stand beside it.
    let before = revocations(&world, 0);
    let spared = world.create_of(0, "ada");
    world.settle();
    world.revoke(1, "ada", Some(spared));
    world.revoke(1, "ada", Some(spared));
    world.settle();
    assert_eq!((0..3).map(|at| revocations(&world, at)).collect::<Vec<_>>(), [before + 2; 3]);
    assert_eq!(shown(&world, spared), [true; 3], "who is spared by a record stays spared");
    world.revoke(0, "ada", None);
    world.settle();
    assert_eq!(shown(&world, spared), [false; 3]);
}

/// Its hard deadline is fixed. Written into an old record it would end with it, and sessions that live longer return.
#[test]
fn a_revocation_is_not_written_into_a_record_that_ends_too_soon() {
    let mut world = linked(2);
    world.revoke(0, "ada", None);
    let limits = world.limits.clone();
    let covered_ms = limits.max_drift_ms - limits.skew_ms;
    world.run(covered_ms - 1_000);
    world.revoke(0, "ada", None);
    assert_eq!(world.replica(0).counts().revocations, 1, "it covers all that can be born by now");
    world.run(2_000);
    world.revoke(0, "ada", None);
    assert_eq!(world.replica(0).counts().revocations, 2);
}

/// A log-in on the other side of a cut that had seen the first is not spared by having seen the record.
#[test]
fn who_saw_the_first_of_two_in_one_record_has_not_seen_the_second() {
    let mut world = linked(2);
    world.revoke(0, "ada", None);
    world.settle();
    world.cut(&[0], &[1]);
    world.run(3_000);
    let beyond = world.create_of(1, "ada");
    world.revoke(0, "ada", None);
    assert_eq!(world.replica(0).counts().revocations, 1, "in its place");
    world.heal();
    world.settle();
    assert_eq!(shown(&world, beyond), [false; 2]);
}
