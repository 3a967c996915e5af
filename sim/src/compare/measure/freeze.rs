//! Freeze: some processes stand still for longer than anybody's patience, and go on. That those are declared dead
//! is right; that anybody else is, is not.

use serde::Serialize;

use crate::compare::arena::Arena;

/// How long they stand still (ms).
pub const FREEZE_MS: u64 = 12_000;
/// How long the world is watched after (ms).
pub const AFTER_MS: u64 = 30_000;
/// One of this many members freezes: 4 of 64.
pub const ONE_IN: usize = 16;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// Worlds in which some froze.
    pub worlds: u64,
    /// Members that never froze and were declared dead by another that never froze.
    pub dead_by_healthy: u64,
    /// Members that never froze and were declared dead by one that had.
    pub dead_by_thawed: u64,
    /// Members that never froze.
    pub healthy: u64,
    /// Members that froze and were declared dead by one that never did.
    pub frozen_dead: u64,
    /// Members that froze.
    pub frozen: u64,
}

impl Freeze {
    /// Freezes one member in sixteen of a world that has warmed up, at least one.
    pub fn of(arena: &mut Arena) -> Self {
        let members = arena.members();
        let draw = arena.draw.of("freeze");
        arena.run(draw.of("phase").at(0) % 1_000);
        let mut order: Vec<usize> = (0..members).collect();
        order.sort_by_key(|&at| draw.at(at as u64));
        let (frozen, healthy) = order.split_at((members / ONE_IN).max(1));
        arena.view.watch_all();
        frozen.iter().for_each(|&at| arena.freeze(at));
        arena.run(FREEZE_MS);
        frozen.iter().for_each(|&at| arena.thaw(at));
        arena.run(AFTER_MS);
        let view = &arena.view;
        let dead = |by, group: &[usize]| group.iter().filter(|at| view.was_declared(by, **at)).count() as u64;
        Self {
            worlds: 1,
            dead_by_healthy: dead(healthy, healthy),
            dead_by_thawed: dead(frozen, healthy),
            healthy: healthy.len() as u64,
            frozen_dead: dead(healthy, frozen),
            frozen: frozen.len() as u64,
        }
    }

    /// Adds that of another world.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.dead_by_healthy += other.dead_by_healthy;
        self.dead_by_thawed += other.dead_by_thawed;
        self.healthy += other.healthy;
        self.frozen_dead += other.frozen_dead;
        self.frozen += other.frozen;
    }
}
