//! The shrinker: a failing scenario made small. It takes away steps (delta debugging, Zeller and Hildebrandt
//! 2002), then nodes, features of the network and settings, then makes times and payloads smaller, as long as the
//! same invariant is violated. Draws are keyed, so that what is left behaves as it did.

use std::time::{Duration, Instant};

use crate::net::Faults;
use crate::run::{Options, run};
use crate::scenario::{self, Action, Mesh, NodeIx, Scenario, Step, to_toml};

/// What came of shrinking.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest scenario found that violates the same invariant.
    pub scenario: Scenario,
    /// The invariant.
    pub invariant: String,
    /// What was said of it in the last failing run.
    pub text: String,
    /// Runs it took.
    pub runs: u64,
    /// Steps before and after.
    pub steps: (usize, usize),
    /// Whether the time was up before nothing more could be taken away.
    pub cut_short: bool,
}

struct Shrinker<'p> {
    best: Scenario,
    invariant: String,
    text: String,
    runs: u64,
    deadline: Instant,
    progress: &'p mut dyn FnMut(&Scenario, u64),
}

/// Shrinks a scenario that fails, in at most this time; `None` if it does not fail.
pub fn shrink(
    scenario: &Scenario,
    patience: Duration,
    progress: &mut dyn FnMut(&Scenario, u64),
) -> Option<Shrunk> {
    let expanded = scenario.expanded();
    let first = run(&expanded, Options { stop_early: true, ..Options::default() });
    let violation = first.violations.first()?.clone();
    let mut shrinker = Shrinker {
        best: expanded,
        invariant: violation.invariant,
        text: violation.text,
        runs: 1,
        deadline: Instant::now() + patience,
        progress,
    };
    let before = shrinker.best.step.len();
    shrinker.cut_tail(violation.at_ms);
    while shrinker.pass() {}
    let cut_short = shrinker.late();
    let steps = (before, shrinker.best.step.len());
    shrinker.best.name = format!("{}-shrunk", scenario.name);
    shrinker.best.about = format!("shrunk from {}: violates {}", scenario.name, shrinker.invariant);
    let Shrinker { best, invariant, text, runs, .. } = shrinker;
    Some(Shrunk { scenario: best, invariant, text, runs, steps, cut_short })
}

/// Whether `run` would take it as a file: one step less may leave what no scenario may say.
fn is_readable(scenario: &Scenario) -> bool {
    scenario::parse(&scenario.name, &to_toml(scenario)).is_ok()
}

