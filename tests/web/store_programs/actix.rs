//! The programs through actix-session's store, as its middleware uses it: a request loads once and saves once.

use std::collections::HashMap;

use actix_session::storage::SessionStore;
use proptest::test_runner::{Config, TestRunner};
use sessionmesh::web::actix::MeshStore;
use sessionmesh::{Error, Mesh};

use super::model::{Map, Request, Step, World, programs};
use crate::actix::kit::{self as actix_kit, HIDDEN, State, mesh_id};
use crate::meshes;

fn user(state: &HashMap<String, String>) -> Option<String> {
    state.get("user").cloned()
}

/// A request's state beside the model's.
type At = Option<(State, Request)>;

struct Run<'a> {
    mesh: &'a Mesh,
    store: &'a MeshStore,
    world: World,
    /// The keys of the model's sessions.
    keys: Vec<String>,
}

impl Run<'_> {
    /// What the middleware does at the beginning of a request that brings the latest cookie.
    async fn begin(&mut self) -> (State, Request) {
        let mut request = Request { id: self.keys.len().checked_sub(1), ..Request::default() };
        let latest = self.keys.last().map(|key| actix_kit::session_key(key));
        let state = match latest {
            Some(key) => self.store.load(&key).await.unwrap(),
            None => None,
        };
        assert_eq!(self.world.load(&mut request), state.is_some());
        match state {
            Some(state) => (state, request),
            None => (State::new(), Request { map: Some(Map::new()), ..Request::default() }),
        }
    }

    /// And at the end of one that has changed something.
    async fn save(&mut self, state: State, mut request: Request) {
        let Some(id) = request.id else { return self.create(state, request).await };
        let key = actix_kit::session_key(&self.keys[id]);
        let saved = self.store.update(key, state, &actix_kit::minutes(30)).await;
        assert_eq!(self.world.is_lost(&request), saved.is_err(), "{saved:?}");
        assert!(saved.is_err() || saved.unwrap().as_ref() == self.keys[id]);
        self.world.save(&mut request);
    }

    async fn create(&mut self, state: State, mut request: Request) {
        let saved = self.store.save(state, &actix_kit::minutes(30)).await;
        assert_eq!(self.world.create(&mut request), saved.is_ok(), "{saved:?}");
        self.keys.extend(saved.ok().map(String::from));
    }

    /// A purge, or the first half of a renewal.
    async fn delete(&mut self, request: &Request) {
        if let Some(id) = request.id {
            self.store.delete(&actix_kit::session_key(&self.keys[id])).await.unwrap();
            self.world.end(request.id);
        }
    }
}

async fn run(mesh: &Mesh, store: &MeshStore, program: &[(usize, Step)]) {
    let mut run = Run { mesh, store, world: World::default(), keys: Vec::new() };
    let mut requests = [const { None }; 2] as [At; 2];
    for (done, (at, step)) in program.iter().enumerate() {
        let at = &mut requests[*at];
        if at.is_none() || matches!(step, Step::Begin) {
            *at = Some(run.begin().await);
        }
        let Some((mut state, mut request)) = at.take() else { continue };
        match step {
            Step::Insert(name, value) => {
                state.insert((*name).to_owned(), value.to_string());
                request.map.as_mut().unwrap().insert(name, *value);
                *at = Some((state, request));
            }
            Step::Remove(name) => {
                state.remove(*name);
                request.map.as_mut().unwrap().remove(name);
                *at = Some((state, request));
            }
            Step::Clear => {
                state.clear();
                World::clear(&mut request);
                *at = Some((state, request));
            }
            Step::Save => run.save(state, request).await,
            Step::Flush => run.delete(&request).await,
            Step::Cycle => {
                run.delete(&request).await;
                run.create(state, request).await;
            }
            Step::TheirSet(name, value) => {
                run.theirs(name, Some(*value));
                *at = Some((state, request));
            }
            Step::TheirRemove(name) => {
                run.theirs(name, None);
                *at = Some((state, request));
            }
            Step::Load | Step::Begin => *at = Some((state, request)),
        }
        run.check(&program[..=done]);
    }
}

impl Run<'_> {
    fn theirs(&mut self, name: &'static str, value: Option<u8>) {
        self.world.theirs(name, value);
        let Some(key) = self.keys.last() else { return };
        // An error if the session was ended, as in the model.
        let _ = self.mesh.sessions().edit(&mesh_id(key), |fields| {
            match value {
                Some(value) => fields.set(name, &value)?,
                None => fields.remove(name),
            }
            Ok::<(), Error>(())
        });
    }

    fn check(&self, done: &[(usize, Step)]) {
        for (key, model) in self.keys.iter().zip(&self.world.sessions) {
            let session = self.mesh.sessions().get(&mesh_id(key)).session();
            let (held, whose) = match &session {
                Some(s) => {
                    let fields = s.fields().filter(|f| f.0 != HIDDEN);
                    let map: HashMap<_, _> =
                        fields.map(|f| (f.0, s.get::<u8>(f.0).unwrap().unwrap())).collect();
                    (Some(map), s.principal().map(str::to_owned))
                }
                None => (None, None),
            };
            let map = model.as_ref().map(|model| model.map().into_iter().collect());
            assert_eq!(held, map, "after {done:?}");
            let user = model.as_ref().and_then(|model| model.user).map(|user| user.to_string());
            assert_eq!(whose, user, "whose, after {done:?}");
        }
    }
}

#[test]
fn each_update_is_compared_with_what_its_request_loaded() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mesh = runtime.block_on(meshes::alone("actix-programs"));
    let store = MeshStore::new(mesh.sessions()).with_principal(user);
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&programs(), |program| {
            runtime.block_on(run(&mesh, &store, &program));
            Ok(())
        })
        .unwrap();
}
