//! The end of a session that a merge would make too large to be sent.
//!
//! The rule is a write, not a part of the join: the join must not depend on how states were grouped, and a destroy is
//! above everything, whoever writes it. So nodes agree, whatever they met in what order (`docs/ALGORITHM.md` §12).

use super::{Node, Output};
use crate::replica::Happened;
use crate::session::SessionId;
use crate::time::Now;

impl Node {
    /// Ends what met its other side in this input and could not take it in.
    pub(super) fn end_overgrown(&mut self, now: Now) {
        if self.overgrown.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.overgrown) {
            if self.replica.end(id, now).is_ok() {
                self.tell_ended(id);
            }
        }
        self.news(now);
    }

    /// Tells that a session was ended here.
    pub(super) fn tell_ended(&mut self, id: SessionId) {
        self.replica.tell(Happened::Destroyed(id));
        if self.watched {
            self.outputs.push_back(Output::Event(Happened::Destroyed(id)));
        }
    }
}
