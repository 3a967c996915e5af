//! `/metrics` in OpenMetrics: one registry per node, read anew at every scrape. What there is stands in one table
//! (`table.rs`), which docs/METRICS.md explains. Never a session, never a series per pair of nodes or per member: at
//! most [`table::MOST_SERIES`] series however large the mesh is.

mod table;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use self::table::{METRICS, Metric, Read};
use super::answer::refusal;
use super::board::Board;
use crate::mesh::observe::Gathered;

/// What OpenMetrics is called.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads a node whenever it is scraped.
struct Node<F>(F);

impl<F> std::fmt::Debug for Node<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

impl<F: Fn() -> Gathered + Send + Sync + 'static> Collector for Node<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let seen = (self.0)();
        METRICS.iter().try_for_each(|metric| one(metric, &seen, &mut encoder))
    }
}

/// A registry that reads `source` at every scrape.
fn registry(source: impl Fn() -> Gathered + Send + Sync + 'static) -> Registry {
    let mut registry = Registry::with_prefix("sessionmesh");
    registry.register_collector(Box::new(Node(source)));
    registry
}

/// The registry's text.
fn text(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    prometheus_client::encoding::text::encode(&mut out, registry)?;
    Ok(out)
}

fn one(metric: &Metric, seen: &Gathered, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let kind = match metric.read {
        Read::Count(_) | Read::Counts(..) => MetricType::Counter,
        Read::Level(_) | Read::Levels(..) => MetricType::Gauge,
        Read::Info(_) => MetricType::Info,
        Read::Times(_) => MetricType::Histogram,
    };
    let unit = metric.unit.map(table::Unit::of);
    let mut out = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
    match metric.read {
        Read::Count(read) => out.encode_counter::<NoLabelSet, u64, u64>(&read(seen), None),
        Read::Level(read) => out.encode_gauge(&read(seen)),
        Read::Info(label) => out.encode_info(&[label]),
        Read::Counts(label, read) => read(seen).into_iter().try_for_each(|(value, n)| {
            out.encode_family(&[(label, value)])?.encode_counter::<NoLabelSet, u64, u64>(&n, None)
        }),
        Read::Levels(label, read) => read(seen)
            .into_iter()
            .try_for_each(|(value, n)| out.encode_family(&[(label, value)])?.encode_gauge(&n)),
        Read::Times(read) => {
            let times = read(seen);
            let ranges: Vec<(f64, u64)> = times.ranges().collect();
            out.encode_histogram::<NoLabelSet>(times.sum_s(), times.count(), &ranges, None)
        }
    }
}

/// `GET /metrics`.
pub(super) async fn scrape(State(board): State<Arc<Board>>) -> Response {
    match text(&board.registry) {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"),
    }
}

/// The registry of a dashboard's node.
pub(super) fn of(mesh: crate::mesh::Mesh) -> Registry {
    registry(move || mesh.gather())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use super::*;
    use crate::dashboard::testkit::{fed, synthetic};

    fn scraped(members: usize) -> String {
        text(&registry(move || synthetic(members))).unwrap()
    }

    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn series_do_not_grow_with_the_mesh_and_name_nobody() {
        let (small, large) = (scraped(3), scraped(128));
        assert_eq!(series(&small), series(&large));
        assert!(series(&large) <= table::MOST_SERIES, "{} series", series(&large));
        assert!(!large.contains("n17") && !large.contains("10.0."), "members are not labels");
        assert!(large.contains("sessionmesh_members{state=\"alive\"} 124"), "{large}");
        assert!(large.contains("sessionmesh_sessions 1000000"), "{large}");
    }

    /// The figure of docs/FIGURES.md; no assertion about time, which is the machine's.
    #[test]
    fn a_scrape_of_a_node_that_128_core_nodes_have_fed() {
        let replica = fed(128, 48);
        let seen = synthetic(128);
        let gathered = move || Gathered {
            counts: replica.counts(),
            own_writes: replica.counter(),
            record_bytes: replica.record_bytes(),
            ..seen.clone()
        };
        let registry = registry(gathered);
        let large = text(&registry).unwrap();
        assert!(large.contains("sessionmesh_sessions 6144"), "{large}");
        assert!(series(&large) <= table::MOST_SERIES);
        let begun = Instant::now();
        let rounds = 100;
        (0..rounds).for_each(|_| drop(text(&registry).unwrap()));
        let each = begun.elapsed() / rounds;
        println!("/metrics at 128 members: {} series, {} bytes, {each:?}", series(&large), large.len());
    }

    /// Names in the first column of a table of docs/METRICS.md.
    fn explained() -> BTreeSet<String> {
        let docs = include_str!("../../../docs/METRICS.md");
        let cells = docs.lines().filter_map(|line| line.strip_prefix("| `sessionmesh_")?.split_once('`'));
        cells.map(|(name, _)| format!("sessionmesh_{name}")).collect()
    }

    #[test]
    fn every_metric_is_explained_and_nothing_else_is() {
        let text = scraped(3);
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let scraped: BTreeSet<String> = types
            .map(|line| match line.split_once(' ').unwrap() {
                (name, "counter") => format!("{name}_total"),
                (name, "info") => format!("{name}_info"),
                (name, _) => name.to_owned(),
            })
            .collect();
        let explained = explained();
        let missing: Vec<_> = scraped.difference(&explained).collect();
        let extra: Vec<_> = explained.difference(&scraped).collect();
        assert!(missing.is_empty() && extra.is_empty(), "unexplained {missing:?}, gone {extra:?}");
    }
}
