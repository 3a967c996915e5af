//! The programs through tower-sessions' own `Session`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sessionmesh::web::tower_sessions::{MeshStore, mesh_id};
use sessionmesh::{Error, Mesh, SessionId};

use super::super::model::{KEYS, Request, Step, World, programs};
use super::tower::{Session, SessionStore};
use crate::meshes;

struct Run<'a> {
    mesh: &'a Mesh,
    store: Arc<MeshStore>,
    world: World,
    requests: [(Session, Request); 2],
    /// The ids of the model's sessions.
    ids: Vec<SessionId>,
    cookie: Option<super::tower::session::Id>,
}

fn user(data: &HashMap<String, Value>) -> Option<String> {
    data.get("user").map(Value::to_string)
}

impl Run<'_> {
    async fn step(&mut self, at: usize, step: &Step) {
        let (session, request) = &mut self.requests[at];
        let world = &mut self.world;
        // The lazy load of a request's first touch of its record.
        if matches!(step, Step::Insert(..) | Step::Remove(_) | Step::Save | Step::Cycle)
            && request.map.is_none()
            && !world.load(request)
        {
            // A record of its own, which shows nothing of any session.
            *request = Request { map: Some(BTreeMap::new()), ..Request::default() };
        }
        match step {
            Step::Insert(key, value) => {
                session.insert(key, value).await.unwrap();
                request.map.as_mut().unwrap().insert(key, *value);
            }
            Step::Remove(key) => {
                session.remove_value(key).await.unwrap();
                request.map.as_mut().unwrap().remove(key);
            }
            Step::Clear => {
                session.clear().await;
                clear(request);
            }
            Step::Save => {
                let saved = session.save().await;
                if request.id.is_none() {
                    assert_eq!(world.create(request), saved.is_ok(), "{saved:?}");
                    if saved.is_ok() {
                        self.cookie = session.id();
                        self.ids.push(mesh_id(session.id().unwrap().0));
                    }
                } else {
                    assert_eq!(world.is_lost(request), saved.is_err(), "{saved:?}");
                    world.save(request);
                }
            }
            Step::Load => {
                session.load().await.unwrap();
                if request.id.is_some() && !world.load(request) {
                    request.map = None;
                }
            }
            Step::Flush => {
                session.flush().await.unwrap();
                clear(request);
                world.end(request.id.take());
            }
            Step::Cycle => {
                session.cycle_id().await.unwrap();
                world.end(request.record.take());
                request.id = None;
            }
            Step::Begin => {
                *session = Session::new(self.cookie, Arc::clone(&self.store), None);
                *request = Request { id: self.ids.len().checked_sub(1), ..Request::default() };
            }
            Step::TheirSet(key, value) => self.theirs(key, Some(*value)),
            Step::TheirRemove(key) => self.theirs(key, None),
        }
    }

    fn theirs(&mut self, key: &'static str, value: Option<u8>) {
        self.world.theirs(key, value);
        let Some(id) = self.ids.last() else { return };
        // An error if the session was ended, as in the model.
        let _ = self.mesh.sessions().edit(id, |fields| {
            match value {
                Some(value) => fields.set(key, &value)?,
                None => fields.remove(key),
            }
            Ok::<(), Error>(())
        });
    }

    fn check(&self, done: &[(usize, Step)]) {
        for (id, model) in self.ids.iter().zip(&self.world.sessions) {
            let held = self.mesh.sessions().get(id).session();
            let (held, whose) = match &held {
                Some(s) => {
                    let value = |key: &&'static str| Some((*key, s.get::<u8>(key).unwrap()?));
                    (Some(KEYS.iter().filter_map(value).collect()), s.principal().map(str::to_owned))
                }
                None => (None, None),
            };
            assert_eq!(held, model.as_ref().map(|m| m.map()), "after {done:?}");
            let user = model.as_ref().and_then(|m| m.user).map(|u| json!(u).to_string());
            assert_eq!(whose, user, "whose, after {done:?}");
        }
    }
}

