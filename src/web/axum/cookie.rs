//! What the cookie carries: the session's ticket, what its client has written, and where the session came from, signed.
//!
//! Bytes, in base64url: a format byte, the id (16), the key (16), when it was written (minutes since the epoch, 4), a
//! byte of flags, the nearest family and ancestor if it has them (16 each), [`Seen`], and a MAC (HMAC-SHA256 cut to 16
//! bytes) over all before it. Id and key are bearer secrets and need no signature: a cookie whose MAC fails, of another
//! secret or another cluster, is taken for those alone, so that a rotated secret logs nobody out. The rest does need
//! one: without it a stranger could make every request wait and ask, and end what he has only heard of.
//!
//! Format 1, of versions before, has an id and no key. Its session is given a key when it comes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::SessionId;
use crate::core::session::{Lineage, SessionKey};
use crate::mesh::{MAX_SEEN, Seen, Ticket};

/// The layout of versions before.
const BARE: u8 = 1;
/// This layout.
const FORMAT: u8 = 2;
const ID_BYTES: usize = 16;
const KEY_BYTES: usize = 16;
const MINUTES_BYTES: usize = 4;
/// The flag of a cookie that says where its session came from.
const LINEAGE: u8 = 1;
/// 128 bits: a forger gets one guess a request.
const MAC_BYTES: usize = 16;
/// The longest that is read: a name of four bytes and two numbers of at most nine for each node.
const MAX_BYTES: usize =
    1 + ID_BYTES + KEY_BYTES + MINUTES_BYTES + 1 + 2 * ID_BYTES + MAX_SEEN * (4 + 9 + 9) + MAC_BYTES;

/// A cookie's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub ticket: Ticket,
    /// What its client has written.
    pub seen: Seen,
    /// When it was written (minutes since the epoch).
    pub minutes: u32,
    /// Its nearest family and ancestor.
    pub lineage: Lineage,
    /// Whether this cluster wrote it.
    pub ours: bool,
}

impl Content {
    /// A new one, of a session that came from nowhere.
    pub fn new(ticket: Ticket, wall_ms: u64) -> Self {
        let minutes = u32::try_from(wall_ms / 60_000).unwrap_or(u32::MAX);
        Self { ticket, seen: Seen::default(), minutes, lineage: Lineage::default(), ours: true }
    }

    /// What the MAC guards beside the ticket.
    fn told(&self) -> Vec<u8> {
        let mut bytes = self.minutes.to_be_bytes().to_vec();
        match (self.lineage.families.first(), self.lineage.ancestors.first()) {
            (Some(family), Some(ancestor)) => {
                bytes.push(LINEAGE);
                bytes.extend_from_slice(family.as_bytes());
                bytes.extend_from_slice(ancestor.as_bytes());
            }
            _ => bytes.push(0),
        }
        bytes.extend_from_slice(&self.seen.to_bytes());
        bytes
    }

