//! Looking names up, where that may hang: on threads that nobody waits for.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::config::limits;

/// Look-ups of this process that have not returned. A thread that waits for a silent name server cannot be ended: beyond
/// this many nobody begins another one.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

struct Seat;

impl Seat {
    fn take() -> io::Result<Self> {
        let taken = UNDER_WAY.fetch_add(1, Ordering::AcqRel);
        let seat = Self;
        if taken < limits::SEEDS {
            return Ok(seat);
        }
        Err(io::Error::other(format!("{taken} look-ups are under way and have not been answered")))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All addresses of `host:port`.
pub(super) async fn on_own_thread(seed: &str) -> io::Result<Vec<SocketAddr>> {
    let seed = seed.to_owned();
    apart(move || seed.to_socket_addrs().map(Iterator::collect)).await
}

/// Runs what may hang where nobody waits for it.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    let seat = Seat::take()?;
    let look = move || {
        let found = work();
        drop(seat);
        // Whoever asked may have gone long ago.
        let _ = tell.send(found);
    };
    std::thread::Builder::new().name("sessionmesh-dns".into()).spawn(look)?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the look-up ended without an answer")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// A name server that is silent held up the end of a process by 6 to 11 s.
    #[test]
    fn a_runtime_ends_while_a_name_server_is_silent() {
        let (release, silent) = mpsc::channel::<()>();
        let (begun, began) = mpsc::channel();
        let (tell, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let hangs = apart(move || {
                begun.send(()).unwrap();
                let _ = silent.recv();
                Ok(())
            });
            let waited = async { tokio::time::timeout(Duration::from_millis(50), hangs).await };
            assert!(runtime.block_on(waited).is_err());
            drop(runtime);
            tell.send(()).unwrap();
        });
        began.recv().unwrap();
        ended.recv_timeout(Duration::from_secs(60)).expect("the runtime has ended");
        drop(release);
    }
}
