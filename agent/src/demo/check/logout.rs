//! A logout is final: nothing saved concurrently on the other side of a cut brings the session back.

use std::time::{Duration, Instant};

use super::super::fleet::Fleet;
use super::super::shopper::Shopper;
use super::{Outcome, settle};

/// Where the logout happens, alone on its side.
const LOGOUT_AT: usize = 1;
/// Where a slow request holds the session.
const HELD_AT: usize = 2;
/// Every node must know of the logout this long after the heal (s).
const KNOWN_WITHIN_S: u64 = 10;
/// And stay silent for this long (s): several anti-entropy rounds and audits of every pair.
const SILENT_S: u64 = 30;
/// The same with `--quick` (s).
const SILENT_QUICK_S: u64 = 5;
/// How often nodes are asked (ms).
const POLL_MS: u64 = 20;

/// Logs out on one side while the other saves, heals, and watches every node.
pub async fn is_final(fleet: &Fleet, quick: bool) -> Outcome {
    let mut shopper = Shopper::default();
    let (out, held) = (&fleet.places[LOGOUT_AT], &fleet.places[HELD_AT]);
    shopper.login(held.shop, "ada").await?;
    settle::all_equal(fleet, &shopper).await?;
    fleet.isolate(Some(LOGOUT_AT)).await?;
    let ticket = shopper.hold(held.shop).await?;
    shopper.logout(out.shop).await?;
    if !shopper.save_held(held.shop, ticket, "during the cut").await?.saved {
        return Err(format!("node {} knew of the logout: the cut was none", held.name));
    }
    if shopper.known_me(held.shop).await?.attributes.get("late") != Some(&"during the cut".into()) {
        return Err(format!("node {} does not show what it saved", held.name));
    }
    fleet.isolate(None).await?;
    let silent = Duration::from_secs(if quick { SILENT_QUICK_S } else { SILENT_S });
    let slowest = watch(fleet, &shopper, silent).await?;
    settle::all_equal(fleet, &shopper).await?;
    // The slow request's save arrives once more: nothing to save to, and no error.
    if shopper.save_held(held.shop, ticket, "after the heal").await?.saved {
        return Err("a save after the logout was accepted".into());
    }
    settle::all_see_all(fleet).await?;
    Ok(format!(
        "known everywhere {} ms after the heal, silent for {} s more",
        slowest.as_millis(),
        silent.as_secs()
    ))
}

/// Polls every node until all were without the session for `silent`; how long the slowest took to learn.
async fn watch(fleet: &Fleet, shopper: &Shopper, silent: Duration) -> Result<Duration, String> {
    let begun = Instant::now();
    let mut known: Vec<Option<Duration>> = vec![None; fleet.places.len()];
    loop {
        for (place, known) in fleet.places.iter().zip(&mut known) {
            let shown = shopper.known_me(place.shop).await?.user.is_some();
            match (shown, &known) {
                (true, Some(at)) => {
                    let ms = at.as_millis();
                    return Err(format!(
                        "node {} shows the session again, after {ms} ms without",
                        place.name
                    ));
                }
                (false, None) => *known = Some(begun.elapsed()),
                _ => {}
            }
        }
        let slowest = known.iter().copied().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        match slowest {
            Some(slowest) if begun.elapsed() >= slowest + silent => return Ok(slowest),
            None if begun.elapsed().as_secs() >= KNOWN_WITHIN_S => {
                return Err(format!("not every node knows of the logout {KNOWN_WITHIN_S} s after the heal"));
            }
            _ => tokio::time::sleep(Duration::from_millis(POLL_MS)).await,
        }
    }
}
