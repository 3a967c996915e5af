//! ALGORITHM.md §8: a process that was frozen for longer than `fence_after_ms` may have missed logouts. Until it
//! has declared itself ready again it neither shows nor edits a session.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::world::{OpKind, Reading, Seen};
use sessionmesh::core::replica::Serving;

/// The rule: until when each machine's process is frozen, while its fence has not opened again.
#[derive(Default)]
pub struct FenceGuardsReads {
    frozen: BTreeMap<usize, u64>,
}

impl FenceGuardsReads {
    fn fenced(&self, look: &Look<'_>, at: usize) -> bool {
        self.frozen.get(&at).is_some_and(|until| look.world.time_ms >= *until)
    }
}

impl Invariant for FenceGuardsReads {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Fault { nodes, .. } => {
                for &at in nodes {
                    let until = look.world.nodes[at].as_ref().map_or(0, |n| n.frozen_until_ms);
                    let margin = look.world.limits.fence_after_ms + 600;
                    if until > look.world.time_ms + margin {
                        self.frozen.insert(at, until);
                    }
                }
            }
            Seen::Ended { at, .. } => _ = self.frozen.remove(at),
            Seen::Serving { at, serving: Serving::Ready, .. } if self.fenced(look, *at) => {
                self.frozen.remove(at);
            }
            Seen::Read { at, asked, reading, .. } if self.fenced(look, *at) => {
                verdict.case(!matches!(reading, Reading::Found(_)), *at, Some(asked.session), || {
                    "showed a session right after a freeze, before a round".into()
                });
            }
            Seen::Wrote { at, asked, result, .. } if self.fenced(look, *at) => {
                let edits = !matches!(
                    asked.kind,
                    OpKind::Create { .. } | OpKind::Destroy(_) | OpKind::Revoke(_)
                );
                verdict.case(!edits || result.is_err(), *at, Some(asked.session), || {
                    "edited a session right after a freeze, before a round".into()
                });
            }
            _ => {}
        }
    }
}
