//! Whether a `Host` header (RFC 9110, section 7.2) names this very machine.

use std::net::IpAddr;

/// `localhost`, 127.0.0.0/8 or `[::1]`, with any port or none.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(ip, _)| ip),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for name in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.9.1:8080", "[::1]", "[::1]:8080"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in [
            "",
            ":80",
            "rebound.example:8080",
            "127.0.0.1.example",
            "localhost.example",
            "10.0.0.1",
            "128.0.0.1:80",
            "[::2]",
        ] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }
}
