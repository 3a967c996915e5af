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
    let (tell, told) = oneshot::channel();
    let (seed, seat) = (seed.to_owned(), Seat::take()?);
    let look = move || {
        let found = seed.to_socket_addrs().map(Iterator::collect);
        drop(seat);
        // Whoever asked may have gone long ago.
        let _ = tell.send(found);
    };
    std::thread::Builder::new().name("sessionmesh-dns".into()).spawn(look)?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the look-up ended without an answer")))
}
