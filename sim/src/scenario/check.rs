//! What a scenario must not ask for: missing nodes, impossible times, contradictory expectations.

use std::collections::BTreeMap;

use sessionmesh::core::marks::Mark;

use super::file::nearest;
use super::place::{Seg, line_at};
use super::step::{Action, NodeIx, Step};
use super::{Membership, Scenario, Workload, check_step};
use crate::net::Faults;

/// Most nodes of a scenario: observers keep one bit for each.
const MOST_NODES: usize = 64;
/// Latest moment of a scenario (ms): 60 days, twice the longest life of a session by default.
pub(super) const LATEST_MS: u64 = 60 * 24 * 3_600_000;
/// Most operations of a workload.
const MOST_OPS: u64 = 200_000;
/// Invariants that are looked at only after a linger.
const AFTER_LINGER: [&str; 2] = ["everything_ends", "quiet_when_equal"];

/// What the runner checks itself, and only while frames are sealed.
const BY_THE_RUNNER: [&str; 3] = ["converges", "expectation", "look"];

/// What is wrong with a scenario, and where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What.
    pub what: String,
    /// What was probably meant.
    pub meant: Option<String>,
    place: Place,
}

/// The way to what is wrong.
pub(super) type Place = Vec<Seg>;

/// The way to a key of a table of the file.
pub(super) fn in_table(table: &str, key: &str) -> Place {
    [table, key].iter().filter(|k| !k.is_empty()).map(|k| Seg::Key((*k).to_owned())).collect()
}

/// The way to a key of the n-th table of a list.
pub(super) fn in_nth(table: &str, nth: usize, key: &str) -> Place {
    let mut way = vec![Seg::Key(table.to_owned()), Seg::At(nth)];
    way.extend((!key.is_empty()).then(|| Seg::Key(key.to_owned())));
    way
}

impl Complaint {
    pub(super) fn at(place: Place, what: String) -> Self {
        Self { what, meant: None, place }
    }

    /// The line of a file it is about; 0 if that cannot be told.
    pub(super) fn line_in(&self, text: &str) -> usize {
        line_at(text, &self.place)
    }
}

/// Refuses what makes no sense.
///
/// # Errors
/// The first complaint.
pub(super) fn check(scenario: &Scenario) -> Result<(), Complaint> {
    mesh(scenario)?;
    faults(&scenario.network, &in_table("network", ""))?;
    for (nth, step) in scenario.step.iter().enumerate() {
        check_step::one_step(scenario, nth, step)?;
    }
    for (nth, workload) in scenario.workload.iter().enumerate() {
        one_workload(scenario, nth, workload)?;
    }
    heal(scenario)?;
    expect(scenario)
}

fn mesh(scenario: &Scenario) -> Result<(), Complaint> {
    let mesh = &scenario.mesh;
    let at = |key| in_table("mesh", key);
    if !(1..=MOST_NODES).contains(&mesh.nodes) {
        let what = format!("nodes = {}: a mesh has 1 to {MOST_NODES}", mesh.nodes);
        return Err(Complaint::at(at("nodes"), what));
    }
    if let Err(what) = mesh.limits().validate() {
        // The sentence begins with the setting's name.
        let key = what.split(' ').next().unwrap_or_default().to_owned();
        return Err(Complaint::at(at(&key), what));
    }
    if mesh.seeds.is_empty() && mesh.nodes > 1 && mesh.membership == Membership::Board {
        let what = "no seeds: nodes that know nobody never meet (membership = \"direct\" needs none)".into();
        return Err(Complaint::at(at("seeds"), what));
    }
    nodes(scenario, &mesh.seeds, &at("seeds"))?;
    nodes(scenario, &mesh.late, &at("late"))?;
    if mesh.late.len() >= mesh.nodes {
        return Err(Complaint::at(at("late"), "every node is late: nobody is there to begin".into()));
    }
    Ok(())
}

/// Refuses faults that cannot be.
pub(super) fn faults(faults: &Faults, place: &[Seg]) -> Result<(), Complaint> {
    let at = |key: &str| place.iter().cloned().chain([Seg::Key(key.to_owned())]).collect();
    if faults.delay_max_ms < faults.delay_min_ms {
        let what =
            format!("delay_max_ms = {} is below delay_min_ms = {}", faults.delay_max_ms, faults.delay_min_ms);
        return Err(Complaint::at(at("delay_max_ms"), what));
    }
    let shares = [
        ("drop_per_mille", faults.drop_per_mille),
        ("duplicate_per_mille", faults.duplicate_per_mille),
        ("late_per_mille", faults.late_per_mille),
        ("flip_per_mille", faults.flip_per_mille),
        ("truncate_per_mille", faults.truncate_per_mille),
        ("replay_per_mille", faults.replay_per_mille),
        ("burst_per_mille", faults.burst_per_mille),
    ];
    if let Some((key, share)) = shares.into_iter().find(|(_, share)| *share > 1_000) {
        return Err(Complaint::at(at(key), format!("{key} = {share}: of a thousand")));
    }
    let times = [
        ("delay_max_ms", faults.delay_max_ms),
        ("late_max_ms", faults.late_max_ms),
        ("replay_max_ms", faults.replay_max_ms),
    ];
    if let Some((key, ms)) = times.into_iter().find(|(_, ms)| *ms > LATEST_MS) {
        return Err(Complaint::at(
            at(key),
            format!("{key} = {ms}: a scenario ends after {LATEST_MS} ms (60 days)"),
        ));
    }
    Ok(())
}

