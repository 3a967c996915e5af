//! What a new id takes along, and what a logout ends then.

use serde_json::json;

use super::fleet::{Fleet, LONG, told};
use super::subject::{Request, Subject};

pub(super) async fn keeps_others_writes<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("cart", json!("apples")), ("lang", json!("en")), ("user", json!("ada"))];
    let old = fleet.create(0, &data).await?;
    let mut request = fleet.request(1, &old, &data).await?;
    let mut other = fleet.request(1, &old, &data).await?;
    other.insert("cart", json!("bread"));
    other.insert("more", json!(1));
    other.remove("lang");
    fleet.save(1, &old, &mut other).await?;
    request.insert("mine", json!(1));
    let new = fleet.at(1).cycle(&old, &mut request, LONG).await.map_err(|e| told("cycle", &e))?;
    let all = [("cart", json!("bread")), ("more", json!(1)), ("mine", json!(1)), ("user", json!("ada"))];
    fleet.has(&new, &all, &["lang"]).await?;
    fleet.has_not(&old).await
}

pub(super) async fn delete_after_cycle<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada"))];
    let old = fleet.create(0, &data).await?;
    let mut request = fleet.request(1, &old, &data).await?;
    let new = fleet.at(1).cycle(&old, &mut request, LONG).await.map_err(|e| told("cycle", &e))?;
    fleet.request(2, &new, &data).await?;
    fleet.delete(2, &new).await?;
    fleet.has_not(&new).await?;
    fleet.has_not(&old).await
}

/// Two rotations, and two log-ins of one user.
pub(super) async fn delete_after_two_cycles<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    for (there, login) in [("user", None), ("cart", Some("ada"))] {
        let data = [(there, json!("ada"))];
        let old = fleet.create(0, &data).await?;
        let mut first = fleet.request(0, &old, &data).await?;
        let mut second = fleet.request(1, &old, &data).await?;
        for request in [&mut first, &mut second] {
            login.into_iter().for_each(|user| request.insert("user", json!(user)));
        }
        let one = fleet.at(0).cycle(&old, &mut first, LONG).await.map_err(|e| told("cycle", &e))?;
        // A store may refuse a second new id.
        let Ok(two) = fleet.at(1).cycle(&old, &mut second, LONG).await else { continue };
        fleet.has(&two, &data, &[]).await?;
        fleet.delete(2, &two).await?;
        fleet.has_not(&two).await?;
        fleet.has_not(&one).await?;
    }
    Ok(())
}

/// On the node of the request and on another; it may take a moment until a store knows which it was.
pub(super) async fn cycle_after_delete<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("user", json!("ada"))];
    for logout in [0, 1] {
        let old = fleet.create(0, &data).await?;
        let mut request = fleet.request(0, &old, &data).await?;
        fleet.request(logout, &old, &data).await?;
        fleet.delete(logout, &old).await?;
        fleet.has_not(&old).await?;
        if let Ok(new) = fleet.at(0).cycle(&old, &mut request, LONG).await {
            fleet.has_not(&new).await?;
        }
    }
    Ok(())
}
