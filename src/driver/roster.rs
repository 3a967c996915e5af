//! The roster as others read it: the detector's verdicts joined with what the board says of each member.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::engine::Engine;
use super::observe::NoteKind;
use super::shared::MemberView;
use crate::core::causality::Origin;
use crate::core::membership::{Change, State};
use crate::discovery::Member;
use crate::limits::MAX_NAMES;

impl Engine {
    /// A verdict of the failure detector.
    pub(super) fn member_changed(&mut self, change: Change) {
        let Change { member, state, incarnation, why } = change;
        let peer = self.name_of(member);
        let why = self.named(&why.to_string());
        if self.may_log(member) {
            match state {
                State::Suspect | State::Dead => {
                    warn!(node = self.config.node, peer, incarnation, "{}: {why}", state.word());
                }
                State::Alive | State::Left => {
                    info!(node = self.config.node, peer, incarnation, "{}: {why}", state.word());
                }
            }
        }
        if state == State::Dead {
            // Ends what waits for it. Dialling goes on: the next link shows that it is back.
            self.life.transport.disconnect(member, "declared dead");
        }
        self.publish_members();
        self.note(NoteKind::Member(state), Some(member), || format!("incarnation {incarnation}: {why}"));
    }

    /// Whether a line may be logged about a member now; how many were not is told once a minute.
    pub(super) fn may_log(&mut self, about: Origin) -> bool {
        let now_ms = self.shared.clock.now().mono_ms;
        let (may, left_out) = self.lines.line(now_ms, about);
        if left_out > 0 {
            warn!(
                node = self.config.node,
                "{left_out} more lines about members were left out in the last minute"
            );
        }
        may
    }

    pub(super) fn name_of(&self, origin: Origin) -> String {
        let member = self.members.iter().find(|m| m.origin == origin);
        let named = member.map(|m| m.node.clone()).or_else(|| self.remembered_name(origin));
        let named = named.or_else(|| self.names.get(&origin.to_string()).cloned());
        named.unwrap_or_else(|| format!("life {origin}"))
    }

    pub(super) fn publish_members(&mut self) {
        let backlog: BTreeMap<Origin, usize> =
            self.node.backlog().map(|(o, dirty, out)| (o, dirty + usize::from(out))).collect();
        let now_ms = self.shared.clock.now().mono_ms;
        let listed = self.members.iter().filter(|m| !self.node.is_forgotten(m.origin));
        let views = listed.map(|m| MemberView {
            linked: self.links.contains_key(&m.origin) || m.node == self.config.node,
            wall_offset_ms: self.links.get(&m.origin).map_or(0, |l| l.1),
            backlog_partitions: backlog.get(&m.origin).copied().unwrap_or(0),
            ..self.judged(m, now_ms)
        });
        let mut views: Vec<MemberView> = views.chain(self.unlisted(now_ms)).collect();
        views.sort_by(|a, b| a.node.cmp(&b.node));
        self.time_unlinked(&mut views, now_ms);
        *self.shared.members.write() = views;
        self.shared.members_changed.send_modify(|n| *n += 1);
    }

    /// Notes since when each of these answers without a link.
    fn time_unlinked(&mut self, views: &mut [MemberView], now_ms: u64) {
        let unlinked = |m: &&mut MemberView| m.state.is_living() && !m.linked;
        let before = std::mem::take(&mut self.unlinked);
        for member in views.iter_mut().filter(unlinked) {
            let since_ms = before.get(&member.origin).copied().unwrap_or(now_ms);
            member.unlinked_mono_ms = Some(since_ms);
            self.unlinked.insert(member.origin, since_ms);
        }
    }

    /// A member as the roster has it; as the board has it where the roster does not, as for this node itself.
    pub(super) fn judged(&self, member: &Member, now_ms: u64) -> MemberView {
        let detector = self.node.detector();
        let own = member.origin == self.node.origin();
        let known = detector.and_then(|d| d.members().get(&member.origin)).filter(|_| !member.left);
        let (state, why) = match known {
            Some(known) => (known.state, known.why.to_string()),
            None if member.left => (State::Left, "it said goodbye".into()),
            None if own => (State::Alive, "this node".into()),
            None => (if member.alive { State::Alive } else { State::Dead }, "on the board".into()),
        };
        let suspicion = known.and_then(|k| k.suspicion.as_ref());
        let closes_ms = suspicion
            .zip(detector)
            .map(|(s, d)| s.closes_ms(&self.config.membership, d.living() + 1) + d.lag_ms());
        MemberView {
            node: member.node.clone(),
            origin: member.origin,
            addr: member.addr,
            state,
            why,
            since_ms: known.map_or(0, |k| now_ms.saturating_sub(k.since_ms)),
            incarnation: match own {
                true => detector.map_or(0, |d| d.incarnation()),
                false => known.map_or(0, |k| k.incarnation),
            },
            accusers: suspicion.map_or(Vec::new(), |s| s.accusers().map(|o| self.name_of(o)).collect()),
            since_mono_ms: known.map(|k| k.since_ms),
            dead_mono_ms: closes_ms,
            dead_in_ms: closes_ms.map(|at| at.saturating_sub(now_ms)),
            rtt_ms: known.and_then(|k| k.rtt.smoothed_ms()),
            linked: false,
            unlinked_mono_ms: None,
            wall_offset_ms: 0,
            backlog_partitions: 0,
            metadata: member.metadata.clone(),
        }
    }
}

impl Engine {
    /// A sentence of the core with names where it says lives, as far as they are known.
    pub(super) fn named(&self, text: &str) -> String {
        let named = self.names.iter().filter(|(origin, _)| text.contains(origin.as_str()));
        named.fold(text.to_owned(), |text, (origin, node)| text.replace(origin.as_str(), node))
    }

    /// Shows why the node serves or does not, as it is now.
    pub(super) fn publish_reason(&self) {
        let reason = self.named(self.node.phase_reason());
        self.shared.serving.send_if_modified(|held| {
            let changed = held.1 != reason;
            if changed {
                held.1 = reason;
            }
            changed
        });
    }

    /// Remembers the name of a life that is linked: the board may list it later.
    pub(super) fn learn_name(&mut self, origin: Origin, node: &str) {
        if self.names.len() > MAX_NAMES {
            self.names.clear();
        }
        self.names.insert(origin.to_string(), node.to_owned());
    }

    /// Remembers the names of lives: a sentence may tell of one that is on no list any more.
    pub(super) fn learn_names(&mut self) {
        let news: Vec<(String, String)> =
            self.members.iter().map(|m| (m.origin.to_string(), m.node.clone())).collect();
        if self.names.len() > MAX_NAMES {
            self.names.clear();
        }
        self.names.extend(news);
    }
}
