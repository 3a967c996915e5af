//! Checks of this node and of what it sees, each with evidence and advice.

use serde_json::{Value, json};

use super::clocks::{Clocks, clocks};
use super::links::Unlinked;
use super::loss::share;
use super::{Past, names, of_state, others, unanswered_seeds, unlinked};
use crate::core::membership::State;
use crate::core::replica::Serving;
use crate::core::wall::Trust;
use crate::dashboard::answer::{ago, count};
use crate::dashboard::limits::RECENT_MS;
use crate::mesh::observe::{Faulty, Gathered, MemberView};

/// Partitions with unacknowledged writes that are no longer a burst.
const BACKLOG: u64 = 64;
/// Known incarnations near the ceiling of 400.
const MANY_INCARNATIONS: usize = 320;

/// Odd ones named in a title.
const NAMED: usize = 4;

/// Something to know or do.
struct Finding {
    severity: &'static str,
    title: String,
    evidence: String,
    advice: &'static str,
}

type Check = fn(&Gathered, &Past) -> Option<Finding>;

/// Every check by its stable name. docs/DASHBOARD.md lists them.
const CHECKS: [(&str, Check); 18] = [
    ("serving", serving),
    ("members_silent", members_silent),
    ("members_suspect", members_suspect),
    ("alone", alone),
    ("expiry_waits", expiry_waits),
    ("links", links),
    ("loss", loss),
    ("own_clock", own_clock),
    ("clock_offset", clock_offset),
    ("unreplicated_writes", unreplicated_writes),
    ("backlog", backlog),
    ("memory", memory),
    ("integrity", integrity),
    ("refused", refused),
    ("misbehaving", misbehaving),
    ("seeds", seeds),
    ("self_doubt", self_doubt),
    ("incarnations", incarnations),
];

fn rank(severity: &str) -> usize {
    ["critical", "warning", "info"].iter().position(|s| *s == severity).unwrap_or(3)
}

/// The part.
pub(super) fn body(seen: &Gathered, past: &Past) -> Value {
    let found = CHECKS.iter().filter_map(|(id, check)| Some((*id, check(seen, past)?)));
    let mut found: Vec<(&str, Finding)> = found.collect();
    found.sort_by_key(|(_, f)| rank(f.severity));
    let worst = found.first().map_or("ok", |(_, f)| f.severity);
    let one = |(id, f): (&str, Finding)| {
        json!({
            "id": id,
            "severity": f.severity,
            "title": f.title,
            "evidence": f.evidence,
            "advice": f.advice,
        })
    };
    json!({
        "worst": worst,
        "findings": found.into_iter().map(one).collect::<Vec<Value>>(),
        "checks": CHECKS.iter().map(|(id, _)| *id).collect::<Vec<&str>>(),
    })
}

fn serving(seen: &Gathered, _: &Past) -> Option<Finding> {
    let (severity, title, advice) = match (&seen.stopped, seen.serving) {
        (Some(_), _) => ("critical", "this node has stopped", "Start it again; read its log for the cause."),
        (None, Serving::Ready) => return None,
        (None, Serving::Joining) => (
            "warning",
            "this node does not serve yet",
            "Wait until it has everything. If it stands still: check seeds, secret and cluster name, and UDP both ways.",
        ),
        (None, Serving::Fenced) => (
            "critical",
            "this node is fenced",
            "Its process stood still, so it may have missed logouts; it opens by itself after a full round. Look for a \
             CPU limit, a suspended machine or swapping.",
        ),
    };
    let evidence = seen.stopped.as_ref().map_or_else(|| seen.reason.clone(), ToString::to_string);
    Some(Finding { severity, title: title.into(), evidence, advice })
}

