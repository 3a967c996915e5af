//! The connections that are open: which of them are being served, and which has been idle longest and goes first when there
//! is no room for another.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tower::Service;

/// All connections of a server.
#[derive(Default)]
pub struct Clients(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// Counts events: a connection's place among the idle is the count at which it became so.
    count: u64,
    all: BTreeMap<u64, State>,
    idle: BTreeSet<(u64, u64)>,
}

struct State {
    busy: usize,
    idle_since: u64,
    asked: bool,
    end: Arc<Notify>,
}

/// One connection; it is gone from the list when this is.
#[derive(Clone)]
pub struct Client(Arc<Entry>);

struct Entry {
    clients: Arc<Clients>,
    id: u64,
    end: Arc<Notify>,
}

impl Clients {
    /// Notes a connection, which is idle until it asks for something.
    pub fn enter(self: &Arc<Self>) -> Client {
        let end = Arc::new(Notify::new());
        let mut open = self.0.lock();
        open.count += 1;
        let id = open.count;
        open.all.insert(id, State { busy: 0, idle_since: id, asked: false, end: Arc::clone(&end) });
        open.idle.insert((id, id));
        Client(Arc::new(Entry { clients: Arc::clone(self), id, end }))
    }

    /// Tells the one that has been idle longest to go; whether there is any.
    pub fn end_the_most_idle(&self) -> bool {
        let mut open = self.0.lock();
        let Some((_, id)) = open.idle.pop_first() else { return false };
        open.all.get(&id).inspect(|state| state.end.notify_one());
        true
    }
}

impl Client {
    /// Waits until it must go.
    pub async fn ended(&self) {
        self.0.end.notified().await;
    }

    /// Whether it has asked for anything yet.
    pub fn has_asked(&self) -> bool {
        self.0.clients.0.lock().all.get(&self.0.id).is_some_and(|state| state.asked)
    }

    fn serve(&self) -> Serving {
        let mut open = self.0.clients.0.lock();
        let Open { all, idle, .. } = &mut *open;
        if let Some(state) = all.get_mut(&self.0.id) {
            (state.busy, state.asked) = (state.busy + 1, true);
            idle.remove(&(state.idle_since, self.0.id));
        }
        Serving(self.clone())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.clients.0.lock();
        if let Some(state) = open.all.remove(&self.id) {
            open.idle.remove(&(state.idle_since, self.id));
        }
    }
}

/// A request that is being served, to the last byte of its answer.
struct Serving(Client);

impl Drop for Serving {
    fn drop(&mut self) {
        let mut open = self.0.0.clients.0.lock();
        open.count += 1;
        let Open { count, all, idle } = &mut *open;
        if let Some(state) = all.get_mut(&self.0.0.id) {
            state.busy -= 1;
            if state.busy == 0 {
                state.idle_since = *count;
                idle.insert((*count, self.0.0.id));
            }
        }
    }
}

/// A service of one connection, which notes when it is being served.
#[derive(Clone)]
pub struct Noted<S> {
    inner: S,
    client: Client,
}

impl<S> Noted<S> {
    /// Around a service, for one connection.
    pub fn new(inner: S, client: Client) -> Self {
        Self { inner, client }
    }
}

impl<S, B> Service<Request<B>> for Noted<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let serving = self.client.serve();
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| Body::new(Answer { body, _serving: serving }))) })
    }
}

/// An answer's body, while which lasts its client is being served.
struct Answer {
    body: Body,
    _serving: Serving,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_ended(client: &Client) -> bool {
        tokio::select! {
            biased;
            () = client.ended() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn the_one_that_has_been_idle_longest_goes_and_who_is_served_stays() {
        let clients = Arc::new(Clients::default());
        let [a, b, c] = [clients.enter(), clients.enter(), clients.enter()];
        let served = a.serve();
        let twice = a.serve();
        drop(twice);
        assert!(a.has_asked() && !b.has_asked());
        assert!(clients.end_the_most_idle());
        assert_eq!((is_ended(&a).await, is_ended(&b).await, is_ended(&c).await), (false, true, false));
        drop(served);
        drop(b);
        assert!(clients.end_the_most_idle());
        assert!(is_ended(&c).await, "idle for longer than a");
        assert!(clients.end_the_most_idle());
        assert!(is_ended(&a).await);
        assert!(!clients.end_the_most_idle());
        drop((a, c));
        assert!(clients.0.lock().all.is_empty() && clients.0.lock().idle.is_empty());
    }
}
