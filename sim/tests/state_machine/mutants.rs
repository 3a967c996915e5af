//! The seeded bugs can be told apart, switched on one at a time, and are off otherwise.

#![cfg(sessionmesh_mutants)]

use std::collections::BTreeSet;

use sessionmesh::core::mutants::{MARKER, Mutant, on, select};
use sessionmesh::core::time::{Hlc, HybridClock};

/// One test for all, since the selection is the process's.
#[test]
fn one_is_selected_at_a_time_and_does_what_it_says() {
    let names: BTreeSet<&str> = Mutant::ALL.iter().map(|m| m.name()).collect();
    assert_eq!(names.len(), Mutant::ALL.len(), "unique");
    assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    assert!(Mutant::ALL.iter().all(|m| m.about().ends_with('.')));
    assert!(Mutant::ALL.len() >= 36 && MARKER.starts_with("sessionmesh"));
    assert!(!Mutant::ALL.iter().any(|&m| on(m)), "none until one is selected");
    for &mutant in Mutant::ALL {
        select(Some(mutant));
        assert_eq!(Mutant::ALL.iter().filter(|&&m| on(m)).collect::<Vec<_>>(), [&mutant]);
    }
    let clock = HybridClock::default();
    clock.observe(Hlc::new(5_000, 7));
    select(Some(Mutant::WallClockStamps));
    assert_eq!(clock.tick(1_000), Hlc::new(1_000, 0));
    select(None);
    assert_eq!(clock.tick(1_000), Hlc::new(5_000, 8));
}
