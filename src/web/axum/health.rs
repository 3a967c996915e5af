//! `/healthz` and `/readyz` of a service that embeds a node: what orchestrators and load balancers ask.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum_core::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use tower_service::Service;

use crate::Mesh;

/// Answers paths that end in `/healthz` and `/readyz`, as text, to whoever asks: mount it outside of any log-in.
///
/// * `/healthz`: 200 while the node runs; 503 if its task is gone or stands still: start the process again.
/// * `/readyz`: 200 while requests shall come here; 503, and why, while it is joining, fenced, or about to leave
///   ([`Mesh::shutdown`]).
///
/// ```no_run
/// # use sessionmesh::{Mesh, web::axum::Health};
/// # fn app(mesh: &Mesh) -> axum::Router {
/// let health = Health::new(mesh);
/// axum::Router::new().route_service("/healthz", health.clone()).route_service("/readyz", health)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health(Mesh);

impl Health {
    /// Of this node.
    pub fn new(mesh: &Mesh) -> Self {
        Self(mesh.clone())
    }

    fn answer(&self, path: &str) -> (StatusCode, String) {
        let good = |good| if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if path.ends_with("/healthz") {
            let alive = self.0.liveness();
            return (good(alive.is_ok()), alive.err().unwrap_or_else(|| "alive".into()));
        }
        if path.ends_with("/readyz") {
            let (ready, why) = self.0.readiness();
            return (good(ready), why);
        }
        (StatusCode::NOT_FOUND, "there are /healthz and /readyz".into())
    }
}

impl<B> Service<Request<B>> for Health {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let head = [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "text/plain; charset=utf-8")];
        let (code, text) = match *request.method() {
            Method::GET | Method::HEAD => self.answer(request.uri().path()),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET".into()),
        };
        ready(Ok((code, head, text + "\n").into_response()))
    }
}
