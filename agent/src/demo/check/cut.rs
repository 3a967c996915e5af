//! Both sides of a cut go on writing, and after the heal every node holds the same merged record.

use std::time::Duration;

use super::super::fleet::Fleet;
use super::super::shopper::Shopper;
use super::{Outcome, settle};

/// The node alone on its side: it must be cut from *both* others, or one of them would relay.
const ALONE: usize = 1;
/// A node on the other side.
const MANY: usize = 0;
/// A write that crosses a healthy mesh in a millisecond or two, and in a second if its push is lost, has not
/// crossed after this (ms): the cut is a cut.
const NOT_ARRIVED_MS: u64 = 1_200;
/// The later of two writes is at least this much later (ms): far above the clocks' resolution.
const LATER_MS: u64 = 60;

/// Twice: the later write from each side once.
pub async fn both_sides_merge(fleet: &Fleet) -> Outcome {
    let first = once(fleet, [MANY, ALONE]).await?;
    let second = once(fleet, [ALONE, MANY]).await?;
    Ok(format!(
        "twice; same record everywhere {} and {} ms after the heal; the later write won from either side",
        first.as_millis(),
        second.as_millis()
    ))
}

async fn once(fleet: &Fleet, [earlier, later]: [usize; 2]) -> Result<Duration, String> {
    let mut shopper = Shopper::default();
    shopper.login(fleet.places[MANY].shop, "ada").await?;
    settle::all_equal(fleet, &shopper).await?;
    fleet.isolate(Some(ALONE)).await?;
    prove(fleet, &shopper).await?;
    shopper.set(fleet.places[earlier].shop, "same", "earlier").await?;
    tokio::time::sleep(Duration::from_millis(LATER_MS)).await;
    shopper.set(fleet.places[later].shop, "same", "later").await?;
    shopper.set(fleet.places[ALONE].shop, "only-alone", "yes").await?;
    shopper.set(fleet.places[MANY].shop, "only-many", "yes").await?;
    fleet.isolate(None).await?;
    let healed = settle::all_equal(fleet, &shopper).await?;
    for place in &fleet.places {
        let me = shopper.known_me(place.shop).await?;
        let wanted = [("same", "later"), ("only-alone", "yes"), ("only-many", "yes"), ("probe", "sent")];
        if let Some((key, value)) =
            wanted.iter().find(|(key, value)| me.attributes.get(*key) != Some(&(*value).into()))
        {
            let is = me.attributes.get(*key);
            return Err(format!("node {}: {key} is {is:?} and should be {value:?}", place.name));
        }
    }
    settle::all_see_all(fleet).await?;
    Ok(healed)
}

/// A write on one side must not show on the other.
async fn prove(fleet: &Fleet, shopper: &Shopper) -> Result<(), String> {
    shopper.set(fleet.places[MANY].shop, "probe", "sent").await?;
    tokio::time::sleep(Duration::from_millis(NOT_ARRIVED_MS)).await;
    let me = shopper.known_me(fleet.places[ALONE].shop).await?;
    if me.attributes.contains_key("probe") {
        return Err("a write crossed the cut".into());
    }
    Ok(())
}
