//! Members that are out of reach: missing until they return, leave, are superseded, or an operator forgets them.
//!
//! Missing is who was linked here, or is vouched for by a peer that completed a round with it, and said no goodbye.
//! Somebody merely heard of is nobody after a while: a made-up member must not hold up anything for ever. A **forgotten**
//! life is marked gone by value; it is refused a link, and should it live on it begins a new life before anything of it
//! is taken in (`docs/ALGORITHM.md` §8).

use std::collections::{BTreeMap, BTreeSet};

use super::{Gravity, Node, Output};
use crate::causality::Origin;
use crate::limits::{
    MAX_GONE_MARKS, MAX_MEMBERS, MAX_TOLD_FORGOTTEN, MAX_TOLD_MEMBERS, MIN_FORGOTTEN_LIFE_MS,
    OWN_END_PROOF_MS,
};
use crate::marks::Mark;
use crate::replica::{GONE, gone_is_over};
use crate::time::Now;
use crate::wire::{Inc, Message};

/// The board's fact that names forgotten lives, so that it reaches everybody, and those who join later.
pub const GONE_FACT: &str = "gone";
/// The fact is written again this often (ms): a board begins anew with every life.
const TELL_AGAIN_MS: u64 = 10_000;

/// What this node knows of members beyond their freshness.
#[derive(Default)]
pub(super) struct Absent {
    /// Lives that were linked here, or vouched for by a peer.
    met: BTreeSet<Origin>,
    /// Lives merely heard of, since when (monotonic ms).
    heard: BTreeMap<Origin, u64>,
    /// Lives merely heard of that were waited for long enough, and when they were last heard of (monotonic ms).
    nobody: BTreeMap<Origin, u64>,
    /// Lives that operators declared over, and until when the mark is kept (wall ms).
    forgotten: BTreeMap<Origin, u64>,
    told_ms: u64,
    /// No new life because of a forgotten one before this (monotonic ms).
    next_life_ms: u64,
    /// Since when peers' vectors have called this life over (monotonic ms).
    called_over_ms: Option<u64>,
    /// Whether this node is on its way out: then its own end is no news.
    pub leaving: bool,
    /// Whether the board has listed this life, and whether it does now: another process under the name takes its place.
    pub on_board: (bool, bool),
    returned: u64,
}

impl Absent {
    /// Whether there is somebody whom an operator declared over.
    pub fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Whether this life was heard of for long, and never met.
    pub fn is_nobody(&self, life: Origin) -> bool {
        self.nobody.contains_key(&life)
    }
}