fn members_silent(seen: &Gathered, _: &Past) -> Option<Finding> {
    let dead = of_state(seen, State::Dead);
    let all = seen.members.iter().filter(|m| m.state != State::Left).count();
    let since = dead.iter().filter_map(|m| m.since_mono_ms).min();
    let since =
        since.map(|at| ago(seen.mono_ms.saturating_sub(at))).unwrap_or_else(|| "an unknown time".into());
    (!dead.is_empty()).then(|| Finding {
        severity: if dead.len() == 1 { "warning" } else { "critical" },
        title: format!("{} of {all} members silent", dead.len()),
        evidence: format!("{}, the first since {since}", names(&dead)),
        advice: "Sides of a cut go on serving and merge when it heals; until then a logout on one is not seen on the \
                 other. Check that the processes run, then the network: one UDP port, both ways, between all members. \
                 One that will not return: `sessionmesh forget NODE` on any node.",
    })
}

fn members_suspect(seen: &Gathered, _: &Past) -> Option<Finding> {
    let suspects = of_state(seen, State::Suspect);
    let who = |m: &&MemberView| format!("{} by {}: {}", m.node, m.accusers.join(", "), m.why);
    (!suspects.is_empty()).then(|| Finding {
        severity: "warning",
        title: count(suspects.len(), "member is suspect", "members are suspect"),
        evidence: suspects.iter().map(who).collect::<Vec<_>>().join("; "),
        advice: "Seconds decide. If it clears and comes back, that node or the line to it is overloaded.",
    })
}

fn alone(seen: &Gathered, _: &Past) -> Option<Finding> {
    let nobody = others(seen).all(|m| m.state == State::Left);
    let unanswered = unanswered_seeds(seen);
    let seeds = count(seen.numbers.discovery.seeds.len(), "seed is configured", "seeds are configured");
    nobody.then(|| Finding {
        severity: if unanswered.is_empty() { "info" } else { "warning" },
        title: match unanswered.len() {
            0 => "no other member is known".into(),
            _ => "no other member is known, and the seeds do not answer".into(),
        },
        evidence: match unanswered.len() {
            0 => seeds,
            n => format!("{seeds}; {} no answer: {}", count(n, "gives", "give"), unanswered.join(", ")),
        },
        advice: match unanswered.len() {
            0 => "Sessions of a lone node die with its process. Start a second one that has this one among its seeds.",
            _ => {
                "Members may be running beyond a cut, with sessions of their own. Check that the seeds run and what \
                 they say of this node (secret, cluster name, clock), and UDP both ways."
            }
        },
    })
}

fn expiry_waits(seen: &Gathered, _: &Past) -> Option<Finding> {
    let kept = seen.counts.expired_retained + seen.counts.stubs;
    let missing: Vec<&MemberView> = others(seen).filter(|m| m.state == State::Dead && !m.linked).collect();
    (kept > 0 && !missing.is_empty()).then(|| Finding {
        severity: "warning",
        title: format!("{} for {}", count(kept as usize, "expired session waits", "expired sessions wait"), names(&missing)),
        evidence: format!(
            "{} with their fields, {} as what is left of a log-in; the member may hold a later touch of each",
            seen.counts.expired_retained, seen.counts.stubs
        ),
        advice: "Fields go `expire_wait_ms` after their session's last possible deadline. If the member will not return: \
                 `sessionmesh forget NODE` on any node, and all of it goes at once.",
    })
}

fn links(seen: &Gathered, _: &Past) -> Option<Finding> {
    let unlinked = unlinked(seen);
    let worst = unlinked.iter().map(Unlinked::severity).min_by_key(|severity| rank(severity))?;
    let title = match worst {
        "info" => "no link yet with",
        _ => "cannot exchange anything with",
    };
    Some(Finding {
        severity: worst,
        title: format!("{title} {}", count(unlinked.len(), "living member", "living members")),
        evidence: unlinked.iter().map(Unlinked::says).collect::<Vec<_>>().join("; "),
        advice: "Normal for a second after a start. If it stays: packets between the two are lost in one direction or both, \
                 while others hear each of them. Writes reach it by way of others. Open UDP between the two, both ways, \
                 and check what `advertise` says.",
    })
}

