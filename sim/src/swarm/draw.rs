//! One seed's scenario: topology, settings, workload, network, faults.

use crate::draw::Draw;
use crate::net::Faults;
use crate::scenario::{Action, Expect, Heal, Mesh, Mix, NodeIx, Scenario, Step, Workload};

/// Ten virtual minutes: what a seed runs before its heal (ms).
const LENGTH_MS: u64 = 570_000;
/// More than there can be; the greatest integer that a file can say.
const ANY_NUMBER: u64 = i64::MAX as u64;
/// Nothing is done to the mesh before this (ms): it is still finding itself.
const QUIET_MS: u64 = 8_000;

/// The scenario of a seed, on this many nodes if given.
pub fn scenario(seed: u64, nodes: Option<usize>) -> Scenario {
    let draw = Draw::new(seed).of("swarm");
    let n = nodes.unwrap_or_else(|| draw.of("nodes").pick(0, &[3, 4, 5, 5, 5, 5, 6, 7]));
    let short_lives = draw.of("lives").chance(0, 250);
    let mesh = mesh(draw.of("mesh"), n, short_lives);
    let mut step = faults(draw.of("faults"), n, &mesh);
    late_joiners(draw.of("late"), &mesh, &mut step);
    clock_steps(draw.of("clock steps"), n, &mut step);
    step.sort_by_key(|s| s.at_ms);
    let linger_ms =
        if short_lives { mesh.max_lifetime_ms + mesh.limits().prune_after_ms() + 120_000 } else { 0 };
    // Sometimes only a part of the mesh is healed: it must come together without the others.
    let core = if draw.of("core").chance(0, 150) && n > 3 { core(draw.of("core"), n) } else { Vec::new() };
    Scenario {
        name: format!("seed-{seed}"),
        about: String::new(),
        seed,
        network: network(draw.of("network")),
        workload: workloads(draw.of("workload"), short_lives),
        step,
        heal: Heal { at_ms: LENGTH_MS, core, linger_ms },
        expect: Expect { acked_writes_lost: ANY_NUMBER, ..Expect::default() },
        mesh,
    }
}

fn mesh(draw: Draw, n: usize, short_lives: bool) -> Mesh {
    let limits = Mesh::default();
    let seeds = if draw.chance(0, 500) && n > 1 { vec![NodeIx(0), NodeIx(1)] } else { vec![NodeIx(0)] };
    let late = if draw.chance(1, 300) && n > 3 { vec![NodeIx(n - 1)] } else { Vec::new() };
    Mesh {
        nodes: n,
        seeds,
        late,
        partitions: draw.pick(2, &[1, 4, 8, 8]),
        max_lifetime_ms: if short_lives { draw.range(3, 120_000, 400_000) } else { limits.max_lifetime_ms },
        page_bytes: draw.pick(4, &[1_024, 1_024, 2_048, 16 * 1_024]),
        sync_interval_ms: draw.pick(5, &[500, 1_000, 1_000, 2_000]),
        audit_interval_ms: draw.pick(6, &[20_000, 60_000, 1_000_000_000]),
        grace_ms: draw.pick(7, &[5_000, 15_000]),
        ..limits
    }
}

fn core(draw: Draw, n: usize) -> Vec<NodeIx> {
    let start = draw.at(1) as usize % n;
    let size = draw.range(2, 2, n as u64 - 1) as usize;
    let mut core: Vec<NodeIx> = (0..size).map(|k| NodeIx((start + k) % n)).collect();
    // A core without a seed could never find itself again.
    if !core.contains(&NodeIx(0)) {
        core[0] = NodeIx(0);
    }
    core.sort_unstable();
    core.dedup();
    core
}

fn network(draw: Draw) -> Faults {
    let mut faults = Faults::default();
    let on = |feature: u64| draw.chance(feature, 350);
    if on(0) {
        faults.drop_per_mille = draw.range(10, 5, 150);
    }
    if on(1) {
        faults.duplicate_per_mille = draw.range(11, 5, 100);
    }
    if on(2) {
        faults.delay_max_ms = draw.range(12, 20, 200);
    }
    if on(3) {
        faults.late_per_mille = draw.range(13, 1, 20);
        faults.late_max_ms = draw.range(14, 1_000, 60_000);
    }
    if on(4) {
        faults.replay_per_mille = draw.range(15, 1, 30);
    }
    if on(5) {
        faults.burst_per_mille = draw.range(16, 10, 100);
        faults.burst_ms = draw.range(17, 200, 4_000);
    }
    if on(6) {
        faults.flip_per_mille = draw.range(18, 1, 20);
        faults.truncate_per_mille = draw.range(19, 1, 20);
    }
    if draw.chance(7, 120) {
        faults.bandwidth_bytes = draw.range(20, 20_000, 200_000);
        faults.queue_bytes = draw.range(21, 16_000, 128_000);
    }
    if draw.chance(8, 120) {
        faults.datagram_bytes = 1_200;
    }
    faults
}

