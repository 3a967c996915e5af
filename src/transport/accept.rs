//! Connections that come in.

use std::{sync::Arc, time::Duration};

use quinn::Incoming;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    refuse::{Failure, classify},
    shake::{self, Shake},
    shared::Shared,
};

/// Handshakes served at once. A mesh of this size that restarts together gets in at once; beyond it dials are
/// refused and tried again.
const MAX_HANDSHAKES: usize = 512;

/// Accepts until the endpoint closes.
pub(super) async fn accept_all(shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = shared.endpoint.accept().await {
        match room.clone().try_acquire_owned() {
            Ok(seat) if !shared.is_closing() => {
                let shared = shared.clone();
                shared.clone().spawn(async move {
                    accept(shared, incoming).await;
                    drop(seat);
                });
            }
            _ => incoming.refuse(),
        }
    }
}

async fn accept(shared: Arc<Shared>, incoming: Incoming) {
    let addr = super::config::canonical(incoming.remote_address());
    match handshake(&shared, incoming).await {
        Ok(()) | Err(Failure::NotNeeded) => {}
        Err(Failure::Unreachable(why)) => tracing::debug!(%addr, why, "incoming connection failed"),
        Err(Failure::Refused(reason)) => shared.refused(addr, None, false, reason),
    }
}

async fn handshake(shared: &Arc<Shared>, incoming: Incoming) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_millis(shared.config.dial_timeout_ms);
    let silence = |_| Failure::Unreachable("no answer within the dial timeout".into());
    let connecting = incoming.accept().map_err(|err| classify(&err))?;
    let conn = timeout_at(deadline, connecting).await.map_err(silence)?.map_err(|err| classify(&err))?;
    let result =
        timeout_at(deadline, Shake::accept(shared.clone(), conn.clone())).await.map_err(silence).flatten();
    if let Err(failure) = &result {
        // Connections from our own address to ourselves are the only ones not needed before a decision.
        shake::close(&conn, failure, false);
    }
    result
}
