//! The merge token: what a request has seen, hidden in the record it was given.
//!
//! tower-sessions hands a store the whole map at the end of a request and nothing about what changed. The token
//! travels inside that map, under a key applications cannot see (`Session` has get, insert, remove and clear, and no
//! iteration), and names for every key the write it came from and a hash of its value. [`super::plan`] compares.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower_sessions_core::session_store::{Error, Result};

use crate::SessionId;
use crate::mesh::Version;

/// The hidden key. It begins with a NUL so that no application meets it by accident.
pub(super) const HIDDEN_KEY: &str = "\u{0}mesh";
/// The token's layout. A token of another layout is ignored, as one of another session is.
const FORMAT: u64 = 1;
/// Bytes of SHA-256 that a hash keeps. Users choose values, so the hash must withstand collisions made on purpose:
/// a changed value that hashes like the old one would not be saved. 16 bytes leave that at 2^64 trials.
const HASH_BYTES: usize = 16;

/// What a request knows of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenKey {
    /// The write its value came from: [`Version`] as text.
    pub version: String,
    /// The hash of its value.
    pub hash: String,
}

/// What a request has seen of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
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
    /// Every key that was there.
    pub keys: BTreeMap<String, SeenKey>,
}

/// What lies under the hidden key of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carried {
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
        Self { format: FORMAT, session, birth, ends_ms, load: rand::random(), keys }
    }

    /// Whether it was made for this session, of this birth.
    pub fn is_of(&self, id: SessionId, birth: Version) -> bool {
        self.session == hash(id.as_bytes()) && self.birth == birth.to_text()
    }

    /// Hides the token in a record's data.
    pub fn hide_in(&self, data: &mut HashMap<String, Value>) -> Result<()> {
        let value = serde_json::to_value(self).map_err(|e| Error::Encode(e.to_string()))?;
        data.insert(HIDDEN_KEY.to_owned(), value);
        Ok(())
    }
}

/// Reads what a record carries.
///
/// An application that sets the hidden key itself would lose the merge without noticing, so it is told.
pub(super) fn carried(data: &HashMap<String, Value>) -> Result<Carried> {
    let Some(value) = data.get(HIDDEN_KEY) else { return Ok(Carried::Nothing) };
    match (value.get("sessionmesh").and_then(Value::as_u64), Token::deserialize(value)) {
        (Some(FORMAT), Ok(token)) => Ok(Carried::Token(token)),
        (Some(format), _) if format != FORMAT => Ok(Carried::Foreign),
        _ => Err(Error::Encode(format!(
            "the key {HIDDEN_KEY:?} is reserved by the session store and was set by the application; nothing was saved"
        ))),
    }
}

/// A value as the mesh stores it: MessagePack, because [`crate::Fields::set`] writes the same. A field saved here
/// reads as `session.get::<T>(key)` in the plain API, and the other way round; JSON text would be a second
/// encoding for every other reader of the mesh to know, and a longer one.
pub(super) fn encode(key: &str, value: &Value) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|e| Error::Encode(format!("field {key:?}: {e}")))
}

/// The inverse of [`encode`]; `None` for bytes that another writer put there and JSON cannot say.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    rmp_serde::from_slice(bytes).ok()
}

/// The hash by which values are compared: of their encoded bytes.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(HASH_BYTES).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(value: Value) -> HashMap<String, Value> {
        HashMap::from([(HIDDEN_KEY.to_owned(), value)])
    }

    #[test]
    fn a_token_is_read_back_a_foreign_one_ignored_and_an_applications_value_refused() {
        let birth = Version::parse("1.1").unwrap();
        let id = SessionId::from_bytes([7; 16]);
        let token = Token::new(id, birth, 0, BTreeMap::new());
        let mut record = HashMap::new();
        token.hide_in(&mut record).unwrap();
        assert_eq!(carried(&record).unwrap(), Carried::Token(token.clone()));
        assert!(token.is_of(id, birth));
        assert!(!token.is_of(SessionId::from_bytes([8; 16]), birth));
        assert!(!token.is_of(id, Version::parse("1.2").unwrap()));
        assert_eq!(carried(&HashMap::new()).unwrap(), Carried::Nothing);
        assert_eq!(carried(&data(json!({"sessionmesh": 99}))).unwrap(), Carried::Foreign);
        for set_by_application in [json!("mine"), json!({"sessionmesh": 1}), json!({}), json!(null)] {
            assert!(carried(&data(set_by_application)).is_err());
        }
    }

    #[test]
    fn values_survive_their_encoding_and_hash_alike_after_it() {
        let value =
            json!({"n": [0, -1, u64::MAX, i64::MIN, 1.5, 1e300], "s": "ü\u{0}", "x": {"y": null, "z": true}});
        let bytes = encode("k", &value).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!(back, value);
        assert_eq!(hash(&encode("k", &back).unwrap()), hash(&bytes));
        assert_eq!(decode(&[0xc4, 1, 2]), None, "bytes have no place in JSON");
    }
}
