//! A request that takes its time, in two halves: `/hold` loads the session, `/save-held` saves to it later, as
//! session middleware does at the end of a request. Whatever happened in between is the mesh's to merge.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use sessionmesh::{Error, Session, SessionId, WriteError};

use super::shop::{Answer, Attribute, Refusal, needed, written};
use super::{App, Node};

/// Requests that may be held at once; the oldest goes first. The check needs one.
const MAX_HELD: usize = 64;

/// Sessions loaded and not yet saved, by ticket.
#[derive(Default)]
pub struct Held(Mutex<(u64, BTreeMap<u64, Loaded>)>);

/// What a request works on between its two halves.
type Loaded = (SessionId, Session);

impl Held {
    fn keep(&self, loaded: Loaded) -> u64 {
        let mut held = self.0.lock();
        let (last, all) = &mut *held;
        *last += 1;
        all.insert(*last, loaded);
        if all.len() > MAX_HELD {
            all.pop_first();
        }
        *last
    }

    fn of(&self, ticket: u64) -> Option<Loaded> {
        self.0.lock().1.get(&ticket).cloned()
    }
}

/// The first half: loads.
pub async fn hold(State(app): State<App>, headers: HeaderMap) -> Answer {
    let loaded = needed(&app, &headers).await?;
    Ok(Json(json!({ "ticket": app.held.keep(loaded), "node": app.mesh.node() })))
}

#[derive(Deserialize)]
pub struct Save {
    ticket: u64,
    #[serde(flatten)]
    attribute: Attribute,
}

/// The second half: saves what differs from what was loaded. A session that has ended in the meantime is left
/// alone in silence, since the request itself did nothing wrong.
pub async fn save(State(app): State<App>, Json(body): Json<Save>) -> Answer {
    body.attribute.check()?;
    let loaded = app.held.of(body.ticket).ok_or_else(|| Refusal::Bad("no such ticket".into()))?;
    write(&app, &loaded, &body.attribute).await
}

async fn write(node: &Node, (id, loaded): &Loaded, attribute: &Attribute) -> Answer {
    if loaded.get::<&str>(&attribute.key).ok().flatten() == Some(attribute.value.as_str()) {
        return Ok(Json(json!({ "saved": false, "node": node.mesh.node() })));
    }
    match node.mesh.sessions().edit(id, |s| s.set(&attribute.key, &attribute.value)) {
        Ok(receipt) => Ok(Json(written(node, &receipt, json!({ "saved": true })).await)),
        Err(Error::Write(WriteError::Absent)) => {
            Ok(Json(json!({ "saved": false, "node": node.mesh.node() })))
        }
        Err(error) => Err(error.into()),
    }
}
