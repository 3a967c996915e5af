//! What must always hold, one rule a file, each opening with the theorem or rule it checks.
//!
//! [`Checks`] turns what the world lets be seen into the moments invariants care about: a node covers a write, a
//! record may have changed, a second has passed, everything is equal, everything must be over. It counts which
//! invariant was really exercised under which faults.

use sessionmesh::core::causality::{Origin, Ver, origin_at};
use sessionmesh::core::replica::Happened;
use sessionmesh::core::session::SessionId;

use crate::oracle::{CoverChange, History, Stamp};
use crate::run::FaultKind;
use crate::scenario::Scenario;
use crate::world::{ClientOp, OpKind, Seen, World};

macro_rules! invariants {
    ($($file:ident :: $name:ident),* $(,)?) => {
        $(mod $file;)*

        /// The names of all invariants, and of what the runner itself checks.
        pub fn names() -> Vec<&'static str> {
            let mut names = vec![$(stringify!($file)),*];
            names.extend(RUNNER);
            names
        }

        /// All invariants, fresh.
        fn all() -> Vec<(&'static str, Box<dyn Invariant>)> {
            vec![$((stringify!($file), Box::new($file::$name::default()) as Box<dyn Invariant>)),*]
        }
    };
}

/// What the runner checks itself.
const RUNNER: [&str; 5] = ["converges", "expectation", "look", "no_livelock", "no_panic"];

invariants! {
    accusers_count_once::AccusersCountOnce,
    acked_writes_survive::AckedWritesSurvive,
    acks_are_true::AcksAreTrue,
    backlog_is_bounded::BacklogIsBounded,
    caps_refuse_growth_only::CapsRefuseGrowthOnly,
    conflicts_are_real::ConflictsAreReal,
    coverage_is_honest::CoverageIsHonest,
    coverage_never_regresses::CoverageNeverRegresses,
    dead_stay_dead::DeadStayDead,
    deaths_are_noticed::DeathsAreNoticed,
    deaths_have_two_witnesses::DeathsHaveTwoWitnesses,
    destroy_covered_is_hidden::DestroyCoveredIsHidden,
    destroy_reaches_all::DestroyReachesAll,
    destroyed_stays_hidden::DestroyedStaysHidden,
    dots_are_unique::DotsAreUnique,
    edits_are_atomic::EditsAreAtomic,
    everything_ends::EverythingEnds,
    expiry_is_not_early::ExpiryIsNotEarly,
    expiry_is_on_time::ExpiryIsOnTime,
    fence_guards_reads::FenceGuardsReads,
    frames_are_bounded::FramesAreBounded,
    gone_is_gone::GoneIsGone,
    incarnations_are_owned::IncarnationsAreOwned,
    index_matches_records::IndexMatchesRecords,
    memory_is_bounded::MemoryIsBounded,
    missing_stay_missing::MissingStayMissing,
    nobody_doubts_itself::NobodyDoubtsItself,
    nothing_is_invented::NothingIsInvented,
    origins_are_bounded::OriginsAreBounded,
    principals_match_records::PrincipalsMatchRecords,
    quiet_when_equal::QuietWhenEqual,
    ready_means_complete::ReadyMeansComplete,
    registers_never_go_back::RegistersNeverGoBack,
    replicas_are_equal::ReplicasAreEqual,
    revocations_hold::RevocationsHold,
    seen_logins_stand::SeenLoginsStand,
    stamps_follow_causes::StampsFollowCauses,
    surviving_writes_win::SurvivingWritesWin,
    the_superseded_are_over::TheSupersededAreOver,
    tokens_hold::TokensHold,
    tombstones_have_destroys::TombstonesHaveDestroys,
    touched_sessions_stay::TouchedSessionsStay,
    views_agree::ViewsAgree,
    writes_are_read_back::WritesAreReadBack,
}

