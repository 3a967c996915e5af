//! One session: its id, its state as a lattice element, the join, the packed record, and the reserved fields of it (whose it
//! is, keys, lineage, an end of its own).

mod context;
mod dots;
mod ends;
mod id;
mod join;
mod keys;
mod lineage;
mod packed;
mod principal;
mod state;

pub use context::{CUT, Saw, context_of, is_cut};
pub use dots::Dots;
pub use ends::{Bound, ENDS_KEY, NEVER_MS, asked, end_in, end_of};
pub use id::{LogHash, SessionId};
pub use join::{Conflict, Findings, join};
pub use keys::{HeldKey, KeyHash, Keys, Opens, SessionKey, opens, opens_bare};
pub use lineage::{
    LINEAGE_KEY, LOGIN_ID_KEY, Lineage, LoginId, family, family_of_change, is_moved, moved_key,
    reserved_word, rotations, successors,
};
pub use packed::{Fields, Packed, encode};
pub use principal::{
    Login, PRINCIPAL_KEY, RESERVED_PREFIX, REVOKED_KEY, ROTATED_KEY, SeenRevocations, Spared, is_reserved,
};
pub use state::{
    Birth, Dead, Field, Live, Mark, Op, State, Ttl, TtlReg, deadline_ms, high_marks, stable_deadline_ms,
};
