//! Requests that meet.

use serde_json::json;
use tokio::join;

use super::fleet::Fleet;
use super::subject::{Request, Subject};

pub(super) async fn disjoint_keys<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada")), ("old", json!(1)), ("kept", json!(1))];
    // At different nodes, and at one.
    for other in [1, 0] {
        let id = fleet.create(2, &data).await?;
        let mut first = fleet.request(0, &id, &data).await?;
        let mut second = fleet.request(other, &id, &data).await?;
        first.insert("cart", json!("apples"));
        first.insert("user", json!("eve"));
        second.insert("lang", json!("en"));
        second.remove("old");
        let (saved, also) = join!(fleet.save(0, &id, &mut first), fleet.save(other, &id, &mut second));
        saved.and(also)?;
        let there =
            [("user", json!("eve")), ("kept", json!(1)), ("cart", json!("apples")), ("lang", json!("en"))];
        fleet.has(&id, &there, &["old"]).await?;
    }
    Ok(())
}

pub(super) async fn same_key<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada")), ("lang", json!("de"))];
    let id = fleet.create(2, &data).await?;
    let mut first = fleet.request(0, &id, &data).await?;
    let mut second = fleet.request(1, &id, &data).await?;
    first.insert("lang", json!("en"));
    second.insert("lang", json!("fr"));
    let (saved, also) = join!(fleet.save(0, &id, &mut first), fleet.save(1, &id, &mut second));
    saved.and(also)?;
    let winner = fleet.agree(&id, "lang", &[json!("en"), json!("fr")]).await?;
    fleet.has(&id, &[("user", json!("ada")), ("lang", winner)], &[]).await
}

pub(super) async fn clear_against_add<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada")), ("cart", json!("apples"))];
    for other in [1, 0] {
        let id = fleet.create(2, &data).await?;
        let mut clearing = fleet.request(0, &id, &data).await?;
        let mut adding = fleet.request(other, &id, &data).await?;
        clearing.clear();
        clearing.insert("note", json!("goodbye"));
        adding.insert("lang", json!("en"));
        fleet.save(0, &id, &mut clearing).await?;
        fleet.has(&id, &[("note", json!("goodbye"))], &["user", "cart"]).await?;
        fleet.save(other, &id, &mut adding).await?;
        let there = [("note", json!("goodbye")), ("lang", json!("en"))];
        fleet.has(&id, &there, &["user", "cart"]).await?;
    }
    Ok(())
}

pub(super) async fn take_back<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada")), ("kept", json!(1))];
    let id = fleet.create(1, &data).await?;
    let mut request = fleet.request(0, &id, &data).await?;
    request.insert("draft", json!(1));
    fleet.save(0, &id, &mut request).await?;
    request.remove("draft");
    request.remove("kept");
    fleet.save(0, &id, &mut request).await?;
    fleet.has(&id, &[("user", json!("ada"))], &["draft", "kept"]).await?;
    request.insert("kept", json!(1));
    fleet.save(0, &id, &mut request).await?;
    fleet.has(&id, &data, &["draft"]).await
}

pub(super) async fn clock_skew<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let mut seen = [("turn", json!(0))];
    let id = fleet.create(0, &seen).await?;
    // Every node after every other: one of them has the clock that is furthest behind.
    let nodes = fleet.nodes().len();
    let turns = (0..nodes).flat_map(|first| (0..nodes).flat_map(move |second| [first, second]));
    for (turn, n) in turns.enumerate() {
        let mut request = fleet.request(n, &id, &seen).await?;
        seen = [("turn", json!(turn + 1))];
        request.insert("turn", json!(turn + 1));
        fleet.save(n, &id, &mut request).await?;
    }
    fleet.has(&id, &seen, &[]).await?;
    // A removal that has seen the write wins too.
    let mut request = fleet.request(1, &id, &seen).await?;
    request.remove("turn");
    fleet.save(1, &id, &mut request).await?;
    fleet.has(&id, &[], &["turn"]).await
}
