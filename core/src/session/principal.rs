//! Whose session it is, and since which revocations: reserved fields of an ordinary record.
//!
//! A session of a principal carries a **login**: the principal, and the revocations of it that the login had seen. A
//! **revocation** is a record of its own that carries the same and a marker. It ends every session of its principal
//! whose login had not seen it, wherever they meet and whatever the clocks say (`docs/ALGORITHM.md` §11).
//!
//! Reserved keys begin with two zero bytes. Only the key of one zero byte sorts before them, so that they are found
//! among the first fields of a record, however many it has.

use serde::Deserialize;

use super::SessionId;
use crate::causality::{Dot, Origin};
use crate::limits::{MAX_COUNTER, MAX_PRINCIPAL_BYTES, MAX_SEEN_REVOCATIONS};

/// What every reserved key begins with. Applications can neither write nor see such fields.
pub const RESERVED_PREFIX: &str = "\0\0";
/// The field of a login: [`Login`].
pub const PRINCIPAL_KEY: &str = "\0\0p";
/// The field that makes a record a revocation: [`Spared`].
pub const REVOKED_KEY: &str = "\0\0r";

/// The field of a session whose id was rotated away: the id it has now. Kept here, because a session's id must be
/// shown nowhere.
pub const ROTATED_KEY: &str = "\0\0s";

/// Whether a key is the mesh's own.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED_PREFIX)
}

/// Revocations of one principal, closed under "had seen": per origin its last one, as a version vector, since a
/// node has seen its own earlier ones. With each stands until when (ms) it can matter: nothing older could be
/// forgotten otherwise, and the vector would grow by an origin with every restart of a node, for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenRevocations(Vec<(Origin, u64, u64)>);

impl SeenRevocations {
    /// Whether the revocation with this dot is among them.
    pub fn has(&self, dot: Dot) -> bool {
        self.0.iter().any(|&(origin, counter, _)| origin == dot.origin && dot.counter <= counter)
            && !mutant!(RevocationEndsSeen)
    }

    /// Adds one revocation that matters until `until_ms`.
    pub fn add(&mut self, dot: Dot, until_ms: u64) {
        match self.0.binary_search_by_key(&dot.origin, |seen| seen.0) {
            Ok(at) => {
                let seen = &mut self.0[at];
                (seen.1, seen.2) = (seen.1.max(dot.counter), seen.2.max(until_ms));
            }
            Err(at) => self.0.insert(at, (dot.origin, dot.counter, until_ms)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|&(origin, counter, until_ms)| self.add(Dot { origin, counter }, until_ms));
    }

    /// Forgets those that are over at `wall_ms`, and of more than [`MAX_SEEN_REVOCATIONS`] those that are over
    /// first, but none of `held`: a login must know what is held where it is made, or it would end at once.
    pub fn trim(&mut self, wall_ms: u64, held: &dyn Fn(Origin) -> bool) {
        self.0.retain(|&(_, _, until_ms)| until_ms > wall_ms);
        if self.0.len() > MAX_SEEN_REVOCATIONS {
            self.0.sort_by_key(|&(origin, _, until_ms)| std::cmp::Reverse((held(origin), until_ms, origin)));
            self.0.truncate(MAX_SEEN_REVOCATIONS);
            self.0.sort_unstable_by_key(|seen| seen.0);
        }
    }

    /// Origin, counter of its last one, and until when (ms) that matters; by origin.
    pub fn iter(&self) -> impl Iterator<Item = (Dot, u64)> + '_ {
        self.0.iter().map(|&(origin, counter, until_ms)| (Dot { origin, counter }, until_ms))
    }

    fn well_formed(&self) -> bool {
        self.0.len() <= MAX_SEEN_REVOCATIONS
            && self.0.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && self
                .0
                .iter()
                .all(|&(origin, counter, _)| origin != Origin::default() && counter <= MAX_COUNTER)
    }
}

/// The value of [`PRINCIPAL_KEY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login<'a> {
    /// Whose session it is: 1 to [`MAX_PRINCIPAL_BYTES`] bytes.
    pub principal: &'a str,
    /// The revocations that whoever made it had seen.
    pub seen: SeenRevocations,
}

