//! One step of the timeline, done to the world.

use std::collections::BTreeMap;

use sessionmesh::core::replica::Lookup;
use sessionmesh::core::session::Ttl;

use super::Run;
use crate::net::Faults;
use crate::scenario::{Action, NodeIx};
use crate::world::{ClientOp, Lie, OpKind, World};

fn list(nodes: &[NodeIx]) -> String {
    nodes.iter().map(NodeIx::to_string).collect::<Vec<_>>().join(" ")
}

fn places(nodes: &[NodeIx]) -> Vec<usize> {
    nodes.iter().map(|n| n.0).collect()
}

fn pairs(between: &[NodeIx], and: &[NodeIx], one_way: bool) -> Vec<(usize, usize)> {
    let one = between.iter().flat_map(|a| and.iter().map(move |b| (a.0, b.0)));
    one.clone().chain(one.filter(|_| !one_way).map(|(a, b)| (b, a))).collect()
}

impl Run {
    pub(super) fn apply(&mut self, action: &Action) {
        if action.is_operation() {
            self.totals.ops += 1;
            if let Some((at, op)) = operation(action, &self.world) {
                self.world.client(at, op);
            }
        } else if let Action::Look { .. } = action {
            self.look(action);
        } else {
            self.totals.faults += 1;
            self.world.fault(describe(action), places(&action.nodes()));
            self.drain();
            self.fault(action);
            let seeds_down = self.scenario.mesh.seeds.iter().all(|s| self.world.nodes[s.0].is_none());
            self.faults.step(self.world.time_ms, action, &self.scenario, seeds_down);
            self.checks.faults = self.faults.mask(self.world.time_ms);
        }
        self.drain();
        if let Some(recorder) = &mut self.recorder {
            recorder.cuts(&self.world);
        }
    }

    fn fault(&mut self, action: &Action) {
        let world = &mut self.world;
        match action {
            Action::Cut { between, and, one_way } => {
                pairs(between, and, *one_way).into_iter().for_each(|(a, b)| world.cut_one_way(a, b));
            }
            Action::Mend { between, and, one_way } => {
                pairs(between, and, *one_way).into_iter().for_each(|(a, b)| world.mend_one_way(a, b));
            }
            Action::Heal {} => world.heal(),
            Action::Flap { between, and, down_ms, up_ms, for_ms, one_way } => {
                world.flap(pairs(between, and, *one_way), *down_ms, *up_ms, *for_ms);
            }
            Action::Network { between, and, faults } => {
                self.checks.bounds_only |= faults.unsealed;
                set_network(world, between, and, faults);
            }
            Action::Crash { nodes } => {
                for at in places(nodes) {
                    self.take_marks(at);
                    self.world.crash(at);
                }
            }
            Action::Start { nodes, alone } => {
                for at in places(nodes) {
                    self.take_marks(at);
                    let seeds = !alone && self.scenario.mesh.nodes > 1;
                    self.world.start(at, seeds);
                }
            }
            Action::Leave { nodes } => {
                for at in places(nodes) {
                    self.take_marks(at);
                    self.world.leave(at);
                }
            }
            Action::Forget { node, of } => world.forget(node.0, of.0),
            Action::Freeze { nodes, for_ms } => {
                places(nodes).into_iter().for_each(|at| world.freeze(at, *for_ms))
            }
            Action::Suspend { nodes, for_ms } => {
                places(nodes).into_iter().for_each(|at| world.suspend(at, *for_ms));
            }
            Action::Slow { nodes, by_ms } => places(nodes).into_iter().for_each(|at| world.slow(at, *by_ms)),
            Action::Clock { nodes, jump_ms, drift_ppm } => {
                for at in places(nodes) {
                    if *jump_ms != 0 {
                        world.jump_clock(at, *jump_ms);
                    }
                    world.drift_clock(at, *drift_ppm);
                }
            }
            Action::Impersonate { node, name_of } => {
                world.hosts[node.0].name = world.hosts[name_of.0].name.clone();
            }
            Action::Wire { nodes, version } => {
                places(nodes).into_iter().for_each(|at| world.hosts[at].version = *version);
            }
            Action::Tamper { node, how, to } => {
                self.checks.lied_to = true;
                world.lies.insert(node.0, (*how, places(to)));
            }
            _ => {}
        }
    }

