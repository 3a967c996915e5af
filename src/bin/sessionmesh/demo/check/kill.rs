//! A login and a cart survive the SIGKILL of the node that served them, without a pause after its answer.

use std::time::{Duration, Instant};

use super::super::fleet::Fleet;
use super::super::once::kill_after_answer;
use super::{NODES, Outcome};

/// How often, with a restart each: a promise that holds nine times in ten fails this.
const ROUNDS: usize = 20;

/// Kills every node in turn.
pub async fn after_answers(fleet: &Fleet) -> Outcome {
    let (mut at_once, mut slowest, mut back) = (0, Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let (victim, reader) = (round % NODES, (round + 1) % NODES);
        let kill =
            kill_after_answer(fleet, victim, reader).await.map_err(|e| format!("round {round}: {e}"))?;
        at_once += usize::from(kill.reads == 1);
        slowest = slowest.max(kill.seen);
        let begun = Instant::now();
        fleet.restart(victim).await?;
        fleet.until_ready(victim).await?;
        back = back.max(begun.elapsed());
    }
    Ok(format!(
        "{ROUNDS} kills; {at_once} carts there at the first read, the slowest {} ms after the kill; \
         restart to ready at most {} ms",
        slowest.as_millis(),
        back.as_millis()
    ))
}
