//! Connections that come in.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use quinn::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{
    limits::{MAX_HANDSHAKES, MAX_HANDSHAKES_PER_IP, RETRY_FROM},
    refuse::{Failure, classify},
    shake::{self, Shake},
    shared::Shared,
};

/// Who is being served a handshake.
#[derive(Default)]
struct Door {
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// One handshake's place. It is given back when the handshake ends, by whatever path.
struct Seat {
    door: Arc<Door>,
    ip: IpAddr,
}

/// What becomes of a connection that comes in.
enum Admission {
    Served(Seat),
    /// First it has to prove that it is where it says.
    Prove,
    Refused,
}

impl Door {
    fn admit(self: &Arc<Self>, ip: IpAddr, proven: bool) -> Admission {
        let mut seats = self.seats.lock();
        let near = seats.by_ip.get(&ip).copied().unwrap_or(0);
        if seats.taken >= RETRY_FROM && !proven {
            return Admission::Prove;
        }
        if seats.taken >= MAX_HANDSHAKES || near >= MAX_HANDSHAKES_PER_IP {
            return Admission::Refused;
        }
        seats.taken += 1;
        *seats.by_ip.entry(ip).or_default() += 1;
        Admission::Served(Seat { door: self.clone(), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.door.seats.lock();
        seats.taken -= 1;
        if let Some(near) = seats.by_ip.get_mut(&self.ip) {
            *near -= 1;
            if *near == 0 {
                seats.by_ip.remove(&self.ip);
            }
        }
    }
}

/// Accepts until the endpoint closes.
pub(super) async fn accept_all(shared: Arc<Shared>) {
    let door = Arc::new(Door::default());
    while let Some(incoming) = shared.endpoint.accept().await {
        let from = super::config::canonical(incoming.remote_address());
        if shared.is_closing() || (shared.config.is_kept_out)(None, from) {
            incoming.refuse();
            continue;
        }
        // One that answered a Retry is not sent another, whatever the library thinks of it.
        match door.admit(from.ip(), incoming.remote_address_validated() || !incoming.may_retry()) {
            Admission::Served(seat) => {
                let shared = shared.clone();
                shared.clone().spawn(async move {
                    accept(shared, incoming).await;
                    drop(seat);
                });
            }
            Admission::Prove => {
                shared.counters.handshakes_retried.one();
                // Fails only for one that may not be asked, which has been seen to.
                let _ = incoming.retry();
            }
            Admission::Refused => incoming.refuse(),
        }
    }
}

async fn accept(shared: Arc<Shared>, incoming: Incoming) {
    let addr = super::config::canonical(incoming.remote_address());
    match handshake(&shared, incoming).await {
        Ok(()) | Err(Failure::NotNeeded) => {}
        Err(Failure::Unreachable(why)) => tracing::debug!(%addr, why, "incoming connection failed"),
        Err(Failure::Refused(reason)) => shared.refused(addr, None, false, reason),
    }
}

async fn handshake(shared: &Arc<Shared>, incoming: Incoming) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_millis(shared.config.dial_timeout_ms);
    let silence = |_| Failure::Unreachable("no answer within the dial timeout".into());
    let connecting = incoming.accept().map_err(|err| classify(&err))?;
    let conn = timeout_at(deadline, connecting).await.map_err(silence)?.map_err(|err| classify(&err))?;
    let result =
        timeout_at(deadline, Shake::accept(shared.clone(), conn.clone())).await.map_err(silence).flatten();
    if let Err(failure) = &result {
        // Connections from our own address to ourselves are the only ones not needed before a decision.
        shake::close(&conn, failure, false);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    #[test]
    fn many_handshakes_have_to_prove_their_address_and_one_address_cannot_take_all_seats() {
        let door = Arc::new(Door::default());
        let mut seats = Vec::new();
        let admit = |n, proven| door.admit(ip(n), proven);
        for n in 0..RETRY_FROM as u32 {
            match admit(n, false) {
                Admission::Served(seat) => seats.push(seat),
                _ => panic!("the first {RETRY_FROM} are served at once"),
            }
        }
        assert!(matches!(admit(9_999, false), Admission::Prove));
        while let Admission::Served(seat) = admit(7, true) {
            seats.push(seat);
        }
        assert_eq!(seats.len(), RETRY_FROM + MAX_HANDSHAKES_PER_IP - 1);
        let Admission::Served(other) = admit(8_888, true) else {
            panic!("another address still finds a seat")
        };
        drop(other);
        drop(seats);
        assert!(matches!(admit(7, false), Admission::Served(_)), "and all are given back");
        assert!(door.seats.lock().by_ip.len() <= 1);
    }
}
