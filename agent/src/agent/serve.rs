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

use super::clients::{Client, Clients, Noted};
use super::limits::{ACCEPT_PAUSE, CONNECTIONS, FIRST_HEAD, HEAD_BYTES, HEADERS, LATER_HEAD};
use super::listen::{Accepted, Listener};
use super::patient::Patient;

/// Serves until `closing` turns true, then finishes what is under way, at most `patience` long.
pub async fn serve(
    listener: Listener,
    router: Router,
    mut closing: watch::Receiver<bool>,
    patience: Duration,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let open = Arc::new(Clients::default());
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = next_client(&listener, &open) => accepted,
            Some(_) = clients.join_next() => continue,
            () = closed(&mut closing) => break,
        };
        let Some(client) = accepted else { continue };
        let slot = tokio::select! {
            slot = room(&slots, &open) => slot,
            () = closed(&mut closing) => break,
        };
        let Some(slot) = slot else { break };
        let (router, closing, slot) = (router.clone(), closing.clone(), (open.enter(), slot));
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

async fn next_client(listener: &Listener, open: &Clients) -> Option<Accepted> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            // For want of file descriptors, as a rule.
            let room = open.end_the_most_idle();
            warn!(room, "cannot accept a connection: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A place for one more; the one that has been idle longest makes room, if there is none.
async fn room(slots: &Arc<Semaphore>, open: &Clients) -> Option<OwnedSemaphorePermit> {
    if slots.available_permits() == 0 {
        open.end_the_most_idle();
    }
    // The semaphore is never closed.
    Arc::clone(slots).acquire_owned().await.ok()
}

async fn one<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: S,
    mut closing: watch::Receiver<bool>,
    (client, _slot): (Client, OwnedSemaphorePermit),
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(LATER_HEAD);
    http.max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let service = TowerToHyperService::new(Noted::new(router, client.clone()));
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = client.ended() => return debug!("a client that was idle made room for another"),
        () = asks_nothing(&client) => return debug!("a client asked nothing within {FIRST_HEAD:?}"),
    };
    if let Err(error) = ended {
        debug!("a client's connection ended: {error}");
    }
}

/// Waits until a client that has not asked anything should have.
async fn asks_nothing(client: &Client) {
    tokio::time::sleep(FIRST_HEAD).await;
    if client.has_asked() {
        std::future::pending::<()>().await;
    }
}
