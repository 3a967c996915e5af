//! Kinds of faults, and which are in force: the columns of the table faults × invariants.

use crate::net::Faults;
use crate::scenario::{Action, Scenario};
use crate::world::Lie;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal),* $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FaultKind { $($(#[$doc])* $name),* }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

kinds! {
    /// Frames are lost at random.
    Loss = "loss",
    /// Frames are lost in bursts.
    Burst = "burst",
    /// Frames arrive twice.
    Duplicate = "duplicate",
    /// Frames overtake each other by more than a few milliseconds.
    Reorder = "reorder",
    /// Frames arrive seconds late.
    Late = "late",
    /// Old frames arrive again.
    Replay = "replay",
    /// Frames are damaged.
    Damage = "damage",
    /// Links carry little and queue little.
    Bandwidth = "bandwidth",
    /// Groups are cut off from each other.
    Cut = "cut",
    /// One direction is cut.
    OneWay = "one-way",
    /// A cut that leaves a third party who reaches both sides.
    Partial = "partial",
    /// Links come and go.
    Flap = "flap",
    /// A process dies with its memory.
    Crash = "crash",
    /// A process starts again without memory, or joins late.
    Restart = "restart",
    /// A process leaves in good order.
    Leave = "leave",
    /// A process stands still.
    Freeze = "freeze",
    /// A machine is suspended and wakes with its memory.
    Suspend = "suspend",
    /// A machine is slow.
    Slow = "slow",
    /// A clock runs fast or slow.
    Drift = "drift",
    /// A clock jumps.
    Jump = "jump",
    /// All seeds are down.
    Seeds = "seed-outage",
    /// A node speaks an older wire version.
    OldWire = "old-wire",
    /// A member lies about what it holds.
    Lie = "lie",
}

/// Which faults are in force until when (virtual ms).
#[derive(Clone, Debug)]
pub struct InForce {
    until: [u64; FaultKind::COUNT],
    ever: u64,
}

/// A fault that happens at a moment shows its effects for a while (ms).
const AFTERMATH_MS: u64 = 15_000;

impl InForce {
    /// What a scenario's network does from the start.
    pub fn of(scenario: &Scenario) -> Self {
        let mut out = Self { until: [0; FaultKind::COUNT], ever: 0 };
        out.network(&scenario.network);
        out
    }

    fn set(&mut self, kind: FaultKind, until_ms: u64) {
        let until = &mut self.until[kind as usize];
        *until = (*until).max(until_ms);
        self.ever |= 1 << kind as usize;
    }

    fn network(&mut self, faults: &Faults) {
        let open = u64::MAX;
        let in_force = [
            (FaultKind::Loss, faults.drop_per_mille > 0),
            (FaultKind::Burst, faults.burst_per_mille > 0),
            (FaultKind::Duplicate, faults.duplicate_per_mille > 0),
            (FaultKind::Reorder, faults.delay_max_ms > faults.delay_min_ms + 10),
            (FaultKind::Late, faults.late_per_mille > 0),
            (FaultKind::Replay, faults.replay_per_mille > 0),
            (FaultKind::Damage, faults.flip_per_mille + faults.truncate_per_mille > 0),
            (FaultKind::Bandwidth, faults.bandwidth_bytes > 0),
        ];
        for (kind, on) in in_force {
            if on {
                self.set(kind, open);
            } else {
                self.until[kind as usize] = 0;
            }
        }
    }

    /// A step happens.
    pub fn step(&mut self, now_ms: u64, action: &Action, scenario: &Scenario, all_seeds_down: bool) {
        let (soon, n) = (now_ms + AFTERMATH_MS, scenario.mesh.nodes);
        match action {
            Action::Cut { one_way: true, .. } => self.set(FaultKind::OneWay, u64::MAX),
            Action::Cut { between, and, .. } => {
                self.set(FaultKind::Cut, u64::MAX);
                if between.len() + and.len() < n {
                    self.set(FaultKind::Partial, u64::MAX);
                }
            }
            Action::Heal {} | Action::Mend { .. } => {
                for kind in [FaultKind::Cut, FaultKind::OneWay, FaultKind::Partial, FaultKind::Flap] {
                    let until = &mut self.until[kind as usize];
                    *until = (*until).min(soon);
                }
            }
            Action::Flap { for_ms, .. } => self.set(FaultKind::Flap, soon + for_ms),
            Action::Network { faults, .. } => self.network(faults),
            Action::Crash { .. } => self.set(FaultKind::Crash, soon),
            Action::Start { .. } => self.set(FaultKind::Restart, soon),
            Action::Leave { .. } => self.set(FaultKind::Leave, soon),
            Action::Freeze { for_ms, .. } => self.set(FaultKind::Freeze, soon + for_ms),
            Action::Suspend { for_ms, .. } => self.set(FaultKind::Suspend, soon + for_ms),
            Action::Slow { by_ms, .. } => self.set(FaultKind::Slow, if *by_ms > 0 { u64::MAX } else { soon }),
            Action::Clock { jump_ms, drift_ppm, .. } => {
                if *jump_ms != 0 {
                    self.set(FaultKind::Jump, soon);
                }
                if *drift_ppm != 0 {
                    self.set(FaultKind::Drift, u64::MAX);
                }
            }
            Action::Wire { .. } => self.set(FaultKind::OldWire, u64::MAX),
            Action::Tamper { how: Lie::Off, .. } => self.until[FaultKind::Lie as usize] = soon,
            Action::Tamper { .. } => self.set(FaultKind::Lie, u64::MAX),
            _ => {}
        }
        if all_seeds_down {
            self.set(FaultKind::Seeds, soon);
        }
    }

    /// The kinds in force: one bit each.
    pub fn mask(&self, now_ms: u64) -> u64 {
        let on = |(kind, until): (usize, &u64)| u64::from(*until > now_ms) << kind;
        self.until.iter().enumerate().map(on).sum()
    }

    /// The kinds that were ever in force: what the end of a run has survived.
    pub fn all(&self) -> u64 {
        self.ever
    }
}
