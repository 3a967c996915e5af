//! A node is never suspect or dead in its own view: it refutes.

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule.
#[derive(Default)]
pub struct NobodyDoubtsItself;

impl Invariant for NobodyDoubtsItself {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Judged { at, change, .. } = seen else { return };
        verdict.case(look.world.origin(*at) != change.member, *at, None, || {
            format!("judges itself: {}", change.state.word())
        });
    }
}
