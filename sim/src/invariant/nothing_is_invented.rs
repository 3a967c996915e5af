//! Validity: what a client reads was written by a client. Every value of a field is one that some write gave to
//! that field of that session.

use super::{Invariant, Look, Verdict};
use crate::world::{Reading, Seen};

/// The rule.
#[derive(Default)]
pub struct NothingIsInvented;

impl Invariant for NothingIsInvented {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Read { at, asked, reading: Reading::Found(fields), .. } = seen else { return };
        for (key, value) in fields {
            let gave =
                |f: &(String, Option<Vec<u8>>)| &f.0 == key && f.1.as_deref() == Some(value.as_bytes());
            let written = look.history.ops_of(asked.session).any(|(_, op)| op.effect.fields.iter().any(gave));
            verdict
                .case(written, *at, Some(asked.session), || format!("nobody ever wrote {key} = {value:?}"));
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            let violations = look.world.replica(at).counts().violations;
            verdict.case(violations == 0, at, None, || {
                format!("counted {violations} equal versions with other contents, or second births")
            });
        }
    }
}
