//! Folding writes: what a session must be, given the writes that were delivered. Plain maxima, written anew.

use std::collections::BTreeMap;

use sessionmesh::core::session::Ttl;

use super::history::{Op, Stamp};

/// What a session must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Destroyed: greatest (hard deadline, origin, counter).
    pub dead: Option<(u64, u128, u64)>,
    /// Birth: stamp, created, hard deadline.
    pub birth: Option<(Stamp, u64, u64)>,
    /// Latest touch: (ms, origin, counter).
    pub touch: Option<(u64, u128, u64)>,
    /// Time-to-live and its stamp.
    pub ttl: Option<(Stamp, Ttl)>,
    /// Fields: stamp and value, `None` if removed.
    pub fields: BTreeMap<String, (Stamp, Option<Vec<u8>>)>,
}

/// Folds writes in any order.
pub fn fold<'a>(ops: impl Iterator<Item = &'a Op>) -> Expected {
    let mut out = Expected::default();
    for op in ops {
        let (stamp, effect) = (op.stamp(), &op.effect);
        let mark = |ms: u64| (ms, op.life.0, op.counter);
        out.dead = out.dead.max(effect.dead.map(mark));
        out.touch = out.touch.max(effect.touch.map(mark));
        if let Some((created, hard)) = effect.birth
            && out.birth.is_none_or(|b| b.0 < stamp)
        {
            out.birth = Some((stamp, created, hard));
        }
        if let Some(ttl) = effect.ttl
            && out.ttl.is_none_or(|t| t.0 < stamp)
        {
            out.ttl = Some((stamp, ttl));
        }
        for (key, value) in &effect.fields {
            match out.fields.get_mut(key) {
                Some(held) if held.0 >= stamp => {}
                Some(held) => *held = (stamp, value.clone()),
                None => _ = out.fields.insert(key.clone(), (stamp, value.clone())),
            }
        }
    }
    out
}

impl Expected {
    /// When the session ends if nobody touches it (ms); `None` if it is destroyed or its birth is unknown.
    pub fn deadline_ms(&self) -> Option<u64> {
        if self.dead.is_some() {
            return None;
        }
        let (birth, touch, ttl) = (self.birth?, self.touch?, self.ttl?);
        Some(match ttl.1 {
            Ttl::Sliding(ms) => touch.0.saturating_add(ms).min(birth.2),
            Ttl::Absolute(at) => at.min(birth.2),
        })
    }
}
