//! What the writer of a field had seen of it: the *context* by which an overwrite is labelled.
//!
//! A context never decides a winner (`join.rs`). It names, for each other life, the newest write that the writer had
//! seen. It need only speak of the fields it writes: whoever wrote one of them and was seen is either the write
//! replaced now, or was replaced by one that names it, and so on (`docs/ALGORITHM.md` §2). A context that takes up all
//! places may have lost some: then who is not named may have been seen or not, and the label is "not known".

use super::state::Op;
use crate::causality::Ver;
use crate::limits::MAX_CONTEXT;

/// Stands for what an earlier write had seen and nobody can tell any more: a frame of wire version 1 brings no contexts.
/// No write has the counter 0, so that older nodes read an entry that nothing matches.
pub const CUT: (u32, u64) = (0, 0);

/// Whether the writer of an op had seen another write of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saw {
    /// It had: the overwrite is causal.
    Yes,
    /// It had not: the two are concurrent.
    No,
    /// What would tell was cut, or was never sent.
    Unknown,
}

impl Op {
    /// Whether the writer of this op had seen `other`. Same origin and lower counter is always seen.
    pub fn saw(&self, other: &Ver, other_short: u32) -> Saw {
        if self.ver.origin == other.origin {
            return if other.counter <= self.ver.counter { Saw::Yes } else { Saw::No };
        }
        match self.context.iter().find(|entry| entry.0 == other_short && **entry != CUT) {
            Some(&(_, counter)) if other.counter <= counter => Saw::Yes,
            Some(_) => Saw::No,
            None if is_cut(&self.context) && !mutant!(CutContextIgnored) => Saw::Unknown,
            None => Saw::No,
        }
    }
}

/// Whether a context may not be whole. A full one counts as cut, so that it takes no place to say so.
pub fn is_cut(context: &[(u32, u64)]) -> bool {
    context.len() >= MAX_CONTEXT || context.contains(&CUT)
}

/// A write that is replaced: its own dot (short), and its context.
pub type Replaced<'a> = ((u32, u64), &'a [(u32, u64)]);

/// The context of a write by `own` (short) that replaces what `replaced` wrote, given as each op's own dot (short) and
/// its context, the newest first. `newest` tells the newest write of a life that is held together with one of it.
pub fn context_of(own: u32, replaced: &[Replaced<'_>], newest: &dyn Fn(u32, u64) -> u64) -> Vec<(u32, u64)> {
    let mut seen: Vec<(u32, u64)> = Vec::new();
    // What is replaced comes first: it is what the others hold as well, while all is well.
    let dots = replaced.iter().map(|op| op.0);
    let earlier = replaced.iter().flat_map(|op| op.1.iter().copied()).filter(|&entry| entry != CUT);
    for (short, counter) in dots.chain(earlier).filter(|entry| entry.0 != own) {
        match seen.iter_mut().find(|s| s.0 == short) {
            Some(entry) => entry.1 = entry.1.max(counter),
            None => seen.push((short, counter)),
        }
    }
    seen.iter_mut().for_each(|entry| entry.1 = entry.1.max(newest(entry.0, entry.1)));
    if mutant!(ContextByCounter) {
        seen.sort_by_key(|&(_, counter)| std::cmp::Reverse(counter));
    }
    seen.truncate(MAX_CONTEXT);
    // Nothing that was cut ever becomes whole again.
    if replaced.iter().any(|op| is_cut(op.1)) && seen.len() < MAX_CONTEXT {
        seen.push(CUT);
    }
    seen
}
