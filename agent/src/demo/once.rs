//! The promise in one act: log in on a node, kill it right after its answer, and go on at another.

use std::time::{Duration, Instant};

use super::fleet::{CEILING_S, Fleet};
use super::shopper::Shopper;

/// How one kill went.
pub struct Kill {
    /// From the login request to the cart's answer.
    pub shopping: Duration,
    /// From the kill to the first answer of the other node that shows login and cart.
    pub seen: Duration,
    /// Answers of the other node until it showed both: one, unless it was served before the news arrived.
    pub reads: u32,
    /// Who did this, still logged in.
    pub shopper: Shopper,
}

/// Logs in and adds to the cart at `victim`, kills it without a pause, and reads at `reader`.
pub async fn kill_after_answer(fleet: &Fleet, victim: usize, reader: usize) -> Result<Kill, String> {
    let (from, to) = (&fleet.places[victim], &fleet.places[reader]);
    let mut shopper = Shopper::default();
    let begun = Instant::now();
    let login = shopper.login(from.shop, "ada").await?;
    let add = shopper.add(from.shop, "lamp").await?;
    let shopping = begun.elapsed();
    let killed = Instant::now();
    fleet.kill(victim).await;
    if !login.replicated || !add.replicated {
        return Err(format!("node {} answered before a second node had the write", from.name));
    }
    let mut reads = 0;
    loop {
        reads += 1;
        let me = shopper.known_me(to.shop).await?;
        if me.user.as_deref() != Some("ada") {
            return Err(format!("node {}: logged out after the kill of node {}", to.name, from.name));
        }
        if me.items.get("lamp") == Some(&1) {
            return Ok(Kill { shopping, seen: killed.elapsed(), reads, shopper });
        }
        if killed.elapsed() > Duration::from_secs(CEILING_S) {
            return Err(format!("node {}: the cart is lost after the kill of node {}", to.name, from.name));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
