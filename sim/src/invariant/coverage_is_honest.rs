//! INV (ALGORITHM.md §4): if a dot is in cov(B), B's slot for its session holds, for every component the dot
//! wrote, a value at least as great; or the session is destroyed there, past its hard deadline, or was reaped as
//! expired-stable. Checked whenever coverage grows, and over everything once all is equal.

use super::{Invariant, Look, Verdict};
use crate::EPOCH_MS;
use crate::oracle::Op;
use sessionmesh::core::replica::Partition;

/// The rule.
#[derive(Default)]
pub struct CoverageIsHonest;

fn holds(look: &Look<'_>, at: usize, op: &Op, p: &Partition) -> Result<(), String> {
    let session = &look.history.sessions[&op.session];
    let wall_ms = look.world.now(at).wall_ms;
    // What others dropped in time is gone for a node whose clock is behind as well.
    let latest_ms = wall_ms.max(EPOCH_MS + look.world.time_ms);
    let over = || super::acked_writes_survive::over(look, op, latest_ms);
    let Some(record) = p.get(session.id) else {
        return if over() { Ok(()) } else { Err("there is no record of its session".into()) };
    };
    if record.is_dead() {
        return Ok(());
    }
    // Whoever reaped it as expired-stable claims its dots without it; a copy that is over may stay behind.
    if !record.visible(wall_ms) && over() {
        return Ok(());
    }
    if op.effect.dead.is_some() {
        return if over() { Ok(()) } else { Err("the session is not destroyed".into()) };
    }
    for (key, _) in &op.effect.fields {
        let held =
            record.fields().find(|f| f.key == key).map(|f| super::stamp(&record.ver(f.op), p.origins()));
        if held.is_none_or(|held| held < op.stamp()) {
            return Err(format!("its field {key} is {held:?}, older than {:?}", op.stamp()));
        }
    }
    if op.effect.touch.is_some_and(|ms| record.touch_ms() < ms) {
        return Err(format!("its touch is {}, earlier than {:?}", record.touch_ms(), op.effect.touch));
    }
    Ok(())
}

impl CoverageIsHonest {
    fn check(&self, look: &Look<'_>, at: usize, op: &Op, verdict: &mut Verdict) {
        let partition = look.history.sessions[&op.session].partition;
        let held = look.world.replica(at).shared(partition, |p| holds(look, at, op, p));
        let given_away = held.is_err() && super::acked_writes_survive::given_away(look, op);
        verdict.case(held.is_ok() || given_away, at, Some(op.session), || {
            format!("covers write {} (n{}'s {}), but {}", op.id, op.at, op.counter, held.err().unwrap_or_default())
        });
    }
}

impl Invariant for CoverageIsHonest {
    fn covers(&mut self, look: &Look<'_>, at: usize, op: u32, verdict: &mut Verdict) {
        self.check(look, at, &look.history.ops[op as usize], verdict);
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            for op in look.history.ops.iter().filter(|op| op.holders >> at & 1 == 1) {
                self.check(look, at, op, verdict);
            }
        }
    }
}
