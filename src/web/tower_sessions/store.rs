//! The store itself, in words that all versions of tower-sessions share: [`super::bind`] adds the rest.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::date::{date_in, date_ms, left_ms};
use crate::SessionId;
use crate::mesh::{Sessions, Versioned};
use crate::web::merge::{
    Asked, Create, Given, HIDDEN_KEY, MapName, Merge, Result, Save, carried, copied, decode, encode, expiry,
    hash,
};

/// The keys of a session, as tower-sessions keeps them.
pub(super) type Data = HashMap<String, Value>;

/// A session store over a mesh, for every version of tower-sessions that is enabled. Cheap to clone; clones share one
/// memory of recent saves, so make one per node.
///
/// ```no_run
/// # #[cfg(feature = "tower-sessions")]
/// # fn layer(mesh: sessionmesh::Mesh) -> tower_sessions::SessionManagerLayer<sessionmesh::web::tower_sessions::MeshStore> {
/// use sessionmesh::web::tower_sessions::MeshStore;
/// use tower_sessions::{Expiry, SessionManagerLayer, cookie::time::Duration};
///
/// let store = MeshStore::new(mesh.sessions()).with_principal(|keys| Some(keys.get("user")?.as_str()?.to_owned()));
/// SessionManagerLayer::new(store).with_expiry(Expiry::OnInactivity(Duration::minutes(30)))
/// # }
/// ```
#[derive(Clone)]
pub struct MeshStore {
    merge: Arc<Merge>,
    whose: Option<Arc<Whose>>,
}

/// Reads the principal out of a session's keys.
type Whose = dyn Fn(&Data) -> Option<String> + Send + Sync;

impl MeshStore {
    /// A store over `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { merge: Arc::new(Merge::new(sessions)), whose: None }
    }

    /// Says whose session it is by its keys, for [`Sessions::of`] and [`Sessions::revoke_all`]: a user's id that the
    /// application or its log-in layer keeps there. Asked at every create and save; only a save that changes the
    /// answer logs in or out. At most 255 bytes, or the save is an error.
    #[must_use]
    pub fn with_principal(
        self,
        whose: impl Fn(&HashMap<String, Value>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { whose: Some(Arc::new(whose)), ..self }
    }

    /// Creates a session under `id`, or under another if that is taken; the one used is returned. A request that
    /// goes on with `data` may save again.
    pub(super) async fn create_as(&self, id: i128, data: &mut Data, ends: OffsetDateTime) -> Result<i128> {
        // A token here is that of the session this one was cycled from. (A new one takes all keys: a diff would leave
        // out the unchanged ones.)
        let carried = carried(data.get(HIDDEN_KEY))?;
        let map = Some(MapName::of(data));
        let left_ms = self.merge.clamp(left_ms(ends));
        if left_ms == 0 {
            // Born expired: nobody can ever load it.
            data.remove(HIDDEN_KEY);
            return Ok(id);
        }
        let create = Create { carried, map, given: given(data)?, principal: self.principal_in(data) };
        let receipt = self.merge.create(mesh_id(id), expiry::idle(left_ms), &create)?;
        drop(create);
        let id = receipt.id();
        // So that this request may save again; a session that is gone already needs no token. It may hold what others
        // wrote to the one before.
        data.remove(HIDDEN_KEY);
        if let Ok(versioned) = self.merge.sessions().versioned(&id) {
            let (mut shown, _) = self.shown(id, &versioned)?;
            data.retain(|key, value| shown.get(key) == Some(value) && shown.remove(key).is_some());
            data.extend(shown);
        }
        receipt.replicated().await;
        Ok(i128::from_le_bytes(*id.as_bytes()))
    }

    /// Whose session a map says it is, if the store is told how to read that.
    fn principal_in(&self, data: &Data) -> Option<Option<String>> {
        self.whose.as_ref().map(|whose| whose(data))
    }

    pub(super) async fn save_as(&self, id: i128, data: &Data, ends: OffsetDateTime) -> Result<()> {
        let save = Save {
            // Told even if the session is gone: the mistake is the application's either way.
            carried: carried(data.get(HIDDEN_KEY))?,
            map: Some(MapName::of(data)),
            given: given(data)?,
            principal: self.principal_in(data),
            asked: Asked::Date { date_ms: date_ms(ends), left_ms: left_ms(ends) },
        };
        copied(self.merge.save(mesh_id(id), save).await?).await;
        Ok(())
    }

    pub(super) async fn load_as(&self, id: i128) -> Result<Option<(Data, OffsetDateTime)>> {
        let id = mesh_id(id);
        let found = self.merge.find(&id).await?;
        found.map(|versioned| self.shown(id, &versioned)).transpose()
    }

    pub(super) async fn delete_as(&self, id: i128) -> Result<()> {
        copied(self.merge.destroy(&mesh_id(id)).await?).await;
        Ok(())
    }

    /// What a request is given of a session: its keys, a new token among them, and its expiry.
    fn shown(&self, id: SessionId, versioned: &Versioned) -> Result<(Data, OffsetDateTime)> {
        let ends = date_in(versioned.left_ms(self.merge.sessions().wall_ms()));
        let shown = self.merge.show(id, versioned, date_ms(ends), |key, bytes| {
            let Some(value) = decode(bytes) else { return Ok(None) };
            let hash = hash(&encode(key, &value)?);
            Ok(Some((value, hash)))
        })?;
        let mut data = shown.data;
        data.insert(HIDDEN_KEY.to_owned(), shown.token.to_value()?);
        Ok((data, ends))
    }
}

impl fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshStore").field("merge", &self.merge).finish_non_exhaustive()
    }
}

/// The application's own keys.
fn given(data: &Data) -> Result<Vec<Given<'_>>> {
    let visible = data.iter().filter(|(key, _)| *key != HIDDEN_KEY);
    let given = visible.map(|(key, value)| {
        let bytes = encode(key, value)?;
        Ok(Given { key, hash: hash(&bytes), bytes })
    });
    given.collect()
}

/// The mesh's name of a tower-sessions session, whose `Id` of any version holds this number: the bytes that its cookie
/// text encodes.
///
/// So that what a [`MeshStore`] keeps can be named to the mesh, as in "log out everywhere but here":
/// `sessions.revoke_all_except("ada", &mesh_id(id.0))`, with the `id` that tower-sessions' `Session::id` gives. (A session
/// that was not saved yet, or whose id was just cycled, has none.)
pub fn mesh_id(id: i128) -> SessionId {
    SessionId::from_bytes(id.to_le_bytes())
}
