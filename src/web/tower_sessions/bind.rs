//! The traits of each version of tower-sessions-core. The versions are alike in shape and different to the compiler,
//! so that one text serves them all.

use async_trait::async_trait;

use super::store::MeshStore;
use crate::web::merge::MergeError;

macro_rules! bind {
    ($core:ident) => {
        const _: () = {
            use $core::session::{Id, Record};
            use $core::session_store::{Error, ExpiredDeletion, Result, SessionStore};

            fn told(error: MergeError) -> Error {
                match error {
                    MergeError::Encode(why) => Error::Encode(why),
                    MergeError::Backend(why) => Error::Backend(why),
                }
            }

            #[async_trait]
            impl SessionStore for MeshStore {
                async fn create(&self, record: &mut Record) -> Result<()> {
                    let created = self.create_as(record.id.0, &mut record.data, record.expiry_date).await;
                    record.id = Id(created.map_err(told)?);
                    Ok(())
                }

                async fn save(&self, record: &Record) -> Result<()> {
                    self.save_as(record.id.0, &record.data, record.expiry_date).await.map_err(told)
                }

                async fn load(&self, id: &Id) -> Result<Option<Record>> {
                    let loaded = self.load_as(id.0).await.map_err(told)?;
                    Ok(loaded.map(|(data, expiry_date)| Record { id: *id, data, expiry_date }))
                }

                async fn delete(&self, id: &Id) -> Result<()> {
                    self.delete_as(id.0).await.map_err(told)
                }
            }

            #[async_trait]
            impl ExpiredDeletion for MeshStore {
                /// Does nothing: every node hides a session at its deadline and drops it by itself. No task is
                /// needed.
                async fn delete_expired(&self) -> Result<()> {
                    Ok(())
                }
            }
        };
    };
}

#[cfg(feature = "tower-sessions")]
bind!(tower_sessions_core);
#[cfg(feature = "tower-sessions-014")]
bind!(tower_sessions_core_014);
