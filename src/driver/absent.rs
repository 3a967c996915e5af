//! Who is out of reach, by name: kept when the board has forgotten it, until it returns or an operator does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::warn;

use super::engine::Engine;
use super::observe::NoteKind;
use super::shared::{ForgetError, MemberView};
use crate::core::causality::Origin;
use crate::core::limits::MAX_MEMBERS;
use crate::core::membership::State;
use crate::core::node::Input;
use crate::discovery::Member;
use crate::limits::MAX_NAMED;
use crate::transport::PeerInfo;

/// The board's fact that names missing members: a node that joins later hears of lives only.
const MISSING_FACT: &str = "missing";
/// Lives that are over, shared with the transport, which refuses them.
pub(super) type Over = Arc<RwLock<BTreeSet<Origin>>>;

/// What is remembered of members beyond the board.
#[derive(Default)]
pub(super) struct Remembered {
    /// As the board, or a member, had them last, and when (monotonic ms).
    members: BTreeMap<Origin, (Member, u64)>,
    /// What was written on the board last.
    told: String,
    pub over: Over,
}

impl Remembered {
    /// A new life has a board of its own.
    pub fn told_again(&mut self) {
        self.told.clear();
    }
}

impl Engine {
    /// Keeps what the board says of members, and what others say of those it has forgotten.
    pub(super) fn remember(&mut self, listed: &[Member]) {
        let now_ms = self.shared.clock.now().mono_ms;
        let own = self.node.origin();
        for member in listed.iter().filter(|m| m.origin != own && !m.left) {
            if self.remembered.members.len() < MAX_MEMBERS
                || self.remembered.members.contains_key(&member.origin)
            {
                self.remembered.members.insert(member.origin, (member.clone(), now_ms));
            }
        }
        let named: Vec<Member> = listed
            .iter()
            .filter_map(|m| m.facts.get(MISSING_FACT))
            .flat_map(|text| read_missing(text))
            .collect();
        for member in named {
            if self.remembered.members.len() < MAX_MEMBERS && member.origin != own {
                self.remembered.members.entry(member.origin).or_insert((member, now_ms));
            }
        }
    }

