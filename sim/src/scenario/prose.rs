//! A scenario in plain English: who there is, what the network does, what happens when, and what must hold.

use super::words::{count, fields, list, nodes, share, short, span};
use super::{Action, Expect, Membership, Mesh, NodeIx, Scenario, Workload};
use crate::net::Faults;
use crate::world::Lie;

/// Tells a scenario to a person.
pub fn explain(scenario: &Scenario) -> String {
    let mut lines = vec![scenario.name.clone()];
    lines.extend((!scenario.about.is_empty()).then(|| scenario.about.clone()));
    lines.push(String::new());
    lines.extend(mesh(&scenario.mesh));
    lines.push(match network(&scenario.network) {
        None => "The network delivers everything within 5 ms.".into(),
        Some(vices) => format!("The network: {vices}."),
    });
    lines.extend(scenario.workload.iter().map(workload));
    lines.push(String::new());
    let mut steps: Vec<_> = scenario.step.iter().collect();
    steps.sort_by_key(|s| s.at_ms);
    let heal_ms = scenario.expanded().heal.at_ms;
    let (before, after): (Vec<_>, Vec<_>) = steps.into_iter().partition(|s| s.at_ms < heal_ms);
    lines.extend(before.iter().map(|s| format!("At {}, {}.", span(s.at_ms), action(&s.action))));
    lines.push(heal(scenario, heal_ms));
    lines.extend(after.iter().map(|s| format!("At {}, {}.", span(s.at_ms), action(&s.action))));
    lines.push(String::new());
    lines.extend(expect(scenario));
    lines.join("\n") + "\n"
}

fn mesh(mesh: &Mesh) -> Vec<String> {
    let n = mesh.nodes as u64;
    let mut first = match n {
        1 => "One node, n0".to_owned(),
        _ => format!("{}, n0 to n{}", count(n, "node"), n - 1),
    };
    first += &match mesh.membership {
        _ if n == 1 => String::new(),
        Membership::Board => format!(", which find each other by gossip through {}", nodes(&mesh.seeds)),
        Membership::Direct => ", which know of each other at once".to_owned(),
    };
    let mut lines = vec![first + "."];
    if !mesh.late.is_empty() {
        lines.push(format!("At the beginning {} not running yet.", subject(&nodes(&mesh.late), "is", "are")));
    }
    let default = Mesh::default();
    let mut set = Vec::new();
    let mut note = |changed: bool, text: String| set.extend(changed.then_some(text));
    note(
        mesh.partitions != default.partitions,
        format!("{} of the data", count(mesh.partitions.into(), "partition")),
    );
    note(
        mesh.max_lifetime_ms != default.max_lifetime_ms,
        format!("no session lives longer than {}", span(mesh.max_lifetime_ms)),
    );
    note(mesh.page_bytes != default.page_bytes, format!("pages of {} bytes", mesh.page_bytes));
    note(
        mesh.sync_interval_ms != default.sync_interval_ms,
        format!("a round every {}", span(mesh.sync_interval_ms)),
    );
    note(
        mesh.audit_interval_ms != default.audit_interval_ms,
        format!("an audit every {}", span(mesh.audit_interval_ms)),
    );
    note(
        mesh.max_record_bytes != default.max_record_bytes,
        format!("records of at most {} bytes", mesh.max_record_bytes),
    );
    note(
        mesh.max_fields != default.max_fields,
        format!("at most {} a session", count(mesh.max_fields as u64, "field")),
    );
    note(mesh.skew_ms != default.skew_ms, format!("honest clocks within {}", span(mesh.skew_ms)));
    note(
        mesh.max_drift_ms != default.max_drift_ms,
        format!("clocks more than {} apart do not talk", span(mesh.max_drift_ms)),
    );
    note(
        mesh.grace_ms != default.grace_ms,
        format!("expired payloads kept {} at least", span(mesh.grace_ms)),
    );
    note(
        mesh.expire_wait_ms != default.expire_wait_ms,
        format!("expired payloads wait {} for a silent member", span(mesh.expire_wait_ms)),
    );
    set.extend(mesh.max_memory_bytes.map(|n| format!("nothing created above {n} bytes of records")));
    set.extend(mesh.hard_memory_bytes.map(|n| format!("nothing adopted above {n} bytes of records")));
    let fence = (mesh.fence_after_ms, mesh.fence_timeout_ms);
    if fence != (default.fence_after_ms, default.fence_timeout_ms) {
        set.push(format!("a fence after {} of standing still, for {} at most", span(fence.0), span(fence.1)));
    }
    lines.extend((!set.is_empty()).then(|| format!("Settings: {}.", list(set))));
    lines
}

