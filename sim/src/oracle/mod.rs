//! What the simulator itself knows: every write that happened, who holds it, and what folding them must give.
//!
//! The oracle shares no code with the product: it never joins, encodes or compares by the core's functions. It
//! knows what a write did by looking at the writer's record once, right after the write.

mod fold;
mod history;
mod logins;
mod misled;

pub use self::fold::{Expected, fold};
pub use self::history::{CoverChange, Effect, History, LifeOf, Op, SessionOf, Stamp};
pub use self::logins::{LoginOf, Logins, RevocationOf};
pub use self::misled::{Misled, Peaks};
