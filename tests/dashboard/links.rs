//! A cut in one direction between two of three nodes, as both of them tell it; and a line that loses packets.

use sessionmesh::transport::{Drill, Rule};

use super::{get, open, until};
use crate::meshes::{self, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_one_direction_is_told_on_both_sides() {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).configure(|c| c.link_timeout_ms = 500);
    let a = meshes::start("one-way", "a", &[], with).await;
    let b = meshes::start("one-way", "b", &[&a], with).await;
    let c = meshes::start("one-way", "c", &[&a], with).await;
    let (at_a, at_b, at_c) = (open(&a), open(&b), open(&c));
    for mesh in [&a, &b, &c] {
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    until(&at_a, "/api/v1/mesh", "converged", |v| v["word"] == "converged").await;
    drill.cut("a", "b");
    for (router, other) in [(&at_a, "b"), (&at_b, "a")] {
        let told = until(router, "/api/v1/mesh", "degraded", |v| v["word"] == "degraded").await;
        let evidence = told["evidence"][0].as_str().unwrap();
        assert!(evidence.contains(&format!("link with {other}")) || evidence.starts_with(other), "{told:#}");
        let health = get(router, "/api/v1/health").await.json();
        let findings = health["findings"].as_array().unwrap();
        assert!(findings.iter().any(|f| f["id"] == "links" && f["severity"] == "warning"), "{health:#}");
        let metrics = get(router, "/metrics").await.text;
        assert!(metrics.contains("sessionmesh_unlinked_members 1"), "{metrics}");
    }
    let third = get(&at_c, "/api/v1/mesh").await.json();
    assert_ne!(third["word"], "degraded", "it reaches both: {third:#}");
    drill.heal_all();
    until(&at_a, "/api/v1/mesh", "converged again", |v| v["word"] == "converged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_loses_packets_is_told_and_a_dead_member_is_no_loss() {
    let drill = Drill::new(7);
    let quick = |c: &mut sessionmesh::Config| (c.probe_interval_ms, c.fence_after_ms) = (100, 800);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).configure(quick);
    let a = meshes::start("lossy", "a", &[], with).await;
    let b = meshes::start("lossy", "b", &[&a], with).await;
    let c = meshes::start("lossy", "c", &[&a], with).await;
    let d = meshes::start("lossy", "d", &[&a], with).await;
    let router = open(&a);
    for mesh in [&a, &b, &c, &d] {
        within("linked", mesh.members_until(|m| m.len() == 4 && m.iter().all(|m| m.linked))).await;
    }
    let lossy = |v: &serde_json::Value| v["findings"].as_array().unwrap().iter().any(|f| f["id"] == "loss");
    drop(d);
    until(&router, "/api/v1/mesh", "d is silent", |v| v["word"] == "degraded").await;
    let probes = async || {
        let text = get(&router, "/metrics").await.text;
        let line = text.lines().find_map(|line| line.strip_prefix("sessionmesh_probes_total "));
        line.and_then(|n| n.parse::<f64>().ok()).expect("the metric")
    };
    let before = probes().await;
    within("a hundred probes", async {
        while probes().await < before + 100.0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    let health = get(&router, "/api/v1/health").await.json();
    assert!(!lossy(&health), "{health:#}");
    for (from, to) in [("a", "c"), ("c", "a")] {
        drill.set(from, to, Rule { drop_per_mille: 500, ..Rule::default() });
    }
    until(&router, "/api/v1/health", "loss is told", lossy).await;
}