/// What an invariant may look at.
pub struct Look<'a> {
    /// The world as it is.
    pub world: &'a World,
    /// Everything that was written.
    pub history: &'a History,
    /// What is being run.
    pub scenario: &'a Scenario,
    /// Nodes that were healed together: one bit each.
    pub core: u64,
    /// Since when (virtual ms) the faults are over.
    pub healed_ms: Option<u64>,
}

impl Look<'_> {
    /// The nodes of the core that are up.
    pub fn core_up(&self) -> Vec<usize> {
        self.world.up().into_iter().filter(|at| self.core >> at & 1 == 1).collect()
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: String,
    /// When (virtual ms).
    pub at_ms: u64,
    /// Where, if it is about one node.
    pub node: Option<usize>,
    /// Which session, by its number.
    pub session: Option<u64>,
    /// What was seen and what must hold.
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.at_ms)?;
        if let Some(node) = self.node {
            write!(f, " n{node}")?;
        }
        if let Some(session) = self.session {
            write!(f, " session {session}")?;
        }
        write!(f, ": {}: {}", self.invariant, self.text)
    }
}

/// What an invariant says.
#[derive(Default)]
pub struct Verdict {
    checked: u64,
    broken: Vec<(Option<usize>, Option<u64>, String)>,
}

impl Verdict {
    /// The rule held, or not, in one case that really compared something.
    pub fn case(&mut self, holds: bool, node: usize, session: Option<u64>, text: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.broken.push((Some(node), session, text()));
        }
    }
}

