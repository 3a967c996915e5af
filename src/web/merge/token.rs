//! The merge token: what a request has seen, hidden in the record it was given.
//!
//! The token travels inside the request's map, under a key that applications do not meet (tower-sessions' `Session`
//! has get, insert, remove and clear, and no iteration; actix-session's has `entries()`, which shows it), and names for
//! every key the write it came from and a hash of its value. [`super::plan`] compares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{MergeError, Result};
use super::value::hash;
use crate::SessionId;
use crate::mesh::Version;

/// The hidden key. It begins with a NUL so that no application meets it by accident.
pub const HIDDEN_KEY: &str = "\u{0}mesh";
/// The token's layout. A token of another layout is ignored, as one of another session is.
const FORMAT: u64 = 1;

/// What a request knows of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenKey {
    /// The write its value came from: [`Version`] as text.
    pub version: String,
    /// The hash of its value.
    pub hash: String,
}

/// What a request has seen of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    #[serde(rename = "sessionmesh")]
    format: u64,
    /// A hash of the session's id: the id itself is a secret, and a record may be written elsewhere.
    pub session: String,
    /// The session's creation.
    pub birth: String,
    /// The expiry date the request was given (ms since the epoch): a record saved with it did not ask for another.
    pub ends_ms: i64,
    /// A random name of the load that made this token: two requests that saw the same are still two.
    pub load: u64,
    /// A hash of whose session it was, if anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Every key that was there.
    pub keys: BTreeMap<String, SeenKey>,
}

/// What lies under the hidden key of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Carried {
    /// Nothing: the record was cleared, or never came from here.
    Nothing,
    /// A token of this layout.
    Token(Token),
    /// A token of another layout: of no use.
    Foreign,
}

impl Token {
    /// A token for one load of a session.
    pub fn new(id: SessionId, birth: Version, ends_ms: i64, keys: BTreeMap<String, SeenKey>) -> Self {
        let (session, birth) = (hash(id.as_bytes()), birth.to_text());
        Self { format: FORMAT, session, birth, ends_ms, load: rand::random(), principal: None, keys }
    }

    /// Whether it was made for this session, of this birth.
    pub fn is_of(&self, id: SessionId, birth: Version) -> bool {
        self.session == hash(id.as_bytes()) && self.birth == birth.to_text()
    }

    /// The token as it lies under [`HIDDEN_KEY`].
    pub fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| MergeError::Encode(e.to_string()))
    }
}

/// Reads what lies under [`HIDDEN_KEY`].
///
/// An application that sets the hidden key itself would lose the merge without noticing, so it is told.
pub fn carried(hidden: Option<&Value>) -> Result<Carried> {
    let Some(value) = hidden else { return Ok(Carried::Nothing) };
    match (value.get("sessionmesh").and_then(Value::as_u64), Token::deserialize(value)) {
        (Some(FORMAT), Ok(token)) => Ok(Carried::Token(token)),
        (Some(format), _) if format != FORMAT => Ok(Carried::Foreign),
        _ => Err(MergeError::Encode(format!(
            "the key {HIDDEN_KEY:?} is reserved by the session store and was set by the application; nothing was saved"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_read_back_a_foreign_one_ignored_and_an_applications_value_refused() {
        let birth = Version::parse("1.1").unwrap();
        let id = SessionId::from_bytes([7; 16]);
        let token = Token::new(id, birth, 0, BTreeMap::new());
        assert_eq!(carried(Some(&token.to_value().unwrap())).unwrap(), Carried::Token(token.clone()));
        assert!(token.is_of(id, birth));
        assert!(!token.is_of(SessionId::from_bytes([8; 16]), birth));
        assert!(!token.is_of(id, Version::parse("1.2").unwrap()));
        assert_eq!(carried(None).unwrap(), Carried::Nothing);
        assert_eq!(carried(Some(&json!({"sessionmesh": 99}))).unwrap(), Carried::Foreign);
        for set_by_application in [json!("mine"), json!({"sessionmesh": 1}), json!({}), json!(null)] {
            assert!(carried(Some(&set_by_application)).is_err());
        }
    }
}
