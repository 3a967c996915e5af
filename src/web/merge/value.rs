//! Values as the mesh stores them: MessagePack, because [`crate::Fields::set`] writes the same.
//!
//! A field saved through an adapter reads as `session.get::<T>(key)` in the plain API and through every other adapter,
//! and the other way round; JSON text would be a second encoding for every reader of the mesh to know, and a longer
//! one.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::{MergeError, Result};
use crate::mesh::{self, AsJson};

/// Bytes of SHA-256 that a hash keeps. Users choose values, so the hash must withstand collisions made on purpose:
/// a changed value that hashes like the old one would not be saved. 16 bytes leave that at 2^64 trials.
const HASH_BYTES: usize = 16;

/// Encodes a value; `key` is for the error.
pub fn encode(key: &str, value: &Value) -> Result<Vec<u8>> {
    mesh::value::encode(value).map_err(|e| MergeError::Encode(format!("field {key:?}: {e}")))
}

/// The inverse of [`encode`]; `None` for bytes that another writer put there and JSON cannot say.
pub fn decode(bytes: &[u8]) -> Option<Value> {
    mesh::value::decode(bytes).ok().map(|AsJson(value)| value)
}

/// The hash by which values are compared: of their bytes in the adapter's own encoding.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(HASH_BYTES).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_survive_their_encoding_and_hash_alike_after_it() {
        let value =
            json!({"n": [0, -1, u64::MAX, i64::MIN, 1.5, 1e300], "s": "ü\u{0}", "x": {"y": null, "z": true}});
        let bytes = encode("k", &value).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!(back, value);
        assert_eq!(hash(&encode("k", &back).unwrap()), hash(&bytes));
        assert_eq!(decode(&[0xc4, 1, 2]), Some(json!([2])), "bytes, as serde_json writes them");
        assert_eq!(decode(&[0x81, 7, 2]), Some(json!({"7": 2})));
        assert_eq!(decode(b"hello"), None, "not one value");
        assert_eq!(decode(&mesh::value::encode(&f64::NAN).unwrap()), None);
        assert_eq!(decode(&[0x82, 7, 2, 0xa1, b'7', 3]), None, "two keys that JSON cannot tell apart");
    }
}
