//! The store itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use anyhow::anyhow;
use serde_json::Value;
use time::Duration;

use super::json::{decode, encode};
use crate::SessionId;
use crate::mesh::{Expiry, Sessions};
use crate::web::merge::{
    Asked, Create, Given, HIDDEN_KEY, Merge, MergeError, Result, Save, carried, copied, hash,
};

/// The keys of a session, as actix-session keeps them: each value is JSON text.
type State = HashMap<String, String>;

/// A session store over a mesh. Cheap to clone: make one per node, before `HttpServer::new`, and clone it into each
/// worker's app.
///
/// ```no_run
/// # async fn serve(mesh: sessionmesh::Mesh) -> std::io::Result<()> {
/// use actix_session::SessionMiddleware;
/// use actix_web::{App, HttpServer, cookie::Key};
/// use sessionmesh::web::actix::MeshStore;
///
/// let (store, key) = (MeshStore::new(mesh.sessions()), Key::generate());
/// HttpServer::new(move || App::new().wrap(SessionMiddleware::new(store.clone(), key.clone())))
///     .bind("127.0.0.1:3000")?
///     .run()
///     .await
/// # }
/// ```
#[derive(Clone)]
pub struct MeshStore {
    merge: Arc<Merge>,
    whose: Option<Arc<Whose>>,
}

/// Reads the principal out of a session's keys.
type Whose = dyn Fn(&State) -> Option<String> + Send + Sync;

impl MeshStore {
    /// A store over `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { merge: Arc::new(Merge::new(sessions)), whose: None }
    }

    /// Says whose session it is by its keys, each of which is JSON text, for [`Sessions::of`] and
    /// [`Sessions::revoke_all`]. Asked at every save; only one that changes the answer logs in or out. At most 255
    /// bytes, or the save is an error.
    #[must_use]
    pub fn with_principal(
        self,
        whose: impl Fn(&HashMap<String, String>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { whose: Some(Arc::new(whose)), ..self }
    }

    async fn load_id(&self, id: SessionId) -> Result<Option<State>> {
        let Some(versioned) = self.merge.find(&id).await? else { return Ok(None) };
        let shown = self.merge.show(id, &versioned, 0, |_, bytes| {
            Ok(decode(bytes).map(|text| {
                let hash = hash(text.as_bytes());
                (text, hash)
            }))
        })?;
        let mut state = shown.data;
        state.insert(HIDDEN_KEY.to_owned(), shown.token.to_value()?.to_string());
        Ok(Some(state))
    }

    async fn create(&self, state: &State, ttl: &Duration) -> Result<SessionKey> {
        // A token here is that of the session this one was renewed from.
        let carried = carried(hidden(state).as_ref())?;
        let idle_ms = self.merge.clamp(millis(ttl));
        let id = Sessions::random_id()?;
        if idle_ms == 0 {
            // Born expired: nobody can ever load it.
            return key_of(id);
        }
        let expiry = Expiry::sliding(std::time::Duration::from_millis(idle_ms));
        let principal = self.whose.as_ref().map(|whose| whose(state));
        let create = Create { carried, map: None, given: given(state)?, principal };
        let receipt = self.merge.create(id, expiry, &create)?;
        receipt.replicated().await;
        key_of(receipt.id())
    }

    async fn update_id(&self, id: SessionId, state: &State, ttl: &Duration) -> Result<()> {
        let save = Save {
            // Told even if the session is gone: the mistake is the application's either way.
            carried: carried(hidden(state).as_ref())?,
            // The state is handed over by value: nothing tells its name.
            map: None,
            given: given(state)?,
            principal: self.whose.as_ref().map(|whose| whose(state)),
            asked: Asked::Idle(millis(ttl)),
        };
        copied(self.merge.save(id, save).await?).await;
        Ok(())
    }
}

impl SessionStore for MeshStore {
    async fn load(&self, key: &SessionKey) -> std::result::Result<Option<State>, LoadError> {
        let Some(id) = session_id(key) else { return Ok(None) };
        self.load_id(id).await.map_err(|e| LoadError::Other(e.into()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> std::result::Result<SessionKey, SaveError> {
        self.create(&state, ttl).await.map_err(|error| match error {
            MergeError::Encode(why) => SaveError::Serialization(anyhow!(why)),
            MergeError::Backend(why) => SaveError::Other(anyhow!(why)),
        })
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &Duration,
    ) -> std::result::Result<SessionKey, UpdateError> {
        let Some(id) = session_id(&key) else { return Ok(key) };
        match self.update_id(id, &state, ttl).await {
            // Gone or not: under its own key, or not at all.
            Ok(()) => Ok(key),
            Err(MergeError::Encode(why)) => Err(UpdateError::Serialization(anyhow!(why))),
            Err(MergeError::Backend(why)) => Err(UpdateError::Other(anyhow!(why))),
        }
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> std::result::Result<(), anyhow::Error> {
        let Some(id) = session_id(key) else { return Ok(()) };
        copied(self.merge.touch(id, millis(ttl)).await?).await;
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> std::result::Result<(), anyhow::Error> {
        let Some(id) = session_id(key) else { return Ok(()) };
        copied(self.merge.destroy(&id).await?).await;
        Ok(())
    }
}

impl fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshStore").field("merge", &self.merge).finish_non_exhaustive()
    }
}

fn key_of(id: SessionId) -> Result<SessionKey> {
    id.to_text().try_into().map_err(|_| MergeError::Backend("no session key".into()))
}

/// The session a key names. A key that another store made names none: its cookie is still good, its session is not
/// here.
fn session_id(key: &SessionKey) -> Option<SessionId> {
    SessionId::parse(key.as_ref())
}

/// What lies under the hidden key. Text that is not even JSON is an application's.
fn hidden(state: &State) -> Option<Value> {
    state.get(HIDDEN_KEY).map(|text| serde_json::from_str(text).unwrap_or(Value::Null))
}

/// The application's own keys.
fn given(state: &State) -> Result<Vec<Given<'_>>> {
    let visible = state.iter().filter(|(key, _)| *key != HIDDEN_KEY);
    visible
        .map(|(key, text)| Ok(Given { key, bytes: encode(key, text)?, hash: hash(text.as_bytes()) }))
        .collect()
}

/// A time to live in milliseconds; none, if it has passed.
fn millis(ttl: &Duration) -> u64 {
    u64::try_from(ttl.whole_milliseconds().max(0)).unwrap_or(u64::MAX)
}