impl<'a> Login<'a> {
    /// MessagePack: `[principal, [[origin, counter, until ms], ...]]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.principal.len() + 4 + 36 * self.seen.0.len());
        // Writing into memory cannot fail.
        let _ = rmp_serde::encode::write(&mut out, &(self.principal, &self.seen.0));
        out
    }

    /// The inverse; `None` for anything that [`Login::to_bytes`] does not write.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (principal, seen): (&str, Vec<(Origin, u64, u64)>) = read(bytes)?;
        let seen = SeenRevocations(seen);
        let fits = !principal.is_empty() && principal.len() <= MAX_PRINCIPAL_BYTES;
        let login = Self { principal, seen };
        // One form only: trailing bytes are malformed too.
        (fits && login.seen.well_formed() && login.to_bytes() == bytes).then_some(login)
    }
}

/// The value of [`REVOKED_KEY`]: the one session that the revocation spares, if any. It is named here and not logged
/// in anew, because the two would travel apart, and a node that had only the revocation would end it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared(pub Option<SessionId>);

impl Spared {
    /// MessagePack: nil, or the 16 bytes of the id.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        // Writing into memory cannot fail.
        let _ = rmp_serde::encode::write(&mut out, &self.0);
        out
    }

    /// The inverse; `None` for anything that [`Spared::to_bytes`] does not write.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        read(bytes).map(Self).filter(|spared| spared.to_bytes() == bytes)
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let mut de = rmp_serde::Deserializer::from_read_ref(bytes);
    // The deepest shape is an origin in an entry in the vector of a login.
    de.set_max_depth(6);
    T::deserialize(&mut de).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(origin: u128, counter: u64) -> Dot {
        Dot { origin: Origin(origin), counter }
    }

    #[test]
    fn a_vector_has_what_is_at_or_below_its_counters() {
        let mut seen = SeenRevocations::default();
        seen.add(dot(7, 5), 100);
        seen.add(dot(3, 1), 50);
        seen.add(dot(7, 4), 200);
        assert!(seen.has(dot(7, 5)) && seen.has(dot(7, 1)) && seen.has(dot(3, 1)));
        assert!(!seen.has(dot(7, 6)) && !seen.has(dot(4, 1)));
        let mut other = SeenRevocations::default();
        other.add(dot(7, 9), 10);
        other.merge(&seen);
        assert_eq!(other.iter().collect::<Vec<_>>(), [(dot(3, 1), 50), (dot(7, 9), 200)]);
        other.trim(50, &|_| false);
        assert_eq!(other.iter().collect::<Vec<_>>(), [(dot(7, 9), 200)]);
    }

    #[test]
    fn a_full_vector_forgets_what_is_over_first_but_not_what_is_held() {
        let mut seen = SeenRevocations::default();
        let most = MAX_SEEN_REVOCATIONS as u64;
        (1..=most + 2).for_each(|n| seen.add(dot(u128::from(n), n), 1_000 + n));
        seen.trim(0, &|origin| origin == Origin(1));
        assert_eq!(seen.iter().count(), MAX_SEEN_REVOCATIONS);
        assert!(seen.has(dot(1, 1)) && !seen.has(dot(2, 2)) && !seen.has(dot(3, 3)) && seen.has(dot(4, 4)));
        assert!(seen.well_formed());
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let mut seen = SeenRevocations::default();
        seen.add(dot(9, 4), 77);
        let login = Login { principal: "ada", seen };
        let bytes = login.to_bytes();
        assert_eq!(Login::parse(&bytes), Some(login));
        for cut in 0..bytes.len() {
            assert_eq!(Login::parse(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Login::parse(&[&bytes[..], &[0]].concat()), None, "trailing bytes");
        let long = "x".repeat(MAX_PRINCIPAL_BYTES + 1);
        for principal in ["", &long] {
            let bytes = Login { principal, seen: SeenRevocations::default() }.to_bytes();
            assert_eq!(Login::parse(&bytes), None);
        }
        let twice = SeenRevocations(vec![(Origin(1), 1, 1), (Origin(1), 2, 2)]);
        assert_eq!(
            Login::parse(&Login { principal: "ada", seen: twice }.to_bytes()),
            None,
            "an origin twice"
        );
        for spared in [Spared(None), Spared(Some(SessionId::from_bytes([7; 16])))] {
            assert_eq!(Spared::parse(&spared.to_bytes()), Some(spared));
        }
        assert_eq!(Spared::parse(&[0xc3]), None);
        assert_eq!(Spared::parse(&[0xc0, 0xc0]), None, "trailing bytes");
    }
}
