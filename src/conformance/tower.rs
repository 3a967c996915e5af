//! The suite on top of tower-sessions' trait, for any store that has it.

macro_rules! subject {
    ($name:ident, $core:ident, $version:literal) => {
        #[doc = concat!("For stores of tower-sessions ", $version, ".")]
        pub mod $name {
            use std::pin::Pin;
            use std::time::Duration;

            use serde_json::Value;
            use time::OffsetDateTime;
            use $core::session::{Id, Record};
            use $core::session_store::{Error, ExpiredDeletion, SessionStore};

            use super::super::subject::{Data, Failed, Request, Subject};

            type Sweep<S> = for<'a> fn(&'a S) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

            #[doc = concat!("One node's store of tower-sessions ", $version, ".")]
            #[derive(Clone, Debug)]
            pub struct Tower<S> {
                store: S,
                sweep: Option<Sweep<S>>,
            }

            impl<S: SessionStore> Tower<S> {
                /// A store that needs nobody to delete what has expired, or is not asked to.
                pub fn new(store: S) -> Self {
                    Self { store, sweep: None }
                }

                /// A store that is asked to delete what has expired.
                pub fn sweeping(store: S) -> Self
                where
                    S: ExpiredDeletion,
                {
                    Self { store, sweep: Some(|store| store.delete_expired()) }
                }
            }

            impl<S: SessionStore> Subject for Tower<S> {
                type Id = Id;
                type Request = Record;

                async fn create(&self, data: &Data, idle: Duration) -> Result<Id, Failed> {
                    Ok(self.create_as(&Id::default(), data, idle).await?.unwrap_or_default())
                }

                async fn create_as(
                    &self,
                    id: &Id,
                    data: &Data,
                    idle: Duration,
                ) -> Result<Option<Id>, Failed> {
                    let data = data.clone().into_iter().collect();
                    let mut record = Record { id: *id, data, expiry_date: date(idle) };
                    self.store.create(&mut record).await?;
                    Ok(Some(record.id))
                }

                async fn load(&self, id: &Id) -> Result<Option<Record>, Failed> {
                    Ok(self.store.load(id).await?)
                }

                async fn save(&self, id: &Id, request: &mut Record, idle: Duration) -> Result<Id, Failed> {
                    // In place, as the middleware does: a store may tell requests apart by where their records lie.
                    request.expiry_date = date(idle);
                    self.store.save(request).await?;
                    Ok(*id)
                }

                async fn delete(&self, id: &Id) -> Result<(), Failed> {
                    Ok(self.store.delete(id).await?)
                }

                async fn cycle(&self, id: &Id, request: &mut Record, idle: Duration) -> Result<Id, Failed> {
                    self.store.delete(id).await?;
                    request.id = Id::default();
                    request.expiry_date = date(idle);
                    self.store.create(request).await?;
                    Ok(request.id)
                }

                async fn sweep(&self) -> Result<(), Failed> {
                    match self.sweep {
                        Some(sweep) => Ok(sweep(&self.store).await?),
                        None => Ok(()),
                    }
                }
            }

            impl Request for Record {
                fn get(&self, key: &str) -> Option<Value> {
                    self.data.get(key).cloned()
                }

                fn insert(&mut self, key: &str, value: Value) {
                    self.data.insert(key.to_owned(), value);
                }

                fn remove(&mut self, key: &str) {
                    self.data.remove(key);
                }

                fn clear(&mut self) {
                    self.data.clear();
                }
            }

            fn date(idle: Duration) -> OffsetDateTime {
                OffsetDateTime::now_utc() + idle
            }
        }
    };
}

#[cfg(feature = "tower-sessions")]
subject!(v015, tower_sessions_core, "0.15");
#[cfg(feature = "tower-sessions-014")]
subject!(v014, tower_sessions_core_014, "0.14");
