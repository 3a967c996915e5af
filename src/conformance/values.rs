//! Ids, keys and values.

use serde_json::{Value, json};

use super::fleet::{Fleet, LONG, keys, told};
use super::subject::{Request, Subject};

/// Creates whose ids are compared, where nobody may ask for one.
const MANY: usize = 100;

pub(super) async fn create_collision<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let data = [("owner", json!("first"))];
    let id = fleet.create(0, &data).await?;
    fleet.has(&id, &data, &[]).await?;
    let mut ids = vec![id.clone()];
    for n in 0..MANY {
        let (node, other) = (fleet.at(n), keys(&[("owner", json!("second"))]));
        let new = match node.create_as(&id, &other, LONG).await.map_err(|e| told("create", &e))? {
            Some(new) => new,
            None => node.create(&other, LONG).await.map_err(|e| told("create", &e))?,
        };
        if ids.contains(&new) {
            return Err(format!("create {} was given an id in use", n + 2));
        }
        ids.push(new);
    }
    fleet.has(&id, &data, &[]).await
}

pub(super) async fn big_value<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let (big, bigger) = (json!("x".repeat(1_000_000)), json!("y".repeat(1_000_000)));
    let id = fleet.create(0, &[("big", big.clone())]).await?;
    let mut request = fleet.request(1, &id, &[("big", big)]).await?;
    request.insert("big", bigger.clone());
    fleet.save(1, &id, &mut request).await?;
    fleet.has(&id, &[("big", bigger)], &[]).await
}

pub(super) async fn odd_keys<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let long = "k".repeat(255);
    let odd = [" ", "a.b", "ключ", "🔑", "\"'`", "\u{0}", "a\u{0}b", "\\n\n\r\t", "__proto__", "$ref", &long];
    let data: Vec<_> = odd.iter().enumerate().map(|(n, key)| (*key, json!(n))).collect();
    let id = fleet.create(0, &data).await?;
    let mut request = fleet.request(1, &id, &data).await?;
    for (n, key) in odd.iter().enumerate() {
        match n % 2 {
            0 => request.remove(key),
            _ => request.insert(key, json!(-1)),
        }
    }
    fleet.save(1, &id, &mut request).await?;
    let changed =
        |rest: usize| odd.iter().enumerate().filter(move |(n, _)| n % 2 == rest).map(|(_, key)| *key);
    let there: Vec<_> = changed(1).map(|key| (key, json!(-1))).collect();
    fleet.has(&id, &there, &changed(0).collect::<Vec<_>>()).await
}

pub(super) async fn values_survive<S: Subject>(fleet: &Fleet<S>) -> Result<(), String> {
    let all: [(&str, Value); 9] = [
        ("null", json!(null)),
        ("truth", json!([true, false])),
        ("whole", json!([0, -1, i64::MIN, u64::MAX])),
        // None that JSON parsers are known to read a bit off.
        ("fraction", json!([0.1, -1.5e-20, f64::MAX, 5e-324])),
        ("text", json!(["", "ü", "\u{0}", "\"\\\u{7f}", "👩‍👩‍👧"])),
        ("list", json!([[], [[]], [1, "two", null]])),
        ("map", json!({"": {}, "z": 1, "a": {"b": {"c": []}}})),
        ("deep", (0..30).fold(json!(1), |inner, _| json!([inner]))),
        ("long", json!((0..1_000).collect::<Vec<_>>())),
    ];
    let id = fleet.create(0, &all).await?;
    let mut request = fleet.request(1, &id, &all).await?;
    request.insert("more", json!(1));
    fleet.save(1, &id, &mut request).await?;
    fleet.has(&id, &all, &[]).await
}