fn loss(_: &Gathered, past: &Past) -> Option<Finding> {
    let (probes, unanswered) = past.probed?;
    let (severity, percent) = share(probes, unanswered)?;
    Some(Finding {
        severity,
        title: "packets are lost".into(),
        evidence: format!(
            "{unanswered} of {probes} probes ({percent} %) had an answer only late, or by way of others"
        ),
        advice: "Members that answer late or by way of others: loss on the line, or hosts without CPU. Compare this figure \
                 between nodes: it is highest next to the bad line.",
    })
}

fn own_clock(seen: &Gathered, _: &Past) -> Option<Finding> {
    let clock = seen.numbers.clock;
    let far = format!(
        "{} ms {}",
        clock.ahead_ms.unsigned_abs(),
        if clock.ahead_ms < 0 { "behind" } else { "ahead" }
    );
    let stamps = clock.stamps_ahead_ms > seen.max_drift_ms;
    let (severity, title) = match clock.trust {
        Trust::Refuted => ("warning", "this machine's wall clock is wrong"),
        Trust::Doubted => ("warning", "this machine's wall clock has stepped"),
        Trust::Followed if stamps => ("warning", "this node wrote in the future"),
        Trust::Followed => return None,
    };
    let evidence = match clock.trust {
        Trust::Refuted => format!("it is {far}, say peers; this node goes by its own count of time"),
        Trust::Doubted => {
            format!("it is {far} of this node's own count of time; not followed until it is confirmed")
        }
        Trust::Followed => format!("its stamps are {} ms ahead of the time", clock.stamps_ahead_ms),
    };
    let advice = "Run a time service on this host. While stamps are ahead, peers refuse edits of what was written then; \
                  new sessions and log-outs reach them.";
    Some(Finding { severity, title: title.into(), evidence, advice })
}

fn clock_offset(seen: &Gathered, _: &Past) -> Option<Finding> {
    let off = |(node, ms): &(String, i64)| {
        format!("{node} is {} ms {}", ms.unsigned_abs(), if *ms < 0 { "behind" } else { "ahead" })
    };
    let list = |all: &[(String, i64)]| all.iter().map(off).collect::<Vec<_>>().join(", ");
    let (title, evidence) = match clocks(seen, seen.max_drift_ms / 4) {
        Clocks::Agree => return None,
        Clocks::Odd { own_ms: Some(ms), others, agree, of } => {
            let odd: Vec<_> = [("this node".to_owned(), ms)].into_iter().chain(others).collect();
            ("this node's clock is off".into(), format!("{}, of what {agree} of {of} agree on", list(&odd)))
        }
        Clocks::Odd { own_ms: None, others, agree, of } => {
            let named: Vec<&str> = others.iter().map(|(node, _)| node.as_str()).take(NAMED).collect();
            let more = if others.len() > NAMED { " and more" } else { "" };
            let title = format!("off: the clock of {}{more}", named.join(", "));
            (title, format!("{}, of what {agree} of {of} agree on", list(&others)))
        }
        Clocks::Undecided(far) => (
            "the clocks disagree, and no majority says which is wrong".into(),
            format!("against this node's: {}", list(&far)),
        ),
    };
    Some(Finding {
        severity: "warning",
        title,
        evidence: format!("{evidence}; nodes further apart than {} ms exchange nothing", seen.max_drift_ms),
        advice: "Run a time service on the host that is named, and on every other. Expiry is only as exact as the clocks.",
    })
}

fn unreplicated_writes(seen: &Gathered, past: &Past) -> Option<Finding> {
    let (at_ms, total) = past.unreplicated;
    let recent = total > 0 && seen.wall_ms.saturating_sub(at_ms) < RECENT_MS;
    (total > 0).then(|| Finding {
        severity: if recent { "warning" } else { "info" },
        title: count(total as usize, "write was answered without a second copy", "writes were answered without a second copy"),
        evidence: format!("the last was noticed {} ago", ago(seen.wall_ms.saturating_sub(at_ms))),
        advice: "A short burst when a member dies is normal. If it rises steadily: a member is alive and slow, or cut off \
                 and not yet noticed; look at backlog and links.",
    })
}