    fn tell(&mut self, bytes: &[u8]) -> Option<()> {
        let (minutes, bytes) = bytes.split_first_chunk::<MINUTES_BYTES>()?;
        let (flags, mut bytes) = bytes.split_first()?;
        let mut lineage = Lineage::default();
        if flags & LINEAGE != 0 {
            let (family, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
            let (ancestor, rest) = rest.split_first_chunk::<ID_BYTES>()?;
            lineage.families.push(SessionId::from_bytes(*family));
            lineage.ancestors.push(SessionId::from_bytes(*ancestor));
            bytes = rest;
        }
        self.seen = Seen::from_bytes(bytes)?;
        (self.minutes, self.lineage, self.ours) = (u32::from_be_bytes(*minutes), lineage, true);
        Some(())
    }
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Option<Hmac<Sha256>> {
    // A key of any length is a key; the error is one in type only.
    Some(Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(bytes))
}

/// The cookie's value. Without a secret it carries a ticket alone.
pub(super) fn write(content: &Content, secrets: &[[u8; 32]]) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(content.ticket.id.as_bytes());
    bytes.extend_from_slice(content.ticket.key.as_bytes());
    if let Some(secret) = secrets.first() {
        bytes.extend_from_slice(&content.told());
        let tag = mac(secret, &bytes).map(|mac| mac.finalize().into_bytes());
        bytes.extend(tag.iter().flatten().take(MAC_BYTES));
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cookie's value; `None` for what names no session.
pub(super) fn read(value: &[u8], secrets: &[[u8; 32]]) -> Option<Content> {
    if value.len() > MAX_BYTES.div_ceil(3) * 4 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
    let (format, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    let (key, rest) = match *format {
        BARE => (SessionKey::NONE, rest),
        FORMAT => {
            let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
            (SessionKey::from_bytes(*key), rest)
        }
        _ => return None,
    };
    let ticket = Ticket { id: SessionId::from_bytes(*id), key };
    // A key of zeros is what a client holds that has none.
    if *format == FORMAT && key == SessionKey::NONE {
        return None;
    }
    let mut content = Content { ours: false, minutes: 0, ..Content::new(ticket, 0) };
    if let Some((told, tag)) = rest.split_last_chunk::<MAC_BYTES>() {
        let body = &bytes[..bytes.len() - MAC_BYTES];
        let ours =
            |secret: &[u8; 32]| mac(secret, body).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok());
        if secrets.iter().any(ours) {
            // What a version to come may add is no reason not to know the session.
            match *format {
                BARE => (content.seen, content.ours) = (Seen::from_bytes(told).unwrap_or_default(), true),
                _ => drop(content.tell(told)),
            }
        }
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: Ticket =
        Ticket { id: SessionId::from_bytes([9; 16]), key: SessionKey::from_bytes([8; 16]) };
    const SECRETS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

    fn whole() -> Content {
        let mut content = Content::new(TICKET, 7 * 60_000);
        content.seen = Seen::from_bytes(&[1, 2, 3, 4, 9, 2]).unwrap();
        content.lineage.families.push(SessionId::from_bytes([5; 16]));
        content.lineage.ancestors.push(SessionId::from_bytes([6; 16]));
        content
    }

    fn bare() -> Content {
        Content { ours: false, ..Content::new(TICKET, 0) }
    }

    #[test]
    fn it_is_read_back_under_each_secret_and_believed_under_no_other() {
        let value = write(&whole(), &SECRETS);
        let read = |value: &str, secrets: &[[u8; 32]]| read(value.as_bytes(), secrets);
        assert_eq!(read(&value, &SECRETS), Some(whole()));
        assert_eq!(read(&value, &[SECRETS[1], SECRETS[0]]), Some(whole()), "a rotation under way");
        assert_eq!(read(&value, &SECRETS[1..]), Some(bare()));
        assert_eq!(read(&write(&whole(), &[]), &SECRETS), Some(bare()));
        let plain = Content { lineage: Lineage::default(), ..whole() };
        assert_eq!(read(&write(&plain, &SECRETS), &SECRETS), Some(plain));
    }

    #[test]
    fn a_cookie_of_the_version_before_is_an_id_without_a_key() {
        let value = "AQkJCQkJCQkJCQkJCQkJCQkBAgMECQJffNDWJNNKYhLGAxWmszWa";
        let content = read(value.as_bytes(), &SECRETS).unwrap();
        assert_eq!((content.ticket.id, content.ticket.key), (TICKET.id, SessionKey::NONE));
        assert!(content.ours && content.seen == whole().seen);
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let value = URL_SAFE_NO_PAD.decode(write(&whole(), &SECRETS)).unwrap();
        for bit in 8 * (1 + ID_BYTES + KEY_BYTES)..8 * value.len() {
            let mut forged = value.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(URL_SAFE_NO_PAD.encode(forged).as_bytes(), &SECRETS), Some(bare()), "bit {bit}");
        }
    }

    /// What a version to come may write: signed, and with more in it than is known here.
    #[test]
    fn what_is_signed_and_not_understood_names_its_session_all_the_same() {
        for told in [&[][..], &[1, 2, 3], &[0, 0, 0, 7, LINEAGE, 5, 5], &[0, 0, 0, 7, 0, 1, 2]] {
            let head: [&[u8]; 4] = [&[FORMAT], TICKET.id.as_bytes(), TICKET.key.as_bytes(), told];
            let mut bytes = head.concat();
            let tag = mac(&SECRETS[0], &bytes).unwrap().finalize().into_bytes();
            bytes.extend_from_slice(&tag[..MAC_BYTES]);
            let content = read(URL_SAFE_NO_PAD.encode(bytes).as_bytes(), &SECRETS).unwrap();
            assert_eq!((content.ticket, content.seen.is_empty()), (TICKET, true), "{told:?}");
        }
    }

    #[test]
    fn garbage_names_no_session() {
        let long = URL_SAFE_NO_PAD.encode([&[FORMAT][..], &[9; 5_000]].concat());
        let to_come = URL_SAFE_NO_PAD.encode([&[FORMAT + 1][..], &[9; 32]].concat());
        let keyless = URL_SAFE_NO_PAD.encode([&[FORMAT][..], &[9; 16], &[0; 16]].concat());
        for bad in ["", "x", "AQ", "AgkJ", "not base64!", &long, &"A".repeat(60), &keyless, &to_come] {
            assert_eq!(read(bad.as_bytes(), &SECRETS), None, "{bad:?}");
        }
    }
}
