//! The suite on top of actix-session's trait, for any store that has it.

use std::collections::HashMap;
use std::time::Duration;

use actix_session::storage::{SessionKey, SessionStore};
use serde_json::Value;

use super::subject::{Data, Failed, Request, Subject};

/// One node's store of actix-session 0.11.
#[derive(Clone, Debug)]
pub struct Actix<S>(S);

impl<S: SessionStore> Actix<S> {
    /// A store of actix-session.
    pub fn new(store: S) -> Self {
        Self(store)
    }
}

/// A session as actix-session's middleware holds it: JSON text under each key.
#[derive(Clone, Debug)]
pub struct State(HashMap<String, String>);

impl<S: SessionStore> Subject for Actix<S> {
    type Id = String;
    type Request = State;

    async fn create(&self, data: &Data, idle: Duration) -> Result<String, Failed> {
        let state = data.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        Ok(self.0.save(state, &ttl(idle)?).await?.into())
    }

    async fn create_as(&self, _: &String, _: &Data, _: Duration) -> Result<Option<String>, Failed> {
        // The store makes the key.
        Ok(None)
    }

    async fn load(&self, id: &String) -> Result<Option<State>, Failed> {
        Ok(self.0.load(&key(id)?).await?.map(State))
    }

    async fn save(&self, id: &String, request: &mut State, idle: Duration) -> Result<String, Failed> {
        Ok(self.0.update(key(id)?, request.0.clone(), &ttl(idle)?).await?.into())
    }

    async fn touch(&self, id: &String, _: &mut State, idle: Duration) -> Result<(), Failed> {
        Ok(self.0.update_ttl(&key(id)?, &ttl(idle)?).await?)
    }

    async fn delete(&self, id: &String) -> Result<(), Failed> {
        Ok(self.0.delete(&key(id)?).await?)
    }

    async fn cycle(&self, id: &String, request: &mut State, idle: Duration) -> Result<String, Failed> {
        self.0.delete(&key(id)?).await?;
        Ok(self.0.save(request.0.clone(), &ttl(idle)?).await?.into())
    }
}

impl Request for State {
    fn get(&self, key: &str) -> Option<Value> {
        self.0.get(key).map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()))
    }

    fn insert(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

fn key(id: &str) -> Result<SessionKey, Failed> {
    Ok(id.to_owned().try_into()?)
}

fn ttl(idle: Duration) -> Result<time::Duration, Failed> {
    Ok(idle.try_into()?)
}
