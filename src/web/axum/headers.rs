//! HTTP's side of a session: which cookies a request brought, and what its answer says.

use std::time::Duration;

use ::cookie::{Cookie, SameSite};
use http::header::{CACHE_CONTROL, COOKIE, FORWARDED, HOST, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::Secure;
use crate::door::is_loopback_name;

/// Cookies of the session's name that are looked at: a browser sends one for each path and domain that has set one.
const MAX_CANDIDATES: usize = 4;
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the cookie is called, and where it goes.
#[derive(Clone)]
pub(super) struct Attributes {
    pub name: String,
    pub path: String,
    pub domain: Option<String>,
    pub same_site: SameSite,
    pub secure: Secure,
}

/// The values of all cookies of this name, in the order they came: that of the longest path first. Split as bytes, so
/// that a neighbour's odd byte discards the neighbour alone.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs =
        headers.get_all(COOKIE).into_iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let ours = pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        (key == name.as_bytes()).then(|| quoted.unwrap_or(value))
    });
    ours.take(MAX_CANDIDATES)
}

impl Attributes {
    /// Whether the cookie of a request with these headers is `Secure`. A proxy in front is believed when it says that
    /// the browser came by HTTPS, never that it did not.
    pub fn secure(&self, headers: &HeaderMap) -> bool {
        match self.secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::Auto => {
                let loopback =
                    headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback_name);
                !loopback || says_https(headers)
            }
        }
    }

    /// The header that sets the cookie to `value`; without one, the header that takes it away.
    pub fn set_cookie(
        &self,
        value: Option<String>,
        secure: bool,
        max_age: Option<Duration>,
    ) -> Option<HeaderValue> {
        let age = if value.is_some() { max_age } else { Some(Duration::ZERO) };
        let mut cookie = Cookie::build((self.name.clone(), value.unwrap_or_default()))
            .path(self.path.clone())
            .http_only(true)
            .same_site(self.same_site)
            .secure(secure)
            .build();
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.clone());
        }
        if let Some(age) = age.and_then(|age| age.try_into().ok()) {
            cookie.set_max_age(Some(age));
        }
        // The application's own words: a name or a path that no header can hold.
        HeaderValue::try_from(cookie.to_string()).ok()
    }
}

/// Whether a proxy in front says that the browser came by HTTPS.
pub(super) fn says_https(headers: &HeaderMap) -> bool {
    says(headers, "https")
}

/// Whether a proxy in front says that the browser came by plain HTTP.
pub(super) fn says_http(headers: &HeaderMap) -> bool {
    says(headers, "http")
}

fn says(headers: &HeaderMap, scheme: &str) -> bool {
    let text = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase)
    };
    let proto = text(FORWARDED_PROTO)
        .is_some_and(|protos| protos.split(',').next().is_some_and(|p| p.trim() == scheme));
    let forwarded = text(FORWARDED).is_some_and(|value| {
        let first = value.split(',').next().unwrap_or_default().to_owned();
        first.split(';').any(|pair| {
            let (key, proto) = pair.split_once('=').unwrap_or_default();
            key.trim() == "proto" && proto.trim().trim_matches('"') == scheme
        })
    });
    proto || forwarded
}

