//! A node restarted without its memory does not serve before it has every live session, and until then never
//! says "logged out" to somebody who is not.

use std::time::{Duration, Instant};

use super::super::ask::{self, Dump};
use super::super::fleet::{CEILING_S, Fleet};
use super::super::shopper::Shopper;
use super::{Outcome, is_late};

/// Sessions to lose and get back.
const SESSIONS: usize = 2_000;
/// Logins under way at once.
const CLIENTS: usize = 8;
/// The node that loses its memory.
const EMPTY: usize = 0;
/// One that does not.
const FULL: usize = 1;

/// Fills the mesh, empties a node, and watches it come back.
pub async fn gets_everything_back(fleet: &Fleet) -> Outcome {
    let shoppers = fill(fleet).await?;
    let before = equal_dumps(fleet).await?;
    let live = before.values().filter(|record| record.live.is_some()).count();
    fleet.kill(EMPTY).await;
    let begun = Instant::now();
    fleet.restart(EMPTY).await?;
    let early = until_ready(fleet, &shoppers, begun).await?;
    let ready = begun.elapsed();
    let after = ask::dump(fleet.places[EMPTY].shop, &fleet.tokens.drill, None).await?;
    let missing =
        before.iter().filter(|(id, record)| record.live.is_some() && after.get(*id) != Some(record)).count();
    if missing > 0 {
        return Err(format!(
            "{missing} of {live} live sessions missing or different at a node that says ready"
        ));
    }
    Ok(format!(
        "{live} sessions; ready {} ms after the restart, with all of them; before: {early}",
        ready.as_millis()
    ))
}

async fn fill(fleet: &Fleet) -> Result<Vec<Shopper>, String> {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let node = fleet.places[client % fleet.places.len()].shop;
        clients.spawn(async move {
            let mut shoppers = Vec::new();
            for n in 0..SESSIONS / CLIENTS {
                let mut shopper = Shopper::default();
                shopper.login(node, &format!("user {client} {n}")).await?;
                shoppers.push(shopper);
            }
            Ok::<_, String>(shoppers)
        });
    }
    let filled: Result<Vec<Vec<Shopper>>, String> = clients.join_all().await.into_iter().collect();
    Ok(filled?.into_iter().flatten().collect())
}

/// Waits until the nodes hold the same, and returns it.
async fn equal_dumps(fleet: &Fleet) -> Result<Dump, String> {
    let begun = Instant::now();
    loop {
        let mut dumps = Vec::new();
        for place in &fleet.places {
            dumps.push(ask::dump(place.shop, &fleet.tokens.drill, None).await?);
        }
        if dumps.iter().all(|dump| *dump == dumps[FULL]) {
            return Ok(dumps.swap_remove(FULL));
        }
        if is_late(begun) {
            return Err(format!("the nodes hold different sessions after {CEILING_S} s"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads one session after the other until the node says it is ready. Every answer before that must be "I cannot
/// know" or the session itself.
async fn until_ready(fleet: &Fleet, shoppers: &[Shopper], begun: Instant) -> Outcome {
    let node = &fleet.places[EMPTY];
    let (mut found, mut unknown) = (0, 0);
    for shopper in shoppers.iter().cycle() {
        match shopper.me(node.shop).await? {
            None => unknown += 1,
            Some(me) if me.user.is_some() => found += 1,
            Some(_) => return Err(format!("node {} said \"logged out\" while it was joining", node.name)),
        }
        if ask::is_ready(node.shop).await {
            break;
        }
        if is_late(begun) {
            return Err(format!("node {} does not serve after {CEILING_S} s", node.name));
        }
    }
    Ok(format!("{found} reads found through peers, {unknown} answered 503"))
}
