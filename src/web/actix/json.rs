//! Values, which actix-session hands over as JSON text.
//!
//! In the mesh they are MessagePack like everybody's. JSON text can say numbers that a JSON *value* cannot hold, and an
//! application that saved one must get the same one back, so that such text is kept as it is, marked as an extension
//! type that other readers leave alone.

use serde_json::{Number, Value};

use crate::web::merge::{self, Result};

/// The MessagePack extension (32-bit length) under which text is kept, and its type: `J`.
const EXTENSION: (u8, u8) = (0xc9, 0x4a);
/// Marker, length, type.
const HEAD_BYTES: usize = 6;

/// Encodes JSON text; `key` is for the error.
pub(super) fn encode(key: &str, text: &str) -> Result<Vec<u8>> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if numbers_survive(text) => merge::encode(key, &value),
        _ => Ok(as_it_is(text)),
    }
}

/// The inverse of [`encode`]; `None` for bytes that another writer put there and JSON cannot say.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    match bytes.split_first_chunk::<HEAD_BYTES>() {
        Some((head, text)) if head[0] == EXTENSION.0 && head[5] == EXTENSION.1 => {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            (u32::try_from(text.len()) == Ok(length)).then(|| String::from_utf8(text.to_vec()).ok())?
        }
        _ => serde_json::to_string(&merge::decode(bytes)?).ok(),
    }
}

fn as_it_is(text: &str) -> Vec<u8> {
    // A length that does not fit is far beyond what a session may hold: it is refused for its size.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![EXTENSION.0];
    bytes.extend(length);
    bytes.push(EXTENSION.1);
    bytes.extend(text.as_bytes());
    bytes
}

/// Whether every number in `text` reads the same after it has been a JSON value.
fn numbers_survive(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match first {
            b'"' => after_string(after),
            b'-' | b'0'..=b'9' => {
                let in_number = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let length = rest.iter().position(|b| !in_number(b)).unwrap_or(rest.len());
                if !number_survives(&rest[..length]) {
                    return false;
                }
                &rest[length..]
            }
            _ => after,
        };
    }
    true
}

/// A number is kept as one if whoever reads it gets exactly what the text says. An integer beyond 64 bits becomes a
/// fraction and loses digits. (Fractions are read exactly, by the feature `float_roundtrip` of serde_json.)
fn number_survives(number: &[u8]) -> bool {
    let (Ok(value), Ok(text)) = (serde_json::from_slice::<Number>(number), std::str::from_utf8(number))
    else {
        return false;
    };
    let fraction = || text.contains(['.', 'e', 'E']) && text.parse::<f64>().ok() == value.as_f64();
    value.is_u64() || value.is_i64() || fraction()
}

/// What follows the string whose opening quote is just before `text`.
fn after_string(text: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1 + usize::from(*byte == b'\\');
        if *byte == b'"' {
            break;
        }
    }
    text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(text: &str) -> bool {
        encode("k", text).unwrap()[0] != EXTENSION.0
    }

    #[test]
    fn text_is_given_back_and_is_messagepack_where_that_loses_nothing() {
        let plain = [
            "null",
            "0",
            "-7",
            "18446744073709551615",
            "0.1",
            "-1.5e+30",
            r#""12e400 \" 7e999""#,
            r#"{"b":[1,{}],"a":"ü"}"#,
        ];
        for text in plain {
            assert!(is_plain(text), "{text}");
        }
        let exact = [
            "18446744073709551616",
            "[1,-170141183460469231731687303715884105728]",
            r#"{"\"":1E400}"#,
            "not JSON",
        ];
        for text in exact {
            assert!(!is_plain(text), "{text}");
            assert_eq!(decode(&encode("k", text).unwrap()).as_deref(), Some(text));
        }
        for text in &plain[..7] {
            assert_eq!(decode(&encode("k", text).unwrap()).as_deref(), Some(*text));
        }
    }

    #[test]
    fn others_values_read_as_json_and_others_bytes_do_not() {
        let theirs = merge::encode("k", &serde_json::json!({"a": [1, null]})).unwrap();
        assert_eq!(decode(&theirs).as_deref(), Some(r#"{"a":[1,null]}"#));
        assert_eq!(decode(&[0xc4, 1, 2]).as_deref(), Some("[2]"));
        assert_eq!(decode(&[0xc9, 0, 0, 0, 9, 0x4a, b'1']), None, "cut off");
        assert_eq!(merge::decode(&as_it_is("1")), None, "other stores leave the extension alone");
    }
}
