//! Session ids: 128 bits, minted at random and never reused.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A session's name. A bearer secret: whoever knows it holds the session, so it never appears in logs or
/// metrics; [`SessionId::log_hash`] does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Wraps 16 bytes, which must be unguessable and never used before.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 32 lower-case hex digits used in cookies and the agent's API. Secret: do not log it.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Parses the text form; `None` if it is not exactly 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|n| Self(n.to_be_bytes()))
    }

    /// The partition this session lives in: the same on every member, whatever its hash key.
    pub fn partition(&self, partitions: u16) -> u16 {
        (xxh3_64(&self.0) & u64::from(partitions - 1)) as u16
    }

    /// Hash for this process's tables, keyed so that chosen ids cannot pile up in one bucket.
    pub fn table_hash(&self, key: u64) -> u64 {
        xxh3_64_with_seed(&self.0, key)
    }

    /// A short keyed hash that may be logged and shown: it names the session without giving it away.
    pub fn log_hash(&self, key: u64) -> LogHash {
        LogHash(xxh3_64_with_seed(&self.0, key ^ 0x6c6f_675f_6861_7368) as u32)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(secret)")
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::deserialize(deserializer).map(Self)
    }
}

/// What logs, events and metrics call a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogHash(pub u32);

impl fmt::Display for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0)
    }
}

impl fmt::Debug for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_debug_tells_nothing() {
        let id = SessionId::from_bytes(*b"0123456789abcdef");
        assert_eq!(SessionId::parse(&id.to_text()), Some(id));
        assert_eq!(SessionId::parse("xyz"), None);
        assert_eq!(SessionId::parse(&"+1".repeat(16)), None);
        assert_eq!(format!("{id:?}"), "SessionId(secret)");
    }
}
