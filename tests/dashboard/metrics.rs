//! `/metrics` as a scraper reads it, and what is built upon its names.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::header;

use super::{get, lasting, open, until};
use crate::meshes::{self, within};

/// The families of a scrape: name to kind, and what is wrong with them by the conventions of Prometheus.
fn linted(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut families = BTreeMap::new();
    let mut faults = Vec::new();
    let meta = |word: &str| -> BTreeMap<String, String> {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("# ")?.strip_prefix(word)?.trim().split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let (types, helps, units) = (meta("TYPE"), meta("HELP"), meta("UNIT"));
    for (name, kind) in &types {
        let mut fault = |why: &str| faults.push(format!("{name}: {why}"));
        if !name.starts_with("sessionmesh_") || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            fault("lower-case words after the application's name");
        }
        if helps.get(name).is_none_or(|help| help.trim().is_empty()) {
            fault("no help");
        }
        if name.ends_with("_total")
            || name.ends_with("_count")
            || name.ends_with("_sum")
            || name.ends_with("_bucket")
        {
            fault("a suffix that belongs to samples");
        }
        for (unit, word) in [("_seconds", "seconds"), ("_bytes", "bytes")] {
            if name.contains(unit) != (units.get(name).is_some_and(|held| held == word)) {
                fault("unit and name differ");
            }
        }
        if ["_ms", "_milliseconds", "_kb"].iter().any(|unit| name.ends_with(unit)) {
            fault("no base unit");
        }
        if kind == "histogram" && !units.contains_key(name) {
            fault("a histogram of nothing");
        }
        families.insert(name.clone(), kind.clone());
    }
    (families, faults)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_parsed_and_follows_the_conventions() {
    let meshes = meshes::linked("scrape").await;
    let router = open(&meshes[0]);
    // The delay of writes is timed once the node knows that somebody looks.
    let observed = "sessionmesh_replication_delay_seconds_count";
    let timed = async {
        loop {
            let receipt = meshes[0].sessions().create(lasting(), |_| Ok(())).unwrap();
            receipt.copies_within(3, meshes::CEILING).await.unwrap();
            let text = get(&router, "/metrics").await.text;
            if !text.contains(&format!("{observed} 0\n")) {
                return text;
            }
        }
    };
    let text = within("a timed write", timed).await;
    let answer = get(&router, "/metrics").await;
    let media_type = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
    assert!(text.ends_with("# EOF\n"));
    let (families, faults) = linted(&text);
    assert!(faults.is_empty(), "{faults:#?}");
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let samples: BTreeSet<&str> = scrape.samples.iter().map(|s| s.metric.as_str()).collect();
    for (name, kind) in &families {
        let sample = match kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.clone(),
        };
        assert!(samples.contains(sample.as_str()), "{sample} has no sample");
    }
    let alive = scrape.samples.iter().find(|s| s.labels.get("state") == Some("alive")).unwrap();
    assert_eq!(alive.value, prometheus_parse::Value::Gauge(3.0));
}

/// Names of our metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !word(c)).filter(|name| name.starts_with("sessionmesh_"));
    words.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_names_metrics_that_exist() {
    let a = meshes::alone("deployed").await;
    let router = open(&a);
    until(&router, "/api/v1/mesh", "a view", |v| v["word"] == "alone").await;
    let text = get(&router, "/metrics").await.text;
    let samples: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect();
    let (grafana, alerts) = (
        include_str!("../../deploy/grafana-dashboard.json"),
        include_str!("../../deploy/prometheus-alerts.yaml"),
    );
    let board: serde_json::Value = serde_json::from_str(grafana).unwrap();
    assert!(board["panels"].as_array().unwrap().len() >= 8);
    for (file, text) in [("grafana-dashboard.json", grafana), ("prometheus-alerts.yaml", alerts)] {
        let unknown: Vec<String> = named(text).into_iter().filter(|name| !samples.contains(name)).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    assert_eq!(alerts.matches("- alert:").count(), 10);
    let (runbook, operations) = (alerts.matches("runbook:").count(), include_str!("../../deploy/README.md"));
    assert_eq!(runbook, 10);
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(operations.contains(&format!("### {alert}\n")), "{alert} has no paragraph");
    }
}
