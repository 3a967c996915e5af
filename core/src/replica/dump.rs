//! A session spelled out with all its versions: for comparing replicas whole, not by digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Replica;
use crate::causality::{Origin, Ver, origin_at};
use crate::session::{Packed, State, Ttl};

/// A version spelled out: stamp, origin (32 hex digits), counter.
pub type Stamp = (u64, String, u64);

/// One session, as comparable between nodes: no local index in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dumped {
    /// Hard deadline (ms).
    pub hard_ms: u64,
    /// `None` for a tombstone.
    pub live: Option<DumpedLive>,
    /// The version of the destroy, for a tombstone.
    pub destroyed: Option<Stamp>,
}

/// The components of a session that is not destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedLive {
    /// Creation time (ms) and version.
    pub birth: (u64, Stamp),
    /// Last touch (ms) and its version.
    pub touch: (u64, Stamp),
    /// Time-to-live: sliding or not, ms, and its version.
    pub ttl: (bool, u64, Stamp),
    /// The stable deadline (ms), from the high-water marks.
    pub stable_ms: u64,
    /// Every field, removed ones too: value as hex.
    pub fields: BTreeMap<String, (Option<String>, Stamp)>,
}

impl Dumped {
    /// Spells out a record whose origins are indices into `origins`.
    pub fn of(record: &Packed<'_>, origins: &[Origin]) -> Self {
        dumped(record, origins)
    }
}

impl Replica {
    /// Every record by the text of its id. Secret: for tests and drills.
    pub fn dump(&self) -> BTreeMap<String, Dumped> {
        let mut out = BTreeMap::new();
        for ix in 0..self.limits().partitions {
            self.shared(ix, |p| {
                out.extend(p.records().map(|r| (r.id().to_text(), dumped(&r, p.origins()))));
            });
        }
        out
    }
}

fn dumped(record: &Packed<'_>, origins: &[Origin]) -> Dumped {
    let stamp = |ver: Ver| (ver.hlc.0, format!("{:032x}", origin_at(origins, ver.origin).0), ver.counter);
    let hard_ms = record.hard_ms();
    let live = match record.state() {
        State::Dead(dead) => return Dumped { hard_ms, live: None, destroyed: Some(stamp(dead.ver)) },
        State::Live(live) => live,
    };
    let of = |op: Option<u32>| stamp(live.ops[op.unwrap_or_default() as usize].ver);
    let (sliding, ttl_ms) = match record.ttl() {
        Ttl::Sliding(ms) => (true, ms),
        Ttl::Absolute(ms) => (false, ms),
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let fields = live.fields.iter().map(|f| (f.key.to_owned(), (f.value.map(hex), of(Some(f.op))))).collect();
    let live = DumpedLive {
        birth: (record.created_ms(), of(live.birth.map(|b| b.op))),
        touch: (record.touch_ms(), of(live.touch.map(|t| t.op))),
        ttl: (sliding, ttl_ms, of(live.ttl.map(|t| t.op))),
        stable_ms: record.stable_deadline_ms(),
        fields,
    };
    Dumped { hard_ms, live: Some(live), destroyed: None }
}
