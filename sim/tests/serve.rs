//! A trace replayed in the shapes of the dashboard's API: every answer at every moment fits the contract.

use serde_json::Value;
use sessionmesh_sim::serve::{PARTS, Player, answer};

const RUN: &str = include_str!("fixtures/run.jsonl");

fn faults(schema: &str, answer: &Value) -> Vec<String> {
    let contract: Value = serde_json::from_str(sessionmesh::dashboard_page::OPENAPI).unwrap();
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": contract["components"],
        "$ref": format!("#/components/schemas/{schema}"),
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn every_answer_at_every_moment_fits_the_contract() {
    let mut player = Player::read(RUN.as_bytes()).unwrap();
    let nodes = player.head().nodes.clone();
    let end_ms = player.end_ms();
    for t in [0, end_ms / 3, end_ms / 2, end_ms, end_ms * 2, 0] {
        player.seek(t);
        for node in &nodes {
            for name in PARTS.into_iter().chain(["events", "conflicts", "sessions"]) {
                let answer = answer(&player, node, name).unwrap();
                let schema = name[..1].to_uppercase() + &name[1..];
                let faults = faults(&schema, &answer);
                assert!(faults.is_empty(), "{node} {name} at {t}: {faults:#?}\n{answer:#}");
                assert_eq!(answer["view"]["node"], node.as_str());
            }
        }
    }
    assert!(answer(&player, "nobody", "mesh").is_none() && answer(&player, &nodes[0], "nothing").is_none());
}

/// Two nodes, a cut seen by the first, and its heal.
const CUT: &str = r#"{"simtrace":1,"name":"cut","seed":1,"nodes":["n0","n1","n2"],"epoch_ms":1800000000000,"partitions":8}
{"t":0,"k":"start","node":0,"life":"aa","why":"start"}
{"t":10,"k":"serving","node":0,"as":"ready","why":"alone"}
{"t":20,"k":"members","node":0,"alive":[0,1,2],"dead":[]}
{"t":500,"k":"sample","diverging":2,"sessions":9,"lag":[[0,0,0],[4,0,0],[0,0,0]]}
{"t":1000,"k":"members","node":0,"alive":[0],"dead":[1,2]}
{"t":2000,"k":"members","node":0,"alive":[0,1,2],"dead":[]}
{"t":2100,"k":"sample","diverging":0,"sessions":9,"lag":[[0,0,0],[0,0,0],[0,0,0]]}
"#;

#[test]
fn a_cut_turns_the_word_and_its_heal_turns_it_back() {
    let mut player = Player::read(CUT.as_bytes()).unwrap();
    let word = |player: &mut Player, t| {
        player.seek(t);
        answer(player, "n0", "mesh").unwrap()["word"].as_str().unwrap().to_owned()
    };
    let told: Vec<String> = [15, 400, 700, 1500, 2050, 2200, 1500].map(|t| word(&mut player, t)).into();
    assert_eq!(told, ["alone", "converged", "catching up", "split", "catching up", "converged", "split"]);
    let islands = answer(&player, "n0", "partitions").unwrap();
    assert_eq!(islands["islands"][1]["nodes"], serde_json::json!(["n1", "n2"]));
    let matrix = answer(&player, "n0", "matrix").unwrap();
    assert_eq!(matrix["rows"][1]["behind_writes"][0], 4, "what n1 lacks of n0's");
    assert_eq!(answer(&player, "n1", "mesh").unwrap()["word"], "stopped", "the trace never started it");
}

#[test]
fn what_is_no_run_is_refused() {
    assert!(Player::read(&b""[..]).is_err());
    let log = Player::read(&b"{\"trace\":1,\"node\":\"a\"}\n"[..]).err().unwrap();
    assert!(log.contains("line 1: not the head of a simulated run"), "{log}");
    let bad = Player::read(format!("{}\n{{}}\n", CUT.lines().next().unwrap()).as_bytes()).err().unwrap();
    assert_eq!(bad, "line 2: no time");
}
