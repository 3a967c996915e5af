//! Lifeguard §IV-B: each accuser shortens the window once, and only of the incarnation it accuses.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct AccusersCountOnce;

impl Invariant for AccusersCountOnce {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.world.up() {
            let Some(detector) = look.world.nodes[at].as_ref().and_then(|n| n.node.detector()) else {
                continue;
            };
            for (origin, member) in detector.members() {
                let Some(suspicion) = &member.suspicion else { continue };
                let accusers = suspicion.accusers().count();
                verdict.case(suspicion.votes() == accusers, at, None, || {
                    format!("counts {} accusations of {origin} by {accusers} members", suspicion.votes())
                });
                verdict.case(suspicion.incarnation == member.incarnation, at, None, || {
                    let (suspected, known) = (suspicion.incarnation, member.incarnation);
                    format!("suspects incarnation {suspected} of {origin}, which is at {known}")
                });
            }
        }
    }
}
