//! How sessions end.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::fleet::{Fleet, LONG, keys, told};
use super::subject::{Request, Subject};

/// A short lifetime. Whole seconds, since some stores keep no others.
const SHORT: Duration = Duration::from_secs(2);
/// What a store that rounds may be late by.
const ROUNDING: Duration = Duration::from_secs(1);

pub(super) async fn late_save_after_delete<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada"))];
    for logout in [1, 0] {
        let id = fleet.create(2, &data).await?;
        let mut slow = fleet.request(0, &id, &data).await?;
        let mut unchanged = fleet.request(2, &id, &data).await?;
        fleet.request(logout, &id, &data).await?;
        fleet.delete(logout, &id).await?;
        fleet.has_not(&id).await?;
        slow.insert("seen", json!("page"));
        // Whether a late save is an error is the store's business; whether the user is in again is not.
        for (n, request) in [(0, &mut slow), (2, &mut unchanged)] {
            if let Ok(under) = fleet.save(n, &id, request).await {
                fleet.has_not(&under).await?;
            }
        }
        drop(fleet.at(2).touch(&id, &mut unchanged, LONG).await);
        fleet.has_not(&id).await?;
    }
    Ok(())
}

pub(super) async fn delete_twice<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let id = fleet.create(0, &[("user", json!("ada"))]).await?;
    for n in [0, 0, 1, 2] {
        fleet.delete(n, &id).await.map_err(|seen| format!("delete {}: {seen}", n + 1))?;
    }
    fleet.has_not(&id).await
}

pub(super) async fn cycle_keeps_data<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("cart", json!(["apples"])), ("lang", json!("en"))];
    for there in [&data[..], &[]] {
        let old = fleet.create(0, there).await?;
        let mut request = fleet.request(1, &old, there).await?;
        request.insert("user", json!("ada"));
        let new = fleet.at(1).cycle(&old, &mut request, LONG).await.map_err(|e| told("cycle", &e))?;
        if new == old {
            return Err("the id stayed the same".into());
        }
        fleet.has(&new, &[there, &[("user", json!("ada"))]].concat(), &[]).await?;
        fleet.has_not(&old).await?;
    }
    Ok(())
}

pub(super) async fn late_save_after_cycle<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("cart", json!(["apples"]))];
    let old = fleet.create(0, &data).await?;
    let mut request = fleet.request(1, &old, &data).await?;
    let mut late = fleet.request(2, &old, &data).await?;
    let new = fleet.at(1).cycle(&old, &mut request, LONG).await.map_err(|e| told("cycle", &e))?;
    fleet.has_not(&old).await?;
    late.insert("seen", json!("page"));
    if let Ok(under) = fleet.save(2, &old, &mut late).await {
        fleet.has_not(&under).await?;
    }
    fleet.has_not(&old).await?;
    fleet.has(&new, &data, &["seen"]).await
}

pub(super) async fn load_after_expiry<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let (data, idle) = ([("user", json!("ada"))], SHORT + fleet.allowed_skew());
    let since = Instant::now();
    let id = fleet.at(0).create(&keys(&data), idle).await.map_err(|e| told("create", &e))?;
    fleet.has(&id, &data, &[]).await?;
    sleep_until(since + idle + fleet.allowed_skew() + ROUNDING).await;
    fleet.has_not(&id).await
}

pub(super) async fn expiry_extension<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let (data, idle) = ([("user", json!("ada"))], SHORT + fleet.allowed_skew());
    let since = Instant::now();
    let id = fleet.at(0).create(&keys(&data), idle).await.map_err(|e| told("create", &e))?;
    let touched = fleet.at(0).create(&keys(&data), idle).await.map_err(|e| told("create", &e))?;
    let mut saving = fleet.request(1, &id, &data).await?;
    let mut touching = fleet.request(1, &touched, &data).await?;
    saving.insert("seen", json!("page"));
    fleet.save(1, &id, &mut saving).await?;
    fleet.at(1).touch(&touched, &mut touching, LONG).await.map_err(|e| told("touch", &e))?;
    sleep_until(since + idle + fleet.allowed_skew() + ROUNDING).await;
    fleet.has(&id, &data, &[]).await.map_err(|seen| format!("extended by a save: {seen}"))?;
    fleet.has(&touched, &data, &[]).await.map_err(|seen| format!("extended without a change: {seen}"))
}

pub(super) async fn sweep_keeps_live<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let (data, idle) = ([("user", json!("ada"))], SHORT + fleet.allowed_skew());
    let since = Instant::now();
    let ends = fleet.at(0).create(&keys(&data), idle).await.map_err(|e| told("create", &e))?;
    let stays = fleet.create(1, &data).await?;
    sleep_until(since + idle + fleet.allowed_skew() + ROUNDING).await;
    for n in 0..fleet.nodes().len() {
        fleet.at(n).sweep().await.map_err(|e| told("sweep", &e))?;
    }
    fleet.has_not(&ends).await?;
    fleet.has(&stays, &data, &[]).await
}

async fn sleep_until(then: Instant) {
    sleep(then.saturating_duration_since(Instant::now())).await;
}