fn backlog(seen: &Gathered, _: &Past) -> Option<Finding> {
    let behind = others(seen).filter(|m| m.backlog_partitions as u64 >= BACKLOG);
    let behind: Vec<String> = behind.map(|m| format!("{} ({})", m.node, m.backlog_partitions)).collect();
    (!behind.is_empty()).then(|| Finding {
        severity: "warning",
        title: format!("{} slow to acknowledge", count(behind.len(), "peer is", "peers are")),
        evidence: format!("partitions with unacknowledged writes: {}", behind.join(", ")),
        advice: "That node, or the line to it, takes in less than is written here. A burst passes; a rise does not.",
    })
}

fn memory(seen: &Gathered, _: &Past) -> Option<Finding> {
    let max = seen.max_memory_bytes;
    let used = if max == u64::MAX { 0 } else { seen.held_bytes.saturating_mul(100) / max.max(1) };
    (used >= 80).then(|| Finding {
        severity: if used >= 100 { "critical" } else { "warning" },
        title: format!("what is held takes {used} % of max_memory_bytes"),
        evidence: format!("{} of {max} bytes; records {}", seen.held_bytes, seen.record_bytes),
        advice: "New sessions that nobody is logged in to are refused from 81 % on, log-ins from 94 %; the end of a session \
                 that is here never. Nothing is evicted. Raise the limit, shorten lifetimes, or store less per session.",
    })
}

fn integrity(seen: &Gathered, _: &Past) -> Option<Finding> {
    let (diffs, violations) = (seen.numbers.node.audit_diffs, seen.counts.violations);
    (diffs + violations > 0).then(|| Finding {
        severity: if violations > 0 { "critical" } else { "warning" },
        title: "contents differed where they must not".into(),
        evidence: format!("audit differences {diffs}, violations {violations}"),
        advice: "Differences were fetched again by themselves. Look for bad memory, or members of different versions; \
                 report it with the traces of both nodes.",
    })
}

fn refused(seen: &Gathered, _: &Past) -> Option<Finding> {
    let (frames, drift) = (seen.numbers.node.refused, seen.counts.refused_drift);
    (frames + drift > 0).then(|| Finding {
        severity: "info",
        title: "something that came in was refused".into(),
        evidence: format!("frames and packets {frames}, entries from clocks too far ahead {drift}"),
        advice: "The log names peer and cause. Clocks: run a time service. Frames: look for members of other versions.",
    })
}

fn misbehaving(seen: &Gathered, _: &Past) -> Option<Finding> {
    let one = |f: &Faulty| {
        let kept_out = f.kept_out_until_ms.map(|until_ms| ago(until_ms.saturating_sub(seen.mono_ms)));
        let kept_out = kept_out.map_or(String::new(), |time| format!(", kept out for {time} more"));
        format!(
            "{} at {} (rules broken {}, left out {}{kept_out}): {}",
            f.node, f.addr, f.broke, f.strange, f.why
        )
    };
    let broke = seen.faulty.iter().any(|f| f.broke > 0);
    (!seen.faulty.is_empty()).then(|| Finding {
        severity: if broke { "warning" } else { "info" },
        title: count(seen.faulty.len(), "peer does what no honest one does", "peers do what no honest ones do"),
        evidence: seen.faulty.iter().map(one).collect::<Vec<_>>().join("; "),
        advice: "A peer that breaks rules loses its link and then is kept out for a while; what is left out may have come \
                 to it from another. A bug, a version that does not fit, or somebody who has the secret: end that process, \
                 and rotate the secret if you do not know it.",
    })
}

fn seeds(seen: &Gathered, _: &Past) -> Option<Finding> {
    let bad = seen.numbers.discovery.seeds.iter().filter_map(|s| Some((&s.seed, s.last_error.as_ref()?)));
    let bad: Vec<String> = bad.map(|(seed, error)| format!("{seed}: {error}")).collect();
    (!bad.is_empty()).then(|| Finding {
        severity: "warning",
        title: format!("{} not resolve", count(bad.len(), "seed does", "seeds do")),
        evidence: bad.join("; "),
        advice: "It is tried again and again. Members that are known stay known; a restart would find nobody by it.",
    })
}

