//! Seeds that are this node itself: nobody is there to wait for.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::engine::EngineConfig;

/// Whether a seed is the address of this very node. Of names that cannot be known: what they lead to changes.
pub(super) fn is_this_node(config: &EngineConfig, seed: &str) -> bool {
    let Ok(seed) = seed.parse::<SocketAddr>() else { return false };
    let (bind, advertise) = (config.bind, config.advertise);
    let bound = seed.port() == bind.port()
        && (seed.ip() == bind.ip() || bind.ip().is_unspecified() && is_of_this_host(seed.ip()));
    bound || advertise == Some(seed)
}

/// Only an address of this host can be bound.
fn is_of_this_host(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_host_can_be_bound_and_another_cannot() {
        assert!(is_of_this_host(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_of_this_host(IpAddr::from([192, 0, 2, 1])), "an address of documentation");
    }
}
