//! What audits compare (`docs/ALGORITHM.md` §9): sums over what is held here, values and all.
//!
//! There are two. The *old* sum is the one that nodes before the three-valued audit know; it leaves out some of a
//! record. The *exact* one is over everything that a write event wrote, each component by name, version and value, and
//! can be taken apart into buckets: in a partition that is being written to, those that hold nothing in flight can be
//! compared while the others wait.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::partition::Partition;
use crate::causality::{Ver, origin_at};
use crate::limits::Limits;
use crate::session::{Live, Packed, State, Ttl};

/// What a partition holds, sifted into buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Per bucket, a sum over the versions held and one over versions and values. Equal versions with unequal values
    /// are a difference whatever the coverage is.
    pub sums: Vec<(u64, u64)>,
    /// Whether everything summed is covered: then equal coverage promises equal versions.
    pub covered: bool,
}

/// The bucket of a component in one question: another one with every salt, so that what shares a bucket with a busy
/// component now will not the next time.
pub fn bucket_of(key: u64, salt: u64, buckets: usize) -> usize {
    (xxh3_64_with_seed(&key.to_le_bytes(), salt) % buckets.max(1) as u64) as usize
}

/// One component as audits see it.
struct Component<'a> {
    name: &'a [u8],
    ver: Ver,
    /// What the write wrote, beginning with a byte that tells a removal from a value.
    value: [&'a [u8]; 3],
}

impl Partition {
    /// The audit sum (docs/ALGORITHM.md §9): over sessions and tombstones far from their end, of (id, component,
    /// version, value). Equal coverage with unequal sums means a bug, bit rot, or a peer that claimed what it did not
    /// send. `None` if something held is not covered (more gaps than are remembered): then it is no evidence.
    pub fn audit_sum(&self, wall_ms: u64, limits: &Limits) -> Option<u64> {
        let margin = 2 * limits.max_drift_ms;
        let mut sum = 0u64;
        let mut bytes = Vec::new();
        for record in self.records().filter(|r| !r.is_dead() && r.deadline_ms() > wall_ms + margin) {
            let State::Live(live) = record.state() else { continue };
            let uncovered = |ver: &Ver| !self.known[ver.origin as usize].cov.contains(ver.counter);
            if live.ops.iter().any(|op| uncovered(&op.ver)) {
                return None;
            }
            let mut component = |name: &str, op: u32, value: &[u8]| {
                self.audit_component(&record, name, &live.ops[op as usize].ver, value, &mut bytes);
                sum = sum.wrapping_add(xxh3_64_with_seed(&bytes, 0));
            };
            for field in &live.fields {
                component(field.key, field.op, field.value.unwrap_or(b"\0removed"));
            }
            if let (Some(birth), Some(ttl)) = (live.birth, live.ttl) {
                component("\u{1}birth", birth.op, &birth.hard_ms.to_le_bytes());
                component("\u{1}ttl", ttl.op, &[]);
            }
            let marks = [live.touch, live.high_sliding, live.high_absolute];
            for (n, mark) in marks.into_iter().enumerate().filter_map(|(n, m)| Some((n, m?))) {
                component(
                    ["\u{1}touch", "\u{1}sliding", "\u{1}absolute"][n],
                    mark.op,
                    &mark.ms.to_le_bytes(),
                );
            }
        }
        for record in self.records().filter(|r| r.is_dead() && r.hard_ms() > wall_ms + margin) {
            let ver = record.ver(0);
            if !self.known[ver.origin as usize].cov.contains(ver.counter) {
                return None;
            }
            self.audit_component(&record, "\u{1}dead", &ver, &record.hard_ms().to_le_bytes(), &mut bytes);
            sum = sum.wrapping_add(xxh3_64_with_seed(&bytes, 0));
        }
        Some(sum)
    }

    /// The bytes by which one component goes into the audit sum.
    fn audit_component(&self, record: &Packed<'_>, name: &str, ver: &Ver, value: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(record.id().as_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0xff);
        bytes.extend_from_slice(&origin_at(&self.origins, ver.origin).to_bytes());
        bytes.extend_from_slice(&ver.counter.to_le_bytes());
        bytes.extend_from_slice(if mutant!(AuditOverlooksValues) { &[] } else { value });
    }

