//! OPERATIONS.md, "Memory": what a node reserves for records is bounded by what it holds: a constant for each
//! partition's chunks, and each record's size with the slack of its class.

use super::{Invariant, Look, Verdict};

/// The rule; which node is looked at next.
#[derive(Default)]
pub struct MemoryIsBounded {
    next: usize,
}

/// A chunk for each of up to so many size classes may be open in a partition (bytes).
const OPEN_CHUNKS_BYTES: u64 = 24 * 64 * 1024;

impl Invariant for MemoryIsBounded {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let up = look.world.up();
        self.next += 1;
        let Some(&at) = up.get(self.next % up.len().max(1)) else { return };
        let replica = look.world.replica(at);
        let counts = replica.counts();
        let records = counts.sessions + counts.tombstones + counts.revocations;
        let largest = look.world.limits.max_record_bytes as u64 * 4;
        let most = u64::from(look.world.limits.partitions) * OPEN_CHUNKS_BYTES + records * largest;
        let held = replica.record_bytes();
        verdict.case(held <= most, at, None, || format!("{held} bytes reserved for {records} records"));
        let known = (look.history.sessions.len() + look.history.logins.revocations.len()) as u64;
        // Damage that nothing keeps from a node makes ids of its own.
        let honest = !look.scenario.network.unsealed;
        verdict.case(!honest || records <= known, at, None, || {
            format!("{records} records of {known} sessions there ever were")
        });
    }
}
