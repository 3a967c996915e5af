//! Monotonicity of the join (ALGORITHM.md §2): while a memory holds a session, no component of it ever becomes
//! less: not a field's version, not the touch, not the birth; and a tombstone is never replaced by a live state.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::oracle::Stamp;
use crate::world::Seen;

/// A record's versions when last looked at.
#[derive(Clone, Default, PartialEq)]
struct Held {
    dead: bool,
    touch_ms: u64,
    fields: Vec<(String, Stamp)>,
}

/// The rule, with what each machine's memory held of each session.
#[derive(Default)]
pub struct RegistersNeverGoBack {
    held: BTreeMap<(usize, u16, u64), Held>,
}

fn less(before: &Held, now: &Held) -> Option<String> {
    if before.dead || now.dead {
        return (before.dead && !now.dead).then(|| "a tombstone became alive".into());
    }
    if now.touch_ms < before.touch_ms {
        return Some(format!("the touch went from {} back to {}", before.touch_ms, now.touch_ms));
    }
    let mut after = now.fields.iter();
    for (key, stamp) in &before.fields {
        match after.find(|f| f.0 >= *key) {
            Some((found, held)) if found == key && held >= stamp => {}
            Some((found, held)) if found == key => {
                return Some(format!("{key} went from {stamp:?} to {held:?}"));
            }
            _ => return Some(format!("the register {key} is gone")),
        }
    }
    None
}

impl Invariant for RegistersNeverGoBack {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        if let Seen::Ended { at, .. } = seen {
            self.held.retain(|(node, _, _), _| node != at);
        }
    }

    /// A record that was collected may come back from elsewhere as another holds it.
    fn partition(&mut self, look: &Look<'_>, at: usize, partition: u16, _: &mut Verdict) {
        let here = self.held.range((at, partition, 0)..=(at, partition, u64::MAX));
        let gone: Vec<u64> = look.world.replica(at).shared(partition, |p| {
            let sessions = here.map(|((_, _, session), _)| *session);
            sessions.filter(|s| p.get(look.history.sessions[s].id).is_none()).collect()
        });
        gone.into_iter().for_each(|session| _ = self.held.remove(&(at, partition, session)));
    }

    fn record(&mut self, look: &Look<'_>, at: usize, session: u64, verdict: &mut Verdict) {
        let known = &look.history.sessions[&session];
        let now = look.world.replica(at).shared(known.partition, |p| {
            let record = p.get(known.id)?;
            let version = |op| super::stamp(&record.ver(op), p.origins());
            let fields = record.fields().map(|f| (f.key.to_owned(), version(f.op)));
            let (dead, touch_ms) = (record.is_dead(), record.touch_ms());
            Some(Held { dead, touch_ms: if dead { 0 } else { touch_ms }, fields: fields.collect() })
        });
        let Some(now) = now else { return };
        if let Some(before) = self.held.insert((at, known.partition, session), now.clone()) {
            let less = less(&before, &now);
            verdict.case(less.is_none(), at, Some(session), || less.unwrap_or_default());
        }
    }
}