fn workloads(draw: Draw, short_lives: bool) -> Vec<Workload> {
    let ops = draw.range(0, 640, 860);
    let sessions = draw.pick(1, &[5, 15, 40, 120]);
    let ttl_ms =
        if short_lives { draw.range(2, 20_000, 90_000) } else { draw.pick(3, &[40_000, 120_000, 1_800_000]) };
    let mix = Mix {
        destroy: draw.pick(4, &[10, 40, 120]),
        blind: draw.pick(5, &[0, 10, 30]),
        ttl: draw.pick(6, &[0, 20, 60]),
        remove: draw.pick(7, &[20, 60, 150]),
        touch: draw.pick(8, &[50, 100, 300]),
        ..Mix::default()
    };
    let main = Workload {
        from_ms: QUIET_MS / 2,
        until_ms: LENGTH_MS - 1_000,
        ops,
        sessions,
        first_session: 0,
        nodes: Vec::new(),
        mix,
        ttl_ms,
        life_ms: None,
        tokens: draw.chance(9, 500),
        sticky: draw.range(10, 0, 2),
    };
    // Bursts of writes to one session from everywhere: concurrency that an even spread hardly ever makes.
    let burst_at = |k: u64| draw.range(20 + k, QUIET_MS, LENGTH_MS - 20_000);
    let bursts = (0..draw.range(11, 1, 3)).map(|k| Workload {
        from_ms: burst_at(k),
        until_ms: burst_at(k) + draw.range(30 + k, 200, 5_000),
        ops: draw.range(40 + k, 20, 60),
        sessions: draw.range(50 + k, 1, 3),
        first_session: 1_000 + 10 * k,
        sticky: 0,
        ..main.clone()
    });
    std::iter::once(main.clone()).chain(bursts).collect()
}

/// A start for every node that begins late, unless a fault has started it.
fn late_joiners(draw: Draw, mesh: &Mesh, step: &mut Vec<Step>) {
    for (k, node) in mesh.late.iter().enumerate() {
        let at_ms = draw.range(k as u64, QUIET_MS, LENGTH_MS / 2);
        step.push(Step { at_ms, action: Action::Start { nodes: vec![*node], alone: false } });
    }
}

/// Sometimes the clocks of several nodes step together, within the drift bound and beyond, once or in steps that add up,
/// and back before a minute is over: drawn apart, so that the other draws of a seed stay as they were.
fn clock_steps(draw: Draw, n: usize, step: &mut Vec<Step>) {
    if !draw.chance(0, 200) {
        return;
    }
    let (first, size) = (draw.at(1) as usize, draw.range(2, 1, n as u64) as usize);
    let nodes: Vec<NodeIx> = (0..size).map(|k| NodeIx((first + k) % n)).collect();
    let jump_ms = draw.pick(3, &[-90_000, -20_000, 12_000, 55_000, 90_000, 180_000]);
    let (steps, from_ms) = (draw.range(4, 1, 3), draw.range(5, QUIET_MS, LENGTH_MS / 2));
    let mut jump = |at_ms: u64, jump_ms: i64| {
        let action = Action::Clock { nodes: nodes.clone(), jump_ms, drift_ppm: 0 };
        step.push(Step { at_ms, action });
    };
    (0..steps).for_each(|k| jump(from_ms + 8_000 * k, jump_ms));
    let back_ms = from_ms + 8_000 * (steps - 1) + draw.pick(6, &[5_000, 20_000, 50_000]);
    jump(back_ms, -jump_ms * steps as i64);
}

fn faults(draw: Draw, n: usize, mesh: &Mesh) -> Vec<Step> {
    // Swarm testing: this seed knows only some kinds of faults.
    let kinds: Vec<u64> = (0..KINDS).filter(|&k| draw.of("kinds").chance(k, 500)).collect();
    let kinds = if kinds.is_empty() { vec![0, 2] } else { kinds };
    let count = draw.range(0, 6, 16);
    let mut out = Vec::new();
    for k in 0..count {
        let draw = draw.within(k);
        let at_ms = draw.range(1, QUIET_MS, LENGTH_MS - 5_000);
        let kind = draw.pick(2, &kinds);
        fault(draw, at_ms, n, kind, mesh, &mut out);
    }
    out
}

const KINDS: u64 = 15;

/// One drawn trouble: when it begins and ends, and whom it is about.
struct Trouble {
    draw: Draw,
    at_ms: u64,
    end: u64,
    long: u64,
    n: usize,
    node: NodeIx,
}

impl Trouble {
    fn others(&self) -> Vec<NodeIx> {
        (0..self.n).map(NodeIx).filter(|x| *x != self.node).collect()
    }
}

fn fault(draw: Draw, at_ms: u64, n: usize, kind: u64, mesh: &Mesh, out: &mut Vec<Step>) {
    let node = NodeIx(draw.at(3) as usize % n);
    let long = draw.pick(4, &[2_000, 8_000, 20_000, 60_000]) + draw.at(5) % 5_000;
    let end = (at_ms + long).min(LENGTH_MS - 1_000);
    let trouble = Trouble { draw, at_ms, end, long, n, node };
    match kind {
        0 | 1 | 10 | 12 => of_links(&trouble, kind, out),
        _ => of_nodes(&trouble, kind, mesh, out),
    }
}