fn self_doubt(seen: &Gathered, _: &Past) -> Option<Finding> {
    let penalty = seen.numbers.penalty;
    (penalty > 0).then(|| Finding {
        severity: if penalty >= 4 { "warning" } else { "info" },
        title: "this node doubts itself".into(),
        evidence: format!("health penalty {penalty}: late timers, lost packets, or others who suspected it"),
        advice: "It gives others more time before it accuses them. Look at this host's CPU and network.",
    })
}

fn incarnations(seen: &Gathered, _: &Past) -> Option<Finding> {
    let known = seen.numbers.discovery.known_incarnations;
    (known >= MANY_INCARNATIONS).then(|| Finding {
        severity: "warning",
        title: "many incarnations are remembered".into(),
        evidence: format!("{known} known; newcomers are ignored from 400 on"),
        advice: "Something restarts again and again: each start is a new identity for dead_grace_ms. Find out what.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::parts::mesh::verdict;
    use crate::dashboard::testkit::synthetic;
    use crate::discovery::SeedHealth;

    fn found(seen: &Gathered, check: Check) -> Option<(String, String, &'static str)> {
        let past = Past {
            readings: Vec::new(),
            due: Default::default(),
            unreplicated: (0, 0),
            probed: None,
            values: false,
        };
        check(seen, &past).map(|f| (f.title, f.evidence, f.advice))
    }

    #[test]
    fn a_lone_node_whose_seeds_are_silent_is_not_told_to_start_a_second_one() {
        let mut seen = synthetic(1);
        let (_, _, advice) = found(&seen, alone).expect("nobody else is there");
        assert!(advice.contains("Start a second one"), "{advice}");
        assert_eq!((verdict(&seen).word, verdict(&seen).severity), ("alone", "info"));
        let seed = SeedHealth { seed: "b:7946".into(), ..SeedHealth::default() };
        seen.numbers.discovery.seeds.push(seed);
        let (title, evidence, advice) = found(&seen, alone).expect("nobody else is there");
        assert!(title.contains("do not answer") && evidence.contains("b:7946"), "{title}: {evidence}");
        assert!(!advice.contains("second one") && advice.contains("beyond a cut"), "{advice}");
        assert_eq!((verdict(&seen).word, verdict(&seen).severity), ("alone", "warning"));
        // A seed that leads to the node itself is nobody.
        seen.numbers.discovery.seeds[0].resolved.push(seen.members[0].addr);
        assert_eq!(verdict(&seen).severity, "info");
    }

    #[test]
    fn whom_the_end_of_expired_sessions_waits_for_is_named() {
        let mut seen = synthetic(3);
        seen.counts.expired_retained = 20_000;
        assert_eq!(found(&seen, expiry_waits), None, "only the grace");
        (seen.members[2].state, seen.members[2].linked) = (State::Dead, false);
        let (title, _, advice) = found(&seen, expiry_waits).expect("somebody is missing");
        assert!(title.starts_with("20000 expired sessions wait") && title.ends_with("for n2"), "{title}");
        assert!(advice.contains("sessionmesh forget"), "{advice}");
    }

    #[test]
    fn the_clock_that_is_off_is_named() {
        let mut seen = synthetic(5);
        assert_eq!(found(&seen, clock_offset), None);
        seen.members[3].wall_offset_ms = 30_000;
        let (title, evidence, _) = found(&seen, clock_offset).expect("one is off");
        assert_eq!(title, "off: the clock of n3");
        assert!(evidence.starts_with("n3 is 29998 ms ahead, of what 4 of 5 agree on"), "{evidence}");
        seen.members[1..].iter_mut().for_each(|m| m.wall_offset_ms = 30_000);
        let (title, evidence, _) = found(&seen, clock_offset).expect("one is off");
        assert_eq!(title, "this node's clock is off");
        assert!(evidence.starts_with("this node is 30000 ms behind"), "{evidence}");
    }
}