/// Two sides of a link: `n0 and n1`, or `n0 on one side, n1 and n2 on the other`.
fn sides(one: &[NodeIx], other: &[NodeIx]) -> String {
    match (one, other) {
        ([a], [b]) => format!("between {a} and {b}"),
        _ => format!("between {} on one side and {} on the other", nodes(one), nodes(other)),
    }
}

/// A subject and its verb.
fn subject(who: &str, one: &str, many: &str) -> String {
    let plural = who.contains(' ');
    format!("{who} {}", if plural { many } else { one })
}

fn network(faults: &Faults) -> Option<String> {
    let default = Faults::default();
    let mut vices = Vec::new();
    let mut note = |on: bool, text: String| vices.extend(on.then_some(text));
    let delay = (faults.delay_min_ms, faults.delay_max_ms);
    note(
        delay != (default.delay_min_ms, default.delay_max_ms),
        format!("delays of {} to {} ms", delay.0, delay.1),
    );
    note(faults.drop_per_mille > 0, format!("{} of frames lost", share(faults.drop_per_mille)));
    note(faults.duplicate_per_mille > 0, format!("{} delivered twice", share(faults.duplicate_per_mille)));
    note(
        faults.late_per_mille > 0,
        format!("{} up to {} late", share(faults.late_per_mille), span(faults.late_max_ms)),
    );
    let again =
        format!("{} arriving again within {}", share(faults.replay_per_mille), span(faults.replay_max_ms));
    note(faults.replay_per_mille > 0, again);
    let bursts = format!(
        "{} of all spells of {} lose nearly everything",
        share(faults.burst_per_mille),
        span(faults.burst_ms)
    );
    note(faults.burst_per_mille > 0, bursts);
    note(faults.flip_per_mille > 0, format!("{} with a flipped bit", share(faults.flip_per_mille)));
    note(faults.truncate_per_mille > 0, format!("{} cut short", share(faults.truncate_per_mille)));
    note(faults.unsealed, "damaged frames reach the nodes".into());
    note(faults.bandwidth_bytes > 0, format!("{} bytes a second on a link", faults.bandwidth_bytes));
    note(faults.queue_bytes > 0, format!("{} bytes queued at most", faults.queue_bytes));
    note(faults.datagram_bytes > 0, format!("gossip packets above {} bytes lost", faults.datagram_bytes));
    (!vices.is_empty()).then(|| list(vices))
}

fn workload(work: &Workload) -> String {
    let at = if work.nodes.is_empty() { "all nodes".into() } else { nodes(&work.nodes) };
    let mut text = format!(
        "From {} to {}, clients do {} on {} at {at}, with a time-to-live of {}",
        span(work.from_ms),
        span(work.until_ms),
        count(work.ops, "operation"),
        count(work.sessions, "session"),
        span(work.ttl_ms)
    );
    if work.tokens {
        text += ", carrying tokens";
    }
    if work.sticky > 0 {
        text += &format!(
            "; {} kept alive by touches at one node",
            subject(&count(work.sticky, "session"), "is", "are")
        );
    }
    let mix = &work.mix;
    let shares = [
        (mix.read, "reads"),
        (mix.touch, "touches"),
        (mix.destroy, "logouts"),
        (mix.blind, "blind logouts"),
        (mix.ttl, "changes of the time-to-live"),
        (mix.remove, "removals"),
        (mix.pair, "two fields at once"),
        (mix.request, "requests of an adapter"),
    ];
    let told = shares.iter().filter(|(s, _)| *s > 0).map(|(s, what)| format!("{} {what}", share(*s)));
    let rest = 1_000u64.saturating_sub(shares.iter().map(|(s, _)| s).sum());
    let told: Vec<String> = told.chain((rest > 0).then(|| format!("{} set a field", share(rest)))).collect();
    format!("{text} ({}).", list(told))
}

