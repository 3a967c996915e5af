//! A small store that does everything right, or one thing wrong: every check of the suite must be able to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use sessionmesh::conformance::{Data, Failed, Fleet, Property, Request, Subject, run};

/// What the store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    TakesIdInUse,
    CutsBigValues,
    EndsKeysAtNul,
    RoundsNumbers,
    SavesWholeMaps,
    KeepsOwnValuePerNode,
    ForgetsItsSaves,
    TrustsClocks,
    ForgetsLogouts,
    FailsSecondDelete,
    CyclesOnlyChanges,
    CyclesWithoutLogout,
    CyclesWhatItSaw,
    CyclesApart,
    CyclesWithoutEnd,
    CyclesTheDead,
    NeverExpires,
    ExpiresAtOnce,
    NeverExtends,
    SweepsEverything,
}

/// A key's value and the number of the write it came from.
type Field = (Value, u64);

struct Session {
    fields: BTreeMap<String, Field>,
    ends: Instant,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<u64, Session>,
    /// Values that one node alone shows.
    own: BTreeMap<(u64, usize, String), Value>,
    /// Sessions that were made of one, by the id of that one.
    of: BTreeMap<u64, u64>,
    /// Whether an id that is gone has another since.
    cycled: BTreeSet<u64>,
    writes: u64,
    ids: u64,
}

/// One of several nodes that share everything.
#[derive(Clone)]
struct Node {
    fault: Fault,
    number: usize,
    state: Arc<Mutex<State>>,
}

/// A session as a request holds it.
#[derive(Clone)]
struct Held {
    now: Data,
    /// What it was given, brought up to what it has saved.
    seen: BTreeMap<String, Field>,
}

impl Request for Held {
    fn get(&self, key: &str) -> Option<Value> {
        self.now.get(key).cloned()
    }

    fn insert(&mut self, key: &str, value: Value) {
        self.now.insert(key.to_owned(), value);
    }

    fn remove(&mut self, key: &str) {
        self.now.remove(key);
    }

    fn clear(&mut self) {
        self.now.clear();
    }
}

impl Node {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn key(&self, key: &str) -> String {
        let whole = !self.is(Fault::EndsKeysAtNul);
        if whole { key.to_owned() } else { key.split('\u{0}').next().unwrap_or_default().to_owned() }
    }

    /// A value as this store keeps it.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if self.is(Fault::CutsBigValues) => {
                text.chars().take(65_536).collect::<String>().into()
            }
            Value::Number(n) if self.is(Fault::RoundsNumbers) && n.as_u64() > Some(1 << 53) => {
                n.as_f64().into()
            }
            Value::Array(list) => list.iter().map(|v| self.value(v)).collect(),
            other => other.clone(),
        }
    }

    fn fields(&self, data: &Data, write: u64) -> BTreeMap<String, Field> {
        data.iter().map(|(key, value)| (self.key(key), (self.value(value), write))).collect()
    }

    fn ends(&self, idle: Duration) -> Instant {
        let idle = if self.is(Fault::ExpiresAtOnce) && idle < Duration::from_secs(60) {
            Duration::ZERO
        } else {
            idle
        };
        Instant::now() + idle
    }

    /// Saves what the request changed, and notes that it has.
    fn merge(&self, state: &mut State, id: u64, request: &mut Held) {
        state.writes += 1;
        let given = self.fields(&request.now, state.writes);
        let Some(session) = state.sessions.get_mut(&id) else { return };
        let mut seen = request.seen.clone();
        for (key, field) in &given {
            let (shown, held) = (request.seen.get(key), session.fields.get(key));
            let conflict = held.map(|h| h.1) != shown.map(|s| s.1);
            let late = self.is(Fault::TrustsClocks) && self.number == 1 && held.is_some();
            if self.is(Fault::SavesWholeMaps) || shown.is_none_or(|s| s.0 != field.0) && !late {
                if conflict && self.is(Fault::KeepsOwnValuePerNode) {
                    state.own.insert((id, self.number, key.clone()), field.0.clone());
                } else {
                    session.fields.insert(key.clone(), field.clone());
                }
                seen.insert(key.clone(), field.clone());
            }
        }
        for (key, shown) in request.seen.iter().filter(|(key, _)| !given.contains_key(*key)) {
            if session.fields.get(key).is_some_and(|held| held.1 == shown.1) {
                session.fields.remove(key);
            }
            seen.remove(key);
        }
        if self.is(Fault::SavesWholeMaps) {
            session.fields.retain(|key, _| given.contains_key(key));
        }
        if !self.is(Fault::ForgetsItsSaves) {
            request.seen = seen;
        }
    }

    fn insert(&self, state: &mut State, id: u64, data: &Data, idle: Duration) {
        state.writes += 1;
        let fields = self.fields(data, state.writes);
        state.sessions.insert(id, Session { fields, ends: self.ends(idle) });
    }
}

