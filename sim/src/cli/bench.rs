//! `bench`: how fast the simulator is, on one core.

use std::time::Instant;

use sessionmesh::core::limits::Limits;
use sessionmesh_sim::World;
use sessionmesh_sim::swarm::Campaign;

use super::{Failure, out};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Seeds of the swarm.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Virtual seconds of the idle mesh.
    #[arg(long, default_value_t = 600)]
    idle_s: u64,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    events();
    idle(args.idle_s);
    let campaign = Campaign { from: 0, seeds: args.seeds, jobs: 1, nodes: Some(5), stop_early: false };
    let report = campaign.run(|_| {});
    out(&format!(
        "swarm: {} seeds of 5 nodes, {:.0} virtual s each in the mean, all invariants on: {:.1} s on one core; {:.2} M events/s",
        report.seeds,
        report.virtual_ms as f64 / 1e3 / report.seeds as f64,
        report.seconds,
        report.handled as f64 / report.seconds / 1e6
    ));
    Ok(report.failed.is_empty())
}

/// Five nodes under a steady stream of writes, nobody watching.
fn events() {
    let mut world = World::with_board(1, 5, Limits { partitions: 8, ..Limits::default() }, &[0]);
    (0..5).for_each(|at| world.start(at, true));
    world.run(10_000);
    let ids: Vec<_> = (0..200).map(|n| world.create(n % 5, &[("cart", "1"), ("user", "ada")])).collect();
    world.run(5_000);
    let (before, begun) = (world.handled, Instant::now());
    for n in 0..60_000usize {
        // The session may be busy elsewhere: what counts is the traffic.
        let _ = world.edit(n % 5, ids[n % ids.len()], &[("cart", Some(if n % 2 == 0 { "2" } else { "3" }))]);
        world.run(2);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let handled = world.handled - before;
    out(&format!(
        "events: {:.2} M handled by nodes per second on one core (5 nodes, 500 writes a virtual second, {handled} events)",
        handled as f64 / seconds / 1e6
    ));
}

/// 64 nodes with nothing to do but gossip and digests.
fn idle(for_s: u64) {
    let mut world = World::with_board(2, 64, Limits { partitions: 8, ..Limits::default() }, &[0, 1]);
    (0..64).for_each(|at| world.start(at, true));
    world.run(30_000);
    let (before, packets, begun) = (world.handled, world.gossiped.1, Instant::now());
    world.run(for_s * 1_000);
    let seconds = begun.elapsed().as_secs_f64();
    out(&format!(
        "idle: 64 nodes with the board at {:.0} x real time ({} events and {} gossip packets in {for_s} virtual s)",
        for_s as f64 / seconds,
        world.handled - before,
        world.gossiped.1 - packets
    ));
}
