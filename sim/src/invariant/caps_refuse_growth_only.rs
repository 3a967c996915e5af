//! ALGORITHM §12: a merge may make a record larger than any edit could, and a cap then refuses growth only. Whoever is
//! active, logs in or out, removes or ends something is never refused for the size of what is there.

use sessionmesh::core::replica::WriteError;

use super::{Invariant, Look, Verdict};
use crate::world::{OpKind, Seen};

/// The rule.
#[derive(Default)]
pub struct CapsRefuseGrowthOnly;

impl Invariant for CapsRefuseGrowthOnly {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Wrote { at, asked, result, .. } = seen else { return };
        let grows = match &asked.kind {
            OpKind::Create { .. } => true,
            OpKind::Edit(fields) | OpKind::Save(fields) => fields.iter().any(|f| f.1.is_some()),
            _ => false,
        };
        if grows {
            return;
        }
        let refused = matches!(result, Err(WriteError::TooManyFields { .. } | WriteError::TooLarge { .. }));
        verdict.case(!refused, *at, Some(asked.session), || format!("{:?}: {result:?}", asked.kind));
    }
}
