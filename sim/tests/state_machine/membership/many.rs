//! Several die at once: those who are left hear each other's accusations, though most of whom they speak to are gone.

use super::net::*;
use sessionmesh::core::membership::State;

/// How long until each of these, who all crash at once, is dead to all others (ms).
fn noticed(n: usize, seed: u8, dead: usize) -> u64 {
    let mut net = Net::of(n, seed);
    let left: Vec<usize> = (0..n - dead).collect();
    (n - dead..n).for_each(|seat| net.crash(seat));
    let all = |net: &Net| (n - dead..n).all(|seat| net.all(&left, seat, State::Dead));
    let ms = net.until(20_000, "dead at all", all);
    let given_up = net.changes.iter().filter(|(_, at, c)| left.contains(at) && c.state == State::Dead);
    assert_eq!(given_up.count(), left.len() * dead, "each once, and nobody else");
    ms
}

/// A probe of whoever is next but for a round, its time, and the window of two accusers: `docs/MEMBERSHIP.md`.
#[test]
fn who_is_left_accuses_together_while_somebody_can_still_be_asked() {
    for (n, dead) in [(5, 3), (5, 2), (7, 3), (10, 3)] {
        let worst = (0..60).map(|seed| noticed(n, seed, dead)).max().unwrap_or_default();
        println!("{dead} of {n}: {worst} ms");
        assert!(worst <= 8 * 250 + 400 + 2_600, "{dead} of {n}: {worst} ms");
    }
}

/// Where all who are asked for help may be gone, this node doubts itself: probes take up to nine times as long.
#[test]
fn the_last_ones_know_it_within_what_their_doubt_allows() {
    for (n, dead) in [(2, 1), (3, 2), (5, 4), (7, 5), (7, 6), (10, 9)] {
        let worst = (0..30).map(|seed| noticed(n, seed, dead)).max().unwrap_or_default();
        println!("{dead} of {n}: {worst} ms");
        let probed_ms = 250 * 8.max(2 * (n as u64 - 1));
        assert!(worst <= probed_ms + 9 * 400 + (500 + 9 * 400), "{dead} of {n}: {worst} ms");
    }
}