    /// Ends the faults: all of them, or all within the core, whose outsiders stay cut off.
    pub(super) fn heal(&mut self) {
        let n = self.scenario.mesh.nodes;
        let chosen = places(&self.scenario.heal.core);
        let core: Vec<usize> = if chosen.is_empty() { (0..n).collect() } else { chosen };
        self.world.fault(
            format!("heal {}", core.iter().map(|at| format!("n{at} ")).collect::<String>()),
            Vec::new(),
        );
        self.drain();
        self.world.net.faults = Faults::default();
        self.world.net.links.clear();
        self.world.lies.clear();
        self.world.heal();
        for at in 0..n {
            self.world.slow(at, 0);
            self.world.wake(at);
            self.drain();
            let drift = self.world.hosts[at].clock.drift_ppm();
            if drift != 0 {
                self.world.drift_clock(at, 0);
            }
            self.drain();
        }
        for outside in (0..n).filter(|at| !core.contains(at)) {
            self.take_marks(outside);
            self.world.crash(outside);
            self.drain();
        }
        let left = self.watcher.left();
        for &at in core.iter().filter(|at| !left.contains(at)) {
            if self.world.nodes[at].is_none() {
                self.world.start(at, n > 1);
                self.drain();
            }
        }
        self.checks.core = core.iter().map(|at| 1u64 << at).sum();
        self.checks.healed_ms = Some(self.world.time_ms);
        if let Some(recorder) = &mut self.recorder {
            recorder.healed(&self.world);
        }
    }

    fn look(&mut self, action: &Action) {
        let Action::Look { nodes, .. } = action else { return };
        for at in places(nodes) {
            let broken = if self.world.nodes[at].is_some() {
                self.differs(at, action)
            } else {
                Some("is down".into())
            };
            self.checks.runner(&self.world, "look", Some(at), broken);
        }
    }

    /// What a node does not show that a look wants to see.
    fn differs(&self, at: usize, action: &Action) -> Option<String> {
        let Action::Look { session, shown, fields, absent, ready, records, alive, .. } = action else {
            return None;
        };
        if let Some(wanted) = ready.filter(|r| *r != self.world.ready(at)) {
            return Some(format!("ready should be {wanted}"));
        }
        if let Some(wanted) = records {
            let counts = self.world.replica(at).counts();
            let held = counts.sessions + counts.tombstones;
            if held != *wanted {
                return Some(format!("holds {held} records, not {wanted}"));
            }
        }
        if let Some(wanted) = alive {
            let view = self.watcher.view(at);
            if view != places(wanted) {
                let view: Vec<NodeIx> = view.into_iter().map(NodeIx).collect();
                return Some(format!("believes {} alive, not {}", list(&view), list(wanted)));
            }
        }
        let id = self.world.session_id((*session)?);
        let Lookup::Found(view) = self.world.lookup(at, id) else {
            return (*shown != Some(false)).then(|| "does not show the session".into());
        };
        if *shown == Some(false) {
            return Some("shows the session".into());
        }
        let value = |key: &str| view.packed().field(key).map(|v| String::from_utf8_lossy(v).into_owned());
        let wrong = fields.iter().find(|(k, v)| value(k).as_ref() != Some(v));
        if let Some((key, wanted)) = wrong {
            return Some(format!("{key} is {:?}, not {wanted:?}", value(key)));
        }
        absent.iter().find(|k| value(k).is_some()).map(|k| format!("{k} is {:?}, not absent", value(k)))
    }
}

fn set_network(world: &mut World, between: &[NodeIx], and: &[NodeIx], faults: &Faults) {
    if between.is_empty() && and.is_empty() {
        world.net.faults = *faults;
        world.net.links.clear();
        return;
    }
    let all: Vec<NodeIx> = (0..world.hosts.len()).map(NodeIx).collect();
    let side = |nodes: &[NodeIx]| if nodes.is_empty() { all.clone() } else { nodes.to_vec() };
    for link in pairs(&side(between), &side(and), false).into_iter().filter(|(a, b)| a != b) {
        world.net.links.insert(link, *faults);
    }
}