impl Node {
    /// Members that are out of reach and may return.
    pub fn missing(&self) -> impl Iterator<Item = Origin> + '_ {
        let out = |m: &Origin, v: u64| {
            v & GONE == 0 && *m != self.origin && !self.peers.contains_key(m) && !self.past.contains(m)
        };
        let met = |m: &Origin, v: u64| v > 0 || self.absent.met.contains(m);
        let by_time = |m: &Origin| mutant!(MissingForgottenByTime) && !self.members.contains(m);
        self.inc.iter().filter(move |&(m, v)| out(m, *v) && met(m, *v) && !by_time(m)).map(|(m, _)| *m)
    }

    /// Whether this node regards a life as over.
    pub fn is_gone(&self, life: Origin) -> bool {
        self.inc.get(&life).is_some_and(|v| v & GONE != 0)
    }

    /// Whether an operator declared this life over.
    pub fn is_forgotten(&self, life: Origin) -> bool {
        self.absent.forgotten.contains_key(&life)
    }

    /// Lives that operators declared over, as far as this node tells of them.
    pub fn forgotten_lives(&self) -> impl Iterator<Item = Origin> + '_ {
        self.absent.forgotten.keys().copied()
    }

    /// Somebody was linked here, or a peer has completed a round with it.
    pub(super) fn met(&mut self, member: Origin) {
        self.absent.met.insert(member);
        self.absent.heard.remove(&member);
        self.absent.nobody.remove(&member);
    }

    /// Of members never heard of, as many as there is room for: a peer can make up any number.
    fn admit_told(&mut self, now: Now, by: Origin, inc: &mut Inc) {
        let over = self.inc.values().filter(|v| **v & GONE != 0).count();
        let mut room =
            (MAX_TOLD_MEMBERS.saturating_sub(self.inc.len() - over), MAX_GONE_MARKS.saturating_sub(over));
        let (told, known) = (inc.len(), &self.inc);
        inc.retain(|(member, value)| {
            let room = if value & GONE != 0 { &mut room.1 } else { &mut room.0 };
            let fits = known.contains_key(member) || *room > 0;
            *room = room.saturating_sub(usize::from(fits && !known.contains_key(member)));
            fits
        });
        let dropped = told - inc.len();
        if dropped > 0 {
            self.marks.hit(Mark::MembersBeyondBound);
            let text = format!(
                "tells of {dropped} members more than are taken in ({MAX_TOLD_MEMBERS}, {MAX_GONE_MARKS} of them over)"
            );
            self.warn_of(now, by, "members", text.clone());
            self.fault(by, Gravity::Strange, text);
        }
    }

    /// Leaves out what says nothing: marks that have served their time, which would come back for ever, and members
    /// that nobody ever met.
    pub(super) fn drop_served(&mut self, now: Now, by: Origin, inc: &mut Inc) {
        self.admit_told(now, by, inc);
        let told = inc.len();
        inc.retain(|(_, v)| !gone_is_over(*v, now.wall_ms, &self.limits));
        if inc.len() < told {
            self.marks.hit(Mark::GoneMarkIgnored);
        }
        let own = self.origin;
        let vouched: Vec<Origin> = inc.iter().filter(|(_, v)| *v > 0 && v & GONE == 0).map(|e| e.0).collect();
        vouched.into_iter().filter(|m| *m != own).for_each(|member| self.met(member));
        let nobody = &mut self.absent.nobody;
        inc.retain(|(member, value)| match nobody.get_mut(member) {
            Some(heard_ms) if *value == 0 => {
                *heard_ms = now.mono_ms;
                false
            }
            _ => true,
        });
        // Nobody has incorporated what is not written yet. Such a word would stand for ever, since the greatest wins,
        // and every session that is idle here would pass for stable: less is known than it says, and that is safe.
        let (wall_ms, drift_ms) = (now.wall_ms, self.limits.max_drift_ms);
        let until_most = wall_ms + self.limits.max_lifetime_ms + 2 * drift_ms;
        for (_, value) in inc {
            let most = if *value & GONE == 0 { wall_ms + drift_ms } else { GONE | until_most };
            *value = (*value).min(most);
        }
    }

    /// Lets go of members that were merely heard of: as long as an expired session waits for anybody.
    pub(super) fn forget_nobodies(&mut self, now: Now) {
        let wait_ms = self.limits.expire_wait_ms;
        let known = |m: &Origin, v: u64| {
            v > 0 || self.absent.met.contains(m) || self.members.contains(m) || *m == self.origin
        };
        let idle: Vec<Origin> = self.inc.iter().filter(|&(m, v)| !known(m, *v)).map(|(m, _)| *m).collect();
        self.absent.heard.retain(|member, _| idle.contains(member));
        for member in idle {
            let since_ms = *self.absent.heard.entry(member).or_insert(now.mono_ms);
            if now.mono_ms >= since_ms + wait_ms {
                self.absent.heard.remove(&member);
                self.inc.remove(&member);
                if self.absent.nobody.len() < MAX_MEMBERS {
                    self.absent.nobody.insert(member, now.mono_ms);
                }
                (0..self.limits.partitions)
                    .for_each(|ix| self.replica.locked(ix, |p| p.forget_nobody(member)));
            }
        }
        self.absent.nobody.retain(|_, heard_ms| now.mono_ms < *heard_ms + 2 * wait_ms);
        let inc = &self.inc;
        self.absent.met.retain(|member| inc.contains_key(member));
    }

    /// An operator's decision: this life will not return. `by` is the member that told of it, if it was decided elsewhere.
    pub(super) fn forget(&mut self, now: Now, life: Origin, by: Option<Origin>) {
        if life == self.origin || self.past.contains(&life) || self.absent.forgotten.contains_key(&life) {
            return;
        }
        let until_ms = now.wall_ms + self.limits.max_lifetime_ms + self.limits.max_drift_ms;
        if self.absent.forgotten.len() == MAX_TOLD_FORGOTTEN {
            let oldest = self.absent.forgotten.iter().min_by_key(|(_, until)| **until).map(|(m, _)| *m);
            oldest.map(|m| self.absent.forgotten.remove(&m));
        }
        self.absent.forgotten.insert(life, until_ms);
        self.gone(now, life);
        self.stats.forgotten += 1;
        self.outputs.push_back(Output::Forgotten { life, by });
        if self.peers.contains_key(&life) {
            // It hears why when it dials.
            let why = "its life was declared over: it may return under a new one".into();
            self.outputs.push_back(Output::CloseLink { peer: life, why });
        }
        self.tell_forgotten(now);
    }

    fn tell_forgotten(&mut self, now: Now) {
        self.absent.told_ms = now.mono_ms;
        let names: Vec<String> = self.absent.forgotten.keys().map(|m| format!("{:032x}", m.0)).collect();
        self.outputs.push_back(Output::Publish { key: GONE_FACT, value: names.join(" ") });
    }

    /// A member has written on the board who was forgotten.
    pub(super) fn hear_forgotten(&mut self, now: Now, by: Origin, value: &str) {
        if self.is_gone(by) {
            return;
        }
        let named = value.split(' ').take(MAX_TOLD_FORGOTTEN);
        let lives: Vec<Origin> =
            named.filter_map(|hex| u128::from_str_radix(hex, 16).ok().map(Origin)).collect();
        for life in lives {
            if life == self.origin {
                self.called_gone(now, by);
            } else {
                self.forget(now, life, Some(by));
            }
        }
    }

    /// Marks of forgotten lives end with their time; until then the board goes on saying so. And what came back.
    pub(super) fn look_after_absent(&mut self, now: Now) {
        self.forget_nobodies(now);
        let held = self.absent.forgotten.len();
        self.absent.forgotten.retain(|_, until_ms| *until_ms >= now.wall_ms);
        let over = self.absent.forgotten.len() < held;
        let due = !self.absent.forgotten.is_empty() && now.mono_ms >= self.absent.told_ms + TELL_AGAIN_MS;
        if over || due {
            self.tell_forgotten(now);
        }
        let returned = self.replica.counts().returned;
        let news = returned.saturating_sub(std::mem::replace(&mut self.absent.returned, returned));
        if news > 0 {
            self.warn(format!(
                "{news} sessions that had expired and gone here are back from a member that still used them: \
                 fields of theirs may be older than what was last written here"
            ));
        }
    }

    /// Whether a message says that this very life is over. Before anything else of it counts, a new life begins: what
    /// this one keeps alive would be reaped elsewhere, and its freshness is waited for by nobody.
    pub(super) fn hears_own_end(&mut self, now: Now, peer: Origin, message: &Message<'_>) -> bool {
        let inc = match message {
            Message::Equal(equal) => &equal.inc,
            Message::Unequal(unequal) => &unequal.inc,
            Message::Page(page) => &page.header.inc,
            _ => return false,
        };
        let over =
            |v: u64| v & GONE != 0 && !gone_is_over(v, now.wall_ms, &self.limits) && !mutant!(OwnEndUnheard);
        if !inc.iter().any(|&(m, v)| m == self.origin && over(v)) || self.ends_anyway() {
            return false;
        }
        // Nothing says why: another process may have taken this node's name, and then this one must not outlive it.
        let since_ms = *self.absent.called_over_ms.get_or_insert(now.mono_ms);
        if now.mono_ms >= since_ms + OWN_END_PROOF_MS {
            self.called_gone(now, peer);
        }
        true
    }

    /// Whether this process is on its way out, or another has its name.
    fn ends_anyway(&self) -> bool {
        self.absent.leaving || self.absent.on_board.0 && !self.absent.on_board.1
    }

    /// A peer holds this very life for over.
    pub(super) fn called_gone(&mut self, now: Now, peer: Origin) {
        if self.ends_anyway() {
            return;
        }
        if now.mono_ms >= self.absent.next_life_ms {
            self.absent.next_life_ms = now.mono_ms + MIN_FORGOTTEN_LIFE_MS;
            self.absent.called_over_ms = None;
            let old = self.origin;
            let why = format!("peer {peer} holds the one before for over: what is here stays");
            self.new_life(now, Mark::NewLifeForgotten, &why);
            self.gone(now, old);
            if !self.absent.forgotten.is_empty() {
                self.tell_forgotten(now);
            }
        } else if self.peers.contains_key(&peer) {
            let why = "it holds this life for over, and the last one began a moment ago".into();
            self.outputs.push_back(Output::CloseLink { peer, why });
        }
    }
}
