//! A refused node is not alone: it must not serve without the sessions, and both sides say why there is no link.

use serde_json::{Value, json};

use sessionmesh_testkit::{Agent, eventually};

const SECRET: &str = "0123456789abcdef0123456789abcdef-of-one-cluster";

/// A joiner whose solo wait is short, so that it would have given up long ago.
fn joiner(of: &Agent, args: &[&str]) -> Agent {
    Agent::launch("b").args(["--set", "solo_after_ms=2000"]).args(args).seeds([of]).start()
}

/// What an agent tells of refusals, once it has tried again a few times if it dialled.
fn refusals(agent: &Agent, dialled: bool) -> Value {
    eventually(&format!("{}: a refusal in its status", agent.node), || {
        let told = agent.status()["refused"].as_array()?.clone();
        told.into_iter().find(|r| r["dialled"] == dialled && (!dialled || r["count"].as_u64() >= Some(3)))
    })
}

/// The joiner is kept out, says so with these words, and so does the member.
fn kept_out(member: &Agent, joiner: &Agent, words: &[&str]) {
    let held = refusals(joiner, true);
    let probe = joiner.request("GET", "/readyz", &[], None);
    assert_eq!(probe.status, 503, "refused three times and more, long after solo_after_ms: {probe:?}");
    let told = refusals(member, false);
    let probes = [
        &probe.body["reason"],
        &held["why"],
        &told["why"],
        &member.request("GET", "/readyz", &[], None).body["refused"],
    ];
    for word in words {
        for said in probes {
            assert!(said.to_string().contains(word), "{word:?} in {said}");
        }
    }
    assert_eq!(joiner.status()["serving"], "joining");
    assert_eq!(member.status()["serving"], "ready", "whom strangers dial in vain goes on serving");
}

#[test]
fn another_cluster_wide_setting_keeps_a_joiner_out_and_is_named_with_both_values() {
    let a = Agent::start("a", &[]);
    a.ready();
    a.create(&json!({ "user": "ada" }));
    let b = joiner(&a, &["--set", "max_fields=7"]);
    kept_out(&a, &b, &["max_fields", "1000", "7"]);
}

#[test]
fn another_secret_keeps_a_joiner_out() {
    let a = Agent::launch("a").env("SESSIONMESH_SECRET", SECRET).start();
    a.ready();
    let b = Agent::launch("b")
        .args(["--set", "solo_after_ms=2000"])
        .env("SESSIONMESH_SECRET", &SECRET.replace("one", "two"))
        .seeds([&a])
        .start();
    kept_out(&a, &b, &["wrong secret"]);
}

#[test]
fn another_cluster_name_keeps_a_joiner_out() {
    let a = Agent::start("a", &["--cluster", "shop"]);
    a.ready();
    let b = joiner(&a, &["--cluster", "shpo"]);
    kept_out(&a, &b, &["wrong cluster"]);
}

#[test]
fn a_clock_too_far_off_keeps_a_joiner_out() {
    let a = Agent::start("a", &[]);
    a.ready();
    let b = joiner(&a, &["--drill", "--clock-offset-ms", "90000"]);
    kept_out(&a, &b, &["clock skew", "60000"]);
}

#[test]
fn a_joiner_goes_on_alone_once_whoever_refused_it_is_gone_and_joins_once_it_fits() {
    let mut a = Agent::start("a", &["--set", "max_fields=7"]);
    a.ready();
    let b = joiner(&a, &[]);
    refusals(&b, true);
    let mesh = a.mesh.clone();
    a.child.kill();
    let again = Agent::launch("a").args(["--bind", &mesh]).seeds([&b]).start();
    b.linked_to(&[&again]);
    b.ready();
    assert_eq!(b.status()["refused"], json!([]));
}
