//! Keeps other web pages out. The shop listens on loopback, but the browser that visits it also visits pages
//! that may aim at it: by a name that resolves to 127.0.0.1, or by posting across origins.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses requests that do not call us by a loopback name, and posts that come from another origin.
pub async fn local_only(request: Request, next: Next) -> Response {
    if allowed(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only for pages of this demo, on this machine\n").into_response()
    }
}

fn allowed(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(host) = text(header::HOST).filter(|host| is_loopback(host)) else { return false };
    // Browsers send an origin with every cross-origin post; other clients send none.
    headers.get(header::ORIGIN).is_none()
        || text(header::ORIGIN).and_then(|origin| origin.strip_prefix("http://")) == Some(host)
}

/// Whether a `Host` header names this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_and_other_origins_are_kept_out() {
        let ask = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            allowed(&headers)
        };
        assert!(ask("127.0.0.1:8000", None));
        assert!(ask("localhost:8000", Some("http://localhost:8000")));
        assert!(!ask("rebound.example:8000", None), "a name that was made to resolve to us");
        assert!(!ask("127.0.0.1:8000", Some("http://127.0.0.1:9999")));
        assert!(!ask("127.0.0.1:8000", Some("null")));
    }
}
