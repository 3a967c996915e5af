//! The swarm: each seed draws a whole scenario, in the manner of swarm testing (Groce et al. 2012): features are
//! switched on and off per seed, so that rare combinations come up undiluted.

mod campaign;
mod draw;

pub use self::campaign::{Campaign, Pair, Report, median};
pub use self::draw::scenario;
