//! What a node writes on the board, and what may stand there.
//!
//! `sm.origin` is the life of its memory in hex, `sm.left` is set by a goodbye, `sm.m.<name>` is metadata, `sm.d.<name>`
//! is what its failure detector tells the others' (an incarnation, suspicions). The
//! prefix is not only tidy: chitchat slices a key's first *byte* (`&key[0..1]`), and a key that begins with a
//! longer character kills the gossip server of everyone it reaches.

use std::collections::BTreeMap;

use super::config::limits;
use super::error::DiscoveryError;
use crate::core::causality::Origin;

/// Key of the origin.
pub(super) const ORIGIN: &str = "sm.origin";
/// Key of the goodbye.
pub(super) const LEFT: &str = "sm.left";
/// Prefix of what failure detectors tell each other.
pub(super) const FACT: &str = "sm.d.";
/// Among what failure detectors tell each other, that the node has been ready once: of two of one name it stays.
pub(super) const SERVED: &str = "served";
/// Prefix of metadata.
pub(super) const METADATA: &str = "sm.m.";

/// True if a name may stand in a digest: printable ASCII, no spaces, bounded.
pub(super) fn node_name_is_sound(name: &str) -> bool {
    !name.is_empty() && name.len() <= limits::NODE_NAME_BYTES && name.bytes().all(|b| b.is_ascii_graphic())
}

/// True if a peer's key and value may reach chitchat.
///
/// Looser than what we publish (another prefix may be a later version's), but never poisonous.
pub(super) fn inbound_is_sound(key: &str, value: &str) -> bool {
    let key_is_sound = !key.is_empty() && key.len() <= limits::KEY_BYTES && key.is_ascii();
    key_is_sound && value.len() <= limits::VALUE_BYTES
}

/// The board key of a metadata name, if name and value fit.
///
/// # Errors
/// [`DiscoveryError::Publish`] naming the bound.
pub(super) fn metadata_key(name: &str, value: &str) -> Result<String, DiscoveryError> {
    let fail =
        |reason: &str| Err(DiscoveryError::Publish { key: name.to_owned(), reason: reason.to_owned() });
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return fail("a key is printable ASCII without spaces");
    }
    if METADATA.len() + name.len() > limits::KEY_BYTES {
        return fail("a key is at most 123 bytes");
    }
    if value.len() > limits::VALUE_BYTES {
        return fail("a value is at most 8 KiB");
    }
    Ok(format!("{METADATA}{name}"))
}

/// Checks configured metadata as a whole.
///
/// # Errors
/// [`DiscoveryError::Publish`] for a key or value, [`DiscoveryError::Config`] for their number.
pub(super) fn check_own(metadata: &BTreeMap<String, String>) -> Result<(), DiscoveryError> {
    if metadata.len() > limits::OWN_KEYS {
        return Err(DiscoveryError::Config { field: "metadata", reason: "more than 64 keys".to_owned() });
    }
    metadata.iter().try_for_each(|(name, value)| metadata_key(name, value).map(drop))
}

/// An origin as it stands on the board: 32 hex digits.
pub(super) fn origin_to_hex(origin: Origin) -> String {
    format!("{:032x}", origin.0)
}

/// Reads an origin from the board; `None` if it is not exactly 32 hex digits.
pub(super) fn origin_from_hex(hex: &str) -> Option<Origin> {
    let is_hex = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(hex, 16).ok()).flatten().map(Origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_survives_the_board() {
        let origin = Origin(0x00ff_0123_4567_89ab_cdef_0123_4567_89ab);
        assert_eq!(origin_from_hex(&origin_to_hex(origin)), Some(origin));
    }

    #[test]
    fn a_bad_origin_is_none() {
        for hex in
            ["", "12", "+0ff0123456789abcdef0123456789ab", &"g".repeat(32), &"é".repeat(16), &"0".repeat(33)]
        {
            assert_eq!(origin_from_hex(hex), None, "{hex}");
        }
    }

    #[test]
    fn only_prefixed_ascii_keys_and_small_values_are_published() {
        assert_eq!(metadata_key("zone", "a").unwrap(), "sm.m.zone");
        for (key, value) in
            [("", ""), ("été", ""), ("a b", ""), (&"k".repeat(124), ""), ("k", &"v".repeat(8193))]
        {
            assert!(matches!(metadata_key(key, value), Err(DiscoveryError::Publish { .. })), "{key}");
        }
        assert!(metadata_key(&"k".repeat(123), &"v".repeat(8192)).is_ok());
    }

    #[test]
    fn poisonous_inbound_keys_are_unsound() {
        assert!(inbound_is_sound("sm.origin", "x") && inbound_is_sound("other.prefix", ""));
        for (key, value) in [("", ""), ("été", "x"), (&"k".repeat(129), ""), ("k", &"v".repeat(8193))] {
            assert!(!inbound_is_sound(key, value), "{key}");
        }
    }
}
