//! The hunt for seeded bugs: a suite that cannot see them proves little. Only a binary built with
//! `--cfg sessionmesh_mutants` holds any; `sessionmesh-sim mutants` builds it, in a folder of its own.

/// Whether this binary holds seeded bugs.
pub const BUILT_IN: bool = cfg!(sessionmesh_mutants);

/// The names of all seeded bugs with a sentence on each; empty in a shipped binary.
pub fn list() -> Vec<(&'static str, &'static str)> {
    #[cfg(sessionmesh_mutants)]
    return sessionmesh::core::mutants::Mutant::ALL
        .iter()
        .filter(|m| !m.is_web())
        .map(|m| (m.name(), m.about()))
        .collect();
    #[cfg(not(sessionmesh_mutants))]
    Vec::new()
}

/// Switches one seeded bug on, all others off; `None` switches all off. Whether it is known.
pub fn select(name: Option<&str>) -> bool {
    #[cfg(sessionmesh_mutants)]
    {
        use sessionmesh::core::mutants::{Mutant, select};
        let found = name.and_then(|name| Mutant::ALL.iter().copied().find(|m| m.name() == name));
        select(found);
        name.is_none() || found.is_some()
    }
    #[cfg(not(sessionmesh_mutants))]
    name.is_none()
}