impl Subject for Node {
    type Id = u64;
    type Request = Held;

    async fn create(&self, data: &Data, idle: Duration) -> Result<u64, Failed> {
        let mut state = self.state.lock();
        state.ids += 1;
        let id = state.ids;
        self.insert(&mut state, id, data, idle);
        Ok(id)
    }

    async fn create_as(&self, id: &u64, data: &Data, idle: Duration) -> Result<Option<u64>, Failed> {
        if !self.is(Fault::TakesIdInUse) {
            return Ok(Some(self.create(data, idle).await?));
        }
        self.insert(&mut self.state.lock(), *id, data, idle);
        Ok(Some(*id))
    }

    async fn load(&self, id: &u64) -> Result<Option<Held>, Failed> {
        let state = self.state.lock();
        let live = |s: &&Session| s.ends > Instant::now() || self.is(Fault::NeverExpires);
        let Some(session) = state.sessions.get(id).filter(live) else { return Ok(None) };
        let own = |key: &String| state.own.get(&(*id, self.number, key.clone())).cloned();
        let now =
            session.fields.iter().map(|(key, f)| (key.clone(), own(key).unwrap_or(f.0.clone()))).collect();
        Ok(Some(Held { now, seen: session.fields.clone() }))
    }

    async fn save(&self, id: &u64, request: &mut Held, idle: Duration) -> Result<u64, Failed> {
        let mut state = self.state.lock();
        if self.is(Fault::ForgetsLogouts) && !state.sessions.contains_key(id) {
            self.insert(&mut state, *id, &request.now, idle);
        }
        self.merge(&mut state, *id, request);
        if let Some(session) = state.sessions.get_mut(id).filter(|_| !self.is(Fault::NeverExtends)) {
            session.ends = self.ends(idle);
        }
        Ok(*id)
    }

    async fn delete(&self, id: &u64) -> Result<(), Failed> {
        let mut state = self.state.lock();
        if self.is(Fault::CyclesWithoutEnd) && state.of.contains_key(id) {
            return Ok(());
        }
        let was_there = state.sessions.remove(id).is_some();
        if let Some(of) = state.of.get(id).copied().filter(|_| !self.is(Fault::CyclesApart)) {
            let State { sessions, of: all, .. } = &mut *state;
            sessions.retain(|other, _| all.get(other) != Some(&of));
        }
        if !was_there && self.is(Fault::FailsSecondDelete) { Err("no such session".into()) } else { Ok(()) }
    }

    async fn cycle(&self, id: &u64, request: &mut Held, idle: Duration) -> Result<u64, Failed> {
        let mut state = self.state.lock();
        let held = state.sessions.get(id).map(|session| session.fields.clone());
        if held.is_none() && !state.cycled.contains(id) && !self.is(Fault::CyclesTheDead) {
            return Err("no such session".into());
        }
        let kept =
            |request: &Held, key: &str| request.now.get(key) == request.seen.get(key).map(|seen| &seen.0);
        let mut data = request.now.clone();
        if let Some(held) = held.filter(|_| !self.is(Fault::CyclesWhatItSaw)) {
            data.retain(|key, _| !kept(request, key) || held.contains_key(key));
            let theirs = held.iter().filter(|(key, _)| kept(request, key));
            data.extend(theirs.map(|(key, field)| (key.clone(), field.0.clone())));
        }
        if self.is(Fault::CyclesOnlyChanges) {
            data.retain(|key, value| request.seen.get(key).is_none_or(|seen| seen.0 != *value));
        }
        if !self.is(Fault::CyclesWithoutLogout) {
            state.sessions.remove(id);
        }
        state.ids += 1;
        let new = state.ids;
        self.insert(&mut state, new, &data, idle);
        state.cycled.insert(*id);
        state.of.insert(new, *id);
        Ok(new)
    }