fn heal(scenario: &Scenario, at_ms: u64) -> String {
    let who = match &scenario.heal.core[..] {
        [] => "every fault ends, and whatever is down starts again".to_owned(),
        core => format!("every fault ends for {}, and the others are gone for good", nodes(core)),
    };
    let linger = match scenario.heal.linger_ms {
        0 => String::new(),
        ms => format!(" Then nothing happens for {}, until everything must have ended.", span(ms)),
    };
    format!("At {}, the heal: {who}.{linger}", span(at_ms))
}

fn expect(scenario: &Scenario) -> Vec<String> {
    let Expect { acked_writes_lost, resurrections, .. } = scenario.expect;
    let e = &scenario.expect;
    let within = e.converged_within_ms.unwrap_or(scenario.liveness_floor_ms());
    let mut lines = vec![format!(
        "Everything must be equal within {} of the heal, and every invariant hold throughout.",
        span(within)
    )];
    lines.extend(e.ready_within_ms.map(|ms| format!("Every started node is ready within {}.", span(ms))));
    lines.extend(e.false_deaths_at_most.map(|n| match n {
        0 => "No member whose process runs is declared dead.".to_owned(),
        n => format!("Members whose processes run are declared dead {n} times at most."),
    }));
    lines.extend(e.dead_at_all_within_ms.map(|ms| format!("A crash is noticed by all within {}.", span(ms))));
    lines.push(match acked_writes_lost {
        0 => "No write that had a second copy may be lost.".into(),
        u64::MAX => "Writes with two copies may be lost with both holders.".into(),
        n => format!(
            "At most {} with a second copy may be lost, together with every holder.",
            count(n, "write")
        ),
    });
    lines.extend((resurrections > 0).then(|| format!("At most {}.", count(resurrections, "resurrection"))));
    lines.extend(
        e.conflicts_at_least
            .filter(|n| *n > 0)
            .map(|n| format!("At least {} reported.", subject(&count(n, "conflict"), "is", "are"))),
    );
    lines.extend(
        e.conflicts_at_most
            .map(|n| format!("At most {} reported.", subject(&count(n, "conflict"), "is", "are"))),
    );
    lines.extend(e.unlabelled_at_most.map(|n| {
        format!("At most {} of which nobody can tell whether it was a conflict.", count(n, "overwrite"))
    }));
    lines.extend(e.unlabelled_at_least.map(|n| {
        format!("At least {} of which nobody can tell whether it was a conflict.", count(n, "overwrite"))
    }));
    lines.extend(e.links_closed_at_most.map(|n| {
        format!("At most {} for a broken rule.", subject(&count(n, "link"), "is closed", "are closed"))
    }));
    lines.extend(e.warnings.iter().map(|text| format!("Some node must warn of {text:?}.")));
    lines.extend(e.bytes_at_most.map(|n| format!("Replication sends at most {n} bytes.")));
    lines.extend(
        e.refused_at_most
            .map(|n| format!("At most {} refused.", subject(&count(n, "operation"), "is", "are"))),
    );
    if !e.marks.is_empty() {
        lines.push(format!("These rare things must have happened: {}.", list(&e.marks)));
    }
    if let Some(name) = &e.violation {
        lines.push(format!("A canary: {name} must be violated, which shows that the alarm works."));
    }
    lines
}

