//! Ending a session, known here or not.

use std::time::Instant;

use tracing::{debug, warn};

use super::engine::Merge;
use super::error::Result;
use crate::mesh::{Asked, Error, Receipt};
use crate::{SessionId, WriteError};

impl Merge {
    /// Destroys a session for good. `None`: nobody who could be asked has it.
    pub async fn destroy(&self, id: &SessionId) -> Result<Option<Receipt>> {
        if let Some(receipt) = found(self.sessions().destroy(id))? {
            return Ok(Some(receipt));
        }
        let (_, asked) = self.sessions().fetch_sure(id).await;
        if let Some(receipt) = found(self.sessions().destroy(id))? {
            return Ok(Some(receipt));
        }
        if asked == Asked::All && !self.sessions().somebody_is_missing() {
            return Ok(None);
        }
        let session = self.sessions().log_name(id);
        if !self.blind.lock().take(Instant::now()) {
            warn!(
                session,
                "a delete of an unknown session while members are out of reach: too many, not recorded"
            );
            return Ok(None);
        }
        debug!(session, "unknown here while members are out of reach: destroyed blind");
        Ok(Some(self.sessions().destroy_blind(id).await?))
    }
}

fn found(destroyed: std::result::Result<Receipt, Error>) -> Result<Option<Receipt>> {
    match destroyed {
        Ok(receipt) => Ok(Some(receipt)),
        Err(Error::Write(WriteError::Absent)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
