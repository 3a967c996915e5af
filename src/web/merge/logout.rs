//! Ending a session, known here or not.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::cycles::{CYCLE_WITHIN, Cycles};
use super::engine::Merge;
use super::error::Result;
use crate::mesh::{Asked, Error, Receipt, Sessions};
use crate::{SessionId, WriteError};

impl Merge {
    /// Destroys a session for good, and what a logout of it ends. Nothing, if nobody who could be asked has it.
    ///
    /// What it became under new ids, on other nodes maybe, ends a moment later, unless this was the first half of such
    /// a new id: see [`super::cycles`].
    pub async fn destroy(&self, id: &SessionId) -> Result<Vec<Receipt>> {
        if let Some(receipts) = self.give_up(id)? {
            return Ok(receipts);
        }
        let (_, asked) = self.sessions().fetch_sure(id).await;
        if let Some(receipts) = self.give_up(id)? {
            return Ok(receipts);
        }
        if asked == Asked::All && !self.sessions().somebody_is_missing() {
            return Ok(Vec::new());
        }
        let session = self.sessions().log_name(id);
        if !self.sessions().mesh().may_end_blind(session.clone()) {
            return Ok(Vec::new());
        }
        debug!(session, "unknown here while members are out of reach: destroyed blind");
        let receipts = vec![self.sessions().destroy_blind(id).await?];
        self.cycles.lock().deleted(Instant::now(), *id, None);
        self.settle_later(*id);
        Ok(receipts)
    }

    /// Ends what is known here; `None` if nothing is.
    fn give_up(&self, id: &SessionId) -> Result<Option<Vec<Receipt>>> {
        // Under one lock with the delete: a create that follows at once finds it.
        let mut cycles = self.cycles.lock();
        let had_ended = self.sessions().is_ended(id);
        let mut given_up = match self.sessions().give_up(id) {
            Ok(given_up) => given_up,
            Err(Error::Write(WriteError::Absent)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        cycles.deleted(Instant::now(), *id, (!had_ended).then_some(&mut given_up));
        drop(cycles);
        self.settle_later(*id);
        Ok(Some(given_up.receipts))
    }

    /// Looks again once no create can come that continues the session.
    fn settle_later(&self, id: SessionId) {
        let (sessions, cycles) = (self.sessions().clone(), Arc::clone(&self.cycles));
        tokio::spawn(async move {
            tokio::time::sleep(CYCLE_WITHIN).await;
            settle(&sessions, &cycles, &id);
        });
    }
}

fn settle(sessions: &Sessions, cycles: &Mutex<Cycles>, id: &SessionId) {
    let Some((went_on, own)) = cycles.lock().settle(Instant::now(), id) else { return };
    // Nobody else can have given it a new id.
    let alone = sessions.mesh().members().len() <= 1;
    if alone && !went_on {
        return;
    }
    if let Err(error) = sessions.end_rotations(id, own) {
        let session = sessions.log_name(id);
        debug!(session, %error, "what the session became under new ids could not be ended");
    }
}
