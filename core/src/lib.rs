//! The pure core: no clock, no entropy, no sockets, no threads. Time, randomness and the hash key come in
//! from outside; effects leave as values. That is what lets the simulator run the shipped code.

/// Whether a rule is broken on purpose here (see `mutants.rs`): the word `false` in everything that is shipped.
#[cfg(not(sessionmesh_mutants))]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}

#[cfg(sessionmesh_mutants)]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::on($crate::mutants::Mutant::$name)
    };
}

pub mod causality;
pub mod frame;
pub mod histogram;
pub mod limits;
pub mod marks;
pub mod membership;
#[cfg(sessionmesh_mutants)]
pub mod mutants;
pub mod node;
pub mod replica;
pub mod session;
pub mod time;
pub mod wall;
pub mod wire;