/// Refuses nodes that are not there. The place may be of their list.
pub(super) fn nodes(scenario: &Scenario, named: &[NodeIx], place: &[Seg]) -> Result<(), Complaint> {
    let n = scenario.mesh.nodes;
    match named.iter().find(|node| node.0 >= n) {
        None => Ok(()),
        Some(node) => {
            let what = format!("there is no {node}: the mesh has {n} nodes, n0 to n{}", n - 1);
            Err(Complaint { what, meant: Some(NodeIx(n - 1).to_string()), place: place.to_vec() })
        }
    }
}

fn one_workload(scenario: &Scenario, nth: usize, workload: &Workload) -> Result<(), Complaint> {
    let fail = |key, what: String| Err(Complaint::at(in_nth("workload", nth, key), what));
    let (from, until, heal) = (workload.from_ms, workload.until_ms, scenario.heal.at_ms);
    if until <= from {
        return fail("until_ms", format!("until_ms = {until} is not after from_ms = {from}"));
    }
    if heal > 0 && until > heal {
        return fail(
            "until_ms",
            format!("until_ms = {until}: after the heal at {heal} ms there are only looks"),
        );
    }
    if until > LATEST_MS {
        return fail(
            "until_ms",
            format!("until_ms = {until}: a scenario ends after {LATEST_MS} ms (60 days)"),
        );
    }
    if workload.ops > MOST_OPS {
        return fail("ops", format!("ops = {}: at most {MOST_OPS}", workload.ops));
    }
    if workload.sessions == 0 {
        return fail("sessions", "sessions = 0: operations on nothing".into());
    }
    if workload.ttl_ms == 0 {
        return fail("ttl_ms", "ttl_ms = 0: the sessions would never be seen".into());
    }
    if workload.sticky > workload.sessions {
        let what = format!("sticky = {}: there are {} sessions", workload.sticky, workload.sessions);
        return fail("sticky", what);
    }
    let mix = &workload.mix;
    let all = [mix.read, mix.touch, mix.destroy, mix.blind, mix.ttl, mix.remove, mix.pair, mix.request];
    if let Some(share) = all.iter().find(|share| **share > 1_000) {
        return fail("mix", format!("a share of {share}: of a thousand"));
    }
    nodes(scenario, &workload.nodes, &in_nth("workload", nth, "nodes"))
}

fn heal(scenario: &Scenario) -> Result<(), Complaint> {
    let heal = &scenario.heal;
    nodes(scenario, &heal.core, &in_table("heal", "core"))?;
    let fail = |key, what: String| Err(Complaint::at(in_table("heal", key), what));
    if heal.at_ms > LATEST_MS {
        return fail(
            "at_ms",
            format!("at_ms = {}: a scenario ends after {LATEST_MS} ms (60 days)", heal.at_ms),
        );
    }
    if heal.linger_ms > 2 * LATEST_MS {
        return fail("linger_ms", format!("linger_ms = {}: at most {} ms", heal.linger_ms, 2 * LATEST_MS));
    }
    Ok(())
}

fn expect(scenario: &Scenario) -> Result<(), Complaint> {
    let expect = &scenario.expect;
    let at = |key| in_table("expect", key);
    if expect.converged_within_ms == Some(0) {
        let what = "converged_within_ms = 0: nothing is equal at once".into();
        return Err(Complaint::at(at("converged_within_ms"), what));
    }
    for (nth, name) in expect.marks.iter().enumerate() {
        if !Mark::ALL.iter().any(|m| m.name() == name) {
            let mut place = at("marks");
            place.push(Seg::At(nth));
            let meant = nearest(name, Mark::ALL.iter().map(|m| m.name()));
            return Err(Complaint { what: format!("there is no mark {name:?}"), meant, place });
        }
    }
    let Some(name) = &expect.violation else { return Ok(()) };
    let known = crate::invariant::names();
    if !known.contains(&name.as_str()) {
        let what = format!("there is no invariant {name:?}");
        let meant = nearest(name, known.into_iter());
        return Err(Complaint { what, meant, place: at("violation") });
    }
    contradictions(scenario, name)
}

/// A canary whose alarm cannot go off.
fn contradictions(scenario: &Scenario, wanted: &str) -> Result<(), Complaint> {
    let fail = |what: String| Err(Complaint::at(in_table("expect", "violation"), what));
    if AFTER_LINGER.contains(&wanted) && scenario.heal.linger_ms == 0 {
        return fail(format!("violation = {wanted:?} is looked for after a linger, and heal.linger_ms is 0"));
    }
    let damages = |s: &Step| matches!(&s.action, Action::Network { faults, .. } if faults.unsealed);
    let unsealed = scenario.network.unsealed || scenario.step.iter().any(damages);
    if unsealed && BY_THE_RUNNER.contains(&wanted) {
        return fail(format!(
            "violation = {wanted:?}: with unsealed damage only bounds are promised, so it never shows"
        ));
    }
    let looks = scenario.step.iter().any(|s| matches!(s.action, Action::Look { .. }));
    if wanted == "look" && !looks {
        return fail("violation = \"look\", and there is no look".into());
    }
    Ok(())
}

/// A key that two maps, or a map and a list, both name.
pub(super) fn twice<V>(map: &BTreeMap<String, V>, mut other: impl FnMut(&str) -> bool) -> Option<&String> {
    map.keys().find(|key| other(key))
}
