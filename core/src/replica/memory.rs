//! What a node holds, in bytes, and what it refuses when that nears its bound.
//!
//! Counted is what grows with what is written: records, tombstones and revocations with their slots, the indexes of ids, dots
//! and principals, coverage. It is the process's memory but for what has a bound of its own (queues of links, watchers, the
//! program itself); `sim/tests/memory_counted.rs` measures how near.
//!
//! At the bound nothing is evicted, and not all is refused at once. What is needed least goes first, so that those who log in
//! and out are the last to be turned away, and a session that is here can always be ended.

use super::local::WriteError;
use super::partition::{Partition, Slot};
use super::store::Replica;
use crate::limits::{BLIND_BYTES, BLIND_SHARE, DOT_BYTES, ORIGIN_BYTES};
use crate::marks::Mark;

/// What a write is for: what is refused first when memory runs out comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A new session that nobody is logged in to: refused from 13 sixteenths of `max_memory_bytes` on.
    Session,
    /// More in a session that is there: from 14 sixteenths on. What makes none larger is never refused.
    Growth,
    /// A log-in: from 15 sixteenths on.
    LogIn,
    /// A revocation of somebody who is logged in here: from the bound on.
    Revocation,
    /// The end of a session that is not here, or a revocation of somebody who is not logged in here: from the bound on, and
    /// beyond a share of their own. Anybody can ask for any number of them.
    Blind,
}

impl Need {
    /// Sixteenths of the bound up to which it is served.
    fn sixteenths(self) -> u64 {
        match self {
            Self::Session => 13,
            Self::Growth => 14,
            Self::LogIn => 15,
            Self::Revocation | Self::Blind => 16,
        }
    }
}

impl Partition {
    /// What this partition holds (bytes): records and what is kept of them.
    pub fn held_bytes(&self) -> u64 {
        let slots = self.slots.capacity() * (size_of::<Slot>() + size_of::<u32>());
        let tables = slots + self.ids_bytes() + self.cov_ranges * size_of::<(u64, u64)>();
        let origins = self.origin_ix.len() as u64 * ORIGIN_BYTES;
        self.reserved_bytes() + tables as u64 + self.dots as u64 * DOT_BYTES + origins
    }

    /// Marks what is in a slot as made for somebody who is not here, and may be made up.
    pub(super) fn set_blind(&mut self, slot: u32) {
        if let Some(slot) = self.slots.get_mut(slot as usize).filter(|slot| slot.used && !slot.blind) {
            slot.blind = true;
            self.blind += 1;
        }
    }

    /// Blind ends, and revocations of principals who were logged in nowhere, that were made here and are held.
    pub fn blind_held(&self) -> u64 {
        self.blind
    }
}

impl Replica {
    /// Whether there is memory for a write.
    ///
    /// # Errors
    /// [`WriteError::MemoryFull`].
    pub(super) fn room_for(&self, need: Need) -> Result<(), WriteError> {
        match self.is_full_for(need) {
            true => {
                self.marks().hit(Mark::MemoryFull);
                Err(WriteError::MemoryFull { bytes: self.held_bytes() })
            }
            false => Ok(()),
        }
    }

    /// Whether there is no memory left for writes of this kind.
    pub fn is_full_for(&self, need: Need) -> bool {
        let max = self.limits().max_memory_bytes;
        if max == u64::MAX {
            return false;
        }
        let own_share = need == Need::Blind && self.blind_held() * BLIND_BYTES > max / BLIND_SHARE;
        own_share || self.held_bytes() > max / 16 * need.sixteenths()
    }
}