/// What an answer says that a session was part of: shared caches must not hand it to others.
pub(super) fn mark(headers: &mut HeaderMap, set_cookie: Option<HeaderValue>) {
    let varies = headers.get_all(VARY).iter().any(|value| {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.into_iter().any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    let private = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.split(|byte| *byte == b',').any(|word| matches!(word.trim_ascii(), b"private" | b"no-store"))
    });
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    } else if !private {
        // Beside what the application says: of two words that differ, caches take the stricter.
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    if let Some(value) = set_cookie {
        headers.append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(HeaderName, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn every_cookie_of_the_name_is_found_beside_whatever_else_there_is() {
        let of = |lines: &[&[u8]]| {
            let map = headers(&lines.iter().map(|line| (COOKIE, *line)).collect::<Vec<_>>());
            values(&map, "session").map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[b"session=a; other=b; session=c"]), ["a", "c"]);
        assert_eq!(of(&[b"x=\xff\xfe; session=a"]), ["a"], "a neighbour that is no UTF-8");
        assert_eq!(of(&[b"no-equals; =; ;; session = \"a\" ;", b"session=b"]), ["a", "b"]);
        assert_eq!(of(&[b"Session=a; xsession=b; session2=c"]), [""; 0]);
        assert_eq!(of(&[b"session=1;session=2;session=3;session=4;session=5"]).len(), MAX_CANDIDATES);
        assert_eq!(of(&[b"session=a=b"]), ["a=b"]);
    }

    #[test]
    fn secure_is_believed_upward_only() {
        let attributes = Attributes {
            name: "session".into(),
            path: "/".into(),
            domain: None,
            same_site: SameSite::Lax,
            secure: Secure::Auto,
        };
        let secure = |of: &[(HeaderName, &[u8])]| attributes.secure(&headers(of));
        assert!(secure(&[]) && secure(&[(HOST, b"shop.example")]));
        assert!(!secure(&[(HOST, b"127.0.0.1:8080")]));
        assert!(secure(&[(HOST, b"127.0.0.1"), (FORWARDED_PROTO, b"https")]));
        assert!(secure(&[(HOST, b"127.0.0.1"), (FORWARDED, b"for=1.2.3.4;Proto=\"https\", for=5.6.7.8")]));
        assert!(secure(&[(HOST, b"shop.example"), (FORWARDED_PROTO, b"http")]), "never downward");
    }

    /// Each proxy adds to the end: only the first saw the browser, and those between them often speak HTTPS.
    #[test]
    fn of_several_proxies_the_first_says_how_the_browser_came() {
        let secure = |of: &[(HeaderName, &[u8])]| says_https(&headers(of));
        for first in ["https, http", "https", " HTTPS ,http"] {
            assert!(secure(&[(FORWARDED_PROTO, first.as_bytes())]), "{first:?}");
        }
        assert!(secure(&[(FORWARDED_PROTO, b"https"), (FORWARDED_PROTO, b"http")]));
        assert!(secure(&[(FORWARDED, b"for=1.2.3.4; proto=https"), (FORWARDED, b"for=5.6.7.8;proto=http")]));
        for later in ["http, https", "http,https,https", ", https", "wss, https"] {
            assert!(!secure(&[(FORWARDED_PROTO, later.as_bytes())]), "{later:?}");
        }
        assert!(!secure(&[(FORWARDED_PROTO, b"http"), (FORWARDED_PROTO, b"https")]));
        for later in [
            "for=1.2.3.4;proto=http, for=5.6.7.8;proto=https",
            "for=1.2.3.4, for=5.6.7.8;proto=https",
            "for=1.2.3.4, proto=https",
        ] {
            assert!(!secure(&[(FORWARDED, later.as_bytes())]), "{later:?}");
        }
        assert!(!secure(&[(FORWARDED, b"for=1.2.3.4"), (FORWARDED, b"proto=https")]));
    }

    #[test]
    fn an_answer_is_nobody_elses() {
        let marked = |of: &[(HeaderName, &[u8])]| {
            let mut map = headers(of);
            mark(&mut map, None);
            let all =
                |name| map.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join(", ");
            (all(VARY), all(CACHE_CONTROL))
        };
        let told = |vary: &str, cache: &str| (vary.to_owned(), cache.to_owned());
        assert_eq!(marked(&[]), told("Cookie", "private, no-cache"));
        assert_eq!(marked(&[(VARY, b"Accept, COOKIE")]).0, "Accept, COOKIE");
        assert_eq!(marked(&[(VARY, b"Accept")]).0, "Accept, Cookie");
        assert_eq!(marked(&[(VARY, b"*")]).0, "*");
        assert_eq!(marked(&[(CACHE_CONTROL, b"max-age=60")]).1, "max-age=60, private");
        assert_eq!(marked(&[(CACHE_CONTROL, b"No-Store")]).1, "No-Store");
        assert_eq!(
            marked(&[(CACHE_CONTROL, b"max-age=60"), (CACHE_CONTROL, b"Private")]).1,
            "max-age=60, Private"
        );
    }

    #[test]
    fn a_cookie_is_added_to_those_of_the_application() {
        let mut map = headers(&[(SET_COOKIE, b"theme=dark")]);
        mark(&mut map, Some(HeaderValue::from_static("session=a")));
        assert_eq!(map.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["theme=dark", "session=a"]);
    }
}
