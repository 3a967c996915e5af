//! The subcommands around the agent.

use std::process::Command;

use serde_json::{Value, json};

use sessionmesh_testkit::agent::forget_settings;
use sessionmesh_testkit::child::Stream;
use sessionmesh_testkit::{Agent, Child};

fn run(args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(sessionmesh_testkit::binary());
    forget_settings(command.args(args)).envs(env.iter().copied());
    let mut child = Child::spawn(args[0], &mut command);
    (child.exit_code(), child.printed(Stream::Out), child.printed(Stream::Err))
}

#[test]
fn help_lists_commands_examples_and_exit_codes() {
    let (code, out, _) = run(&["--help"], &[]);
    assert_eq!(code, 0);
    for part in ["check-config", "Examples:", "Exit codes:", "another process carries this node's name"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(run(&["--version"], &[]).1, format!("sessionmesh {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["agent", "--no-such-flag"], &[]).0, 2);
}

#[test]
fn a_new_secret_is_64_hex_digits_and_never_the_same() {
    let (code, one, _) = run(&["secret", "new"], &[]);
    assert!(
        code == 0 && one.trim().len() == 64 && one.trim().bytes().all(|b| b.is_ascii_hexdigit()),
        "{one}"
    );
    assert_ne!(one, run(&["secret", "new"], &[]).1);
}

#[test]
fn check_config_names_each_source_and_hides_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mesh.toml");
    let secret = "a secret text of at least thirty-two bytes";
    let text = format!(
        "cluster = \"shop\"\nnode = \"from-file\"\nsecrets = [{{ text = \"{secret}\" }}]\n\
         [http]\ntoken = \"file-token-0123456789\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let env = [("SESSIONMESH_NODE", "from-env"), ("SESSIONMESH_SEEDS", "a:1,b:2"), ("SESSIONMESH_TYPO", "x")];
    let (code, out, err) = run(&["check-config", "--config", path, "--seed", "c:3"], &env);
    assert_eq!(code, 0, "{err}");
    let from_file = format!("# file {path}");
    for line in [
        format!("cluster = \"shop\"  {from_file}"),
        "node = \"from-env\"  # env SESSIONMESH_NODE".into(),
        "seeds = [\"c:3\"]  # flag --seed".into(),
        format!("secrets = [{{ text = \"(hidden)\" }}]  {from_file}"),
        format!("token = \"(hidden)\"  {from_file}"),
        "settle_ms = 1500".into(),
        "# ignored, no setting: env SESSIONMESH_TYPO".into(),
    ] {
        assert!(out.lines().any(|l| l == line), "{line}\n in\n{out}");
    }
    assert!(!out.contains(secret) && !out.contains("file-token"), "{out}");
    let effective: toml::Table = toml::from_str(&out).unwrap_or_else(|e| panic!("it is TOML itself: {e}"));
    assert_eq!(effective["cluster"].as_str(), Some("shop"));
}

#[test]
fn a_wrong_setting_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mesh.toml");
    let path = file.to_str().unwrap();
    for (text, place, what) in [
        ("cluster = \"a\"\n\ngossip_ms = 5\n", ":3: ", "gossip_ms: no setting"),
        ("[http]\nport = 80\n", ":2: ", "http.port: no setting"),
        ("settle_ms = \"soon\"\n", ":1: ", "settle_ms: invalid type"),
        ("cluster = \n", ":1: ", ""),
    ] {
        std::fs::write(&file, text).unwrap();
        for command in [&["check-config", "--config", path][..], &["agent", "--config", path]] {
            let (code, _, err) = run(command, &[]);
            assert_eq!(code, 2, "{err}");
            assert!(err.contains(&format!("{path}{place}{what}")), "{err}");
        }
    }
    for (env, what) in [
        (("SESSIONMESH_SETTLE_MS", "soon"), "env SESSIONMESH_SETTLE_MS: \"soon\" is no whole number"),
        (("SESSIONMESH_PARTITIONS", "100"), "(from env SESSIONMESH_PARTITIONS)"),
        (("SESSIONMESH_NODE", "two words"), "node: must be 1 to 64 printable ASCII bytes"),
        (("SESSIONMESH_SEEDS", "no-port"), "(from env SESSIONMESH_SEEDS)"),
        (("SESSIONMESH_METADATA", "zone"), "\"zone\" is no key=value"),
        (("SESSIONMESH_SECRET", "short"), "cluster secret has 5 bytes"),
        (("SESSIONMESH_LOG", "=="), "SESSIONMESH_LOG"),
        (
            ("SESSIONMESH_SETLE_MS", "7"),
            "env SESSIONMESH_SETLE_MS is no setting; did you mean SESSIONMESH_SETTLE_MS?",
        ),
    ] {
        let (code, _, err) = run(&["check-config"], &[env]);
        assert!(code == 2 && err.contains(what), "{what}: {err}");
    }
    let two = [("SESSIONMESH_SETTLE_MS", "soon"), ("SESSIONMESH_METADATA", "zone")];
    let (_, _, err) = run(&["check-config", "--set", "seed=a:1"], &two);
    for what in ["no whole number", "no key=value", "\"seed\" is no setting; did you mean seeds?"] {
        assert!(err.contains(what), "all mistakes at once: {err}");
    }
    let (code, _, err) = run(&["check-config", "--config", "/no/such.toml"], &[]);
    assert!(code == 2 && err.contains("/no/such.toml: No such file"), "{err}");
}

#[test]
fn status_is_a_table_or_json_and_says_by_its_exit_code_whether_all_is_well() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    agent.create(&json!({ "user": "ada" }));
    let sessionmesh_testkit::Target::Tcp(addr) = agent.http else { panic!("started on TCP") };
    let addr = addr.to_string();
    let (code, out, err) = run(&["status", "--http", &addr], &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("node a of cluster default: ready (no seeds: the first of its mesh)"), "{out}");
    assert!(out.contains("NODE") && out.contains("self"), "{out}");
    let (code, out, _) = run(&["status", "--json"], &[("SESSIONMESH_HTTP_LISTEN", &addr)]);
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &status["serving"], &status["numbers"]["sessions"]), (0, &json!("ready"), &json!(1)));
    let joining = Agent::start("b", &["--seed", "127.0.0.1:9", "--set", "solo_after_ms=60000"]);
    let sessionmesh_testkit::Target::Tcp(other) = joining.http else { panic!("started on TCP") };
    assert_eq!(run(&["status", "--http", &other.to_string()], &[]).0, 6, "not ready");
    drop(agent);
    let (code, _, err) = run(&["status", "--http", &addr], &[]);
    assert!(code == 6 && err.contains(&format!("http://{addr}: ")), "{err}");
    assert_eq!(run(&["status", "--http", "nonsense"], &[]).0, 2);
}
