//! After a stall: what waited in sockets while a process stood still says nothing of the lines, and a real death is
//! noticed as soon as ever.

use super::net::*;
use sessionmesh::core::membership::State;

/// Six members without a stall, the worst of 84 trials and some more: a probe's turn, its time, and a window (ms).
const USUAL_MS: u64 = 2_900;
/// The same of 24, whose window is longer.
const USUAL_LARGE_MS: u64 = 3_300;

/// How long after a stall of these seats, and some calm, a crash of the last seat is known to all the others.
fn noticed_after(n: usize, seed: u8, still: &[usize], for_ms: u64, calm_ms: u64) -> u64 {
    let mut net = Net::of(n, seed);
    for &seat in still {
        net.freeze(seat);
    }
    net.run(for_ms);
    for &seat in still {
        net.thaw(seat);
    }
    net.run(calm_ms);
    let (victim, others) = (n - 1, (0..n - 1).collect::<Vec<_>>());
    assert!(net.all(&others, victim, State::Alive), "calm again");
    net.crash(victim);
    net.until(20_000, "dead at all", |net| net.all(&others, victim, State::Dead))
}

/// The worst of some seeds.
fn worst(n: usize, still: &[usize], for_ms: u64, calm_ms: u64) -> u64 {
    let seeds = if n > 10 { 3 } else { 8 };
    let worst =
        (0..seeds).map(|seed| noticed_after(n, seed, still, for_ms, calm_ms)).max().unwrap_or_default();
    println!("{n} members, {still:?} still for {for_ms} ms, {calm_ms} ms of calm: {worst} ms");
    worst
}

#[test]
fn after_a_stall_a_death_is_noticed_as_soon_as_ever() {
    assert!(worst(6, &[], 0, 3_000) <= USUAL_MS);
    let all: Vec<usize> = (0..6).collect();
    for for_ms in [500, 1_000, 1_200] {
        for still in [&[S][..], &[A, S], &all] {
            let ms = worst(6, still, for_ms, 2_000);
            assert!(ms <= USUAL_MS, "{still:?} stood still for {for_ms} ms: {ms} ms");
        }
    }
}

#[test]
fn a_large_mesh_has_forgotten_a_stall_of_the_victim_when_it_dies() {
    assert!(worst(24, &[], 0, 3_000) <= USUAL_LARGE_MS);
    let all: Vec<usize> = (0..24).collect();
    for still in [&[23][..], &all] {
        for calm_ms in [3_000, 60_000] {
            let ms = worst(24, still, 1_000, calm_ms);
            assert!(ms <= USUAL_LARGE_MS, "{} stood still, {calm_ms} ms ago: {ms} ms", still.len());
        }
    }
}

/// Both ways to the last seat take this long for a while, and then a millisecond again.
fn noticed_after_slow(n: usize, seed: u8, one_way_ms: u64, calm_ms: u64) -> u64 {
    let mut net = Net::of(n, seed);
    let (victim, others) = (n - 1, (0..n - 1).collect::<Vec<_>>());
    net.line = Box::new(move |f| Some(if f.from == victim || f.to == victim { one_way_ms } else { 1 }));
    // Eight late answers are how it is now; each is asked about once in n - 1 intervals.
    net.run(20 * 250 * (n as u64 - 1));
    net.heal();
    net.run(calm_ms);
    assert!(net.all(&others, victim, State::Alive), "calm again");
    net.crash(victim);
    net.until(30_000, "dead at all", |net| net.all(&others, victim, State::Dead))
}

/// `docs/MEMBERSHIP.md`: measured anew within 2 (N - 1) + 4 intervals if one was slow.
#[test]
fn who_was_slow_for_long_and_is_quick_again_is_noticed_as_soon_as_ever_when_it_dies() {
    for (n, seeds, usual_ms) in [(6, 4, USUAL_MS), (24, 1, USUAL_LARGE_MS)] {
        for one_way_ms in [300, 900] {
            for seed in 0..seeds {
                let calm_ms = 250 * (2 * (n as u64 - 1) + 4) + 2 * one_way_ms;
                let ms = noticed_after_slow(n, seed, one_way_ms, calm_ms);
                assert!(ms <= usual_ms, "{n} members, {one_way_ms} ms each way: {ms} ms");
            }
        }
    }
}
