//! The mesh in one word, with its evidence.

use serde_json::{Value, json};

use super::{URL_FACT, known_islands, names, of_state, others, unanswered_seeds, unlinked};
use crate::core::membership::State;
use crate::core::replica::Serving;
use crate::dashboard::answer::{ago, count};
use crate::dashboard::limits::{CATCH_UP_MS, MEMBERS};
use crate::dashboard::parts::Past;
use crate::dashboard::parts::links::Unlinked;
use crate::mesh::observe::{Gathered, MemberView};

/// One word, how bad it is, and why that word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Verdict {
    pub word: &'static str,
    pub severity: &'static str,
    pub evidence: Vec<String>,
}

fn say(word: &'static str, severity: &'static str, evidence: Vec<String>) -> Verdict {
    Verdict { word, severity, evidence }
}

/// The word for what this node sees.
pub(in crate::dashboard) fn verdict(seen: &Gathered) -> Verdict {
    if let Some(why) = &seen.stopped {
        return say("stopped", "critical", vec![why.to_string()]);
    }
    let dead = of_state(seen, State::Dead);
    let living = others(seen).filter(|m| m.state.is_living()).count();
    if dead.len() >= 2 || (living == 0 && !dead.is_empty()) {
        return say("split", "critical", silence(seen, &dead, living));
    }
    match seen.serving {
        Serving::Joining => return say("joining", "warning", vec![seen.reason.clone()]),
        Serving::Fenced => return say("fenced", "critical", vec![seen.reason.clone()]),
        Serving::Ready => {}
    }
    let suspects = of_state(seen, State::Suspect);
    if !dead.is_empty() || !suspects.is_empty() {
        let mut evidence = if dead.is_empty() { Vec::new() } else { silence(seen, &dead, living) };
        evidence.extend(suspects.iter().map(|m| format!("{} is suspect: {}", m.node, m.why)));
        return say("degraded", "warning", evidence);
    }
    if living == 0 {
        let mut evidence = vec!["no other member is known".into()];
        let unanswered = unanswered_seeds(seen);
        let severity = if unanswered.is_empty() { "info" } else { "warning" };
        evidence
            .extend((!unanswered.is_empty()).then(|| format!("no seed answers: {}", unanswered.join(", "))));
        return say("alone", severity, evidence);
    }
    let unreached = unlinked(seen);
    if unreached.iter().any(|u| u.severity() != "info") {
        let critical = unreached.iter().any(|u| u.severity() == "critical");
        let evidence = unreached.iter().map(Unlinked::says).collect();
        return say("degraded", if critical { "critical" } else { "warning" }, evidence);
    }
    let behind = behind(seen);
    if !behind.is_empty() {
        return say("catching up", "info", behind);
    }
    say("converged", "ok", agreement(seen, living))
}

/// Why members are thought to be silent, and what that can mean.
fn silence(seen: &Gathered, dead: &[&MemberView], living: usize) -> Vec<String> {
    let all = 1 + living + dead.len();
    let mut evidence = vec![match dead {
        [one] => format!("{} of {all} is silent: {}. A crash and a cut look alike from here", 1, one.node),
        _ => format!("{} of {all} members are silent: {}", dead.len(), names(dead)),
    }];
    if let Some(last) = dead.iter().filter_map(|m| m.since_mono_ms).max() {
        let ms = seen.mono_ms.saturating_sub(last);
        evidence.push(format!("the last of them was given up {} ago", ago(ms)));
    }
    evidence.push(match living {
        0 => "nobody answers this node".into(),
        n => format!("{} with this node", count(n, "member answers and is", "members answer and are")),
    });
    evidence
}

/// Who lacks what; empty if nobody is known to lack anything.
fn behind(seen: &Gathered) -> Vec<String> {
    let mut why = Vec::new();
    why.extend(unlinked(seen).iter().map(Unlinked::says));
    let Some(observed) = &seen.observed else {
        why.push("nothing was compared yet: this dashboard has just begun".into());
        return why;
    };
    let living = || others(seen).filter(|m| m.state.is_living() && m.linked);
    for member in living() {
        let Some(compared) = observed.compared.get(&member.origin) else { continue };
        if compared.differing > 0 && compared.at_ms.saturating_sub(compared.equal_at_ms) > CATCH_UP_MS {
            let differing = count(usize::from(compared.differing), "partition", "partitions");
            why.push(format!("{differing} differ between this node and {}", member.node));
        }
    }
    let compared = living().filter(|m| observed.compared.contains_key(&m.origin)).count();
    if compared == 0 && living().next().is_some() {
        why.push("nothing was compared with any member yet".into());
    }
    why
}

/// Why the mesh is thought to be whole.
fn agreement(seen: &Gathered, living: usize) -> Vec<String> {
    let mut evidence = vec![format!("all {} members answer", living + 1)];
    if let Some(observed) = &seen.observed {
        let of = others(seen).filter(|m| m.state.is_living());
        let equal = of.filter_map(|m| observed.compared.get(&m.origin)).filter(|c| c.equal_at_ms > 0);
        let at: Vec<u64> = equal.map(|c| c.equal_at_ms).collect();
        if let Some(oldest) = at.iter().min() {
            let age = ago(seen.wall_ms.saturating_sub(*oldest));
            evidence.push(format!("{} of {living} others were found equal within the last {age}", at.len()));
        }
    }
    evidence
}

/// The part.
pub(super) fn body(seen: &Gathered, past: &Past) -> Value {
    let Verdict { word, severity, evidence } = verdict(seen);
    let in_state = |state| seen.members.iter().filter(|m| m.state == state).count();
    // A node that has just begun may not be on its own list yet.
    let unlisted = usize::from(!seen.members.iter().any(|m| m.origin == seen.origin));
    let counts = seen.counts;
    let dashboards = seen.members.iter().take(MEMBERS);
    let dashboards =
        dashboards.filter_map(|m| Some(json!({ "node": m.node, "url": m.metadata.get(URL_FACT)? })));
    json!({
        "word": word,
        "severity": severity,
        "evidence": evidence,
        "serving": if seen.stopped.is_some() { "stopped" } else { seen.serving.word() },
        "reason": seen.reason,
        "version": env!("CARGO_PKG_VERSION"),
        // The monotonic clock starts at a minute.
        "started_at_ms": seen.started_wall_ms,
        "members": {
            "alive": in_state(State::Alive) + unlisted,
            "suspect": in_state(State::Suspect),
            "dead": in_state(State::Dead),
            "left": in_state(State::Left),
        },
        "islands": known_islands(seen),
        "sessions": counts.sessions.saturating_sub(counts.expired_retained + counts.stubs),
        "expired_retained": counts.expired_retained + counts.stubs,
        "tombstones": counts.tombstones,
        "record_bytes": seen.record_bytes,
        "max_memory_bytes": (seen.max_memory_bytes < u64::MAX).then_some(seen.max_memory_bytes),
        "conflicts_total": counts.conflicts,
        "overwrites_unlabelled_total": counts.unlabelled,
        "unreplicated_total": seen.unreplicated,
        "backlog_partitions": seen.backlog,
        "permissions": { "values": past.values, "actions": false },
        "dashboards": dashboards.collect::<Vec<Value>>(),
    })
}
