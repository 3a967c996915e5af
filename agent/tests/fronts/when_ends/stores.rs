//! The stores: tower-sessions hands over a date, actix-session an idle time.

use std::time::Duration;

use actix_session::storage::SessionStore as _;
use sessionmesh::{Found, SessionId, Sessions};
use tower_sessions::SessionStore as _;
use tower_sessions::cookie::time;
use tower_sessions::session::{Id, Record};

use super::held_to_the_table;
use super::kit::{Ask, Ends, base, cases, ends};
use crate::meshes;

fn shown(sessions: &Sessions, id: SessionId, gone: &str) -> String {
    match sessions.get(&id) {
        Found::Session(session) => ends(&session, sessions.wall_ms()),
        Found::Absent => gone.into(),
        other => format!("{other:?}"),
    }
}

/// The date that tower-sessions makes of it, if it has words for it.
fn date(ask: Ask) -> Option<time::OffsetDateTime> {
    let now = time::OffsetDateTime::now_utc();
    let within = |life: Duration| time::Duration::try_from(life).unwrap_or(time::Duration::MAX);
    match (ask.ends?, ask.at_most) {
        (Ends::Idle(idle), None) => Some(now.saturating_add(within(idle))),
        (Ends::At(ms), None) => Some(now.saturating_add(time::Duration::milliseconds(ms))),
        (Ends::EndOfTime, None) => Some(now.saturating_add(time::Duration::MAX)),
        _ => None,
    }
}

#[tokio::test]
async fn the_tower_sessions_store_means_what_the_table_says() {
    let mesh = meshes::alone("ends-tower").await;
    let (sessions, store) =
        (mesh.sessions(), sessionmesh::web::tower_sessions::MeshStore::new(mesh.sessions()));
    let mesh_id = |id: Id| SessionId::from_bytes(id.0.to_le_bytes());
    let mut seen = Vec::new();
    for case in cases() {
        let (Some(ends), None) = (date(case.then), case.first) else {
            seen.push(["-".to_owned(), "-".to_owned()]);
            continue;
        };
        let mut new = Record { id: Id::default(), data: Default::default(), expiry_date: ends };
        store.create(&mut new).await.expect("created, or born expired");
        let new = shown(&sessions, mesh_id(new.id), "none is made");
        let id = sessions.create(base(), |_| Ok(())).expect("created").id();
        let id_there = Id(i128::from_le_bytes(*id.as_bytes()));
        let mut held = store.load(&id_there).await.expect("loaded").expect("it lives");
        held.expiry_date = ends;
        store.save(&held).await.expect("saved");
        seen.push([new, shown(&sessions, id, "ended")]);
    }
    let mut seen = seen.into_iter();
    held_to_the_table("tower-sessions", [2, 3], |_| seen.next().expect("one a case"));
}

#[tokio::test]
async fn the_actix_store_means_what_the_table_says() {
    let mesh = meshes::alone("ends-actix").await;
    let (sessions, store) = (mesh.sessions(), sessionmesh::web::actix::MeshStore::new(mesh.sessions()));
    let table = super::table();
    let mut seen = Vec::new();
    for case in cases() {
        let (Some(Ends::Idle(idle)), None, None) = (case.then.ends, case.then.at_most, case.first) else {
            // What it has no words for is tower-sessions' to show.
            seen.push([table[case.asked][2].clone(), table[case.asked][3].clone()]);
            continue;
        };
        let ttl = time::Duration::try_from(idle).unwrap_or(time::Duration::MAX);
        let key = store.save(Default::default(), &ttl).await.expect("a key");
        let new = shown(&sessions, SessionId::parse(key.as_ref()).expect("ours"), "none is made");
        let mut edits = Vec::new();
        for by_save in [true, false] {
            let id = sessions.create(base(), |_| Ok(())).expect("created").id();
            let key = || id.to_text().try_into().expect("a key");
            if by_save {
                store.update(key(), Default::default(), &ttl).await.expect("saved");
            } else {
                store.update_ttl(&key(), &ttl).await.expect("touched");
            }
            edits.push(shown(&sessions, id, "ended"));
        }
        assert_eq!(edits[0], edits[1], "{}: a save and a touch", case.asked);
        seen.push([new, edits.swap_remove(0)]);
    }
    let mut seen = seen.into_iter();
    held_to_the_table("actix-session", [2, 3], |_| seen.next().expect("one a case"));
}
