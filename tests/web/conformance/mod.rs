//! The conformance suite on every store of ours, on one node and on three, and on tower-sessions' memory store, whose
//! faults are known.

mod faulty;

use std::time::Duration;

use crate::meshes::{alone, linked, start, within};
use ::tower_sessions::MemoryStore;
use sessionmesh::conformance::actix::Actix;
use sessionmesh::conformance::{Fleet, Property, Subject, check, run, tower_sessions, tower_sessions_014};
use sessionmesh::{Mesh, web};

fn tower(mesh: &Mesh) -> impl Subject + use<> {
    tower_sessions::Tower::sweeping(web::tower_sessions::MeshStore::new(mesh.sessions()))
}

fn tower_014(mesh: &Mesh) -> impl Subject + use<> {
    tower_sessions_014::Tower::sweeping(web::tower_sessions::MeshStore::new(mesh.sessions()))
}

fn actix(mesh: &Mesh) -> impl Subject + use<> {
    Actix::new(web::actix::MeshStore::new(mesh.sessions()))
}

async fn conforms<S: Subject>(fleet: Fleet<S>) {
    let violations = within("the suite", run(&fleet)).await;
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_conforms_on_one_node() {
    let mesh = alone("conform-one").await;
    tokio::join!(
        conforms(Fleet::new([tower(&mesh)])),
        conforms(Fleet::new([tower_014(&mesh)])),
        conforms(Fleet::new([actix(&mesh)])),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_conforms_on_three_nodes() {
    let meshes = linked("conform-three").await;
    tokio::join!(
        conforms(Fleet::new(meshes.each_ref().map(tower))),
        conforms(Fleet::new(meshes.each_ref().map(tower_014))),
        conforms(Fleet::new(meshes.each_ref().map(actix))),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_whose_clocks_are_apart_conform() {
    let a = start("conform-skew", "a", &[], |b| b).await;
    let b = start("conform-skew", "b", &[&a], |b| b.clock_offset_ms(-500)).await;
    let c = start("conform-skew", "c", &[&a], |b| b.clock_offset_ms(500)).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    let skew = Duration::from_secs(1);
    tokio::join!(
        conforms(Fleet::new(meshes.each_ref().map(tower)).skew(skew)),
        conforms(Fleet::new(meshes.each_ref().map(actix)).skew(skew)),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_loses_updates_and_brings_ended_sessions_back() {
    let fleet = Fleet::new([tower_sessions::Tower::new(MemoryStore::default())]);
    let violations = run(&fleet.patience(Duration::from_millis(100))).await;
    let found: Vec<_> = violations.iter().map(|v| v.property).collect();
    let known = [
        Property::DisjointKeys,
        Property::ClearAgainstAdd,
        Property::LateSaveAfterDelete,
        Property::LateSaveAfterCycle,
        Property::CycleKeepsOthersWrites,
        Property::DeleteAfterTwoCycles,
        Property::CycleAfterDelete,
    ];
    assert_eq!(found, known, "{violations:#?}");
    let told = violations[0].to_string();
    assert!(told.starts_with("DisjointKeys (of two requests at once"), "{told}");
    assert!(told.ends_with("key \"user\" is \"ada\", not \"eve\""), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stores_that_share_nothing_are_no_fleet() {
    let nodes = [MemoryStore::default(), MemoryStore::default()].map(tower_sessions::Tower::new);
    let fleet = Fleet::new(nodes).patience(Duration::from_millis(100));
    let violation = check(&fleet, Property::ExpiryExtension).await.unwrap_err();
    assert_eq!(violation.seen, "node 1: the session is not there");
}
