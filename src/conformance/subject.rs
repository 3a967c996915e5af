//! What the suite asks of a store, in words that no framework owns.
//!
//! Futures need not be `Send`: some frameworks' stores live on one thread.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The keys of a session.
pub type Data = BTreeMap<String, Value>;

/// An error of a store, in its own words.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One node's store.
pub trait Subject {
    /// What a session's cookie names.
    type Id: Clone + PartialEq;
    /// A session as a request holds it between load and save.
    type Request: Request;

    /// Creates a session that ends `idle` after its last save.
    fn create(&self, data: &Data, idle: Duration) -> impl Future<Output = Result<Self::Id, Failed>>;

    /// As [`Subject::create`], asking for an id that is in use. `None` if the framework lets nobody ask.
    fn create_as(
        &self,
        id: &Self::Id,
        data: &Data,
        idle: Duration,
    ) -> impl Future<Output = Result<Option<Self::Id>, Failed>>;

    /// Loads a session for one request; `None` if there is none.
    fn load(&self, id: &Self::Id) -> impl Future<Output = Result<Option<Self::Request>, Failed>>;

    /// Saves what a request holds under `id`, which it was loaded from. The id that goes into the cookie is returned:
    /// some stores move a session that is gone to a new one.
    fn save(
        &self,
        id: &Self::Id,
        request: &mut Self::Request,
        idle: Duration,
    ) -> impl Future<Output = Result<Self::Id, Failed>>;

    /// Extends a session that the request has not changed.
    fn touch(
        &self,
        id: &Self::Id,
        request: &mut Self::Request,
        idle: Duration,
    ) -> impl Future<Output = Result<(), Failed>> {
        async move { self.save(id, request, idle).await.map(drop) }
    }

    /// Ends a session: a logout.
    fn delete(&self, id: &Self::Id) -> impl Future<Output = Result<(), Failed>>;

    /// Gives the session that a request holds a new id, as the framework does at a login.
    fn cycle(
        &self,
        id: &Self::Id,
        request: &mut Self::Request,
        idle: Duration,
    ) -> impl Future<Output = Result<Self::Id, Failed>>;

    /// Deletes what has expired. Nothing to do for stores that need no such task.
    fn sweep(&self) -> impl Future<Output = Result<(), Failed>> {
        async { Ok(()) }
    }
}

/// A session as a request holds it.
pub trait Request {
    /// The value of a key.
    fn get(&self, key: &str) -> Option<Value>;

    /// Sets a key.
    fn insert(&mut self, key: &str, value: Value);

    /// Removes a key.
    fn remove(&mut self, key: &str);

    /// Removes all keys, as the framework does.
    fn clear(&mut self);
}
