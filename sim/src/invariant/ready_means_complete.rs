//! ALGORITHM.md §9, §13: a node is ready after joining only when it holds what a ready member held. A write
//! that all ready members covered when it started and cover still, and that no member lacked when it became ready in
//! between, it covers when it says it is ready: it learns from one ready member, and one that founded a mesh of its own
//! beside the others (its seeds were down) is such a member.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::world::Seen;
use sessionmesh::core::replica::Serving;

/// The rule: what every ready member covered when each machine's process started.
#[derive(Default)]
pub struct ReadyMeansComplete {
    owed: BTreeMap<usize, Vec<u32>>,
}

/// The other nodes that are ready: one bit each.
fn ready_others(look: &Look<'_>, at: usize) -> u64 {
    look.world.up().into_iter().filter(|&o| o != at && look.world.ready(o)).map(|o| 1 << o).sum()
}

impl ReadyMeansComplete {
    /// A member is ready from now on. Whoever joins may learn from it what it covers now, and no more.
    fn may_be_learnt_from(&mut self, look: &Look<'_>, at: usize) {
        if look.world.nodes[at].is_none() {
            return;
        }
        let covers = |ix: u32| {
            let op = &look.history.ops[ix as usize];
            let partition = look.history.sessions[&op.session].partition;
            look.world.replica(at).shared(partition, |p| p.covers(op.life, op.counter))
        };
        for owed in self.owed.iter_mut().filter(|(joiner, _)| **joiner != at).map(|(_, owed)| owed) {
            owed.retain(|&ix| covers(ix));
        }
    }
}

impl Invariant for ReadyMeansComplete {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Started { at, why, .. } if *why != "new life" => {
                let ready = ready_others(look, *at);
                let ops = look
                    .history
                    .ops
                    .iter()
                    .enumerate()
                    .filter(|(_, op)| ready != 0 && op.holders & ready == ready);
                self.owed.insert(*at, ops.map(|(ix, _)| ix as u32).collect());
            }
            Seen::Ended { at, .. } => _ = self.owed.remove(at),
            Seen::Serving { at, serving: Serving::Ready, why } => {
                self.may_be_learnt_from(look, *at);
                let owed = self.owed.remove(at).unwrap_or_default();
                // Alone, or founded with others that were new: nobody to learn from could be reached.
                if !why.contains("adopted and verified") || look.world.nodes[*at].is_none() {
                    return;
                }
                let wall_ms = look.world.now(*at).wall_ms;
                let ready = ready_others(look, *at);
                let ops = owed.into_iter().map(|ix| &look.history.ops[ix as usize]);
                // It may have learnt from any member that is ready now.
                for op in ops.filter(|op| ready != 0 && op.holders & ready == ready) {
                    let partition = look.history.sessions[&op.session].partition;
                    let covers = look.world.replica(*at).shared(partition, |p| p.covers(op.life, op.counter));
                    let over = super::acked_writes_survive::over(look, op, wall_ms);
                    verdict.case(covers || over, *at, Some(op.session), || {
                        format!("is ready without write {}, which every ready member held", op.id)
                    });
                }
            }
            _ => {}
        }
    }
}
