//! What a scenario must not ask for: missing nodes, impossible times, contradictory expectations.

use sessionmesh::core::replication::{WIRE_NEWEST, WIRE_OLDEST};

use super::file::nearest;
use super::step::{Action, NodeIx, Step};
use super::{Membership, Scenario};

/// Most nodes of a scenario: observers keep one bit for each.
const MOST_NODES: usize = 64;
/// Latest moment of a scenario (ms): 60 days, twice the longest life of a session by default.
const LATEST_MS: u64 = 60 * 24 * 3_600_000;
/// Most operations of a workload.
const MOST_OPS: u64 = 200_000;

/// What is wrong with a scenario, and where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What.
    pub what: String,
    /// What was probably meant.
    pub meant: Option<String>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The n-th table of this name, at the line that begins with this key if there is one.
    Table(&'static str, usize, &'static str),
}

impl Complaint {
    fn at(place: Place, what: String) -> Self {
        Self { what, meant: None, place }
    }

    /// The line of a file it is about; 0 if that cannot be told.
    pub(super) fn line_in(&self, text: &str) -> usize {
        let Place::Table(table, nth, key) = &self.place;
        let (single, array) = (format!("[{table}]"), format!("[[{table}]]"));
        let is_head = |l: &str| l == single || l == array;
        let heads = text.lines().enumerate().filter(|(_, l)| is_head(l.trim())).map(|(n, _)| n);
        let Some(head) = heads.clone().nth(*nth) else { return 0 };
        let body = text.lines().enumerate().skip(head + 1).take_while(|(_, l)| !l.trim().starts_with('['));
        let named = |l: &str| !key.is_empty() && l.trim_start().starts_with(key);
        body.filter(|(_, l)| named(l)).map(|(n, _)| n + 1).next().unwrap_or(head + 1)
    }
}

/// Refuses what makes no sense.
///
/// # Errors
/// The first complaint.
pub(super) fn check(scenario: &Scenario) -> Result<(), Complaint> {
    mesh(scenario)?;
    for (nth, step) in scenario.step.iter().enumerate() {
        one_step(scenario, nth, step)?;
    }
    for (nth, workload) in scenario.workload.iter().enumerate() {
        let at = |key| Place::Table("workload", nth, key);
        if workload.until_ms <= workload.from_ms {
            let what = format!("until_ms = {} is not after from_ms = {}", workload.until_ms, workload.from_ms);
            return Err(Complaint::at(at("until_ms"), what));
        }
        if workload.ops > MOST_OPS || workload.until_ms > LATEST_MS {
            let what = format!("at most {MOST_OPS} operations, until {LATEST_MS} ms at the latest");
            return Err(Complaint::at(at("ops"), what));
        }
        if workload.sessions == 0 || workload.ttl_ms == 0 {
            return Err(Complaint::at(at("sessions"), "sessions and ttl_ms must be at least 1".into()));
        }
        nodes(scenario, &workload.nodes, || at("nodes"))?;
    }
    ends(scenario)
}

fn mesh(scenario: &Scenario) -> Result<(), Complaint> {
    let mesh = &scenario.mesh;
    let at = |key| Place::Table("mesh", 0, key);
    if !(1..=MOST_NODES).contains(&mesh.nodes) {
        let what = format!("nodes = {}: a mesh has 1 to {MOST_NODES}", mesh.nodes);
        return Err(Complaint::at(at("nodes"), what));
    }
    if let Err(what) = mesh.limits().validate() {
        return Err(Complaint::at(at(""), what));
    }
    if mesh.seeds.is_empty() && mesh.nodes > 1 && mesh.membership == Membership::Board {
        let what = "no seeds: nodes that know nobody never meet (membership = \"direct\" needs none)".into();
        return Err(Complaint::at(at("seeds"), what));
    }
    nodes(scenario, &mesh.seeds, || at("seeds"))?;
    nodes(scenario, &mesh.late, || at("late"))?;
    let faults = &scenario.network;
    if faults.delay_max_ms < faults.delay_min_ms {
        let what = format!("delay_max_ms = {} is below delay_min_ms = {}", faults.delay_max_ms, faults.delay_min_ms);
        return Err(Complaint::at(Place::Table("network", 0, "delay_max_ms"), what));
    }
    Ok(())
}

fn nodes(scenario: &Scenario, named: &[NodeIx], place: impl Fn() -> Place) -> Result<(), Complaint> {
    let n = scenario.mesh.nodes;
    match named.iter().find(|node| node.0 >= n) {
        None => Ok(()),
        Some(node) => {
            let what = format!("there is no {node}: the mesh has {n} nodes, n0 to n{}", n - 1);
            Err(Complaint { what, meant: Some(NodeIx(n - 1).to_string()), place: place() })
        }
    }
}

