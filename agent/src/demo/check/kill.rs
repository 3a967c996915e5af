//! A login and a cart survive the SIGKILL of the node that served them, without a pause after its answer.

use std::time::{Duration, Instant};

use super::super::fleet::Fleet;
use super::super::once::kill_after_answer;
use super::super::shopper::Shopper;
use super::{NODES, Outcome, settle};

/// How often, with a restart each: a promise that holds nine times in ten fails this.
const ROUNDS: usize = 20;

/// Kills every node in turn.
pub async fn after_answers(fleet: &Fleet) -> Outcome {
    let mut shoppers = Vec::new();
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
        // The next kill comes when there are three copies again: two survive one loss, not two in 50 ms.
        settle::all_equal(fleet, &kill.shopper).await?;
        shoppers.push(kill.shopper);
    }
    all_still_there(fleet, &shoppers).await?;
    Ok(format!(
        "{ROUNDS} kills, nothing lost; {at_once} carts there at the first read, the slowest {} ms after the kill; \
         restart to ready at most {} ms",
        slowest.as_millis(),
        back.as_millis()
    ))
}

/// By now every node has been killed several times: what they hold they have from each other.
async fn all_still_there(fleet: &Fleet, shoppers: &[Shopper]) -> Result<(), String> {
    for (round, shopper) in shoppers.iter().enumerate() {
        for place in &fleet.places {
            if shopper.known_me(place.shop).await?.items.get("lamp") != Some(&1) {
                return Err(format!(
                    "node {}: the cart of round {round} is gone after later kills",
                    place.name
                ));
            }
        }
    }
    Ok(())
}
