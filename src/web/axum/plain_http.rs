//! A warning for who serves plain HTTP by a name: the cookie is `Secure` there, browsers drop it without a word, and
//! nobody is logged in.
//!
//! Whether a browser came by HTTPS is seldom said where TLS ends in front of this process. So what says plain HTTP is
//! told at the first cookie; where nothing says either, that no cookie ever comes back is.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use http::header::{HOST, ORIGIN, REFERER};
use http::{HeaderMap, HeaderName};
use tracing::warn;

use super::headers::{says_http, says_https};
use crate::door::is_loopback_name;

/// Cookies that were set and of which none came back, before that is told: fewer may be those of probes.
const UNRETURNED: u32 = 10;
/// One line an hour and cause (s): a stranger can make up what these lines go by.
const AGAIN_S: u64 = 3_600;

/// Why a browser is thought to have come by plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A proxy says so.
    Proxy,
    /// The page that the browser was on says so: `Origin` or `Referer`.
    Page,
    /// Nothing says either.
    Unsaid,
}

/// What was seen of all requests.
pub(super) struct PlainHttp {
    began: Instant,
    /// Whether a cookie came back that is only set as `Secure`.
    came_back: AtomicBool,
    set: AtomicU32,
    /// By cause: when it may be told again (s since the beginning).
    next_s: [AtomicU64; 3],
}

impl Default for PlainHttp {
    fn default() -> Self {
        let next_s = [0; 3].map(AtomicU64::new);
        Self { began: Instant::now(), came_back: AtomicBool::new(false), set: AtomicU32::new(0), next_s }
    }
}

/// What a request says of how its browser came; `None`: by HTTPS, or to this machine, where `Secure` does no harm.
pub(super) fn sign(headers: &HeaderMap) -> Option<Sign> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    // Browsers send `Sec-Fetch-*` where cookies may be `Secure`, and nowhere else.
    if is_loopback_name(host) || says_https(headers) || headers.contains_key("sec-fetch-site") {
        return None;
    }
    let on_page = |name| {
        let named = text(name).and_then(|url| url.strip_prefix("http://"))?;
        let named = named.split('/').next().unwrap_or_default();
        named.eq_ignore_ascii_case(host).then_some(Sign::Page)
    };
    let proxy = says_http(headers).then_some(Sign::Proxy);
    proxy.or_else(|| on_page(ORIGIN)).or_else(|| on_page(REFERER)).or(Some(Sign::Unsaid))
}

impl PlainHttp {
    /// A request brought a session's cookie.
    pub fn cookie_came(&self, secure: bool) {
        if secure {
            self.came_back.store(true, Ordering::Relaxed);
        }
    }

    /// A `Secure` cookie is set in the answer to a request that said this.
    pub fn cookie_set(&self, sign: Option<Sign>, name: &str) {
        let Some(sign) = sign else { return };
        if self.is_told(sign, self.began.elapsed().as_secs()) {
            warn!(cookie = name, "{}", words(sign));
        }
    }

    fn is_told(&self, sign: Sign, now_s: u64) -> bool {
        if sign == Sign::Unsaid {
            let set = self.set.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if self.came_back.load(Ordering::Relaxed) || set < UNRETURNED {
                return false;
            }
        }
        let next = &self.next_s[sign as usize];
        let due = next.load(Ordering::Relaxed);
        now_s >= due
            && next.compare_exchange(due, now_s + AGAIN_S, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The cause and the remedy. Nothing that the client sent is in it.
fn words(sign: Sign) -> &'static str {
    match sign {
        Sign::Proxy => {
            "the proxy in front says that a browser came by plain HTTP: it drops the session's cookie, which is Secure, and \
             nobody stays logged in. Serve HTTPS; or, in a network that you trust, with_secure(Secure::Never)"
        }
        Sign::Page => {
            "a browser is on a page of plain HTTP here: it drops the session's cookie, which is Secure, and nobody stays \
             logged in. Serve HTTPS; or, in a network that you trust, with_secure(Secure::Never)"
        }
        Sign::Unsaid => {
            "ten cookies of sessions were set as Secure and none came back: if browsers come here by plain HTTP, they drop \
             it, and nobody stays logged in. Serve HTTPS, and let a proxy in front say X-Forwarded-Proto: https; or, in a \
             network that you trust, with_secure(Secure::Never)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Option<Sign> {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let pairs: Vec<(HeaderName, http::HeaderValue)> = pairs.collect();
        sign(&pairs.into_iter().collect())
    }

    #[test]
    fn what_says_plain_http_is_seen_and_what_says_https_is_believed() {
        let shop = ("host", "shop.lan:3000");
        assert_eq!(of(&[shop, ("origin", "http://shop.lan:3000")]), Some(Sign::Page));
        assert_eq!(of(&[shop, ("referer", "http://shop.lan:3000/login?next=/")]), Some(Sign::Page));
        assert_eq!(of(&[shop, ("x-forwarded-proto", "http")]), Some(Sign::Proxy));
        assert_eq!(of(&[shop, ("forwarded", "for=10.0.0.1;proto=http")]), Some(Sign::Proxy));
        assert_eq!(of(&[shop]), Some(Sign::Unsaid));
        assert_eq!(
            of(&[shop, ("origin", "http://elsewhere.lan")]),
            Some(Sign::Unsaid),
            "another site's page"
        );
        for https in [("origin", "https://shop.lan:3000"), ("referer", "https://shop.lan:3000/")] {
            assert_eq!(of(&[shop, https]), Some(Sign::Unsaid), "only that no cookie comes back can tell");
        }
        assert_eq!(of(&[shop, ("x-forwarded-proto", "https"), ("origin", "http://shop.lan:3000")]), None);
        assert_eq!(of(&[shop, ("sec-fetch-site", "same-origin")]), None);
        for host in ["localhost:3000", "127.0.0.1", "[::1]:80"] {
            assert_eq!(of(&[("host", host), ("origin", "http://localhost:3000")]), None, "{host}");
        }
    }

    #[test]
    fn each_cause_is_told_once_an_hour() {
        let seen = PlainHttp::default();
        let told = |sign, at_s| (0..1_000).filter(|_| seen.is_told(sign, at_s)).count();
        for sign in [Sign::Proxy, Sign::Page, Sign::Unsaid] {
            assert_eq!((told(sign, 5), told(sign, 3_604), told(sign, 3_605)), (1, 0, 1), "{sign:?}");
        }
    }

    #[test]
    fn where_cookies_come_back_silence_is_no_sign() {
        let seen = PlainHttp::default();
        assert_eq!((1..UNRETURNED).filter(|_| seen.is_told(Sign::Unsaid, 0)).count(), 0, "too few");
        seen.cookie_came(false);
        assert!(seen.is_told(Sign::Unsaid, 0), "a cookie that is not Secure comes back anyway");
        let seen = PlainHttp::default();
        seen.cookie_came(true);
        assert_eq!((0..1_000).filter(|_| seen.is_told(Sign::Unsaid, 0)).count(), 0);
    }
}
