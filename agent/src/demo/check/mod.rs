//! `demo --check`: breaks what can be broken and proves each promise, over HTTP, as browsers would see it. Ends
//! at the first broken promise.

mod cut;
mod kill;
mod logout;
mod rejoin;
mod roll;
mod settle;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use super::fleet::{CEILING_S, Fleet};

/// Nodes of a check: the fewest where a cut leaves a majority and a minority.
pub const NODES: usize = 3;

/// What a step found: the facts, or the promise that was broken.
type Outcome = Result<String, String>;

/// Runs all steps. The exit code is 0 if every promise held.
pub async fn run(fleet: &Fleet, quick: bool) -> ExitCode {
    let begun = Instant::now();
    let mut passed = 0;
    let outcome = steps(fleet, quick, &mut passed).await;
    let total_s = begun.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            say(&format!("{passed} passed, 0 failed ({total_s:.1} s)"));
            ExitCode::SUCCESS
        }
        Err(()) => {
            eprintln!("{}", fleet.logs(&[0, 1, 2]));
            say(&format!("{passed} passed, 1 failed ({total_s:.1} s)"));
            ExitCode::FAILURE
        }
    }
}

async fn steps(fleet: &Fleet, quick: bool, passed: &mut u32) -> Result<(), ()> {
    step(passed, "three nodes serve", launch(fleet)).await?;
    step(passed, "a login survives the kill of its node", kill::after_answers(fleet)).await?;
    step(passed, "both sides of a cut merge", cut::both_sides_merge(fleet)).await?;
    step(passed, "a logout is final", logout::is_final(fleet, quick)).await?;
    step(passed, "a node that lost its memory gets it back", rejoin::gets_everything_back(fleet)).await?;
    step(passed, "a rolling restart is not noticed", roll::is_not_noticed(fleet)).await
}

/// Runs one step and prints its line.
async fn step(passed: &mut u32, name: &str, proof: impl Future<Output = Outcome>) -> Result<(), ()> {
    let begun = Instant::now();
    let outcome = proof.await;
    let ms = begun.elapsed().as_millis();
    match outcome {
        Ok(facts) => {
            say(&format!("ok    {name:<42}{ms:>7} ms  {facts}"));
            *passed += 1;
            Ok(())
        }
        Err(why) => {
            say(&format!("FAIL  {name:<42}{ms:>7} ms  {why}"));
            Err(())
        }
    }
}

async fn launch(fleet: &Fleet) -> Outcome {
    fleet.launch().await?;
    let ms = settle::all_see_all(fleet).await?.as_millis();
    Ok(format!("every node linked to every other {ms} ms after all served"))
}

/// A reader that has gone away is no reason to stop half-way.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Whether a wait that began then has gone on for too long.
fn is_late(begun: Instant) -> bool {
    begun.elapsed().as_secs() >= CEILING_S
}
