//! The core as a state machine: its join, its messages, its node and its detector, without clock, network or threads.

mod absent;
mod bounds;
mod caps;
mod clocks;
mod directed;
mod ends;
mod found;
mod golden;
mod golden_membership;
mod gone_bad;
mod hold;
mod join;
mod labels;
mod lattice;
mod marks;
mod membership;
mod memory_bound;
mod merge_tables;
mod mutants;
mod principals;
mod random;
mod rounds;
mod scenarios;
mod told;
mod traffic;
