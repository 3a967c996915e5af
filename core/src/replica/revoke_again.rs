//! A revocation that takes the place of an earlier one of the same node and principal.
//!
//! One that is made again and again would otherwise leave a record each time, for a month, that every log-in looks at. The
//! earlier record is written anew, and its name is from then on the write event of its marker: a log-in that had seen the
//! first has not seen the second. When that may be: `docs/ALGORITHM.md` §11.

use super::local::{Stamper, WriteError, Written};
use super::partition::Partition;
use crate::session::{Field, Live, Op, SessionId, State, encode, join};

impl Partition {
    /// Writes the login and the marker of a revocation that is here once more.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if it is not here any more.
    pub(super) fn revoke_again(
        &mut self,
        id: SessionId,
        wall_ms: u64,
        fields: &[(&str, Option<&[u8]>)],
        stamper: &Stamper<'_>,
    ) -> Result<Written, WriteError> {
        let now_ms = self.clamp_wall(wall_ms);
        let held = |slot: &u32| self.record(*slot).is_revocation() && self.record(*slot).visible(now_ms);
        let slot = self.find(id).filter(held).ok_or(WriteError::Absent)?;
        let mut fields: Vec<Field<'_>> =
            fields.iter().map(|&(key, value)| Field { key, op: 0, value }).collect();
        fields.sort_by_key(|field| field.key);
        let packed = self.record(slot);
        let (hard_ms, context) = (packed.hard_ms(), self.context(&packed, &fields));
        let newest = || packed.vers().map(|ver| ver.hlc).max().unwrap_or_default();
        let ver = self.stamp(now_ms, newest, stamper);
        let part = State::Live(Live { ops: vec![Op { ver, context }], fields, ..Live::default() });
        let (joined, _) = join(&packed.state(), &part, &self.origins, &|_| true);
        let mut bytes = Vec::new();
        encode(id, &joined, &mut bytes);
        drop(joined);
        self.store_bytes(id, Some(slot), &bytes);
        self.own_op(ver, slot, (false, false), hard_ms);
        Ok(self.written(ver, true, hard_ms))
    }
}
