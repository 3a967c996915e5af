//! What a single step must not ask for.

use std::collections::BTreeMap;

use sessionmesh::core::limits::MAX_PRINCIPAL_BYTES;
use sessionmesh::core::wire::{WIRE_NEWEST, WIRE_OLDEST};

use super::Scenario;
use super::check::{Complaint, LATEST_MS, faults, in_nth, nodes, twice};
use super::place::Seg;
use super::step::{Action, NodeIx, Step};

/// Largest field a step may ask for (bytes).
const MOST_BIG: usize = 64 << 20;

/// Refuses a step that makes no sense.
pub(super) fn one_step(scenario: &Scenario, nth: usize, step: &Step) -> Result<(), Complaint> {
    let action = &step.action;
    let at = || in_nth("step", nth, "at_ms");
    let body = in_nth("step", nth, action.name());
    if step.at_ms > LATEST_MS {
        let what = format!("at_ms = {}: a scenario ends after {LATEST_MS} ms (60 days)", step.at_ms);
        return Err(Complaint::at(at(), what));
    }
    let heal = scenario.heal.at_ms;
    if heal > 0 && step.at_ms >= heal && !matches!(action, Action::Look { .. }) {
        let what = format!("at_ms = {}: after the heal at {heal} ms there are only looks", step.at_ms);
        return Err(Complaint::at(at(), what));
    }
    nodes(scenario, &action.nodes(), &body)?;
    if let Action::Network { faults: given, .. } = action {
        let place: Vec<Seg> = body.iter().cloned().chain([Seg::Key("faults".into())]).collect();
        faults(given, &place)?;
    }
    let wrong = fault(action).or_else(|| operation(action)).or_else(|| look(action));
    let Some((key, what)) = wrong else { return Ok(()) };
    let place = body.into_iter().chain((!key.is_empty()).then(|| Seg::Key(key.into()))).collect();
    Err(Complaint::at(place, what))
}

