//! The random browsers find each seeded bug of the web's: only in a build with `--cfg sessionmesh_mutants`.

#![cfg(sessionmesh_mutants)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use sessionmesh::core::mutants::{Mutant, select};

use crate::web_programs::layer::{across_cuts, on_one_node};
use crate::web_programs::program::Rules;

/// Runs one kind of programs to the end, or to the first that breaks a rule: which one it was.
fn broken<F: Future<Output = ()>>(programs: impl Fn() -> F) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(programs())));
    let said = ran.err()?;
    let said = said.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".into());
    Some(said.lines().next().unwrap_or_default().to_owned())
}

fn found() -> Option<String> {
    let no_grace = Rules { no_grace: true, ..Rules::default() };
    let fills = Rules { fills: true, ..Rules::default() };
    broken(|| on_one_node(150, Rules::default()))
        .or_else(|| broken(|| on_one_node(100, no_grace)))
        .or_else(|| broken(|| on_one_node(50, fills)))
        .or_else(|| broken(|| across_cuts(25)))
}

#[test]
fn the_browsers_find_every_bug_of_the_webs() {
    assert_eq!(found(), None, "without any");
    let mut missed = Vec::new();
    // A bug that is found panics by design.
    std::panic::set_hook(Box::new(|_| {}));
    for mutant in Mutant::ALL.iter().copied().filter(|mutant| mutant.is_web()) {
        select(Some(mutant));
        let how = found();
        println!("{:<34} {}", mutant.name(), how.as_deref().unwrap_or("SURVIVED"));
        if how.is_none() {
            missed.push(mutant.name());
        }
    }
    select(None);
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "{missed:?}");
}
