//! The programs through actix-session's store, as its middleware uses it: a request loads once and saves once.

use std::collections::HashMap;

use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use sessionmesh::web::actix::MeshStore;
use sessionmesh::{Error, Mesh};

use crate::actix_kit::{self, HIDDEN, State, mesh_id};
use crate::meshes;
use crate::model::{Map, Request, Step, World, programs};

fn user(state: &HashMap<String, String>) -> Option<String> {
    state.get("user").cloned()
}

/// A request's state beside the model's.
type At = Option<(State, Request)>;

async fn run(mesh: &Mesh, store: &MeshStore, program: &[(usize, Step)]) {
    let (mut world, mut requests) = (World::default(), [const { None }; 2] as [At; 2]);
    let key = actix_kit::create(store, json!({"a": 1})).await;
    world.create(&mut Request { map: Some(Map::from([("a", 1)])), ..Request::default() });
    for (done, (at, step)) in program.iter().enumerate() {
        let at = &mut requests[*at];
        if at.is_none() || matches!(step, Step::Begin) {
            let mut request = Request { id: Some(0), ..Request::default() };
            world.load(&mut request);
            *at = Some((actix_kit::load(store, &key).await, request));
        }
        let Some((mut state, mut request)) = at.take() else { continue };
        match step {
            Step::Insert(name, value) => {
                state.insert((*name).to_owned(), value.to_string());
                request.map.as_mut().unwrap().insert(name, *value);
            }
            Step::Remove(name) => {
                state.remove(*name);
                request.map.as_mut().unwrap().remove(name);
            }
            Step::Clear => {
                state.clear();
                World::clear(&mut request);
            }
            Step::Save => {
                assert_eq!(actix_kit::update(store, &key, state).await, key);
                world.save(&mut request);
                check(mesh, &key, &world, &program[..=done]);
                continue;
            }
            Step::TheirSet(name, value) => theirs(mesh, &key, &mut world, (name, Some(*value))),
            Step::TheirRemove(name) => theirs(mesh, &key, &mut world, (name, None)),
            Step::Load | Step::Flush | Step::Cycle | Step::Begin => {}
        }
        *at = Some((state, request));
    }
}

fn theirs(mesh: &Mesh, key: &str, world: &mut World, (name, value): (&'static str, Option<u8>)) {
    world.theirs(name, value);
    let edited = mesh.sessions().edit(&mesh_id(key), |fields| {
        match value {
            Some(value) => fields.set(name, &value)?,
            None => fields.remove(name),
        }
        Ok::<(), Error>(())
    });
    edited.unwrap();
}

fn check(mesh: &Mesh, key: &str, world: &World, done: &[(usize, Step)]) {
    let session = mesh.sessions().get(&mesh_id(key)).session().unwrap();
    let model = world.sessions[0].as_ref().unwrap();
    let held: HashMap<_, _> = session
        .fields()
        .filter(|f| f.0 != HIDDEN)
        .map(|f| (f.0, session.get::<u8>(f.0).unwrap().unwrap()))
        .collect();
    assert_eq!(held, model.map().into_iter().collect(), "after {done:?}");
    assert_eq!(session.principal().map(str::to_owned), model.user.map(|u| u.to_string()), "after {done:?}");
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
