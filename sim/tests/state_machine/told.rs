//! What a partition tells of sessions that are over here and come back, and of those that were over when they came.

use std::sync::Arc;

use parking_lot::Mutex;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::{Change, Happened, Replica, Serving, Watchers};
use sessionmesh::core::session::Ttl;
use sessionmesh::core::time::Now;
use sessionmesh_sim::{Life, id, origin};

const MINUTE_MS: u64 = 60_000;
const WALL_MS: u64 = 1_800_000_000_000;
const TTL: Ttl = Ttl::Sliding(30 * MINUTE_MS);

fn lives() -> [Life; 2] {
    let [mut a, mut b] = ['A', 'B'].map(|letter| Life::new(origin(letter), WALL_MS));
    a.inc.insert(b.origin, 0);
    b.inc.insert(a.origin, 0);
    [a, b]
}

fn at(minutes: u64, lives: &mut [Life; 2]) {
    lives.iter_mut().for_each(|life| life.wall_ms = WALL_MS + minutes * MINUTE_MS);
}

fn told(life: &mut Life) -> Vec<Happened> {
    std::mem::take(&mut life.events)
}

fn keys(names: &[&str]) -> Happened {
    Happened::Changed(id(1), names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_session_that_is_back_is_told_so_and_nothing_is_told_of_it_in_between() {
    let mut lives = lives();
    lives[1].create(id(1), &[("f", Some("1"))], TTL, 600 * MINUTE_MS).expect("created");
    let [a, b] = &mut lives;
    a.pull(b);
    assert_eq!(told(a), [Happened::Created(id(1))]);
    at(29, &mut lives);
    lives[1].set(id(1), "g", Some("1")).expect("used beyond the cut");
    at(20, &mut lives);
    lives[1].set(id(1), "h", Some("1")).expect("used beyond the cut");
    at(31, &mut lives);
    let [a, b] = &mut lives;
    a.reap();
    assert_eq!(told(a), [Happened::Expired(id(1))]);
    a.pull(b);
    assert_eq!(told(a), [Happened::Returned(id(1))], "and not a change of nothing");
    b.set(id(1), "f", Some("2")).expect("used");
    a.pull(b);
    assert_eq!(told(a), [keys(&["f"])], "from here on as ever");
}

#[test]
fn what_comes_while_a_session_is_over_is_not_told_until_it_is_back() {
    let mut lives = lives();
    lives[1].create(id(1), &[("f", Some("1"))], TTL, 600 * MINUTE_MS).expect("created");
    let [a, b] = &mut lives;
    a.pull(b);
    at(1, &mut lives);
    lives[1].set(id(1), "f", Some("2")).expect("used, and no touch");
    at(31, &mut lives);
    let [a, b] = &mut lives;
    a.reap();
    told(a);
    a.pull(b);
    assert_eq!(told(a), [], "it is over all the same");
}

#[test]
fn a_session_that_was_over_when_it_came_appears_if_it_comes_to_live() {
    let mut lives = lives();
    lives[1].create(id(1), &[("f", Some("1"))], TTL, 600 * MINUTE_MS).expect("created");
    at(29, &mut lives);
    let mut c = Life::new(origin('C'), WALL_MS + 29 * MINUTE_MS);
    c.pull(&mut lives[1]);
    c.set(id(1), "g", Some("1")).expect("used there");
    at(31, &mut lives);
    c.wall_ms = WALL_MS + 31 * MINUTE_MS;
    lives[0].inc.insert(c.origin, 0);
    let [a, b] = &mut lives;
    a.pull(b);
    a.reap();
    assert_eq!(told(a), [], "nobody has ever been shown it");
    a.pull(&mut c);
    assert_eq!(told(a), [Happened::Created(id(1))]);
}

#[test]
fn a_session_that_was_reaped_here_returns() {
    let mut lives = lives();
    lives[1].create(id(1), &[("f", Some("1"))], TTL, 600 * MINUTE_MS).expect("created");
    let [a, b] = &mut lives;
    a.pull(b);
    at(29, &mut lives);
    lives[1].set(id(1), "g", Some("1")).expect("used beyond the cut");
    // Nobody is waited for: as if the other life had been declared over by mistake.
    lives[0].inc.clear();
    lives[0].partition.reincarnate(origin('D'));
    at(35, &mut lives);
    let [a, b] = &mut lives;
    a.limits.expire_wait_ms = 0;
    a.reap();
    assert!(a.partition.get(id(1)).is_none(), "reaped");
    assert_eq!(told(a), [Happened::Created(id(1)), Happened::Expired(id(1))]);
    a.pull(b);
    assert_eq!(told(a), [Happened::Returned(id(1))]);
}

struct Heard(Arc<Mutex<Vec<Happened>>>);

impl Watchers for Heard {
    fn any(&self) -> bool {
        true
    }

    fn tell(&self, event: Happened) {
        self.0.lock().push(event);
    }
}

#[test]
fn a_clock_set_right_brings_back_what_it_had_ended() {
    let now = |minutes: u64| Now { wall_ms: WALL_MS + minutes * MINUTE_MS, mono_ms: minutes };
    let replica = Replica::new(Limits { partitions: 1, ..Limits::default() }, Origin(1), 7, now(0));
    replica.set_serving(Serving::Ready);
    let heard = Arc::new(Mutex::new(Vec::new()));
    replica.set_watchers(Box::new(Heard(Arc::clone(&heard))));
    let forever = WALL_MS + 600 * MINUTE_MS;
    replica.create(id(1), now(0), &Change::default(), TTL, forever).expect("created");
    let (ahead, inc) = (WALL_MS + 40 * MINUTE_MS, std::collections::BTreeMap::from([(Origin(2), 0)]));
    let reap = |p: &mut sessionmesh::core::replica::Partition| {
        p.reap((ahead, ahead), replica.limits(), &inc, usize::MAX, &mut Vec::new());
    };
    replica.locked(0, reap);
    replica.locked(0, |p| p.reset_wall(WALL_MS + MINUTE_MS));
    let (one, id) = (std::mem::take(&mut *heard.lock()), id(1));
    assert_eq!(one, [Happened::Created(id), Happened::Expired(id), Happened::Returned(id)]);
}