    async fn sweep(&self) -> Result<(), Failed> {
        let all = self.is(Fault::SweepsEverything);
        self.state.lock().sessions.retain(|_, session| !all && session.ends > Instant::now());
        Ok(())
    }
}

/// The properties that do not hold on two nodes with this fault.
async fn broken_by(fault: Fault) -> Vec<Property> {
    let state = Arc::new(Mutex::new(State::default()));
    let nodes = [0, 1].map(|number| Node { fault, number, state: Arc::clone(&state) });
    let violations = run(&Fleet::new(nodes).patience(Duration::from_millis(20))).await;
    violations.into_iter().map(|v| v.property).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_can_fail_and_a_store_without_fault_passes_them_all() {
    use Property as P;
    let table: [(Fault, &[Property]); 21] = [
        (Fault::None, &[]),
        (Fault::TakesIdInUse, &[P::CreateCollision]),
        (Fault::CutsBigValues, &[P::BigValue]),
        (Fault::EndsKeysAtNul, &[P::OddKeys]),
        (Fault::RoundsNumbers, &[P::ValuesSurvive]),
        (Fault::SavesWholeMaps, &[P::DisjointKeys, P::ClearAgainstAdd]),
        (Fault::KeepsOwnValuePerNode, &[P::SameKey]),
        (Fault::ForgetsItsSaves, &[P::TakeBack]),
        (Fault::TrustsClocks, &[P::BigValue, P::OddKeys, P::ClockSkew, P::CycleKeepsOthersWrites]),
        (Fault::ForgetsLogouts, &[P::LateSaveAfterDelete, P::LateSaveAfterCycle]),
        (Fault::FailsSecondDelete, &[P::DeleteTwice]),
        (
            Fault::CyclesOnlyChanges,
            &[
                P::CycleKeepsData,
                P::LateSaveAfterCycle,
                P::CycleKeepsOthersWrites,
                P::DeleteAfterCycle,
                P::DeleteAfterTwoCycles,
            ],
        ),
        (
            Fault::CyclesWithoutLogout,
            &[P::CycleKeepsData, P::LateSaveAfterCycle, P::CycleKeepsOthersWrites, P::DeleteAfterCycle],
        ),
        (Fault::CyclesWhatItSaw, &[P::CycleKeepsOthersWrites]),
        (Fault::CyclesApart, &[P::DeleteAfterTwoCycles]),
        (Fault::CyclesWithoutEnd, &[P::DeleteAfterCycle, P::DeleteAfterTwoCycles]),
        (Fault::CyclesTheDead, &[P::CycleAfterDelete]),
        (Fault::NeverExpires, &[P::LoadAfterExpiry]),
        (Fault::ExpiresAtOnce, &[P::LoadAfterExpiry, P::ExpiryExtension]),
        (Fault::NeverExtends, &[P::ExpiryExtension]),
        (Fault::SweepsEverything, &[P::SweepKeepsLive]),
    ];
    let tried = table.map(|(fault, broken)| (fault, broken, tokio::spawn(broken_by(fault))));
    for (fault, broken, found) in tried {
        assert_eq!(found.await.unwrap(), broken, "{fault:?}");
    }
    let caught: BTreeSet<_> = table.iter().flat_map(|row| row.1).collect();
    assert_eq!(caught.len(), Property::ALL.len(), "a property that no fault breaks");
}
