//! The tower service: a session into the request, its cookie into the response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::config::Settings;
use super::headers;
use super::session::Session;

/// What [`super::SessionLayer`] makes of a service.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> SessionService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

/// Takes back what an answer that never went out would have told its client.
struct Untold(Option<Session>);

impl Drop for Untold {
    fn drop(&mut self) {
        self.0.iter().for_each(Session::abandon);
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ReqBody: Send + 'static,
    ResBody: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        // The one that was polled ready goes with this request; the next needs its own.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let session = Session::of_request(Arc::clone(&self.settings), request.headers());
        request.extensions_mut().insert(session.clone());
        Box::pin(async move {
            // Also of a handler that panics, and of a client that hangs up.
            let mut untold = Untold(Some(session));
            let mut response = inner.call(request).await?;
            if let Some(session) = &untold.0
                && let Some(set_cookie) = session.finish().await
            {
                headers::mark(response.headers_mut(), set_cookie);
            }
            untold.0 = None;
            Ok(response)
        })
    }
}