impl Shrinker<'_> {
    fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Keeps a smaller scenario if the same invariant is still violated.
    fn keep(&mut self, candidate: Scenario) -> bool {
        if self.late() || candidate == self.best || !is_readable(&candidate) {
            return false;
        }
        self.runs += 1;
        let outcome = run(&candidate, Options { stop_early: true, ..Options::default() });
        let same = outcome.violations.iter().find(|v| v.invariant == self.invariant && self.alike(&v.text));
        if let Some(violation) = same {
            self.text.clone_from(&violation.text);
            self.best = candidate;
            (self.progress)(&self.best, self.runs);
        }
        same.is_some()
    }

    /// A look can fail in several ways, of which only the one that was seen is wanted: told by its first words.
    fn alike(&self, text: &str) -> bool {
        let words = |text: &str| text.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
        self.invariant != "look" || words(text) == words(&self.text)
    }

    fn with(&self, change: impl FnOnce(&mut Scenario)) -> Scenario {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        candidate
    }

    /// Nothing after the violation can have caused it.
    fn cut_tail(&mut self, at_ms: u64) {
        let heal_ms = self.best.heal.at_ms;
        if at_ms >= heal_ms {
            return;
        }
        let candidate = self.with(|s| {
            s.step.retain(|step| step.at_ms <= at_ms);
            s.heal.at_ms = at_ms + 1_000;
            s.heal.linger_ms = 0;
        });
        self.keep(candidate);
    }

    /// One round of everything. Whether anything became smaller.
    fn pass(&mut self) -> bool {
        let before = self.best.clone();
        self.fewer_steps();
        self.fewer_nodes();
        self.calmer_network();
        self.plainer_settings();
        self.earlier();
        self.smaller_payloads();
        self.best != before && !self.late()
    }

    fn fewer_steps(&mut self) {
        let mut size = (self.best.step.len() / 2).max(1);
        loop {
            let mut at = 0;
            let mut removed = false;
            while at < self.best.step.len() && !self.late() {
                let end = (at + size).min(self.best.step.len());
                let candidate = self.with(|s| drop(s.step.drain(at..end)));
                if self.keep(candidate) { removed = true } else { at = end }
            }
            if size == 1 && !removed || self.late() || self.best.step.is_empty() {
                return;
            }
            size = if removed { size.min(self.best.step.len()).max(1) } else { (size / 2).max(1) };
            if removed && size > 1 {
                size = (size / 2).max(1);
            }
        }
    }

    /// Takes away the last node, its operations given to another; or any other by renaming it to be the last.
    fn fewer_nodes(&mut self) {
        let mut victim = self.best.mesh.nodes;
        while victim > 0 && self.best.mesh.nodes > 1 && !self.late() {
            victim -= 1;
            let n = self.best.mesh.nodes;
            let drop_ops = self.with(|s| without_node(s, victim, None));
            let moved = self.with(|s| without_node(s, victim, Some((victim + 1) % n)));
            if self.keep(drop_ops) || self.keep(moved) {
                victim = victim.min(self.best.mesh.nodes);
            }
        }
    }

    fn calmer_network(&mut self) {
        let calm = self.with(|s| s.network = Faults::default());
        if self.keep(calm) {
            return;
        }
        let resets: [fn(&mut Faults, &Faults); 9] = [
            |f, d| f.drop_per_mille = d.drop_per_mille,
            |f, d| f.duplicate_per_mille = d.duplicate_per_mille,
            |f, d| (f.delay_min_ms, f.delay_max_ms) = (d.delay_min_ms, d.delay_max_ms),
            |f, d| (f.late_per_mille, f.late_max_ms) = (d.late_per_mille, d.late_max_ms),
            |f, d| (f.flip_per_mille, f.truncate_per_mille) = (d.flip_per_mille, d.truncate_per_mille),
            |f, d| f.replay_per_mille = d.replay_per_mille,
            |f, d| f.burst_per_mille = d.burst_per_mille,
            |f, d| (f.bandwidth_bytes, f.queue_bytes) = (d.bandwidth_bytes, d.queue_bytes),
            |f, d| f.datagram_bytes = d.datagram_bytes,
        ];
        for reset in resets {
            let candidate = self.with(|s| reset(&mut s.network, &Faults::default()));
            self.keep(candidate);
        }
    }

    fn plainer_settings(&mut self) {
        let plain = Mesh::default();
        let changes: [fn(&mut Scenario, &Mesh); 8] = [
            |s, _| s.heal.linger_ms = 0,
            |s, _| s.heal.core.clear(),
            |s, _| s.mesh.late.clear(),
            |s, _| s.mesh.partitions = 1,
            |s, p| s.mesh.page_bytes = p.page_bytes,
            |s, p| s.mesh.sync_interval_ms = p.sync_interval_ms,
            |s, p| s.mesh.audit_interval_ms = p.audit_interval_ms,
            |s, p| s.mesh.max_lifetime_ms = p.max_lifetime_ms,
        ];
        for change in changes {
            let candidate = self.with(|s| change(s, &plain));
            self.keep(candidate);
        }
    }

    /// Moves everything closer together: first all pauses at once, then each alone.
    fn earlier(&mut self) {
        for divide in [16, 4, 2] {
            let candidate = self.with(|s| squeeze(s, |pause| pause / divide));
            self.keep(candidate);
        }
        for nth in 0..=self.best.step.len() {
            let pause = pause_before(&self.best, nth);
            for shorter in [1, pause / 8, pause / 2] {
                if shorter >= pause || self.late() {
                    continue;
                }
                let candidate = self.with(|s| shift(s, nth, pause - shorter));
                if self.keep(candidate) {
                    break;
                }
            }
        }
    }

    fn smaller_payloads(&mut self) {
        for nth in 0..self.best.step.len() {
            let candidate = self.with(|s| plain_payload(&mut s.step[nth].action));
            self.keep(candidate);
            let candidate = self.with(|s| halve_duration(&mut s.step[nth].action));
            self.keep(candidate);
        }
    }
}

/// How long the n-th step (the heal behind the last) waits after the one before it.
fn pause_before(scenario: &Scenario, nth: usize) -> u64 {
    let at = |n: usize| scenario.step.get(n).map_or(scenario.heal.at_ms, |s| s.at_ms);
    at(nth).saturating_sub(if nth == 0 { 0 } else { at(nth - 1) })
}

/// Moves the n-th step and everything behind it forward.
fn shift(scenario: &mut Scenario, nth: usize, by_ms: u64) {
    scenario.step[nth..].iter_mut().for_each(|s| s.at_ms -= by_ms);
    scenario.heal.at_ms -= by_ms;
}

fn squeeze(scenario: &mut Scenario, shorter: impl Fn(u64) -> u64) {
    let (mut before, mut now) = (0, 0);
    for step in &mut scenario.step {
        now += shorter(step.at_ms - before);
        before = step.at_ms;
        step.at_ms = now;
    }
    scenario.heal.at_ms = now + shorter(scenario.heal.at_ms - before).max(1_000);
}

