//! Whose session a save makes it.
//!
//! The store's user says how to read the principal out of a map. But a save's map is what its request saw, with what
//! it changed, and not what the session holds: a request that was anonymous when it loaded must not log out who
//! logged in meanwhile. So only a principal that differs from the one the request was shown is a change.

use super::plan::Basis;
use super::value::hash;
use crate::mesh::Fields;

/// What a token says of the principal: a hash, since a record may be written elsewhere.
pub(super) fn shown(principal: Option<&str>) -> Option<String> {
    principal.map(|principal| hash(principal.as_bytes()))
}

/// Logs in or out what a save changes: `now` is the principal in its map, `seen` the hash of the one it was shown,
/// `held` who it is now.
pub(super) fn fill(
    fields: &mut Fields,
    (now, held): (Option<&str>, Option<&str>),
    (basis, seen): (Basis, Option<&str>),
) {
    let changed = basis != Basis::Seen || shown(now).as_deref() != seen;
    match now {
        // Of a map that was cleared all that it has is to stay.
        Some(principal) if changed && (held != now || basis == Basis::Cleared) => {
            fields.set_principal(principal)
        }
        // A map that says nothing of this session removes nothing.
        None if changed && held.is_some() && basis != Basis::Foreign => fields.clear_principal(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(
        now: Option<&str>,
        held: Option<&str>,
        basis: Basis,
        seen: Option<&str>,
    ) -> Option<Option<String>> {
        let mut fields = Fields::default();
        fill(&mut fields, (now, held), (basis, shown(seen).as_deref()));
        fields.principal
    }

    #[test]
    fn only_what_a_request_changed_is_written() {
        let (ada, bob) = (Some("ada"), Some("bob"));
        let login = |who: &str| Some(Some(who.to_owned()));
        assert_eq!(filled(ada, None, Basis::Seen, None), login("ada"));
        assert_eq!(filled(bob, ada, Basis::Seen, ada), login("bob"));
        assert_eq!(filled(None, ada, Basis::Seen, ada), Some(None));
        // Another request logged in, or out, or in as another, since this one loaded.
        assert_eq!(filled(None, ada, Basis::Seen, None), None);
        assert_eq!(filled(ada, None, Basis::Seen, ada), None);
        assert_eq!(filled(ada, bob, Basis::Seen, ada), None);
        // It is held already.
        assert_eq!(filled(ada, ada, Basis::Seen, None), None);
        assert_eq!(filled(ada, ada, Basis::Foreign, None), None);
        // A cleared map keeps what it has, and nothing else.
        assert_eq!(filled(ada, ada, Basis::Cleared, None), login("ada"));
        assert_eq!(filled(None, ada, Basis::Cleared, None), Some(None));
        assert_eq!(filled(None, ada, Basis::Foreign, None), None);
    }
}
