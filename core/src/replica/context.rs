//! The context of a local edit: what this node has seen of the fields it writes.

use super::partition::Partition;
use crate::causality::{origin_at, short_origin};
use crate::marks::Mark;
use crate::session::{Field, Packed, State, context_of, is_cut};

impl Partition {
    /// The context of an edit of these fields. One that writes no field needs none: nothing is overwritten by it.
    pub(super) fn context(&self, packed: &Packed<'_>, fields: &[Field<'_>]) -> Vec<(u32, u64)> {
        let State::Live(live) = packed.state() else { return Vec::new() };
        let held = |f: &Field<'_>| live.fields.binary_search_by(|held| held.key.cmp(f.key)).ok();
        let written = fields.iter().filter_map(|f| live.fields.get(held(f)?));
        let mut ops: Vec<u32> = written.map(|held| held.op).collect();
        ops.sort_unstable();
        ops.dedup();
        let mut replaced: Vec<_> = ops.into_iter().filter_map(|op| live.ops.get(op as usize)).collect();
        replaced.sort_by_key(|op| std::cmp::Reverse(op.ver.hlc));
        let short = |ix: u32| short_origin(origin_at(&self.origins, ix));
        let replaced: Vec<_> = replaced
            .into_iter()
            .map(|op| ((short(op.ver.origin), op.ver.counter), &op.context[..]))
            .collect();
        let context = context_of(short(self.own), &replaced, &|of, counter| self.newest_with(of, counter));
        if is_cut(&context) {
            self.marks.hit(Mark::ContextTruncated);
        }
        context
    }

    /// The newest write of a life (short) whose effects are held here together with all from this one on.
    fn newest_with(&self, short: u32, counter: u64) -> u64 {
        let named =
            self.origins.iter().zip(&self.known).filter(|(origin, _)| short_origin(**origin) == short);
        let held = named.map(|(_, known)| known.cov.contiguous_from(counter));
        held.min().unwrap_or(counter).max(counter)
    }
}
