//! Server-sent events: everything first, then once a second what changed. A client that is slow skips beats; nothing is
//! queued for it but the one message it is being sent.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sse, Sse as Stream};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::sync::watch;

use super::answer::refusal;
use super::board::{Board, Frame};
use super::limits::{STREAM_NEWS, STREAMS};
use super::streams::Place;
use super::values::{Showing, event};

/// A proxy that collects an answer before it passes it on (nginx does) would let a stream stand still.
const UNBUFFERED: [(&str, &str); 1] = [("x-accel-buffering", "no")];

/// One client.
struct Client {
    board: Arc<Board>,
    frames: watch::Receiver<Arc<Frame>>,
    /// What it was told last.
    last: Arc<Frame>,
    begun: bool,
    seen_event: u64,
    seen_conflict: u64,
    closing: Option<watch::Receiver<bool>>,
    place: Place,
}

/// `GET /api/v1/stream`.
pub(super) async fn stream(State(board): State<Arc<Board>>) -> Response {
    let Some(place) = board.streams.enter(board.mesh.mono_ms()) else {
        return refusal(
            StatusCode::TOO_MANY_REQUESTS,
            &format!("{STREAMS} streams are open and read: at most {STREAMS}"),
        );
    };
    let (seen_event, seen_conflict) = {
        let memory = board.memory.lock();
        (memory.events.total(), memory.conflicts.total())
    };
    let client = Client {
        frames: board.frames.subscribe(),
        last: Arc::default(),
        begun: false,
        seen_event,
        seen_conflict,
        closing: board.config.closing.clone(),
        board,
        place,
    };
    let messages = Stream::new(unfold(client, |mut client| async {
        let message = client.next().await?;
        Some((Ok::<Sse, Infallible>(message), client))
    }));
    (UNBUFFERED, messages).into_response()
}

/// Waits until the server is about to close.
async fn closed(closing: &mut Option<watch::Receiver<bool>>) {
    match closing {
        // A sender that is gone means the same.
        Some(closing) => drop(closing.wait_for(|closing| *closing).await),
        None => std::future::pending().await,
    }
}

impl Client {
    async fn next(&mut self) -> Option<Sse> {
        if !self.place.reads(self.board.mesh.mono_ms()) {
            return None;
        }
        let frame = if self.begun {
            tokio::select! {
                // An error means that the dashboard is gone.
                news = self.frames.changed() => news.ok()?,
                () = closed(&mut self.closing) => return None,
            }
            Arc::clone(&self.frames.borrow_and_update())
        } else {
            // The last beat may be from before anybody looked.
            self.frames.mark_unchanged();
            Arc::new(self.board.frame(true))
        };
        let kind = if self.begun { "delta" } else { "full" };
        self.begun = true;
        let data = self.message(&frame);
        self.last = frame;
        Some(Sse::default().event(kind).data(data))
    }

    /// Spliced from what is JSON already: the parts are made once for all clients.
    fn message(&mut self, frame: &Frame) -> String {
        let changed = frame.parts.iter().filter(|(name, text)| self.last.parts.get(*name) != Some(text));
        let parts: Vec<String> = changed
            .map(|(name, text)| format!("\"{name}\":{{\"view\":{},{}", frame.view, &text[1..]))
            .collect();
        let (events, conflicts) = self.news();
        format!(
            "{{\"view\":{},\"parts\":{{{}}},\"events\":{events},\"conflicts\":{conflicts}}}",
            frame.view,
            parts.join(",")
        )
    }

    fn news(&mut self) -> (Value, Value) {
        let (events, met) = {
            let memory = self.board.memory.lock();
            let events = memory.events.since(self.seen_event, STREAM_NEWS);
            let met = memory.conflicts.since(self.seen_conflict, STREAM_NEWS);
            (self.seen_event, self.seen_conflict) = (memory.events.total(), memory.conflicts.total());
            (events, met)
        };
        let events = events.iter().map(event).collect::<Vec<Value>>();
        if met.is_empty() {
            return (events.into(), Value::Array(Vec::new()));
        }
        let seen = self.board.mesh.gather();
        let showing = Showing { seen: &seen, log_key: self.board.mesh.log_key(), values: false };
        (events.into(), met.iter().map(|met| showing.conflict(met)).collect::<Vec<Value>>().into())
    }
}