/// A key of the action, and what is wrong with it.
type Wrong = Option<(&'static str, String)>;

fn wrong(key: &'static str, what: impl Into<String>) -> Wrong {
    Some((key, what.into()))
}

fn fault(action: &Action) -> Wrong {
    match action {
        Action::Cut { between, and, .. }
        | Action::Mend { between, and, .. }
        | Action::Flap { between, and, .. } => {
            if between.is_empty() || and.is_empty() {
                return wrong(if and.is_empty() { "and" } else { "between" }, "a side without nodes");
            }
            if let Some(both) = between.iter().find(|n| and.contains(n)) {
                return wrong("and", format!("{both} stands on both sides: a node has no link to itself"));
            }
            match action {
                Action::Flap { for_ms: 0, .. } => wrong("for_ms", "for_ms = 0: nothing would happen"),
                Action::Flap { down_ms: 0, .. } => wrong("down_ms", "down_ms = 0: nothing would happen"),
                _ => None,
            }
        }
        Action::Crash { nodes }
        | Action::Start { nodes, .. }
        | Action::Leave { nodes }
        | Action::Freeze { nodes, .. }
        | Action::Suspend { nodes, .. }
        | Action::Slow { nodes, .. }
        | Action::Clock { nodes, .. }
        | Action::Wire { nodes, .. }
            if nodes.is_empty() =>
        {
            wrong("nodes", "no nodes: nothing would happen")
        }
        Action::Freeze { for_ms: 0, .. } | Action::Suspend { for_ms: 0, .. } => {
            wrong("for_ms", "for_ms = 0: nothing would happen")
        }
        Action::Clock { drift_ppm, .. } if !(-500_000..=500_000).contains(drift_ppm) => {
            wrong("drift_ppm", format!("drift_ppm = {drift_ppm}: at most 500,000 either way"))
        }
        Action::Wire { version, .. } if !(WIRE_OLDEST..=WIRE_NEWEST).contains(version) => {
            wrong("version", format!("version = {version}: the core speaks {WIRE_OLDEST} to {WIRE_NEWEST}"))
        }
        Action::Forget { node, of } if node == of => wrong("of", format!("{node} cannot forget itself")),
        Action::Impersonate { node, name_of } if node == name_of => {
            wrong("name_of", format!("{node} has that name already"))
        }
        Action::Tamper { node, to, .. } if to.contains(node) => {
            wrong("to", format!("{node} has no link to itself"))
        }
        _ => None,
    }
}

fn operation(action: &Action) -> Wrong {
    match action {
        Action::Create { ttl_ms: 0, .. } | Action::Ttl { ttl_ms: 0, .. } => {
            wrong("ttl_ms", "ttl_ms = 0: the session would never be seen")
        }
        Action::Create { fields, big, .. } => sizes(big).or_else(|| {
            let key = twice(big, |key| fields.contains_key(key))?;
            wrong("big", format!("{key} is among fields too"))
        }),
        Action::Set { fields, big, remove, .. } => sizes(big).or_else(|| {
            let removed = |key: &str| remove.iter().any(|r| r == key);
            if let Some(key) = twice(big, |key| fields.contains_key(key) || removed(key)) {
                return wrong("big", format!("{key} is named twice"));
            }
            let key = twice(fields, removed)?;
            wrong("remove", format!("{key} is set and removed at once"))
        }),
        Action::Login { ttl_ms: 0, .. } => wrong("ttl_ms", "ttl_ms = 0: the session would never be seen"),
        Action::Login { principal, .. } | Action::Revoke { principal, .. }
            if !(1..=MAX_PRINCIPAL_BYTES).contains(&principal.len()) =>
        {
            let what = format!("a principal of {} bytes: 1 to {MAX_PRINCIPAL_BYTES}", principal.len());
            wrong("principal", what)
        }
        Action::Load { client: 0, .. } | Action::Save { client: 0, .. } => {
            wrong("client", "client = 0 is anybody: a request belongs to somebody")
        }
        Action::Save { fields, remove, .. } => {
            let key = twice(fields, |key| remove.iter().any(|r| r == key))?;
            wrong("remove", format!("{key} is set and removed at once"))
        }
        _ => None,
    }
}

fn sizes(big: &BTreeMap<String, usize>) -> Wrong {
    let (key, size) = big.iter().find(|(_, size)| **size > MOST_BIG)?;
    wrong("big", format!("{key} = {size}: at most {MOST_BIG} bytes"))
}

fn look(action: &Action) -> Wrong {
    let Action::Look { nodes, session, shown, fields, absent, ready, records, alive } = action else {
        return None;
    };
    if nodes.is_empty() {
        return wrong("nodes", "no nodes: nobody is looked at");
    }
    if *shown == Some(false) && !fields.is_empty() {
        return wrong("fields", "shown = false, and yet fields: a session that is not shown has none");
    }
    if session.is_none() && (shown.is_some() || !fields.is_empty() || !absent.is_empty()) {
        return wrong("", "shown, fields and absent are about a session, and none is named");
    }
    if session.is_none() && ready.is_none() && records.is_none() && alive.is_none() {
        return wrong("", "a look at nothing");
    }
    if let Some(key) = twice(fields, |key| absent.iter().any(|a| a == key)) {
        return wrong("absent", format!("{key} cannot have a value and be absent"));
    }
    let itself = |n: &&NodeIx| alive.iter().flatten().any(|a| a == *n);
    let both = nodes.iter().find(itself)?;
    wrong("alive", format!("{both} does not count itself among those it believes alive"))
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
            Self::Forget { node, of } => vec![*node, *of],
            Self::Tamper { node, to, .. } => [node].into_iter().chain(to).copied().collect(),
            Self::Create { node, .. }
            | Self::Set { node, .. }
            | Self::Touch { node, .. }
            | Self::Ttl { node, .. }
            | Self::Destroy { node, .. }
            | Self::Login { node, .. }
            | Self::Revoke { node, .. }
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
                | Self::Login { .. }
                | Self::Revoke { .. }
                | Self::Read { .. }
                | Self::Load { .. }
                | Self::Save { .. }
        )
    }
}