/// `Session::clear` makes an empty record where none was loaded, if there is an id.
fn clear(request: &mut Request) {
    if request.map.is_some() {
        World::clear(request);
    } else if request.id.is_some() {
        request.record = request.id;
        (request.token, request.cleared) = (true, false);
        World::clear(request);
    }
}

async fn run(mesh: &Mesh, store: &Arc<MeshStore>, program: &[(usize, Step)]) {
    let session = || (Session::new(None, Arc::clone(store), None), Request::default());
    let mut run = Run {
        mesh,
        store: Arc::clone(store),
        world: World::default(),
        requests: [session(), session()],
        ids: Vec::new(),
        cookie: None,
    };
    for (done, (at, step)) in program.iter().enumerate() {
        run.step(*at, step).await;
        run.check(&program[..=done]);
    }
}

#[test]
fn each_save_is_compared_with_what_its_request_saved_or_loaded_last() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mesh = runtime.block_on(meshes::alone("programs"));
    let store = Arc::new(MeshStore::new(mesh.sessions()).with_principal(user));
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&programs(), |program| {
            runtime.block_on(run(&mesh, &store, &program));
            Ok(())
        })
        .unwrap();
}

/// The three losses that were found by hand, word for word.
#[test]
fn saves_after_a_clear() {
    use Step::*;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mesh = runtime.block_on(meshes::alone("clears"));
    let store = Arc::new(MeshStore::new(mesh.sessions()).with_principal(user));
    let made = [Insert("a", 1), Insert("user", 1), Save, Begin];
    let programs: [&[Step]; 4] = [
        &[Clear, Save, TheirSet("b", 2), Save],
        &[Clear, Insert("a", 1), Insert("b", 1), Save, Remove("a"), Save],
        &[Clear, Insert("user", 2), Insert("b", 1), Save, Remove("user"), Save],
        // Without a clear.
        &[Insert("user", 2), Save, Insert("user", 1), Save],
    ];
    let failed = programs.map(|steps| {
        let program: Vec<_> = made.iter().chain(steps).map(|step| (0, step.clone())).collect();
        let ran = std::panic::AssertUnwindSafe(|| runtime.block_on(run(&mesh, &store, &program)));
        std::panic::catch_unwind(ran).is_err()
    });
    assert_eq!(failed, [false; 4]);
}

/// The id of a session of the store, as the mesh knows it.
#[test]
fn a_store_s_session_can_be_the_one_that_is_kept() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mesh = runtime.block_on(meshes::alone("except"));
    let store = Arc::new(MeshStore::new(mesh.sessions()).with_principal(user));
    let log_in = || async {
        let session = Session::new(None, Arc::clone(&store), None);
        session.insert("user", 1).await.unwrap();
        session.save().await.unwrap();
        mesh_id(session.id().unwrap().0)
    };
    runtime.block_on(async {
        let [here, _there] = [log_in().await, log_in().await];
        let revoked = mesh.sessions().revoke_all_except("1", &here).unwrap();
        assert_eq!((revoked.ended(), mesh.sessions().of("1")), (1, vec![here]));
    });
}

/// A date, too, is compared with the one saved last: one that a request took back is not kept.
#[test]
fn a_date_that_a_request_takes_back_is_taken_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mesh = runtime.block_on(meshes::alone("dates"));
    let store = MeshStore::new(mesh.sessions());
    runtime.block_on(async {
        let expiry = sessionmesh::Expiry::sliding(std::time::Duration::from_secs(600));
        let id = mesh.sessions().create(expiry, |_| Ok(())).unwrap().id();
        let name = super::tower::session::Id(i128::from_le_bytes(*id.as_bytes()));
        let mut record = store.load(&name).await.unwrap().unwrap();
        let loaded = record.expiry_date;
        let deadline_ms = || mesh.sessions().get(&id).session().unwrap().deadline_ms();
        let before_ms = deadline_ms();
        for later_s in [3_600, 0] {
            record.expiry_date = loaded + std::time::Duration::from_secs(later_s);
            store.save(&record).await.unwrap();
        }
        assert!(deadline_ms() < before_ms + 1_800_000, "{} {before_ms}", deadline_ms());
    });
}