    /// Keeps the name that a life gave itself when it was linked: the board may never get to list it.
    pub(super) fn remember_linked(&mut self, peer: &PeerInfo) {
        let now_ms = self.shared.clock.now().mono_ms;
        let member = Member {
            node: peer.node.clone(),
            origin: peer.origin,
            generation: peer.generation,
            addr: peer.addr,
            alive: true,
            left: false,
            metadata: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        if self.remembered.members.len() < MAX_MEMBERS {
            self.remembered.members.entry(peer.origin).or_insert((member, now_ms));
        }
    }

    /// Lets go of whoever is neither listed nor missing, names the missing to others, and the transport who is over.
    pub(super) fn look_after_missing(&mut self) {
        let over: BTreeSet<Origin> = self.node.forgotten_lives().collect();
        if *self.remembered.over.read() != over {
            *self.remembered.over.write() = over;
        }
        self.end_superseded();
        let missing: BTreeSet<Origin> = self.node.missing().collect();
        let listed: BTreeSet<Origin> = self.members.iter().map(|m| m.origin).collect();
        let links: BTreeSet<Origin> = self.links.keys().copied().collect();
        let named = |m: &Origin| listed.contains(m) || missing.contains(m) || links.contains(m);
        self.remembered.members.retain(|origin, _| named(origin));
        let unlisted = missing.iter().filter_map(|m| self.remembered.members.get(m)).take(MAX_NAMED);
        let lines: Vec<String> = unlisted.map(|(m, _)| write_missing(m)).collect();
        let text = lines.join("\n");
        if text != self.remembered.told {
            self.life.discovery.publish_fact(MISSING_FACT, text.clone());
            self.remembered.told = text;
        }
    }

    /// A missing life whose name another one gave itself when it was linked was replaced while nobody here saw it.
    fn end_superseded(&mut self) {
        let replaced = |life: &Origin| {
            let name = self.remembered_name(*life);
            let linked = self.links.keys().filter(|linked| *linked != life);
            name.is_some() && linked.into_iter().any(|linked| self.remembered_name(*linked) == name)
        };
        let over: Vec<Origin> = self.node.missing().filter(replaced).collect();
        over.into_iter().for_each(|life| self.input(Input::Gone(life)));
    }

    /// Missing members that the board lists no more.
    pub(super) fn unlisted(&self, now_ms: u64) -> Vec<MemberView> {
        let listed = |origin: &Origin| self.members.iter().any(|m| m.origin == *origin);
        let missing: Vec<Origin> = self.node.missing().filter(|m| !listed(m)).take(MAX_MEMBERS).collect();
        missing.into_iter().map(|origin| self.missing_view(origin, now_ms)).collect()
    }

    fn missing_view(&self, origin: Origin, now_ms: u64) -> MemberView {
        let nameless = || Member {
            node: format!("life {origin}"),
            origin,
            generation: 0,
            addr: ([0, 0, 0, 0], 0).into(),
            alive: false,
            left: false,
            facts: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        let (member, seen_ms) =
            self.remembered.members.get(&origin).cloned().unwrap_or_else(|| (nameless(), now_ms));
        let view = self.judged(&member, now_ms);
        MemberView {
            state: State::Dead,
            why:
                "it is out of reach and said no goodbye: missing until it returns, or an operator forgets it"
                    .into(),
            since_ms: if view.since_ms > 0 { view.since_ms } else { now_ms.saturating_sub(seen_ms) },
            since_mono_ms: view.since_mono_ms.or(Some(seen_ms)),
            ..view
        }
    }

    /// An operator's decision about a member by its name, or by the beginning of its life's.
    pub(super) fn forget(&mut self, node: &str) -> Result<Vec<Origin>, ForgetError> {
        if node == self.config.node {
            return Err(ForgetError::Itself);
        }
        self.publish_members();
        let views = self.shared.members.read().clone();
        let of_life = |m: &MemberView| node.len() >= 8 && format!("{:032x}", m.origin.0).starts_with(node);
        let named: Vec<&MemberView> = views.iter().filter(|m| m.node == node || of_life(m)).collect();
        if let Some(living) = named.iter().find(|m| m.linked || m.state.is_living()) {
            return Err(ForgetError::Alive { node: living.node.clone(), state: living.state.word() });
        }
        if named.iter().any(|m| m.state == State::Left) {
            return Err(ForgetError::Left { node: node.into() });
        }
        let lives: Vec<Origin> = named.iter().map(|m| m.origin).collect();
        if lives.is_empty() {
            return Err(ForgetError::Unknown { node: node.into() });
        }
        lives.iter().for_each(|life| self.input(Input::Forget(*life)));
        self.look_after_missing();
        self.publish_members();
        Ok(lives)
    }

    /// A life was declared over: here, or where `by` heard it.
    pub(super) fn forgotten(&mut self, life: Origin, by: Option<Origin>) {
        let (node, by) = (self.name_of(life), by.map(|by| self.name_of(by)));
        let whose = by.map_or("here".into(), |by| format!("at another member, told by {by}"));
        warn!(node = self.config.node, peer = node, %life, "forgotten by an operator {whose}: nothing waits for it now");
        self.note(NoteKind::Forgotten, Some(life), || format!("declared over by an operator {whose}"));
        self.publish_members();
    }

    /// The name under which a member is remembered.
    pub(super) fn remembered_name(&self, origin: Origin) -> Option<String> {
        self.remembered.members.get(&origin).map(|(m, _)| m.node.clone())
    }
}

fn write_missing(member: &Member) -> String {
    format!("{:032x} {} {}", member.origin.0, member.addr, member.node)
}

fn read_missing(text: &str) -> Vec<Member> {
    let one = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let origin = Origin(u128::from_str_radix(words.next()?, 16).ok()?);
        let addr = words.next()?.parse().ok()?;
        let node = words.next().filter(|n| !n.is_empty() && !n.chars().any(char::is_control))?.to_owned();
        let (facts, metadata) = (BTreeMap::new(), BTreeMap::new());
        Some(Member { node, origin, generation: 0, addr, alive: false, left: false, facts, metadata })
    };
    text.lines().take(MAX_NAMED).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_missing_reads_back() {
        let text = "000000000000000000000000000000aa 10.0.0.1:7946 web 3\nnonsense\n0b [::1]:1 b";
        let read = read_missing(text);
        let told: Vec<(&str, u128)> = read.iter().map(|m| (m.node.as_str(), m.origin.0)).collect();
        assert_eq!(told, [("web 3", 0xaa), ("b", 0xb)]);
        assert_eq!(read_missing(&write_missing(&read[0])), read[..1]);
        assert!(read_missing("0b [::1]:1 ").is_empty());
    }
}
