//! Deadlines that hold wherever a future is polled: on the caller's runtime if there is one, else on a thread of timers.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};

/// The timers of callers that have no runtime: one thread for the whole process, begun with the first of them. It outlives
/// every node, so that waiting on a node that has stopped ends on time too.
fn timers() -> Option<&'static Handle> {
    static TIMERS: OnceLock<Option<Handle>> = OnceLock::new();
    let begin = || {
        let runtime = Builder::new_current_thread().enable_time().build().ok()?;
        let handle = runtime.handle().clone();
        let live = move || runtime.block_on(std::future::pending::<()>());
        std::thread::Builder::new().name("sessionmesh-timer".into()).spawn(live).ok()?;
        Some(handle)
    };
    TIMERS.get_or_init(begin).as_ref()
}

/// Waits for `work`, at most `patience`; `None` once that is over. Works on any executor, in a tokio runtime with timers and
/// without any. May be dropped at any time, and `work` with it.
pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    let waiting = match Handle::try_current() {
        Ok(_) => tokio::time::timeout(patience, work),
        Err(_) => {
            // Without a thread for timers nothing can be waited for: that counts as too late.
            let _entered = timers()?.enter();
            tokio::time::timeout(patience, work)
        }
    };
    waiting.await.ok()
}

/// As [`within`], until a moment.
pub(crate) async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    within(deadline.saturating_duration_since(Instant::now()), work).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;

    use super::*;

    /// An executor of a few lines: no runtime at all.
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return done;
            }
            std::thread::park();
        }
    }

    #[test]
    fn a_deadline_holds_without_a_runtime_and_in_one() {
        let never = || within(Duration::from_millis(5), std::future::pending::<()>());
        assert_eq!(block_on(never()), None);
        assert_eq!(block_on(within(Duration::from_secs(60), async { 7 })), Some(7));
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(never()), None);
    }
}
