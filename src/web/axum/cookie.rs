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

/// That of most, with what two or three nodes wrote.
const USUAL_BYTES: usize = 1 + ID_BYTES + KEY_BYTES + MINUTES_BYTES + 1 + 2 * ID_BYTES + 3 * 10 + MAC_BYTES;

/// A cookie's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub ticket: Ticket,
    /// What its client has written.
    pub seen: Seen,
    /// When it was written (minutes since the epoch).
    pub minutes: u32,
    /// Its nearest family and ancestor, if it came from somewhere.
    pub came_from: Option<[SessionId; 2]>,
    /// Whether this cluster wrote it.
    pub ours: bool,
}

impl Content {
    /// A new one, of a session that came from nowhere.
    pub fn new(ticket: Ticket, wall_ms: u64) -> Self {
        let mut new = Self { ticket, seen: Seen::default(), minutes: 0, came_from: None, ours: true };
        new.written_at(wall_ms);
        new
    }

    /// It is written now.
    pub fn written_at(&mut self, wall_ms: u64) {
        self.minutes = u32::try_from(wall_ms / 60_000).unwrap_or(u32::MAX);
    }

    /// One of a session that a log-in began.
    pub fn of_login(ticket: Ticket, lineage: &Lineage, wall_ms: u64) -> Self {
        let nearest = lineage.families.first().zip(lineage.ancestors.first());
        let came_from = nearest.map(|(family, ancestor)| [*family, *ancestor]);
        Self { came_from, ..Self::new(ticket, wall_ms) }
    }

    /// As a logout is told of it.
    pub fn lineage(&self) -> Lineage {
        let [families, ancestors] =
            self.came_from.map_or_else(Default::default, |ids| ids.map(|id| vec![id]));
        Lineage { families, ancestors }
    }

    /// What the MAC guards beside the ticket.
    fn tell_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.minutes.to_be_bytes());
        bytes.push(if self.came_from.is_some() { LINEAGE } else { 0 });
        self.came_from.iter().flatten().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        self.seen.put(bytes);
    }

    fn tell(&mut self, bytes: &[u8]) -> Option<()> {
        let (minutes, bytes) = bytes.split_first_chunk::<MINUTES_BYTES>()?;
        let (flags, mut bytes) = bytes.split_first()?;
        let mut came_from = None;
        if flags & LINEAGE != 0 {
            let (family, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
            let (ancestor, rest) = rest.split_first_chunk::<ID_BYTES>()?;
            (came_from, bytes) = (Some([*family, *ancestor].map(SessionId::from_bytes)), rest);
        }
        self.seen = Seen::from_bytes(bytes)?;
        (self.minutes, self.came_from, self.ours) = (u32::from_be_bytes(*minutes), came_from, true);
        Some(())
    }
}

/// Secrets that cookies are signed with, each ready to sign: to make it so costs as much as a signature. The first one
/// signs, all are believed.
#[derive(Clone)]
pub(super) struct Signers(Vec<Hmac<Sha256>>);

impl Signers {
    pub fn new(secrets: &[[u8; 32]]) -> Self {
        // A key of any length is a key; the error is one in type only.
        Self(secrets.iter().filter_map(|secret| Hmac::new_from_slice(secret).ok()).collect())
    }

    fn sign(&self, bytes: &mut Vec<u8>) {
        if let Some(signer) = self.0.first() {
            let tag = signer.clone().chain_update(&bytes[..]).finalize().into_bytes();
            bytes.extend_from_slice(&tag[..MAC_BYTES]);
        }
    }

    fn has_signed(&self, bytes: &[u8], tag: &[u8]) -> bool {
        self.0.iter().any(|signer| signer.clone().chain_update(bytes).verify_truncated_left(tag).is_ok())
    }
}