/// A rule. Every method is a moment at which it may be checked.
pub trait Invariant {
    /// Something happened.
    fn seen(&mut self, _: &Look<'_>, _: &Seen, _: &mut Verdict) {}
    /// A node's coverage now includes a recorded write.
    fn covers(&mut self, _: &Look<'_>, _at: usize, _op: u32, _: &mut Verdict) {}
    /// Records or coverage of a partition of a node have changed.
    fn partition(&mut self, _: &Look<'_>, _at: usize, _partition: u16, _: &mut Verdict) {}
    /// A node no longer covers these counters.
    fn uncovers(&mut self, _: &Look<'_>, _at: usize, _partition: u16, _lost: &CoverChange, _: &mut Verdict) {}
    /// A node's record of a session may have changed.
    fn record(&mut self, _: &Look<'_>, _at: usize, _session: u64, _: &mut Verdict) {}
    /// A virtual second has passed.
    fn second(&mut self, _: &Look<'_>, _: &mut Verdict) {}
    /// After the heal, coverage is equal and all nodes of the core serve.
    fn equal(&mut self, _: &Look<'_>, _: &mut Verdict) {}
    /// Nothing has happened since for longer than anything may last.
    fn over(&mut self, _: &Look<'_>, _: &mut Verdict) {}
}

/// Faults by invariants: how often a rule was exercised while a fault was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exercised(pub Vec<[u64; FaultKind::COUNT]>);

impl Default for Exercised {
    fn default() -> Self {
        Self(vec![[0; FaultKind::COUNT]; names().len()])
    }
}

impl Exercised {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            sum.iter_mut().zip(more).for_each(|(s, m)| *s += m);
        }
    }

    fn count(&mut self, invariant: usize, faults: u64, checked: u64) {
        for (kind, n) in self.0[invariant].iter_mut().enumerate().filter(|(k, _)| faults >> k & 1 == 1) {
            let _ = kind;
            *n += checked;
        }
    }
}

/// All invariants over one run.
pub struct Checks {
    /// What is known.
    pub history: History,
    all: Vec<(&'static str, Box<dyn Invariant>)>,
    /// Rules broken so far.
    pub violations: Vec<Violation>,
    /// Which rules were exercised under which faults.
    pub exercised: Exercised,
    /// Faults in force: one bit each.
    pub faults: u64,
    /// Nodes healed together.
    pub core: u64,
    /// Since when the faults are over.
    pub healed_ms: Option<u64>,
    /// Whether only bounds can be promised: damaged frames reach the nodes.
    pub bounds_only: bool,
    /// Whether a member has lied: some rules are then broken until an audit has found it.
    pub lied_to: bool,
    verdict: Verdict,
}

/// More violations of one run say nothing new.
const MOST_VIOLATIONS: usize = 20;
/// What still holds when damaged frames reach the nodes.
const BOUNDS: [&str; 4] =
    ["backlog_is_bounded", "frames_are_bounded", "memory_is_bounded", "dots_are_unique"];

/// What cannot hold while a member lies, and why. At the end, when an audit has made the lie good, it must again.
const UNDER_LIES: [(&str, &str); 5] = [
    ("conflicts_are_real", "a conflict tells values that nobody wrote"),
    ("coverage_is_honest", "who is lied to covers what it was not sent"),
    ("destroy_covered_is_hidden", "the same of a destroy"),
    ("expiry_is_not_early", "a session that is covered and was not sent is absent"),
    ("tokens_hold", "a client's write is covered and reads otherwise"),
];
/// What cannot hold any more once a member has lied: values that nobody wrote have been read and counted.
const AFTER_LIES: &str = "nothing_is_invented";

impl Checks {
    /// Whether a rule is promised at all now.
    fn promised(&self, name: &str) -> bool {
        let lies = self.lied_to
            && (name == AFTER_LIES || self.healed_ms.is_none() && UNDER_LIES.iter().any(|(n, _)| *n == name));
        !lies && (!self.bounds_only || BOUNDS.contains(&name))
    }

    /// Checks of a fresh run.
    pub fn new() -> Self {
        Self {
            history: History::default(),
            all: all(),
            violations: Vec::new(),
            exercised: Exercised::default(),
            faults: 0,
            core: u64::MAX,
            healed_ms: None,
            bounds_only: false,
            lied_to: false,
            verdict: Verdict::default(),
        }
    }

    fn each(
        &mut self,
        world: &World,
        scenario: &Scenario,
        mut f: impl FnMut(&mut dyn Invariant, &Look<'_>, &mut Verdict),
    ) {
        let mut all = std::mem::take(&mut self.all);
        for (ix, (name, invariant)) in all.iter_mut().enumerate() {
            let (core, healed_ms) = (self.core, self.healed_ms);
            let look = Look { world, history: &self.history, scenario, core, healed_ms };
            f(invariant.as_mut(), &look, &mut self.verdict);
            if self.verdict.checked == 0 {
                continue;
            }
            self.exercised.count(ix, self.faults, self.verdict.checked);
            self.verdict.checked = 0;
            for (node, session, text) in std::mem::take(&mut self.verdict.broken) {
                if self.violations.len() < MOST_VIOLATIONS && self.promised(name) {
                    let (invariant, at_ms) = ((*name).to_owned(), world.time_ms);
                    self.violations.push(Violation { invariant, at_ms, node, session, text });
                }
            }
        }
        self.all = all;
    }

    /// Takes in everything that happened since the last call.
    pub fn take_in(&mut self, world: &World, scenario: &Scenario, seen: &[Seen]) {
        for one in seen {
            self.record(world, one);
            self.each(world, scenario, |i, look, v| i.seen(look, one, v));
            if let Seen::Step { at, changed, .. } = one
                && *changed != 0
                && world.nodes[*at].is_some()
            {
                self.partitions_changed(world, scenario, *at, *changed);
            }
            if let Seen::Event { at, event, .. } = one
                && let Some(session) = session_of(event).and_then(|id| self.history.number_of(id))
                && world.nodes[*at].is_some()
            {
                self.each(world, scenario, |i, look, v| i.record(look, *at, session, v));
            }
        }
    }

    /// What the oracle must know before any invariant looks.
    fn record(&mut self, world: &World, seen: &Seen) {
        match seen {
            Seen::Started { at, life, why } => {
                if *why == "new life" {
                    self.history.end_life(*at, world.time_ms);
                }
                self.history.started(*at, *life, world.time_ms);
            }
            Seen::Ended { at, .. } => self.history.forget_memory(*at, world.time_ms),
            Seen::Wrote { at, asked, result: Ok(written), wall_ms, .. }
                if matches!(asked.kind, OpKind::Revoke(_)) =>
            {
                self.history.logins.wrote(world, *at, asked.session, &asked.kind, written, *wall_ms);
            }
            // What a node ends because of a revocation is a write of its own.
            Seen::Revoked { at, op, id, written, wall_ms } => {
                if let Some(session) = self.history.number_of(*id) {
                    let kind = OpKind::Destroy(false);
                    let asked = ClientOp { client: 0, session, kind, token: false, stalled_ms: 0 };
                    self.history.wrote(world, *at, *op, &asked, written, *wall_ms);
                }
            }
            Seen::Wrote { at, op, asked, result: Ok(written), wall_ms } if written.wrote => {
                self.history.logins.wrote(world, *at, asked.session, &asked.kind, written, *wall_ms);
                self.history.wrote(world, *at, *op, asked, written, *wall_ms);
            }
            Seen::Wrote { asked, .. } | Seen::Read { asked, .. } => self.history.meet(world, asked.session),
            Seen::Acked { op, .. } => self.history.acked(*op),
            _ => {}
        }
    }

    fn partitions_changed(&mut self, world: &World, scenario: &Scenario, at: usize, changed: u64) {
        for partition in (0..world.limits.partitions).filter(|ix| changed >> (ix % 64) & 1 == 1) {
            let change = self.history.look(world, at, partition);
            self.each(world, scenario, |i, look, v| i.partition(look, at, partition, v));
            for &op in &change.gained {
                self.each(world, scenario, |i, look, v| i.covers(look, at, op, v));
                let session = self.history.ops[op as usize].session;
                self.each(world, scenario, |i, look, v| i.record(look, at, session, v));
            }
            if !change.lost.is_empty() {
                self.each(world, scenario, |i, look, v| i.uncovers(look, at, partition, &change, v));
            }
        }
    }

    /// A virtual second has passed.
    pub fn second(&mut self, world: &World, scenario: &Scenario) {
        self.history.note_clocks(world);
        self.each(world, scenario, |i, look, v| i.second(look, v));
    }

    /// Everything is equal.
    pub fn equal(&mut self, world: &World, scenario: &Scenario) {
        self.each(world, scenario, |i, look, v| i.equal(look, v));
    }

    /// Everything must be over.
    pub fn over(&mut self, world: &World, scenario: &Scenario) {
        self.each(world, scenario, |i, look, v| i.over(look, v));
    }

    /// A rule of the runner's own was kept or broken.
    pub fn runner(&mut self, world: &World, name: &str, node: Option<usize>, broken: Option<String>) {
        if let Some(ix) = names().iter().position(|n| *n == name) {
            self.exercised.count(ix, self.faults, 1);
        }
        if let Some(text) = broken.filter(|_| !self.bounds_only || name.starts_with("no_")) {
            let (invariant, at_ms) = (name.to_owned(), world.time_ms);
            self.violations.push(Violation { invariant, at_ms, node, session: None, text });
        }
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self::new()
    }
}

/// A version spelled out.
fn stamp(ver: &Ver, origins: &[Origin]) -> Stamp {
    (ver.hlc.0, origin_at(origins, ver.origin).0, ver.counter)
}

fn session_of(event: &Happened) -> Option<SessionId> {
    match event {
        Happened::Created(id) | Happened::Changed(id, _) | Happened::Destroyed(id) => Some(*id),
        Happened::Returned(id) => Some(*id),
        Happened::Expired(_) | Happened::Conflict(_) => None,
    }
}
