//! What waits to be written to one peer in one class: bounded by bytes, filled without waiting.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{config::QUEUE_BYTES, error::SendError};

/// Most bytes taken for one write: a close must not wait for a whole queue to be copied first.
const BATCH_BYTES: usize = 256 << 10;

/// A queue of frames for one writer task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: std::collections::VecDeque<Bytes>,
    /// Bytes queued, those the writer holds included: they count until QUIC has taken them.
    queued_bytes: usize,
    closed: bool,
}

impl Outbox {
    /// Queues a frame.
    pub(super) fn push(&self, frame: Bytes) -> Result<(), SendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SendError::NotConnected);
        }
        // A queue that is not full takes any frame larger than itself, or that one could never leave a busy node.
        let fits = state.queued_bytes + frame.len() <= QUEUE_BYTES;
        if !fits && (frame.len() <= QUEUE_BYTES || state.queued_bytes >= QUEUE_BYTES) {
            return Err(SendError::Backlog { queued_bytes: state.queued_bytes });
        }
        state.queued_bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    /// No more frames come in; the writer ends after those already there.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.news.notify_one();
    }

    /// The next frames to write, or `None` once closed and empty. For one writer only.
    pub(super) async fn take(&self) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut state = self.state.lock();
                if !state.frames.is_empty() {
                    return Some(state.batch());
                }
                if state.closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// QUIC has taken so many bytes.
    pub(super) fn written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
    }
}

impl State {
    fn batch(&mut self) -> Vec<Bytes> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(frame) = self.frames.pop_front()
        {
            bytes += frame.len();
            batch.push(frame);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bounded_by_bytes_and_drained_after_close() {
        let outbox = Outbox::default();
        let half = Bytes::from(vec![0; QUEUE_BYTES / 2]);
        outbox.push(half.clone()).unwrap();
        outbox.push(half.clone()).unwrap();
        assert_eq!(outbox.push(half.clone()), Err(SendError::Backlog { queued_bytes: QUEUE_BYTES }));

        let batch = outbox.take().await.unwrap();
        assert_eq!(batch.len(), 1, "a batch ends after the frame that fills it");
        assert!(outbox.push(half.clone()).is_err(), "what the writer holds still counts");
        outbox.written(half.len());
        outbox.push(half.clone()).unwrap();

        outbox.written(half.len());
        let larger = Bytes::from(vec![0; QUEUE_BYTES + 1]);
        outbox
            .push(larger.clone())
            .expect("a frame larger than the queue goes behind what is short of a queue");
        assert!(outbox.push(larger).is_err() && outbox.push(Bytes::from_static(b"x")).is_err());

        outbox.close();
        assert_eq!(outbox.push(half), Err(SendError::NotConnected));
        assert!(
            outbox.take().await.is_some() && outbox.take().await.is_some() && outbox.take().await.is_some()
        );
        assert!(outbox.take().await.is_none());
    }
}
