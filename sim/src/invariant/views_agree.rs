//! Membership: once the faults are over, every node believes exactly the others alive, and is linked to them.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule: each node's last view.
#[derive(Default)]
pub struct ViewsAgree {
    views: BTreeMap<usize, Vec<usize>>,
}

impl Invariant for ViewsAgree {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        match seen {
            Seen::Members { at, alive } => _ = self.views.insert(*at, alive.clone()),
            Seen::Ended { at, .. } => _ = self.views.remove(at),
            _ => {}
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        for &at in &core {
            let others: Vec<usize> = core.iter().copied().filter(|&o| o != at).collect();
            let view = self.views.get(&at).cloned().unwrap_or_default();
            verdict
                .case(view == others, at, None, || format!("believes {view:?} alive; alive are {others:?}"));
            let links = look.world.nodes[at].as_ref().map_or(0, |n| n.links().count());
            verdict
                .case(links == others.len(), at, None, || format!("has {links} links, not {}", others.len()));
        }
    }
}
