//! What users do, and what they were promised: every acknowledged write is held at the end by all, and who logged out
//! stays logged out, at once where he did and everywhere at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{AGENTS, Fleet};

/// Most sessions at a time that nobody has logged out.
const MOST: usize = 400;
/// The sessions that are used: most of those begun last, so that not all are ended ones before long.
const LATELY: usize = 150;

/// The last values of a field that only one agent's users write: they only rise.
#[derive(Default)]
struct Written {
    tried: u64,
    /// Acknowledged with a second copy.
    replicated: u64,
    /// Acknowledged by an agent that has lived since.
    local: u64,
}

struct Account {
    id: String,
    /// By the agent whose users write it.
    fields: BTreeMap<usize, Written>,
    /// Where its logout was acknowledged, and when.
    ended: Option<(usize, Instant)>,
    /// A logout was tried and not acknowledged: either may be.
    unsure: bool,
}

/// All users.
#[derive(Default)]
pub struct Users {
    accounts: Vec<Account>,
    next: u64,
    writes: u64,
    acknowledged: u64,
    logouts: u64,
    reads: u64,
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, acknowledged, logouts, reads, .. } = self;
        write!(f, "{writes} writes, {acknowledged} acknowledged, {logouts} logouts, {reads} reads, ")?;
        write!(f, "{} sessions", self.accounts.len())
    }
}

/// In a calm mesh everything is heard everywhere in this time, on a machine that has other things to do.
const HEARD_EVERYWHERE: Duration = Duration::from_secs(10);

/// Whether an agent has had time to hear everything.
fn is_calm(fleet: &Fleet, at: usize) -> bool {
    fleet.calm_for() >= HEARD_EVERYWHERE && fleet.places[at].started.elapsed() >= HEARD_EVERYWHERE
}

impl Account {
    /// Whether an agent must know of the logout: the one that acknowledged it at once, the others once it could reach them.
    fn must_be_over(&self, fleet: &Fleet, at: usize) -> bool {
        let told = self.ended.is_some_and(|(by, when)| by == at || when.elapsed() >= HEARD_EVERYWHERE);
        told && is_calm(fleet, at)
    }
}

impl Users {
    /// One user does something at one agent that can answer.
    pub fn act(&mut self, fleet: &Fleet, rng: &mut StdRng) {
        let at = rng.random_range(0..AGENTS);
        if !fleet.awake(at) {
            return;
        }
        let open = self.accounts.iter().filter(|a| a.ended.is_none()).count();
        if open < 5 || open < MOST && rng.random_bool(0.1) {
            return self.log_in(fleet, at);
        }
        let lately = if rng.random_bool(0.8) { self.accounts.len().saturating_sub(LATELY) } else { 0 };
        let which = rng.random_range(lately..self.accounts.len());
        match rng.random_range(0..20) {
            0 => self.log_out(fleet, at, which),
            1..=8 => self.read(fleet, at, which),
            _ => self.write(fleet, at, which),
        }
    }

    /// An agent is gone, and with it what only it had.
    pub fn killed(&mut self, at: usize) {
        self.accounts.iter_mut().filter_map(|a| a.fields.get_mut(&at)).for_each(|w| w.local = 0);
    }

    fn log_in(&mut self, fleet: &Fleet, at: usize) {
        let body = json!({ "expiry": { "sliding_ms": 1_800_000 }, "fields": { "user": "ada" } });
        let answer = fleet.places[at].agent.request("POST", "/v1/sessions", &[], Some(&body));
        // A session with one copy may go with its agent: that is said, and nobody was promised more.
        if answer.status == 201 && answer.body["replicated"] == true {
            let id = answer.body["ticket"].as_str().expect("a ticket").to_owned();
            self.accounts.push(Account { id, fields: BTreeMap::new(), ended: None, unsure: false });
        }
    }

    fn write(&mut self, fleet: &Fleet, at: usize, which: usize) {
        self.next += 1;
        self.writes += 1;
        let (account, value) = (&mut self.accounts[which], self.next);
        let written = account.fields.entry(at).or_default();
        written.tried = value;
        let key = format!("at{at}");
        let answer = fleet.places[at].agent.patch(&account.id, &json!({ "set": { key: value } }));
        if answer.status != 200 {
            return;
        }
        if account.ended.is_some() {
            // Across a cut nobody can know; once it has been calm everybody does.
            let over = account.must_be_over(fleet, at);
            assert!(!over, "n{at} takes a write to a session that was logged out: {answer:?}");
            return;
        }
        self.acknowledged += 1;
        written.local = value;
        if answer.body["replicated"] == true {
            written.replicated = value;
        }
    }

    fn log_out(&mut self, fleet: &Fleet, at: usize, which: usize) {
        let account = &mut self.accounts[which];
        let answer = fleet.places[at].agent.end(&account.id);
        let done = answer.status == 200 || answer.status == 204;
        // With one copy it is as lost as any write if its agent is killed; a kill waits for calm.
        if done && answer.body["replicated"] != false {
            account.ended.get_or_insert_with(|| (at, Instant::now()));
        }
        account.unsure |= account.ended.is_none() && answer.status != 404;
        self.logouts += u64::from(done);
    }

    fn read(&mut self, fleet: &Fleet, at: usize, which: usize) {
        self.reads += 1;
        let account = &self.accounts[which];
        let answer = fleet.places[at].agent.read(&account.id);
        let calm = is_calm(fleet, at);
        if account.ended.is_some() {
            let over = account.must_be_over(fleet, at);
            assert!(!over || answer.status != 200, "n{at} shows a session that was logged out: {answer:?}");
        } else if calm && !account.unsure {
            assert_ne!(answer.status, 404, "n{at}, calm for ten seconds, has not got {which}: {answer:?}");
        }
    }

    /// Everything that was promised, at the end and everywhere.
    pub fn hold(&self, fleet: &Fleet) {
        for (which, account) in self.accounts.iter().enumerate() {
            for place in &fleet.places {
                let answer = place.agent.read(&account.id);
                let name = &place.name;
                if account.ended.is_some() {
                    assert_eq!(answer.status, 404, "{name} shows session {which}, logged out: {answer:?}");
                    continue;
                }
                if account.unsure && answer.status == 404 {
                    continue;
                }
                assert_eq!(answer.status, 200, "{name} lost session {which}: {answer:?}");
                for (at, written) in &account.fields {
                    let held =
                        answer.body["fields"].get(format!("at{at}")).and_then(Value::as_u64).unwrap_or(0);
                    let least = written.replicated.max(written.local);
                    assert!(
                        (least..=written.tried).contains(&held),
                        "{name}: session {which}, written at n{at}: holds {held}, acknowledged {least}"
                    );
                }
            }
        }
    }
}