fn of_links(trouble: &Trouble, kind: u64, out: &mut Vec<Step>) {
    let &Trouble { draw, at_ms, end, long, n, node } = trouble;
    let mut push = |at_ms: u64, action: Action| out.push(Step { at_ms, action });
    match kind {
        0 => {
            let side: Vec<NodeIx> =
                (0..n).map(NodeIx).filter(|x| draw.within(6).chance(x.0 as u64, 500)).collect();
            let side = if side.is_empty() || side.len() == n { vec![node] } else { side };
            let and = (0..n).map(NodeIx).filter(|x| !side.contains(x)).collect::<Vec<_>>();
            let between = side;
            push(at_ms, Action::Cut { between: between.clone(), and: and.clone(), one_way: false });
            push(end, Action::Mend { between, and, one_way: false });
        }
        1 => {
            let and = if draw.chance(7, 500) { trouble.others() } else { vec![NodeIx((node.0 + 1) % n)] };
            let (between, and) = if draw.chance(8, 500) { (vec![node], and) } else { (and, vec![node]) };
            push(at_ms, Action::Cut { between: between.clone(), and: and.clone(), one_way: true });
            push(end, Action::Mend { between, and, one_way: true });
        }
        10 => {
            let (down_ms, up_ms) = (draw.range(9, 300, 6_000), draw.range(10, 300, 6_000));
            let (between, and) = (vec![node], trouble.others());
            push(
                at_ms,
                Action::Flap { between, and, down_ms, up_ms, for_ms: long, one_way: draw.chance(11, 300) },
            );
        }
        _ => {
            // A cut between two, whom all others reach.
            let (between, and) = (vec![node], vec![NodeIx((node.0 + 1 + draw.at(9) as usize % (n - 1)) % n)]);
            push(at_ms, Action::Cut { between: between.clone(), and: and.clone(), one_way: false });
            push(end, Action::Mend { between, and, one_way: false });
        }
    }
}

fn of_nodes(trouble: &Trouble, kind: u64, mesh: &Mesh, out: &mut Vec<Step>) {
    let &Trouble { draw, at_ms, end, node, .. } = trouble;
    let mut push = |at_ms: u64, action: Action| out.push(Step { at_ms, action });
    match kind {
        2 => {
            push(at_ms, Action::Crash { nodes: vec![node] });
            push(end, Action::Start { nodes: vec![node], alone: false });
        }
        3 => push(at_ms, Action::Start { nodes: vec![node], alone: false }),
        4 => {
            push(at_ms, Action::Leave { nodes: vec![node] });
            push((end + 8_000).min(LENGTH_MS - 1_000), Action::Start { nodes: vec![node], alone: false });
        }
        5 => push(
            at_ms,
            Action::Freeze { nodes: vec![node], for_ms: draw.pick(9, &[900, 4_000, 8_000, 40_000]) },
        ),
        6 => push(
            at_ms,
            Action::Suspend { nodes: vec![node], for_ms: draw.pick(9, &[2_000, 10_000, 45_000, 100_000]) },
        ),
        7 => {
            push(at_ms, Action::Slow { nodes: vec![node], by_ms: draw.pick(9, &[5, 30, 200]) });
            push(end, Action::Slow { nodes: vec![node], by_ms: 0 });
        }
        8 => {
            let jump_ms = draw.pick(9, &[-4_000, 4_000, -2_000, 2_500]);
            push(at_ms, Action::Clock { nodes: vec![node], jump_ms, drift_ppm: 0 });
            push(end, Action::Clock { nodes: vec![node], jump_ms: -jump_ms, drift_ppm: 0 });
        }
        9 => push(
            at_ms,
            Action::Clock {
                nodes: vec![node],
                jump_ms: 0,
                drift_ppm: draw.range(9, 0, 4_000) as i64 - 2_000,
            },
        ),
        11 => {
            // All seeds at once, and back.
            let nodes = mesh.seeds.clone();
            push(at_ms, Action::Crash { nodes: nodes.clone() });
            push(end, Action::Start { nodes, alone: false });
        }
        13 => {
            // A rolling deploy from one version to the next, and sometimes back.
            let version = if draw.chance(9, 700) { 1 } else { 2 };
            push(at_ms, Action::Wire { nodes: vec![node], version });
            push(at_ms, Action::Start { nodes: vec![node], alone: false });
        }
        _ => {
            // A far jump and back: a new life each time.
            let jump_ms = if draw.chance(9, 500) { 90_000 } else { -90_000 };
            push(at_ms, Action::Clock { nodes: vec![node], jump_ms, drift_ppm: 0 });
            push(end, Action::Clock { nodes: vec![node], jump_ms: -jump_ms, drift_ppm: 0 });
        }
    }
}