/// A step as an operation of a client, and where.
pub(crate) fn operation(action: &Action, world: &World) -> Option<(usize, ClientOp)> {
    let big = |sizes: &BTreeMap<String, usize>| -> Vec<(String, String)> {
        sizes.iter().map(|(k, n)| (k.clone(), "x".repeat((*n).min(64 << 20)))).collect()
    };
    let changes = |fields: &BTreeMap<String, String>, remove: &[String]| -> Vec<(String, Option<String>)> {
        let set = fields.iter().map(|(k, v)| (k.clone(), Some(v.clone())));
        set.chain(remove.iter().map(|k| (k.clone(), None))).collect()
    };
    let op = |node: &NodeIx, session: &u64, client: u32, token: bool, kind: OpKind| {
        Some((node.0, ClientOp { client, session: *session, kind, token, stalled_ms: 0 }))
    };
    let late = |op: Option<(usize, ClientOp)>, stalled_ms: u64| {
        op.map(|(at, op)| (at, ClientOp { stalled_ms, ..op }))
    };
    match action {
        Action::Create { node, session, client, fields, big: sizes, ttl_ms, ends_in_ms, life_ms } => {
            let mut all: Vec<(String, String)> = fields.clone().into_iter().collect();
            all.extend(big(sizes));
            let ends = |after: u64| Ttl::Absolute(world.now(node.0).wall_ms + after);
            let ttl = ends_in_ms.map_or(Ttl::Sliding(*ttl_ms), ends);
            let life_ms = life_ms.unwrap_or(world.limits.max_lifetime_ms);
            op(node, session, *client, false, OpKind::Create { fields: all, ttl, life_ms })
        }
        Action::Set { node, session, client, token, fields, big: sizes, remove, stalled_ms } => {
            let mut all = changes(fields, remove);
            all.extend(big(sizes).into_iter().map(|(k, v)| (k, Some(v))));
            late(op(node, session, *client, *token, OpKind::Edit(all)), *stalled_ms)
        }
        Action::Touch { node, session, stalled_ms } => {
            late(op(node, session, 0, false, OpKind::Touch), *stalled_ms)
        }
        Action::Ttl { node, session, ttl_ms } => {
            op(node, session, 0, false, OpKind::SetTtl(Ttl::Sliding(*ttl_ms)))
        }
        Action::Destroy { node, session, blind } => op(node, session, 0, false, OpKind::Destroy(*blind)),
        Action::Login { node, session, principal, ttl_ms } => {
            let kind = OpKind::Login { principal: principal.clone(), ttl: Ttl::Sliding(*ttl_ms) };
            op(node, session, 0, false, kind)
        }
        Action::Revoke { node, principal } => op(node, &0, 0, false, OpKind::Revoke(principal.clone())),
        Action::Read { node, session, client, token } => op(node, session, *client, *token, OpKind::Read),
        Action::Load { node, session, client } => op(node, session, *client, false, OpKind::Load),
        Action::Save { node, session, client, fields, remove } => {
            op(node, session, *client, false, OpKind::Save(changes(fields, remove)))
        }
        _ => None,
    }
}

/// A fault in plain words.
pub fn describe(action: &Action) -> String {
    match action {
        Action::Cut { between, and, one_way: true } => format!("cut {} → {}", list(between), list(and)),
        Action::Cut { between, and, .. } => format!("cut {} | {}", list(between), list(and)),
        Action::Mend { between, and, .. } => format!("mend {} | {}", list(between), list(and)),
        Action::Heal {} => "heal all cuts".into(),
        Action::Flap { between, and, down_ms, up_ms, for_ms, .. } => format!(
            "links between {} and {} down {down_ms} ms, up {up_ms} ms, for {for_ms} ms",
            list(between),
            list(and)
        ),
        Action::Network { between, and, .. } if between.is_empty() && and.is_empty() => {
            "the network changes".into()
        }
        Action::Network { between, and, .. } => {
            format!("the network changes between {} and {}", list(between), list(and))
        }
        Action::Crash { nodes } => format!("crash {}", list(nodes)),
        Action::Start { nodes, .. } => format!("start {}", list(nodes)),
        Action::Leave { nodes } => format!("{} leave", list(nodes)),
        Action::Forget { node, of } => format!("{node} forgets {of}"),
        Action::Freeze { nodes, for_ms } => format!("freeze {} for {for_ms} ms", list(nodes)),
        Action::Suspend { nodes, for_ms } => format!("suspend {} for {for_ms} ms", list(nodes)),
        Action::Slow { nodes, by_ms } => format!("{} take {by_ms} ms over every message", list(nodes)),
        Action::Clock { nodes, jump_ms, drift_ppm } => {
            format!("clocks of {} jump {jump_ms} ms and run {drift_ppm} ppm fast", list(nodes))
        }
        Action::Impersonate { node, name_of } => format!("{node}'s machine takes the name of {name_of}"),
        Action::Wire { nodes, version } => format!("{} will speak wire version {version}", list(nodes)),
        Action::Tamper { node, how: Lie::Off, .. } => format!("{node} lies no longer"),
        Action::Tamper { node, how, .. } => format!("{node} begins to lie: {how:?}"),
        other => other.name().to_owned(),
    }
}