    /// Sifts everything that cannot have been reaped by a peer whose clock is near: sessions and tombstones that end
    /// more than `margin_ms` after `wall_ms`.
    pub fn sift(&self, wall_ms: u64, margin_ms: u64, salt: u64, buckets: usize) -> Sifted {
        let mut out = Sifted { sums: vec![(0, 0); buckets], covered: true };
        let mut bytes = Vec::new();
        self.each_component(wall_ms.saturating_add(margin_ms), &mut |record, component| {
            let known = &self.known[component.ver.origin as usize];
            out.covered &= known.cov.contains(component.ver.counter);
            let key = key_of(record, component.name, &mut bytes);
            let version = self.version_of(key, &component.ver);
            bytes.clear();
            bytes.extend_from_slice(&version.to_le_bytes());
            bytes.extend_from_slice(&component.ver.hlc.0.to_le_bytes());
            let value = if mutant!(AuditOverlooksValues) { [&[][..]; 3] } else { component.value };
            value.into_iter().for_each(|part| bytes.extend_from_slice(part));
            let sums = &mut out.sums[bucket_of(key, salt, buckets)];
            sums.0 = sums.0.wrapping_add(version);
            sums.1 = sums.1.wrapping_add(xxh3_64_with_seed(&bytes, 0));
        });
        out
    }

    /// The exact sum of everything; `None` if something held is not covered: then it is no evidence.
    pub fn exact_sum(&self, wall_ms: u64, margin_ms: u64) -> Option<u64> {
        let sifted = self.sift(wall_ms, margin_ms, 0, 1);
        sifted.sums.first().map(|sums| sums.1).filter(|_| sifted.covered)
    }

    /// The components that [`Partition::sift`] sums: key and version of each, and when it is stamped (ms).
    pub fn components(&self, wall_ms: u64, margin_ms: u64) -> Vec<(u64, u64, u64)> {
        let (mut out, mut bytes) = (Vec::new(), Vec::new());
        self.each_component(wall_ms.saturating_add(margin_ms), &mut |record, component| {
            let key = key_of(record, component.name, &mut bytes);
            out.push((key, self.version_of(key, &component.ver), component.ver.hlc.ms()));
        });
        out
    }

    fn version_of(&self, key: u64, ver: &Ver) -> u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        bytes[8..24].copy_from_slice(&origin_at(&self.origins, ver.origin).to_bytes());
        bytes[24..].copy_from_slice(&ver.counter.to_le_bytes());
        xxh3_64_with_seed(&bytes, 0)
    }

    fn each_component(&self, ends_after_ms: u64, f: &mut dyn FnMut(&Packed<'_>, Component<'_>)) {
        for record in self.records() {
            match record.state() {
                State::Live(live) if record.deadline_ms() > ends_after_ms => each_of_live(&record, &live, f),
                State::Dead(dead) if dead.hard_ms > ends_after_ms => {
                    let hard = dead.hard_ms.to_le_bytes();
                    f(&record, Component { name: b"\xffdead", ver: dead.ver, value: [&[1], &hard, &[]] });
                }
                State::Live(_) | State::Dead(_) => {}
            }
        }
    }
}

fn each_of_live(record: &Packed<'_>, live: &Live<'_>, f: &mut dyn FnMut(&Packed<'_>, Component<'_>)) {
    let mut tell = |name: &[u8], op: u32, value: [&[u8]; 3]| {
        if let Some(op) = live.ops.get(op as usize) {
            f(record, Component { name, ver: op.ver, value });
        }
    };
    for field in &live.fields {
        let value: [&[u8]; 3] = field.value.map_or([&[0], &[], &[]], |value| [&[1], value, &[]]);
        tell(field.key.as_bytes(), field.op, value);
    }
    if let Some(birth) = live.birth {
        let (created, hard) = (birth.created_ms.to_le_bytes(), birth.hard_ms.to_le_bytes());
        tell(b"\xffbirth", birth.op, [&[1], &created, &hard]);
    }
    if let Some(held) = live.ttl {
        let (kind, ms): (&[u8], _) = match held.ttl {
            Ttl::Sliding(ms) => (&[2], ms),
            Ttl::Absolute(ms) => (&[3], ms),
        };
        tell(b"\xffttl", held.op, [kind, &ms.to_le_bytes(), &[]]);
    }
    let marks = [live.touch, live.high_sliding, live.high_absolute];
    for (n, mark) in marks.into_iter().enumerate().filter_map(|(n, m)| Some((n, m?))) {
        let name = [&b"\xfftouch"[..], b"\xffsliding", b"\xffabsolute"][n];
        tell(name, mark.op, [&[1], &mark.ms.to_le_bytes(), &[]]);
    }
}

/// Names a component of a session. Keys are UTF-8, in which 0xff is no byte: ours begin with it, and all end with it.
fn key_of(record: &Packed<'_>, name: &[u8], bytes: &mut Vec<u8>) -> u64 {
    bytes.clear();
    bytes.extend_from_slice(record.id().as_bytes());
    bytes.extend_from_slice(name);
    bytes.push(0xff);
    xxh3_64_with_seed(bytes, 0)
}
