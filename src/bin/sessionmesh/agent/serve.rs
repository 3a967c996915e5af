//! The HTTP server: bounded in connections and patience, and able to stop without dropping a request under way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::{Layer, Service};
use tracing::{debug, warn};

use super::listen::{Accepted, Listener};

/// Clients served at once; more wait in the operating system's queue. Application servers keep pools of tens.
const MOST_CONNECTIONS: usize = 4_096;
/// How long a request's head may take once its connection is open, or a kept one may stay silent.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// Largest request head (bytes): ours carry an id and a token.
const MOST_HEAD_BYTES: usize = 32 * 1024;
/// Most headers of one request.
const MOST_HEADERS: usize = 64;
/// Pause after the operating system refused a connection, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `closing` turns true, then finishes what is under way, at most `patience` long.
pub async fn serve(
    listener: Listener,
    router: Router,
    mut closing: watch::Receiver<bool>,
    patience: Duration,
) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = next_client(&listener, &slots) => accepted,
            Some(_) = clients.join_next() => continue,
            () = closed(&mut closing) => break,
        };
        let Some((client, slot)) = accepted else { continue };
        let (router, closing) = (router.clone(), closing.clone());
        match client {
            Accepted::Tcp(stream, peer) => {
                // Who asks: the dashboard lets in this machine only, if there is no token.
                let router = Extension(ConnectInfo(peer)).layer(router);
                clients.spawn(one(stream, router, closing, slot))
            }
            Accepted::Unix(stream) => clients.spawn(one(stream, router, closing, slot)),
        };
    }
    drop(listener);
    let finished = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, finished).await.is_err() {
        warn!("{} requests were still under way after {patience:?} and are cut off", clients.len());
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn next_client(
    listener: &Listener,
    slots: &Arc<Semaphore>,
) -> Option<(Accepted, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(client) => Some((client, slot)),
        Err(error) => {
            warn!("cannot accept a connection: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn one<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: S,
    mut closing: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    http.max_headers(MOST_HEADERS).max_buf_size(MOST_HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("a client's connection ended: {error}");
    }
}
