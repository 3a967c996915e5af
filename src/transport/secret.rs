//! The cluster secret: whoever holds it is a member.

use std::collections::BTreeSet;
use std::{fmt, str::FromStr};

use thiserror::Error;

/// Shortest secret accepted, in bytes: what an Ed25519 seed and HKDF-SHA256 can make full use of.
pub const MIN_SECRET_BYTES: usize = 32;

/// Fewest different bytes in a secret. Of 32 random ones there are 30 in the mean, and fewer than 20 never; of hexadecimal
/// digits that are no hex of whole bytes, up to 16.
pub const MIN_DISTINCT_BYTES: usize = 10;

/// A cluster secret of at least [`MIN_SECRET_BYTES`] bytes. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a text or a byte string is no [`Secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Too few bytes (after decoding, when it was hex or base64).
    #[error(
        "cluster secret has {got_bytes} bytes, at least {MIN_SECRET_BYTES} are needed (try `openssl rand -base64 32`)"
    )]
    TooShort {
        /// How many bytes there were.
        got_bytes: usize,
    },
    /// Long enough, and yet easily guessed.
    #[error(
        "cluster secret has {distinct} different bytes, at least {MIN_DISTINCT_BYTES} are needed, and no pattern that \
         repeats (try `openssl rand -base64 32`)"
    )]
    TooRegular {
        /// How many different bytes there were.
        distinct: usize,
    },
}

impl Secret {
    /// A secret from raw bytes.
    ///
    /// # Errors
    /// [`SecretError::TooShort`] below [`MIN_SECRET_BYTES`]; [`SecretError::TooRegular`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = bytes.into();
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(SecretError::TooShort { got_bytes: bytes.len() });
        }
        let distinct = bytes.iter().collect::<BTreeSet<_>>().len();
        let repeats = (1..MIN_SECRET_BYTES / 2).any(|n| bytes.iter().zip(&bytes[n..]).all(|(a, b)| a == b));
        if distinct < MIN_DISTINCT_BYTES || repeats {
            return Err(SecretError::TooRegular { distinct });
        }
        Ok(Self(bytes))
    }

    /// Whether it reads like words that somebody thought of. Whoever has recorded a handshake can try such secrets by the
    /// million.
    pub(crate) fn reads_like_words(&self) -> bool {
        let letters = self.0.iter().filter(|b| b.is_ascii_lowercase() || b" ,.-'_".contains(b)).count();
        letters * 10 >= self.0.len() * 9
    }

    /// A secret from text: hex (64 digits or more), base64 (standard or URL-safe, padded or not) of at least
    /// 32 bytes, else the text's own bytes. Surrounding white space (the newline of a file) is ignored.
    ///
    /// Every node must be given the same text: the same bytes written as hex on one node and as base64 on
    /// another are one secret; as raw text they are another.
    ///
    /// # Errors
    /// As [`Secret::new`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let decoded = decode_hex(text).or_else(|| decode_base64(text));
        match decoded {
            Some(bytes) if bytes.len() >= MIN_SECRET_BYTES => Self::new(bytes),
            _ => Self::new(text.as_bytes()),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::parse(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Both alphabets in one: a text never mixes them, and being strict would only turn a secret into raw text.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    // Padding completes a group of four, and a lone sextet carries no byte.
    if body.len() % 4 == 1
        || text.len() - body.len() > 2
        || (text.len() != body.len() && !text.len().is_multiple_of(4))
    {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    let (mut held, mut held_bits) = (0u32, 0u32);
    for byte in body.bytes() {
        held = (held << 6 | sextet(byte)?) & 0xffff;
        held_bits += 6;
        if held_bits >= 8 {
            held_bits -= 8;
            out.push((held >> held_bits) as u8);
        }
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_base64_and_raw_text() {
        let raw: Vec<u8> = (0..32).map(|i| 255 - i).collect();
        let hex: String = raw.iter().map(|b| format!("{b:02x}")).collect();
        let base64 = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";
        let url_safe = "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA";
        for text in [hex.as_str(), base64, url_safe, &format!("{hex}\n")] {
            assert_eq!(Secret::parse(text).unwrap().bytes(), raw, "{text}");
        }
        let words = "correct horse battery staple, and then some more";
        assert_eq!(Secret::parse(words).unwrap().bytes(), words.as_bytes());
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(Secret::new(vec![7; 31]), Err(SecretError::TooShort { got_bytes: 31 }));
        assert_eq!(Secret::parse("hunter2"), Err(SecretError::TooShort { got_bytes: 7 }));
        assert!(Secret::parse("").is_err());
    }

    #[test]
    fn what_is_easily_guessed_is_refused_or_known_for_it() {
        let digits = "0123456789".repeat(4);
        for regular in ["x".repeat(32), "ab".repeat(40), "0".repeat(64), digits, "secret secret ".repeat(3)] {
            assert!(matches!(Secret::parse(&regular), Err(SecretError::TooRegular { .. })), "{regular}");
        }
        let words = Secret::parse("correct horse battery staple, and then some").unwrap();
        let random = Secret::parse("fJ0q9cZkYp1m2xW8sV5tB7nL4hD6gR3e-QaUoIyTz").unwrap();
        assert!(words.reads_like_words() && !random.reads_like_words());
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", Secret::new((0..32).collect::<Vec<u8>>()).unwrap());
        assert_eq!(shown, "Secret(redacted)");
    }
}
