//! docs/ALGORITHM.md §10, session guarantees (Terry et al. 1994): a client that presents the token of its last write
//! reads at least that write, or is told that the node is behind; and what it writes next orders after it.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::world::{Reading, Seen};

/// The rule: the writes of each client, by the number of the operation.
#[derive(Default)]
pub struct TokensHold {
    writes: BTreeMap<(u32, u64), u32>,
}

impl TokensHold {
    /// The client's last write before this operation.
    fn last(&self, client: u32, op: u64) -> Option<u32> {
        self.writes.range((client, 0)..(client, op)).next_back().map(|(_, ix)| *ix)
    }
}

impl Invariant for TokensHold {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Wrote { at, op, asked, result: Ok(written), wall_ms }
                if asked.client > 0 && written.wrote =>
            {
                let before = self.last(asked.client, *op).map(|ix| &look.history.ops[ix as usize]);
                let bound = wall_ms + look.world.limits.max_drift_ms;
                if let Some(before) = before.filter(|b| asked.token && b.hlc >> 16 <= bound) {
                    verdict.case(written.hlc.0 > before.hlc, *at, Some(asked.session), || {
                        format!("a client's next write is stamped {}, its last {}", written.hlc.0, before.hlc)
                    });
                }
                if let Some(ix) = look.history.by_op(*op) {
                    self.writes.insert((asked.client, *op), ix);
                }
            }
            Seen::Read { at, op, asked, reading: Reading::Found(fields), .. } if asked.token => {
                let last = self.last(asked.client, *op).map(|ix| &look.history.ops[ix as usize]);
                let Some(last) = last.filter(|op| op.session == asked.session) else { return };
                for (key, value) in &last.effect.fields {
                    let newer = look.history.ops_of(asked.session).any(|(_, op)| {
                        op.stamp() > last.stamp() && op.effect.fields.iter().any(|f| &f.0 == key)
                    });
                    let own = value.as_deref().map(|v| String::from_utf8_lossy(v).into_owned());
                    verdict.case(newer || fields.get(key) == own.as_ref(), *at, Some(asked.session), || {
                        format!("a client wrote {key} = {own:?} and reads {:?}", fields.get(key))
                    });
                }
            }
            _ => {}
        }
    }
}
