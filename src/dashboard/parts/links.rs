//! Living members that cannot be reached directly: what a cut in one direction, or a closed port between two, looks like.

use super::{UNLINKED_FACT, of_state, others};
use crate::core::causality::Origin;
use crate::core::membership::State;
use crate::dashboard::answer::ago;
use crate::dashboard::limits::{UNLINKED_LONG_MS, UNLINKED_MS, UNLINKED_TOLD};
use crate::mesh::observe::{Gathered, MemberView};

/// A living member without a link, and for how long (ms).
pub(in crate::dashboard) struct Unlinked<'a> {
    pub member: &'a MemberView,
    /// `None`: this node has a link, the other says that it has none.
    pub for_ms: Option<u64>,
}

impl Unlinked<'_> {
    /// How bad that is by now.
    pub fn severity(&self) -> &'static str {
        match self.for_ms {
            Some(ms) if ms < UNLINKED_MS => "info",
            Some(ms) if ms >= UNLINKED_LONG_MS => "critical",
            // That of the other is told once it has lasted.
            _ => "warning",
        }
    }

    /// In words.
    pub fn says(&self) -> String {
        let node = &self.member.node;
        match self.for_ms {
            Some(ms) if ms < UNLINKED_MS => format!("no link yet with {node}"),
            Some(ms) => format!("no link with {node} for {}, though others hear it", ago(ms)),
            None => format!("{node} says that it has no link with this node"),
        }
    }
}

fn one<'a>(seen: &Gathered, member: &'a MemberView) -> Option<Unlinked<'a>> {
    let own = short(seen.origin);
    let told = member.metadata.get(UNLINKED_FACT).is_some_and(|told| told.split(' ').any(|life| life == own));
    let for_ms = seen.mono_ms.saturating_sub(member.unlinked_mono_ms.unwrap_or(seen.mono_ms));
    let for_ms = (!member.linked).then_some(for_ms);
    (for_ms.is_some() || told).then_some(Unlinked { member, for_ms })
}

/// All of them, the longest first.
pub(in crate::dashboard) fn unlinked(seen: &Gathered) -> Vec<Unlinked<'_>> {
    // A suspect is told of as that.
    let mut all: Vec<Unlinked<'_>> =
        of_state(seen, State::Alive).into_iter().filter_map(|member| one(seen, member)).collect();
    all.sort_by_key(|u| std::cmp::Reverse(u.for_ms));
    all
}

/// What this node publishes: those that it has had no link with for long.
pub(in crate::dashboard) fn told_unlinked(seen: &Gathered) -> String {
    let lasting = others(seen).filter(|m| {
        m.state == State::Alive && m.unlinked_mono_ms.is_some_and(|at| seen.mono_ms >= at + UNLINKED_MS)
    });
    lasting.take(UNLINKED_TOLD).map(|m| short(m.origin)).collect::<Vec<_>>().join(" ")
}

/// Enough of a life to tell it from others.
fn short(origin: Origin) -> String {
    origin.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::parts::mesh::verdict;
    use crate::dashboard::testkit::synthetic;

    fn without_link(for_ms: u64) -> Gathered {
        let mut seen = synthetic(3);
        seen.members[2].linked = false;
        seen.members[2].unlinked_mono_ms = Some(seen.mono_ms - for_ms);
        seen
    }

    #[test]
    fn a_link_that_does_not_come_is_news_then_a_warning_then_critical() {
        let said = |for_ms| {
            let seen = without_link(for_ms);
            let said = verdict(&seen);
            (said.word, said.severity, said.evidence[0].clone(), told_unlinked(&seen).is_empty())
        };
        let (word, severity, evidence, untold) = said(2_000);
        assert_eq!((word, severity, untold), ("catching up", "info", true));
        assert!(evidence.contains("no link yet with n2"), "{evidence}");
        let (word, severity, evidence, untold) = said(UNLINKED_MS);
        assert_eq!((word, severity, untold), ("degraded", "warning", false));
        assert!(evidence.contains("no link with n2 for 10 s") && !evidence.contains("yet"), "{evidence}");
        let (word, severity, ..) = said(UNLINKED_LONG_MS);
        assert_eq!((word, severity), ("degraded", "critical"));
    }

    #[test]
    fn the_far_side_says_it_too() {
        let mut far = synthetic(3);
        assert_eq!(verdict(&far).word, "converged");
        // n1's lives all begin with these digits, as the invented mesh has them: another's word of another is none.
        far.members[1].metadata.insert(UNLINKED_FACT.into(), "00000000".into());
        assert_eq!(verdict(&far).word, "converged");
        far.members[1].metadata.insert(UNLINKED_FACT.into(), format!("00000000 {}", short(far.origin)));
        let said = verdict(&far);
        assert_eq!((said.word, said.severity), ("degraded", "warning"));
        assert!(
            said.evidence[0].contains("n1 says that it has no link with this node"),
            "{:?}",
            said.evidence
        );
    }

    #[test]
    fn what_is_published_is_bounded() {
        let mut seen = synthetic(64);
        for member in &mut seen.members[1..] {
            (member.linked, member.unlinked_mono_ms) = (false, Some(seen.mono_ms - UNLINKED_MS));
        }
        assert_eq!(told_unlinked(&seen).split(' ').count(), UNLINKED_TOLD);
    }
}
