//! Ports that stay a node's own over its restarts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Where to look: below what systems hand out to clients. A client's socket could otherwise take a killed node's
/// port before the node is back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
/// Ports tried before giving up.
const TRIES: usize = 200;

/// An address on loopback.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that is free now, for TCP and for UDP.
pub fn free() -> Result<u16, String> {
    let free = |port: &u16| {
        let addr = loopback(*port);
        TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok()
    };
    (0..TRIES).map(|_| rand::random_range(RANGE)).find(free).ok_or_else(|| {
        format!("no free port found in {TRIES} tries between {} and {}", RANGE.start, RANGE.end)
    })
}