/// Takes a node away; what clients did there is done at `heir`, or not at all.
fn without_node(scenario: &mut Scenario, victim: usize, heir: Option<usize>) {
    let last = scenario.mesh.nodes - 1;
    let renamed = |node: NodeIx| -> Option<NodeIx> {
        match (node.0 == victim, heir) {
            (true, None) => None,
            (true, Some(heir)) => Some(NodeIx(if heir > victim { heir - 1 } else { heir })),
            (false, _) => Some(NodeIx(if node.0 > victim { node.0 - 1 } else { node.0 })),
        }
    };
    let in_group = |nodes: &mut Vec<NodeIx>| {
        nodes.retain(|n| n.0 != victim);
        nodes.iter_mut().for_each(|n| n.0 -= usize::from(n.0 > victim));
    };
    scenario.mesh.nodes = last;
    in_group(&mut scenario.mesh.seeds);
    if scenario.mesh.seeds.is_empty() {
        scenario.mesh.seeds = vec![NodeIx(0)];
    }
    in_group(&mut scenario.mesh.late);
    in_group(&mut scenario.heal.core);
    scenario.step.retain_mut(|step| rename(step, &renamed, &in_group));
}

/// Renames the nodes of a step. Whether anything is left of it.
fn rename(
    step: &mut Step,
    renamed: &dyn Fn(NodeIx) -> Option<NodeIx>,
    in_group: &dyn Fn(&mut Vec<NodeIx>),
) -> bool {
    match &mut step.action {
        Action::Cut { between, and, .. }
        | Action::Mend { between, and, .. }
        | Action::Flap { between, and, .. } => {
            in_group(between);
            in_group(and);
            !between.is_empty() && !and.is_empty()
        }
        Action::Network { between, and, .. } => {
            let everywhere = between.is_empty() && and.is_empty();
            in_group(between);
            in_group(and);
            everywhere || !between.is_empty() || !and.is_empty()
        }
        Action::Heal {} => true,
        Action::Crash { nodes }
        | Action::Start { nodes, .. }
        | Action::Leave { nodes }
        | Action::Freeze { nodes, .. }
        | Action::Suspend { nodes, .. }
        | Action::Slow { nodes, .. }
        | Action::Clock { nodes, .. }
        | Action::Wire { nodes, .. } => {
            in_group(nodes);
            !nodes.is_empty()
        }
        Action::Look { nodes, alive, .. } => {
            in_group(nodes);
            alive.as_mut().into_iter().for_each(in_group);
            !nodes.is_empty()
        }
        Action::Impersonate { node, name_of: other } | Action::Forget { node, of: other } => {
            let both = (renamed(*node), renamed(*other));
            if let (Some(a), Some(b)) = both {
                (*node, *other) = (a, b);
            }
            both.0.is_some() && both.1.is_some()
        }
        Action::Tamper { node, to, .. } => {
            let all = to.is_empty();
            in_group(to);
            *node = match renamed(*node) {
                Some(new) => new,
                None => return false,
            };
            all || !to.is_empty()
        }
        Action::Create { node, .. }
        | Action::Set { node, .. }
        | Action::Touch { node, .. }
        | Action::Ttl { node, .. }
        | Action::Destroy { node, .. }
        | Action::Login { node, .. }
        | Action::Revoke { node, .. }
        | Action::Read { node, .. }
        | Action::Load { node, .. }
        | Action::Save { node, .. } => match renamed(*node) {
            Some(new) => {
                *node = new;
                true
            }
            None => false,
        },
    }
}

fn plain_payload(action: &mut Action) {
    match action {
        Action::Create { fields, big, life_ms, .. } => {
            big.clear();
            *life_ms = None;
            fields.values_mut().for_each(|v| *v = "x".into());
        }
        Action::Set { big, token, .. } => {
            big.clear();
            *token = false;
        }
        _ => {}
    }
}

fn halve_duration(action: &mut Action) {
    if let Action::Freeze { for_ms, .. } | Action::Suspend { for_ms, .. } | Action::Flap { for_ms, .. } =
        action
    {
        *for_ms = (*for_ms / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_may_say_is_not_kept() {
        let text = "[mesh]\nnodes = 3\n\n[[step]]\nat_ms = 5_000\nimpersonate = { node = \"n1\", name_of = \"n2\" }\n";
        let mut scenario = scenario::parse("two of a name", text).unwrap();
        assert!(is_readable(&scenario));
        without_node(&mut scenario, 1, Some(2));
        assert!(!is_readable(&scenario), "it would take its own name");
    }

    #[test]
    fn what_the_swarm_draws_can_be_read_and_so_can_what_is_left_of_it() {
        for seed in 0..20 {
            assert!(is_readable(&crate::swarm::scenario(seed, None).expanded()), "seed {seed}");
        }
    }
}
