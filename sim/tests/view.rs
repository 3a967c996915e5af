//! The viewer: both formats become a page that asks for nothing and runs only its own script.

use serde_json::Value;
use sessionmesh_sim::view::{ViewError, render};

const RUN: &str = include_str!("fixtures/run.jsonl");
const NODE: &str = include_str!("fixtures/node.jsonl");
const DATA: &str = "<script type=\"application/json\" id=\"trace\">";

fn page(trace: &str) -> String {
    render(trace.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

/// What stands in the data block.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(DATA).expect("a data block");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(trace: &str) -> String {
    render(trace.as_bytes()).expect_err("an error").to_string()
}

/// The head of a run of two nodes, and one more line.
fn with(line: &str) -> String {
    format!(
        "{{\"simtrace\":1,\"name\":\"a\",\"seed\":1,\"nodes\":[\"n0\",\"n1\"],\"epoch_ms\":0,\"partitions\":1}}\n{line}\n"
    )
}

#[test]
fn a_simulated_run_arrives_whole() {
    let data = data(&page(RUN));
    assert_eq!(data["about"]["format"], "sim");
    assert_eq!(data["about"]["head"]["seed"], "18446744073709551615", "JavaScript would round a number");
    assert_eq!(data["about"]["ignored"], serde_json::json!({"weather": 1}));
    assert_eq!(data["about"]["truncated"], false);
    let msgs = data["msgs"].as_array().unwrap();
    let kinds = data["about"]["kinds"].as_array().unwrap();
    assert_eq!(msgs.len(), 5);
    // Time, line, id, from, to, kind, fate, bytes, cause, arrivals.
    assert_eq!(msgs[0], serde_json::json!([100, 12, 2, 0, 1, 0, 0, 96, 1, 104, 190]));
    assert_eq!(msgs[3], serde_json::json!([300, 19, 5, 1, 0, 2, 3, 160, -1]));
    assert_eq!(kinds[2], "digest");
    let lines = data["lines"].as_array().unwrap();
    assert_eq!(lines.len() + msgs.len() + 2, RUN.lines().count(), "all but the head and the unknown kind");
    assert_eq!(lines[10]["n"], 14, "items keep the number of their line");
}

#[test]
fn a_nodes_log_is_told_in_the_same_words() {
    let data = data(&page(NODE));
    let head = &data["about"]["head"];
    assert_eq!(data["about"]["format"], "node");
    assert_eq!(head["nodes"], serde_json::json!(["web-1", "6a1f0c22", "c40e9d77"]));
    assert_eq!(head["epoch_ms"], 1_795_442_284_000_u64);
    assert_eq!(data["about"]["ignored"], serde_json::json!({"weather": 1}));
    assert_eq!(
        data["about"]["kinds"],
        serde_json::json!(["digest", "unequal", "sync", "page", "push", "ack"])
    );
    let msgs = data["msgs"].as_array().unwrap();
    // A frame that came is from the peer's lane and arrives; one that went has no arrival a node could know.
    assert_eq!(msgs[0], serde_json::json!([250, 5, 5, 0, 1, 0, 0, 210, -1]));
    assert_eq!(msgs[1], serde_json::json!([262, 6, 6, 1, 0, 1, 1, 64, -1, 262]));
    let texts = data["lines"].to_string();
    for word in [
        "3 lines of the log are missing",
        "cart: kept 00ff00ff00ff00ff of 6a1f0c22, lost removal of c40e9d77",
    ] {
        assert!(texts.contains(word), "{word}");
    }
    let members: Vec<&Value> =
        data["lines"].as_array().unwrap().iter().filter(|l| l["k"] == "members").collect();
    assert_eq!(members[1]["alive"], serde_json::json!([0, 1]), "a life that is over is not alive");
    assert_eq!(members[1]["dead"], serde_json::json!([2]));
}

#[test]
fn errors_name_the_line_and_the_cause() {
    let cases = [
        ("{\"t\":1,\"k\":\"crash\",\"node\":2}", "line 2: node 2, but there are 2"),
        ("{\"t\":1,\"k\":\"crash\"}", "line 2: missing field `node`"),
        ("{\"k\":\"crash\",\"node\":1}", "line 2: missing field `t`"),
        ("{\"t\":-1,\"k\":\"crash\",\"node\":1}", "line 2: invalid value: integer `-1`"),
        ("{\"t\":9007199254740992,\"k\":\"crash\",\"node\":1}", "line 2: 9007199254740992 is beyond 2^53"),
        ("nonsense", "line 2: expected ident"),
        ("{\"t\":1,\"k\":\"cuts\",\"pairs\":[[0,1],[0,7]]}", "line 2: node 7, but there are 2"),
        ("{\"t\":5,\"k\":\"freeze\",\"node\":0,\"until\":4}", "line 2: frozen until 4, before 5"),
        (
            "{\"t\":5,\"k\":\"sample\",\"diverging\":0,\"sessions\":0,\"lag\":[[0],[0]]}",
            "line 2: the lag matrix is not square",
        ),
        (
            "{\"t\":9,\"k\":\"msg\",\"id\":1,\"from\":0,\"to\":1,\"kind\":\"push\",\"bytes\":1,\"arrive\":[8],\"fate\":\"ok\"}",
            "line 2: message 1 arrives at 8, before it was sent",
        ),
        (
            "{\"t\":9,\"k\":\"msg\",\"id\":1,\"from\":0,\"to\":1,\"kind\":\"push\",\"arrive\":[],\"fate\":\"ok\"}",
            "line 2: missing field `bytes`",
        ),
    ];
    for (line, cause) in cases {
        let said = refused(&with(line));
        assert!(said.starts_with(cause), "{line}\n  gave {said}\n  not  {cause}");
    }
    let twice = "{\"t\":1,\"k\":\"op\",\"id\":3,\"node\":0,\"op\":\"read\",\"ok\":true}";
    assert_eq!(refused(&with(&format!("{twice}\n\n{twice}"))), "line 4: id 3 was given before");
}

#[test]
fn errors_of_a_nodes_log_name_the_line_too() {
    let cases = [
        ("{\"mono_ms\":1,\"wall_ms\":1}", "line 2: exactly one of `in` and `out`"),
        ("{\"mono_ms\":1,\"wall_ms\":1,\"in\":\"news\",\"out\":\"warn\"}", "line 2: exactly one of"),
        (
            "{\"mono_ms\":1,\"wall_ms\":1,\"in\":\"frame\",\"kind\":7,\"bytes\":1}",
            "line 2: missing field `peer`",
        ),
        (
            "{\"mono_ms\":1,\"wall_ms\":1,\"in\":\"gone\",\"peer\":\"6a1f\"}",
            "line 2: `6a1f` is not a life's 32 hex",
        ),
        ("{\"wall_ms\":1,\"in\":\"news\"}", "line 2: missing field `mono_ms`"),
    ];
    for (line, cause) in cases {
        let said = refused(&format!("{{\"trace\":1,\"node\":\"web-1\"}}\n{line}\n"));
        assert!(said.starts_with(cause), "{line}\n  gave {said}\n  not  {cause}");
    }
}

#[test]
fn the_first_line_decides() {
    assert!(matches!(render(&b""[..]), Err(ViewError::Empty)));
    assert!(refused("{}\n").starts_with("line 1: neither a simulated run"));
    assert!(refused("{\"simtrace\":2}\n").starts_with("line 1: version 2 of the format"));
    assert!(refused("{\"trace\":9,\"node\":\"a\"}\n").starts_with("line 1: version 9 of the format"));
    let none = "{\"simtrace\":1,\"name\":\"a\",\"seed\":1,\"nodes\":[],\"epoch_ms\":0,\"partitions\":1}\n";
    assert!(refused(none).starts_with("line 1: 0 nodes"));
    let broken = [with("").as_bytes(), &[0xff, 0xfe, b'\n'][..]].concat();
    assert_eq!(render(&broken[..]).expect_err("an error").to_string(), "line 3: not UTF-8");
}

#[test]
fn half_a_last_line_is_said_not_refused() {
    let cut = &RUN[..RUN.len() - 40];
    assert_eq!(data(&page(cut))["about"]["truncated"], true);
    // Half a line in the middle is an error.
    assert!(refused(&with("{\"t\":1,\"k\":\"cra")).starts_with("line 2: EOF"));
}

#[test]
fn no_text_of_a_trace_becomes_markup() {
    let page = page(RUN);
    let (_, rest) = page.split_once(DATA).unwrap();
    let (json, after) = rest.split_once("</script>").unwrap();
    assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
    assert!(after.trim_start().starts_with("<script>\n(() => {"), "the block ends where the page ends it");
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    let data = data(&page);
    assert_eq!(data["about"]["head"]["name"], "halves </script><script>alert(1)</script>");
    let warning = data["lines"].as_array().unwrap().iter().find(|l| l["k"] == "warn").unwrap();
    assert_eq!(warning["text"], "<!-- not a comment --> </ScRiPt> \u{2028} end");
}

#[test]
fn the_page_asks_for_nothing() {
    for page in [page(RUN), page(NODE)] {
        assert!(page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
        for word in [
            "http://",
            "https://",
            "src=",
            "href=",
            "url(",
            "@import",
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
        ] {
            assert!(!page.contains(word), "{word}");
        }
        for mark in ["/*STYLE*/", "/*TRACE*/", "/*SCRIPT*/"] {
            assert!(!page.contains(mark), "{mark}");
        }
    }
}

/// What the runner writes the viewer must read: of every scenario, the failing ones among the canaries included.
#[test]
fn the_trace_of_every_scenario_can_be_drawn() {
    for folder in ["scenarios", "scenarios/canary"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).expect("scenarios").flatten() {
            let file = entry.path();
            if file.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let scenario = sessionmesh_sim::scenario::read(&file).expect("a scenario");
            let options = sessionmesh_sim::run::Options { trace: true, ..Default::default() };
            let trace = sessionmesh_sim::run::run(&scenario, options).trace.join("\n");
            let page = render(std::io::Cursor::new(trace));
            assert!(
                page.is_ok(),
                "{}: {}",
                scenario.name,
                page.err().map(|e| e.to_string()).unwrap_or_default()
            );
        }
    }
}