fn action(action: &Action) -> String {
    match action {
        Action::Cut { between, and, one_way: true } => {
            format!("what {} send to {} is lost from now on", nodes(between), nodes(and))
        }
        Action::Cut { between, and, .. } => {
            format!("the links {} are cut", sides(between, and))
        }
        Action::Mend { between, and, one_way: true } => {
            format!("what {} send to {} arrives again", nodes(between), nodes(and))
        }
        Action::Mend { between, and, .. } => format!("the links {} are mended", sides(between, and)),
        Action::Heal {} => "all cuts end".into(),
        Action::Flap { between, and, down_ms, up_ms, for_ms, one_way } => format!(
            "the links {}{} begin to come and go, {} down and {} up, for {}",
            sides(between, and),
            if *one_way { " (one way)" } else { "" },
            span(*down_ms),
            span(*up_ms),
            span(*for_ms)
        ),
        Action::Network { between, and, faults } => changed(between, and, faults),
        Action::Crash { nodes: who } => {
            subject(&nodes(who), "crashes, its memory lost", "crash, their memory lost")
        }
        Action::Start { nodes: who, alone: true } => {
            subject(&nodes(who), "starts without seeds", "start without seeds")
        }
        Action::Start { nodes: who, .. } => {
            subject(&nodes(who), "starts without memory", "start without memory")
        }
        Action::Leave { nodes: who } => subject(&nodes(who), "leaves in good order", "leave in good order"),
        Action::Forget { node, of } => format!("an operator at {node} declares {of}'s life over"),
        Action::Freeze { nodes: who, for_ms } => {
            format!("{} for {}", subject(&nodes(who), "stands still", "stand still"), span(*for_ms))
        }
        Action::Suspend { nodes: who, for_ms } => {
            format!("{} suspended for {}", subject(&nodes(who), "is", "are"), span(*for_ms))
        }
        Action::Slow { nodes: who, by_ms: 0 } => format!("{} quick again", subject(&nodes(who), "is", "are")),
        Action::Slow { nodes: who, by_ms } => {
            format!(
                "{} {} over every message",
                subject(&nodes(who), "begins to take", "begin to take"),
                span(*by_ms)
            )
        }
        Action::Clock { nodes: who, jump_ms, drift_ppm } => clock(&nodes(who), *jump_ms, *drift_ppm),
        Action::Impersonate { node, name_of } => format!("{node}'s machine takes the name of {name_of}"),
        Action::Wire { nodes: who, version } => {
            format!(
                "the next {} of {} will speak wire version {version}",
                if who.len() == 1 { "process" } else { "processes" },
                nodes(who)
            )
        }
        Action::Tamper { node, how, to } => lie(*node, *how, to),
        other => operation(other),
    }
}

fn lie(node: NodeIx, how: Lie, to: &[NodeIx]) -> String {
    let whom = if to.is_empty() { String::new() } else { format!(" to {}", nodes(to)) };
    match how {
        Lie::Off => format!("{node} lies no longer"),
        Lie::PushWithoutEntries => {
            format!("the pushes of {node}{whom} begin to claim writes they do not hold")
        }
        Lie::ValueOfPushes => {
            format!("the pushes of {node}{whom} begin to tell other values than were written")
        }
        Lie::ValueOfPages => {
            format!("the pages of {node}{whom} begin to tell other values than were written")
        }
    }
}

/// How a client's thread came to write late.
fn late(stalled_ms: u64) -> String {
    match stalled_ms {
        0 => String::new(),
        ms => format!(" by a thread that read the clock {} before", span(ms)),
    }
}

fn changed(between: &[NodeIx], and: &[NodeIx], faults: &Faults) -> String {
    let side = |side: &[NodeIx]| if side.is_empty() { "all".into() } else { nodes(side) };
    let place = match (between, and) {
        ([], []) => "everywhere".to_owned(),
        _ => format!("between {} and {}", side(between), side(and)),
    };
    let vices = network(faults).unwrap_or_else(|| "nothing wrong any more".into());
    format!("the network changes {place}: {vices}")
}

fn clock(who: &str, jump_ms: i64, drift_ppm: i64) -> String {
    let size = span(jump_ms.unsigned_abs());
    let jump = match jump_ms {
        0 => None,
        1.. => Some(format!("the clock of {who} jumps {size} ahead")),
        _ => Some(format!("the clock of {who} is set back by {size}")),
    };
    let rate = match drift_ppm {
        0 => None,
        1.. => Some(format!("the clocks of {who} run {drift_ppm} millionths fast")),
        _ => Some(format!("the clocks of {who} run {} millionths slow", drift_ppm.unsigned_abs())),
    };
    let parts: Vec<String> = jump.into_iter().chain(rate).collect();
    if parts.is_empty() {
        format!("the clocks of {who} run at the right speed")
    } else {
        parts.join(", and ")
    }
}

