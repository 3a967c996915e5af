//! The session cookie: read it, find its session, set it, expire it.

use axum::http::{HeaderMap, HeaderValue, header};
use sessionmesh::{Found, Session, SessionId};

use super::Node;
use super::shop::Refusal;

/// The cookie's name. Browsers do not separate cookies by port, so the nodes of a demo share it, which is what
/// one address in front of them would do.
const NAME: &str = "sid";

/// The session id a request names, if it names one.
pub fn sid(headers: &HeaderMap) -> Option<SessionId> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).and_then(|(_, value)| SessionId::parse(value))
}

/// The session of a request: `None` if there is none, a refusal if this node cannot know yet.
pub async fn session(node: &Node, headers: &HeaderMap) -> Result<Option<(SessionId, Session)>, Refusal> {
    let Some(id) = sid(headers) else { return Ok(None) };
    match node.mesh.sessions().fetch(&id).await {
        Found::Session(session) => Ok(Some((id, session))),
        Found::Absent => Ok(None),
        Found::NotYetKnown | Found::Fenced => Err(Refusal::NotServing(node.mesh.readiness().1)),
    }
}

/// The header that gives the browser a session.
pub fn set(id: SessionId) -> Option<HeaderValue> {
    header(format!("{NAME}={}; Path=/; HttpOnly; SameSite=Lax", id.to_text()))
}

/// The header that takes it away.
pub fn expire() -> Option<HeaderValue> {
    header(format!("{NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"))
}

fn header(text: String) -> Option<HeaderValue> {
    HeaderValue::from_str(&text).ok().map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_found_among_other_cookies_and_only_if_it_is_one() {
        let find = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(text).unwrap());
            sid(&headers)
        };
        let hex = "000102030405060708090a0b0c0d0e0f";
        assert_eq!(find(&format!("a=b; sid={hex}; c=d")), SessionId::parse(hex));
        assert!(find(&format!("xsid={hex}")).is_none());
        assert!(find("sid=short").is_none());
        assert!(find("").is_none());
    }
}
