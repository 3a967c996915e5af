//! One application behind one kind of session, as the random browsers see it: requests, and a gate for slow ones.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::kit::{Answer, Client, within};

/// An answer on its way.
pub type Coming<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// The application on one node. Its routes: `POST /set/{key}/{value}`, `/slow/{key}/{value}` (reads, waits at the gate,
/// then sets), `/login/{user}`, `/rotate`, `/logout`, `/remember` (fourteen days from the last use), `/revoke` (all
/// sessions of whose session it is) and `/revoke-others` (this one goes on), both of which answer with that user;
/// `GET /get/{key}`, `/whose`, and `/left` (whole hours that the session has).
pub trait App {
    /// Sends a request with this cookie, which may be empty.
    fn call(self: Arc<Self>, method: &'static str, path: String, cookie: String) -> Coming<'static>;

    /// A permit for each slow request that has read.
    fn loaded(&self) -> Arc<Semaphore>;

    /// A permit lets a slow request write.
    fn gate(&self) -> Arc<Semaphore>;
}

impl App for Client {
    fn call(self: Arc<Self>, method: &'static str, path: String, cookie: String) -> Coming<'static> {
        Box::pin(async move { self.cookie(&cookie).send(method, &path).await })
    }

    fn loaded(&self) -> Arc<Semaphore> {
        Arc::clone(&self.pause.loaded)
    }

    fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.pause.gate)
    }
}

/// A request that has read and not yet written.
pub struct Slow {
    app: Arc<dyn App>,
    coming: Coming<'static>,
}

/// Sends a slow write; it waits at the gate now, or has been answered.
pub async fn slow(app: &Arc<dyn App>, path: String, cookie: String) -> Result<Slow, Answer> {
    let loaded = app.loaded();
    let mut coming = Arc::clone(app).call("POST", path, cookie);
    tokio::select! {
        answer = &mut coming => Err(answer),
        permit = within("a slow request has read", loaded.acquire()) => {
            permit.unwrap().forget();
            Ok(Slow { app: Arc::clone(app), coming })
        }
    }
}

impl Slow {
    /// Lets it write.
    pub async fn go_on(self) -> Answer {
        self.app.gate().add_permits(1);
        self.coming.await
    }
}

/// Whether a request was done.
pub fn done(answer: &Answer) -> bool {
    answer.status == StatusCode::OK
}
