//! Values as fields hold them: MessagePack with named struct fields, in the form that serde calls human-readable.
//!
//! JSON is human-readable too, and frameworks hand values over as JSON: a `Uuid` or an IP address is text there. In the
//! compact form it would be bytes here, and what one way in wrote another could not read.

use std::io::ErrorKind;

use rmp_serde::decode::Error as Cause;
use rmp_serde::{Deserializer, Serializer};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Encodes a value, or says why serde cannot.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::new(&mut bytes).with_human_readable().with_struct_map();
    value.serialize(&mut serializer).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Decodes exactly these bytes, or says why not, without a word of what they hold: the text reaches answers and logs.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let mut rest = Deserializer::from_read_ref(bytes).with_human_readable();
    let value = T::deserialize(&mut rest).map_err(|error| {
        let why = named(&error).unwrap_or_default();
        format!("it holds {}, which does not read as {}{why}", kind(bytes), std::any::type_name::<T>())
    })?;
    // Text read as a number is its first byte, with the rest left over.
    match IgnoredAny::deserialize(&mut rest) {
        Err(Cause::InvalidMarkerRead(end)) if end.kind() == ErrorKind::UnexpectedEof => Ok(value),
        _ => Err(format!("it holds {} bytes that are not one MessagePack value", bytes.len())),
    }
}

/// What serde says that names the type's own fields and no value.
fn named(error: &Cause) -> Option<String> {
    let (Cause::Syntax(text) | Cause::Uncategorized(text)) = error else { return None };
    let harmless = text.starts_with("missing field `") || text.starts_with("duplicate field `");
    harmless.then(|| format!(": {text}"))
}

/// The kind of the value that begins here.
fn kind(bytes: &[u8]) -> &'static str {
    match bytes.first() {
        None => "nothing",
        Some(0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff) => "an integer",
        Some(0x80..=0x8f | 0xde | 0xdf) => "a map",
        Some(0x90..=0x9f | 0xdc | 0xdd) => "an array",
        Some(0xa0..=0xbf | 0xd9..=0xdb) => "text",
        Some(0xc0) => "null",
        Some(0xc1) => "no MessagePack",
        Some(0xc2 | 0xc3) => "a truth value",
        Some(0xc4..=0xc6) => "bytes",
        Some(0xca | 0xcb) => "a fraction",
        Some(0xc7..=0xc9 | 0xd4..=0xd8) => "an extension",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_one_value_or_an_error() {
        assert_eq!(decode::<u8>(b"h"), Ok(104));
        assert!(decode::<u8>(b"hello").unwrap_err().contains("5 bytes that are not one"));
        assert!(decode::<Option<u8>>(&[0xc0, 0xc1]).is_err());
        assert!(decode::<u8>(&[]).unwrap_err().contains("holds nothing"));
        assert_eq!(decode::<&str>(&encode("borrowed").unwrap()), Ok("borrowed"));
    }

    #[test]
    fn an_error_names_the_kind_and_the_type_and_never_the_value() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        enum Plan {
            Free,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct User {
            name: u8,
        }
        let secret = encode("hunter2").unwrap();
        let told = [
            decode::<u32>(&secret).unwrap_err(),
            decode::<Plan>(&secret).unwrap_err(),
            decode::<Plan>(&encode(&["hunter2"]).unwrap()).unwrap_err(),
            decode::<User>(&encode(&std::collections::BTreeMap::from([("name", "hunter2")])).unwrap())
                .unwrap_err(),
            decode::<std::net::IpAddr>(&secret).unwrap_err(),
        ];
        assert!(told.iter().all(|why| !why.contains("hunter2")), "{told:?}");
        assert!(told[0].contains("holds text") && told[0].contains("u32"), "{told:?}");
        let nameless = encode(&std::collections::BTreeMap::from([("x", 1)])).unwrap();
        assert!(decode::<User>(&nameless).unwrap_err().contains("missing field `name`"));
    }
}