/// The cookie's value. Without a secret it carries a ticket alone.
pub(super) fn write(content: &Content, signers: &Signers) -> String {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.push(FORMAT);
    bytes.extend_from_slice(content.ticket.id.as_bytes());
    bytes.extend_from_slice(content.ticket.key.as_bytes());
    if !signers.0.is_empty() {
        content.tell_to(&mut bytes);
        signers.sign(&mut bytes);
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cookie's value; `None` for what names no session.
pub(super) fn read(value: &[u8], signers: &Signers) -> Option<Content> {
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
        if signers.has_signed(body, tag) {
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

    fn signers() -> Signers {
        Signers::new(&SECRETS)
    }

    fn whole() -> Content {
        let mut content = Content::new(TICKET, 7 * 60_000);
        content.seen = Seen::from_bytes(&[1, 2, 3, 4, 9, 2]).unwrap();
        content.came_from = Some([[5; 16], [6; 16]].map(SessionId::from_bytes));
        content
    }

    fn bare() -> Content {
        Content { ours: false, ..Content::new(TICKET, 0) }
    }

    #[test]
    fn it_is_read_back_under_each_secret_and_believed_under_no_other() {
        let read = |value: &str, secrets: &[[u8; 32]]| read(value.as_bytes(), &Signers::new(secrets));
        let write = |content: &Content, secrets: &[[u8; 32]]| write(content, &Signers::new(secrets));
        let value = write(&whole(), &SECRETS);
        assert_eq!(read(&value, &SECRETS), Some(whole()));
        assert_eq!(read(&value, &[SECRETS[1], SECRETS[0]]), Some(whole()), "a rotation under way");
        assert_eq!(read(&value, &SECRETS[1..]), Some(bare()));
        assert_eq!(read(&write(&whole(), &[]), &SECRETS), Some(bare()));
        let plain = Content { came_from: None, ..whole() };
        assert_eq!(read(&write(&plain, &SECRETS), &SECRETS), Some(plain));
    }

    #[test]
    fn a_cookie_of_the_version_before_is_an_id_without_a_key() {
        let value = "AQkJCQkJCQkJCQkJCQkJCQkBAgMECQJffNDWJNNKYhLGAxWmszWa";
        let content = read(value.as_bytes(), &signers()).unwrap();
        assert_eq!((content.ticket.id, content.ticket.key), (TICKET.id, SessionKey::NONE));
        assert!(content.ours && content.seen == whole().seen);
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let value = URL_SAFE_NO_PAD.decode(write(&whole(), &signers())).unwrap();
        for bit in 8 * (1 + ID_BYTES + KEY_BYTES)..8 * value.len() {
            let mut forged = value.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                read(URL_SAFE_NO_PAD.encode(forged).as_bytes(), &signers()),
                Some(bare()),
                "bit {bit}"
            );
        }
    }

    /// What a version to come may write: signed, and with more in it than is known here.
    #[test]
    fn what_is_signed_and_not_understood_names_its_session_all_the_same() {
        for told in [&[][..], &[1, 2, 3], &[0, 0, 0, 7, LINEAGE, 5, 5], &[0, 0, 0, 7, 0, 1, 2]] {
            let head: [&[u8]; 4] = [&[FORMAT], TICKET.id.as_bytes(), TICKET.key.as_bytes(), told];
            let mut bytes = head.concat();
            signers().sign(&mut bytes);
            let content = read(URL_SAFE_NO_PAD.encode(bytes).as_bytes(), &signers()).unwrap();
            assert_eq!((content.ticket, content.seen.is_empty()), (TICKET, true), "{told:?}");
        }
    }

    /// Of a version before: its client has an id alone, and loses its session unless that is read.
    #[test]
    fn an_old_cookie_that_is_signed_and_not_understood_names_its_session_all_the_same() {
        let ticket = Ticket::bare(TICKET.id);
        for told in [&[1][..], &[1, 2, 3, 4], &[1, 2, 3, 4, 0, 0], &[0xff; 40]] {
            assert_eq!(Seen::from_bytes(told), None, "{told:?}");
            let mut bytes = [&[BARE][..], TICKET.id.as_bytes(), told].concat();
            signers().sign(&mut bytes);
            let content = read(URL_SAFE_NO_PAD.encode(bytes).as_bytes(), &signers()).unwrap();
            assert_eq!(content, Content { minutes: 0, ..Content::new(ticket, 0) }, "{told:?}");
            assert!(content.ours, "a logout with it needs nobody's word");
        }
    }

    #[test]
    fn garbage_names_no_session() {
        let long = URL_SAFE_NO_PAD.encode([&[FORMAT][..], &[9; 5_000]].concat());
        let to_come = URL_SAFE_NO_PAD.encode([&[FORMAT + 1][..], &[9; 32]].concat());
        let keyless = URL_SAFE_NO_PAD.encode([&[FORMAT][..], &[9; 16], &[0; 16]].concat());
        for bad in ["", "x", "AQ", "AgkJ", "not base64!", &long, &"A".repeat(60), &keyless, &to_come] {
            assert_eq!(read(bad.as_bytes(), &signers()), None, "{bad:?}");
        }
    }
}