fn operation(action: &Action) -> String {
    match action {
        Action::Create { node, session, fields: set, big, ttl_ms, ends_in_ms, life_ms, .. } => {
            let mut parts = Vec::new();
            parts.extend((!set.is_empty()).then(|| fields(set)));
            parts.extend(big.iter().map(|(k, n)| format!("{} of {n} bytes", short(k))));
            parts.push(match ends_in_ms {
                Some(ms) => format!("a fixed end after {}", span(*ms)),
                None => format!("a time-to-live of {}", span(*ttl_ms)),
            });
            parts.extend(life_ms.map(|ms| format!("a longest life of {}", span(ms))));
            format!("a client creates session {session} at {node} with {}", list(parts))
        }
        Action::Set { node, session, fields: set, big, remove, token, stalled_ms, .. } => {
            let mut parts = Vec::new();
            parts.extend((!set.is_empty()).then(|| format!("sets {}", fields(set))));
            parts.extend(big.iter().map(|(k, n)| format!("sets {} to {n} bytes", short(k))));
            parts.extend((!remove.is_empty()).then(|| format!("removes {}", list(remove))));
            parts.extend(parts.is_empty().then(|| "changes nothing".to_owned()));
            let with = if *token { ", showing the token of its last write" } else { "" };
            format!("a client {} in session {session} at {node}{with}{}", list(parts), late(*stalled_ms))
        }
        Action::Touch { node, session, stalled_ms } => {
            format!("a client touches session {session} at {node}{}", late(*stalled_ms))
        }
        Action::Ttl { node, session, ttl_ms } => {
            format!("a client gives session {session} a time-to-live of {} at {node}", span(*ttl_ms))
        }
        Action::Destroy { node, session, blind: true } => {
            format!("a client logs session {session} out at {node}, known there or not")
        }
        Action::Destroy { node, session, .. } => format!("a client logs session {session} out at {node}"),
        Action::Login { node, session, principal, .. } => {
            format!("a client logs session {session} in as {} at {node}", short(principal))
        }
        Action::Revoke { node, principal } => {
            format!("all sessions of {} are revoked at {node}", short(principal))
        }
        Action::Read { node, session, token, .. } => {
            format!(
                "a client reads session {session} at {node}{}",
                if *token { " with its token" } else { "" }
            )
        }
        Action::Load { node, session, client } => {
            format!("request {client} loads session {session} at {node}")
        }
        Action::Save { node, session, client, fields: set, remove } => {
            let mut parts = Vec::new();
            parts.extend((!set.is_empty()).then(|| format!("setting {}", fields(set))));
            parts.extend((!remove.is_empty()).then(|| format!("removing {}", list(remove))));
            parts.extend(parts.is_empty().then(|| "changing nothing".to_owned()));
            format!("request {client} saves session {session} at {node}, {}", list(parts))
        }
        look => seen(look),
    }
}

fn seen(action: &Action) -> String {
    let Action::Look { nodes: who, session, shown, fields: wanted, absent, ready, records, alive } = action
    else {
        return action.name().to_owned();
    };
    let mut parts = Vec::new();
    parts.extend(ready.map(|r| if r { "be ready".to_owned() } else { "not be ready".to_owned() }));
    if let Some(session) = session {
        let no = if *shown == Some(false) { "not show" } else { "show" };
        let mut text = format!("{no} session {session}");
        if !wanted.is_empty() {
            text += &format!(" with {}", fields(wanted));
        }
        if !absent.is_empty() {
            text += &format!(" without {}", list(absent.iter().map(|a| short(a))));
        }
        parts.push(text);
    }
    parts.extend(records.map(|n| format!("hold {}", count(n, "record"))));
    parts.extend(alive.as_ref().map(|a| format!("believe {} alive and no other", nodes(a))));
    format!("{} must {}", nodes(who), list(parts))
}
