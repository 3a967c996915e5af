//! ALGORITHM.md §10: a write is what its own node holds right after it: each field asked for, the destroy, the new
//! time-to-live.

use super::{Invariant, Look, Verdict};
use crate::oracle::Effect;
use crate::world::{OpKind, Seen};
use sessionmesh::core::session::PRINCIPAL_KEY;

/// The rule.
#[derive(Default)]
pub struct WritesAreReadBack;

fn wrote(effect: &Effect, key: &str, value: Option<&str>) -> bool {
    effect.fields.iter().any(|f| f.0 == key && f.1.as_deref() == value.map(str::as_bytes))
}

impl Invariant for WritesAreReadBack {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Wrote { at, op, asked, result: Ok(written), .. } = seen else { return };
        if !written.wrote {
            return;
        }
        let Some(ix) = look.history.by_op(*op) else { return };
        let effect = &look.history.ops[ix as usize].effect;
        let kept = match &asked.kind {
            OpKind::Create { fields, .. } => {
                effect.birth.is_some() && fields.iter().all(|(k, v)| wrote(effect, k, Some(v)))
            }
            OpKind::Edit(fields) => {
                // To remove what is not there writes nothing.
                let set = |f: &&(String, Option<String>)| f.1.is_some();
                fields.iter().filter(set).all(|(k, v)| wrote(effect, k, v.as_deref()))
            }
            OpKind::SetTtl(ttl) => effect.ttl.is_none_or(|t| t == *ttl),
            OpKind::Destroy(_) => effect.dead.is_some(),
            OpKind::Login { .. } => effect.fields.iter().any(|f| f.0 == PRINCIPAL_KEY && f.1.is_some()),
            OpKind::Revoke(_) | OpKind::Touch | OpKind::Save(_) | OpKind::Read | OpKind::Load => true,
        };
        verdict.case(kept, *at, Some(asked.session), || format!("asked {:?}, holds {effect:?}", asked.kind));
    }
}
