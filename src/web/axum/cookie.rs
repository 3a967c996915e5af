//! What the cookie carries: the session's id and what its client has written, signed.
//!
//! Bytes, in base64url: a format byte, the id (16), [`Seen`], and a MAC (HMAC-SHA256 cut to 16 bytes) over all before
//! it. The id is a bearer secret and needs no signature: a cookie whose MAC fails, of another secret or another
//! cluster, is taken for its id alone, so that a rotated secret logs nobody out. The writes do need one: without it a
//! stranger could make every request wait and ask.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::SessionId;
use crate::mesh::{MAX_SEEN, Seen};

/// This layout.
const FORMAT: u8 = 1;
const ID_BYTES: usize = 16;
/// 128 bits: a forger gets one guess a request.
const MAC_BYTES: usize = 16;
/// The longest that is read: a name of four bytes and two numbers of at most nine for each node.
const MAX_BYTES: usize = 1 + ID_BYTES + MAX_SEEN * (4 + 9 + 9) + MAC_BYTES;

/// A cookie's content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub id: SessionId,
    pub seen: Seen,
    /// Whether it carried writes that are not believed.
    pub forged: bool,
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Option<Hmac<Sha256>> {
    // A key of any length is a key; the error is one in type only.
    Some(Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(bytes))
}

/// The cookie's value. Without a key it carries no writes.
pub(super) fn write(id: SessionId, seen: &Seen, keys: &[[u8; 32]]) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(id.as_bytes());
    if let Some(key) = keys.first() {
        bytes.extend_from_slice(&seen.to_bytes());
        let tag = mac(key, &bytes).map(|mac| mac.finalize().into_bytes());
        bytes.extend(tag.iter().flatten().take(MAC_BYTES));
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cookie's value; `None` for what names no session.
pub(super) fn read(value: &str, keys: &[[u8; 32]]) -> Option<Content> {
    if value.len() > MAX_BYTES.div_ceil(3) * 4 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
    let (format, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>().filter(|_| *format == FORMAT)?;
    let id = SessionId::from_bytes(*id);
    let signed = rest.split_last_chunk::<MAC_BYTES>().and_then(|(seen, tag)| {
        let body = &bytes[..bytes.len() - MAC_BYTES];
        let ours = |key: &[u8; 32]| mac(key, body).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok());
        keys.iter().any(ours).then(|| Seen::from_bytes(seen))?
    });
    Some(Content { id, forged: signed.is_none() && !rest.is_empty(), seen: signed.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId::from_bytes([9; 16]);
    const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

    fn seen() -> Seen {
        Seen::from_bytes(&[1, 2, 3, 4, 9, 2]).unwrap()
    }

    fn content(seen: Seen, forged: bool) -> Option<Content> {
        Some(Content { id: ID, seen, forged })
    }

    #[test]
    fn it_is_read_back_under_each_key_and_believed_under_no_other() {
        let value = write(ID, &seen(), &KEYS);
        assert_eq!(value, "AQkJCQkJCQkJCQkJCQkJCQkBAgMECQJffNDWJNNKYhLGAxWmszWa", "golden");
        assert_eq!(read(&value, &KEYS), content(seen(), false));
        assert_eq!(read(&value, &[KEYS[1], KEYS[0]]), content(seen(), false), "a rotation under way");
        assert_eq!(read(&value, &KEYS[1..]), content(Seen::default(), true));
        assert_eq!(read(&write(ID, &seen(), &[]), &KEYS), content(Seen::default(), false));
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let value = URL_SAFE_NO_PAD.decode(write(ID, &seen(), &KEYS)).unwrap();
        for bit in 8 * (1 + ID_BYTES)..8 * value.len() {
            let mut forged = value.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                read(&URL_SAFE_NO_PAD.encode(forged), &KEYS),
                content(Seen::default(), true),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn garbage_names_no_session() {
        let long = "A".repeat(10_000);
        for bad in ["", "x", "AQ", "not base64!", &long, &"A".repeat(60)] {
            assert_eq!(read(bad, &KEYS), None, "{bad:?}");
        }
    }
}
