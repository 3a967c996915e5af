//! Waits of the check: until nodes see each other, until they hold the same.

use std::time::{Duration, Instant};

use super::super::ask;
use super::super::fleet::{CEILING_S, Fleet};
use super::super::shopper::Shopper;
use super::is_late;

/// How often nodes are asked (ms).
const POLL_MS: u64 = 10;

/// Waits until every node is linked to every other; how long it took.
pub async fn all_see_all(fleet: &Fleet) -> Result<Duration, String> {
    let begun = Instant::now();
    for place in &fleet.places {
        loop {
            let status = ask::status(place.shop).await?;
            let linked =
                |name: &str| status.members.iter().any(|m| m.node == name && m.linked && m.state == "alive");
            if fleet.places.iter().all(|other| linked(&other.name)) {
                break;
            }
            if is_late(begun) {
                return Err(format!("node {} is not linked to all others after {CEILING_S} s", place.name));
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
    }
    Ok(begun.elapsed())
}

/// Waits until every node's dump of the shopper's session is the same in every part: fields, values, stamps.
/// Never says what is in a dump: ids are secret.
pub async fn all_equal(fleet: &Fleet, shopper: &Shopper) -> Result<Duration, String> {
    let begun = Instant::now();
    loop {
        let mut dumps = Vec::new();
        for place in &fleet.places {
            dumps.push(ask::dump(place.shop, &fleet.tokens.drill, shopper.sid()).await?);
        }
        if dumps.iter().all(|dump| dump.len() == 1 && *dump == dumps[0]) {
            return Ok(begun.elapsed());
        }
        if is_late(begun) {
            return Err(format!("the nodes hold different records of one session after {CEILING_S} s"));
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    }
}
