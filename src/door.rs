//! Who is let in by an HTTP endpoint of ours, as far as headers tell: this very machine by its name, and not the pages of
//! other sites, whose browser sends what they like behind their visitor's back.
//!
//! `Host`: RFC 9110, section 7.2. `Sec-Fetch-*`: the W3C's Fetch Metadata. `Origin`: the Fetch standard, section 3.1.

use std::net::IpAddr;

/// `localhost`, 127.0.0.0/8 or `[::1]`, with any port or none.
pub fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(ip, _)| ip),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether a content type is JSON's, with parameters or without: no form of another site's page can say so unasked.
pub fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether a page of another origin asks. `header` reads a request's header by its lower-case name.
///
/// What a browser says of itself counts first, since a proxy in front may have given the request another `Host`. Another
/// port of this machine is another origin too: any user of the host can serve a page there. A client that is no browser
/// sends neither header and is never foreign.
pub fn is_foreign<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> bool {
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let named = origin.split_once("://").map(|(_, named)| named);
            named.is_none_or(|named| header("host").is_none_or(|host| !host.eq_ignore_ascii_case(named)))
        }
        (None, None) => false,
    }
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

    fn foreign(headers: &[(&'static str, &'static str)]) -> bool {
        is_foreign(|name| headers.iter().find(|h| h.0 == name).map(|h| h.1))
    }

    #[test]
    fn pages_of_other_origins_are_foreign_and_programs_are_not() {
        let host = ("host", "127.0.0.1:8080");
        assert!(!foreign(&[host]), "curl");
        assert!(!foreign(&[host, ("sec-fetch-site", "none")]), "typed into the address bar");
        assert!(!foreign(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://ops.example")]));
        assert!(!foreign(&[host, ("origin", "http://127.0.0.1:8080")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(foreign(&[host, ("sec-fetch-site", site)]), "{site}");
        }
        for origin in ["null", "https://evil.example", "http://127.0.0.1:3000", "http://127.0.0.1", ""] {
            assert!(foreign(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(foreign(&[("origin", "http://127.0.0.1:8080")]), "no host to compare with");
    }
}
