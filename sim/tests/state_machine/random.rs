//! Random executions of the shipped core in virtual time: loss, duplication, reordering, stragglers, partitions,
//! crashes, restarts and freezes, with the promises of docs/ALGORITHM.md §1 checked along the way and after the heal.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sessionmesh::core::causality::{Dot, Origin};
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::Written;
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh_sim::{Faults, World};

const KEYS: [&str; 4] = ["cart", "user", "lang", "seen"];

/// A write: stamp, dot, value.
type Write = (u64, Dot, Option<String>);

/// What the test itself knows, sharing no code with the product: every write, with who made it.
#[derive(Default)]
struct Oracle {
    /// All writes of a field: stamp, dot, value.
    writes: BTreeMap<(SessionId, &'static str), Vec<Write>>,
    /// Ids whose destroy some living process has seen, per process index and life.
    knew_dead: BTreeSet<(usize, Origin, SessionId)>,
    destroyed: BTreeSet<SessionId>,
    ids: Vec<SessionId>,
}

impl Oracle {
    fn wrote(&mut self, id: SessionId, key: &'static str, value: Option<String>, written: &Written) {
        self.writes.entry((id, key)).or_default().push((written.hlc.0, written.dot, value));
    }

    /// A destroy is final: a process that ever held a tombstone never shows the session again.
    fn check_no_resurrection(&mut self, world: &World) {
        for at in world.up() {
            let origin = world.origin(at);
            for &id in &self.destroyed {
                let dead_here = world.replica(at).shared(id.partition(world.limits.partitions), |p| {
                    p.get(id).is_some_and(|r| r.is_dead())
                });
                if dead_here {
                    self.knew_dead.insert((at, origin, id));
                } else if self.knew_dead.contains(&(at, origin, id)) {
                    assert!(!world.visible(at, id), "node {at} shows a session it knew destroyed");
                }
            }
        }
    }

    /// Convergence: after the heal every node holds, for every field, the greatest version among the writes of
    /// lives that never lost their memory, unless the session was destroyed.
    fn check_no_lost_update(&self, world: &World, lost_lives: &BTreeSet<Origin>) {
        for ((id, key), writes) in &self.writes {
            if self.destroyed.contains(id) {
                continue;
            }
            let Some(best) =
                writes.iter().filter(|w| !lost_lives.contains(&w.1.origin)).max_by_key(|w| (w.0, w.1))
            else {
                continue;
            };
            for at in world.up() {
                let held = world.replica(at).shared(id.partition(world.limits.partitions), |p| {
                    p.get(*id).map(|r| {
                        let field = r.fields().find(|f| f.key == *key);
                        let ver = field.map(|f| r.ver(f.op));
                        (ver.map(|v| v.hlc.0), field.and_then(|f| f.value.map(<[u8]>::to_vec)))
                    })
                });
                let Some((Some(hlc), value)) = held else {
                    panic!("node {at} misses {key} of a live session")
                };
                assert!(hlc >= best.0, "node {at}: {key} is older than an acknowledged write");
                if hlc == best.0 {
                    assert_eq!(value, best.2.clone().map(String::into_bytes), "node {at}: {key}");
                }
            }
        }
    }
}

fn random_op(world: &mut World, rng: &mut StdRng, oracle: &mut Oracle) {
    let up = world.up();
    let at = up[rng.random_range(0..up.len())];
    let roll = rng.random_range(0..100);
    if oracle.ids.is_empty() || roll < 25 {
        let id = world.fresh_id();
        let value = format!("v{}", rng.random_range(0..1000));
        let made = world.create_with(at, id, &[("cart", &value)], Ttl::Sliding(3_600_000), 20 * 3_600_000);
        if let Ok(written) = made {
            oracle.wrote(id, "cart", Some(value), &written);
            oracle.ids.push(id);
        }
        return;
    }
    let id = oracle.ids[rng.random_range(0..oracle.ids.len())];
    if roll < 88 {
        let key = KEYS[rng.random_range(0..KEYS.len())];
        let value = (rng.random_range(0..10) > 1).then(|| format!("v{}", rng.random_range(0..1000)));
        let had = world.field(at, id, key);
        if let Ok(written) = world.edit(at, id, &[(key, value.as_deref())])
            && written.wrote
            && !(value.is_none() && had.is_none())
        {
            assert_eq!(world.field(at, id, key), value, "a write is what its node reads back");
            oracle.wrote(id, key, value, &written);
        }
    } else if roll < 96 {
        world.destroy(at, id);
        oracle.destroyed.insert(id);
        assert!(!world.visible(at, id));
    }
}

fn run(seed: u64, n: usize, ops: usize, crashes: bool) {
    let limits =
        Limits { partitions: 4, page_bytes: 1_024, max_lifetime_ms: 24 * 3_600_000, ..Limits::default() };
    let mut world = World::with_limits(seed, n, limits);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut oracle = Oracle::default();
    let mut lost_lives = BTreeSet::new();
    // Clocks a few seconds apart: only a clock advanced past everything observed keeps causal order.
    for node in world.nodes.iter_mut().flatten() {
        node.offset_ms = rng.random_range(-4_000..=4_000);
    }
    world.settle();
    for step in 0..ops {
        if step % 20 == 0 {
            world.net.faults =
                if rng.random_range(0..3) == 0 { Faults::default() } else { Faults::hostile() };
            match rng.random_range(0..8) {
                0 => {
                    let at = rng.random_range(0..n);
                    let rest: Vec<usize> = (0..n).filter(|&o| o != at).collect();
                    world.cut(&[at], &rest);
                }
                1 => {
                    let (a, b) = (rng.random_range(0..n), rng.random_range(0..n));
                    world.cut_one_way(a, b);
                }
                2 if crashes && world.up().len() > 2 => {
                    let up = world.up();
                    let at = up[rng.random_range(0..up.len())];
                    if let Some(life) = world.crash(at) {
                        lost_lives.insert(life);
                    }
                }
                3 => {
                    for at in 0..n {
                        if world.nodes[at].is_none() {
                            world.start(at, true);
                        }
                    }
                }
                4 => world.freeze(rng.random_range(0..n), 8_000),
                _ => world.heal(),
            }
        }
        random_op(&mut world, &mut rng, &mut oracle);
        world.run(rng.random_range(0..400));
        if step % 25 == 0 {
            oracle.check_no_resurrection(&world);
        }
    }
    world.heal();
    world.net.faults = Faults::default();
    for at in 0..n {
        if world.nodes[at].is_none() {
            world.start(at, true);
        }
    }
    world.run(70_000);
    world.settle();
    oracle.check_no_resurrection(&world);
    for &id in &oracle.destroyed {
        let known = oracle.knew_dead.iter().any(|(at, life, dead)| *dead == id && world.origin(*at) == *life);
        if known {
            assert!(
                world.up().iter().all(|&at| !world.visible(at, id)),
                "destroyed anywhere, visible nowhere"
            );
        }
    }
    oracle.check_no_lost_update(&world, &lost_lives);
}

#[test]
fn three_nodes_survive_a_hostile_network() {
    for seed in 0..12 {
        run(seed, 3, 300, false);
    }
}

#[test]
fn five_nodes_survive_partitions_crashes_and_restarts() {
    for seed in 100..108 {
        run(seed, 5, 300, true);
    }
}
