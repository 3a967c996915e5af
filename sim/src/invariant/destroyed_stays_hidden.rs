//! ALGORITHM.md §1.3, the heart of it: a memory that ever held a session's tombstone never shows that session again.

use std::collections::BTreeSet;

use super::{Invariant, Look, Verdict};
use crate::world::{Reading, Seen};

/// The rule, with what it remembers: machines whose current memory has known which sessions destroyed.
#[derive(Default)]
pub struct DestroyedStaysHidden {
    knew: BTreeSet<(usize, u64)>,
}

impl DestroyedStaysHidden {
    fn look(&mut self, look: &Look<'_>, at: usize, number: u64, verdict: &mut Verdict) {
        let Some(session) = look.history.sessions.get(&number) else { return };
        let dead = look
            .world
            .replica(at)
            .shared(session.partition, |p| p.get(session.id).is_some_and(|r| r.is_dead()));
        if dead {
            self.knew.insert((at, number));
        }
        if self.knew.contains(&(at, number)) {
            verdict.case(!look.world.visible(at, session.id), at, Some(number), || {
                "shows a session it has known destroyed".into()
            });
        }
    }
}

impl Invariant for DestroyedStaysHidden {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Ended { at, .. } => self.knew.retain(|(node, _)| node != at),
            Seen::Wrote { at, asked, result: Ok(_), .. } if look.world.nodes[*at].is_some() => {
                self.look(look, *at, asked.session, verdict);
            }
            Seen::Read { at, asked, reading, .. } if self.knew.contains(&(*at, asked.session)) => {
                verdict.case(!matches!(reading, Reading::Found(_)), *at, Some(asked.session), || {
                    "a client read a session that this node has known destroyed".into()
                });
            }
            _ => {}
        }
    }

    fn record(&mut self, look: &Look<'_>, at: usize, session: u64, verdict: &mut Verdict) {
        self.look(look, at, session, verdict);
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for &(at, number) in self.knew.iter().filter(|k| look.world.nodes[k.0].is_some()) {
            let session = &look.history.sessions[&number];
            verdict.case(!look.world.visible(at, session.id), at, Some(number), || {
                "shows a session it has known destroyed".into()
            });
        }
    }
}