fn one_step(scenario: &Scenario, nth: usize, step: &Step) -> Result<(), Complaint> {
    let action = &step.action;
    let at = || Place::Table("step", nth, "at_ms");
    let body = || Place::Table("step", nth, action.name());
    if step.at_ms > LATEST_MS {
        let what = format!("at_ms = {}: a scenario ends after {LATEST_MS} ms (60 days)", step.at_ms);
        return Err(Complaint::at(at(), what));
    }
    let heal = scenario.heal.at_ms;
    if heal > 0 && step.at_ms >= heal && !matches!(action, Action::Look { .. }) {
        let what = format!("at_ms = {}: after the heal at {heal} ms there are only looks", step.at_ms);
        return Err(Complaint::at(at(), what));
    }
    nodes(scenario, &action.nodes(), body)?;
    let fail = |what: String| Err(Complaint::at(body(), what));
    match action {
        Action::Cut { between, and, .. } | Action::Mend { between, and, .. } | Action::Flap { between, and, .. } => {
            if let Some(both) = between.iter().find(|n| and.contains(n)) {
                return fail(format!("{both} stands on both sides: a node has no link to itself"));
            }
            if between.is_empty() || and.is_empty() {
                return fail("a side without nodes".into());
            }
        }
        Action::Freeze { for_ms: 0, .. } | Action::Suspend { for_ms: 0, .. } => {
            return fail("for_ms = 0: nothing would happen".into());
        }
        Action::Clock { drift_ppm, .. } if drift_ppm.abs() > 500_000 => {
            return fail(format!("drift_ppm = {drift_ppm}: at most 500,000 either way"));
        }
        Action::Wire { version, .. } if !(WIRE_OLDEST..=WIRE_NEWEST).contains(version) => {
            return fail(format!("version = {version}: the core speaks {WIRE_OLDEST} to {WIRE_NEWEST}"));
        }
        Action::Create { ttl_ms: 0, .. } | Action::Ttl { ttl_ms: 0, .. } => {
            return fail("ttl_ms = 0: the session would never be seen".into());
        }
        Action::Network { faults, .. } if faults.delay_max_ms < faults.delay_min_ms => {
            return fail("delay_max_ms is below delay_min_ms".into());
        }
        Action::Look { shown: Some(false), fields, .. } if !fields.is_empty() => {
            return fail("shown = false, and yet fields: a session that is not shown has none".into());
        }
        _ => {}
    }
    Ok(())
}

fn ends(scenario: &Scenario) -> Result<(), Complaint> {
    let (heal, expect) = (&scenario.heal, &scenario.expect);
    nodes(scenario, &heal.core, || Place::Table("heal", 0, "core"))?;
    if heal.at_ms > LATEST_MS || heal.linger_ms > 2 * LATEST_MS {
        return Err(Complaint::at(Place::Table("heal", 0, ""), format!("later than {LATEST_MS} ms (60 days)")));
    }
    let at = |key| Place::Table("expect", 0, key);
    if expect.converged_within_ms == Some(0) {
        let what = "converged_within_ms = 0: nothing is equal at once".into();
        return Err(Complaint::at(at("converged_within_ms"), what));
    }
    if let Some(name) = &expect.violation {
        let known = crate::invariant::names();
        if !known.contains(&name.as_str()) {
            let what = format!("there is no invariant {name:?}");
            let meant = nearest(name, known.into_iter());
            return Err(Complaint { what, meant, place: at("violation") });
        }
        if expect.converged_within_ms.is_some() && name == "converges" {
            let what = "converged_within_ms contradicts violation = \"converges\"".into();
            return Err(Complaint::at(at("violation"), what));
        }
    }
    Ok(())
}

impl Action {
    /// Every node it names.
    pub fn nodes(&self) -> Vec<NodeIx> {
        match self {
            Self::Cut { between, and, .. }
            | Self::Mend { between, and, .. }
            | Self::Flap { between, and, .. }
            | Self::Network { between, and, .. } => between.iter().chain(and).copied().collect(),
            Self::Heal {} => Vec::new(),
            Self::Crash { nodes }
            | Self::Start { nodes, .. }
            | Self::Leave { nodes }
            | Self::Freeze { nodes, .. }
            | Self::Suspend { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Clock { nodes, .. }
            | Self::Wire { nodes, .. } => nodes.clone(),
            Self::Impersonate { node, name_of } => vec![*node, *name_of],
            Self::Create { node, .. }
            | Self::Set { node, .. }
            | Self::Touch { node, .. }
            | Self::Ttl { node, .. }
            | Self::Destroy { node, .. }
            | Self::Read { node, .. }
            | Self::Load { node, .. }
            | Self::Save { node, .. } => vec![*node],
            Self::Look { nodes, alive, .. } => nodes.iter().chain(alive.iter().flatten()).copied().collect(),
        }
    }

    /// Whether a client does it.
    pub fn is_operation(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::Set { .. }
                | Self::Touch { .. }
                | Self::Ttl { .. }
                | Self::Destroy { .. }
                | Self::Read { .. }
                | Self::Load { .. }
                | Self::Save { .. }
        )
    }
}
