//! The commands for scenario files as a shell sees them: what they print where, and how they end.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const GOOD: &str =
    "[heal]\nat_ms = 9_000\n[[step]]\nat_ms = 6_000\ncreate = { node = \"n0\", session = 1 }\n";
const BROKEN: &str =
    "[heal]\nat_ms = 9_000\n[[step]]\nat_ms = 6_000\nlook = { nodes = [\"n1\"], session = 1 }\n";
const REFUSED: &str = "seed = 1\n\nnoddes = 3\n";

fn simulator(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sessionmesh-sim")).args(args).output().unwrap()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with these files, and the path of each.
fn files(texts: &[(&str, &str)]) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = texts.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let paths = paths.collect();
    (folder, paths)
}

#[test]
fn exit_codes_tell_passed_broken_and_refused_apart() {
    let (folder, paths) = files(&[("a-good.toml", GOOD), ("b-broken.toml", BROKEN)]);
    let good = simulator(&["run", &paths[0]]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(shown(&good.stdout).lines().last(), Some("1 passed, 0 failed"));
    let both = simulator(&["run", folder.path().to_str().unwrap()]);
    assert_eq!(both.status.code(), Some(1));
    let text = shown(&both.stdout);
    assert!(
        text.starts_with("ok   a-good") && text.contains("FAIL b-broken") && text.contains("n1: look: "),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
    let (_folder, paths) = files(&[("bad.toml", REFUSED)]);
    let bad = simulator(&["run", &paths[0]]);
    assert_eq!(bad.status.code(), Some(2));
    let text = shown(&bad.stderr);
    assert!(text.contains("bad.toml:3: unknown field `noddes`"), "{text}");
    assert!(bad.stdout.is_empty());
    assert_eq!(simulator(&["run", "no-such-file.toml"]).status.code(), Some(2));
    assert_eq!(simulator(&["run"]).status.code(), Some(2));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(simulator(&["run", empty.path().to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn json_is_one_object_on_stdout_and_the_same_on_any_number_of_threads() {
    let (folder, _paths) = files(&[("a.toml", GOOD), ("b.toml", BROKEN), ("c.toml", GOOD), ("d.toml", GOOD)]);
    let folder = folder.path().to_str().unwrap();
    let one = simulator(&["run", "--json", folder]);
    assert_eq!(one.status.code(), Some(1));
    assert!(shown(&one.stderr).ends_with("3 passed, 1 failed\n"));
    let value: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!((&value["passed"], &value["failed"]), (&3.into(), &1.into()));
    let names: Vec<_> =
        value["scenarios"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let broken = &value["scenarios"][1];
    assert_eq!(broken["violations"][0]["invariant"], "look");
    assert_eq!(broken["violations"][0]["node"], "n1");
    assert!(broken["marks"].as_array().unwrap().iter().any(|m| m == "round-equal"));
    assert_eq!(value["scenarios"][0]["totals"]["ops"], 1);
    assert_eq!(value["scenarios"][0]["hash"].as_str().unwrap().len(), 32);
    let three = simulator(&["run", "--json", "--jobs", "3", folder]);
    assert_eq!(one.stdout, three.stdout);
    let other = simulator(&["run", "--json", "--seed", "7", folder]);
    assert_ne!(one.stdout, other.stdout);
}

#[test]
fn junit_and_traces_are_written_where_asked() {
    let (folder, paths) = files(&[("good.toml", GOOD), ("broken.toml", BROKEN)]);
    let (junit, traces) = (folder.path().join("junit.xml"), folder.path().join("traces"));
    let args = [
        "run",
        "--junit",
        junit.to_str().unwrap(),
        "--trace",
        traces.to_str().unwrap(),
        &paths[0],
        &paths[1],
    ];
    assert_eq!(simulator(&args).status.code(), Some(1));
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(
        xml.contains("tests=\"2\" failures=\"1\"") && xml.contains("<failure message=\"look\">"),
        "{xml}"
    );
    for name in ["good", "broken"] {
        let trace = std::fs::read_to_string(traces.join(format!("{name}.jsonl"))).unwrap();
        assert!(trace.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
    let nowhere = folder.path().join("no/such/folder.xml");
    assert_eq!(simulator(&["run", "--junit", nowhere.to_str().unwrap(), &paths[0]]).status.code(), Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/empty-maps.toml");
    let many = vec![scenarios.display().to_string(); 40];
    for mut args in [vec!["run".to_owned()], vec!["explain".to_owned()], vec!["schema".to_owned()]] {
        args.extend(if args[0] == "schema" { Vec::new() } else { many.clone() });
        let mut child = Command::new(env!("CARGO_BIN_EXE_sessionmesh-sim"))
            .args(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {said}");
        assert_eq!(said, "", "{args:?}");
    }
}

#[test]
fn a_new_scenario_is_written_once_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("mine.toml");
    let args = ["new", "mine", "--nodes", "4", "-o", file.to_str().unwrap()];
    assert_eq!(simulator(&args).status.code(), Some(0));
    assert_eq!(simulator(&["run", file.to_str().unwrap()]).status.code(), Some(0));
    let again = simulator(&args);
    assert_eq!(again.status.code(), Some(2), "it does not overwrite");
    let printed = simulator(&["new", "mine", "--nodes", "4", "-o", "-"]);
    assert_eq!(shown(&printed.stdout), std::fs::read_to_string(&file).unwrap());
    for bad in [["new", "Mine!", "-o", "-"], ["new", "", "-o", "-"]] {
        assert_eq!(simulator(&bad).status.code(), Some(2));
    }
    assert_eq!(simulator(&["new", "mine", "--nodes", "65", "-o", "-"]).status.code(), Some(2));
}

#[test]
fn explain_tells_and_schema_prints() {
    let (_folder, paths) = files(&[("good.toml", GOOD)]);
    let told = simulator(&["explain", &paths[0]]);
    assert_eq!(told.status.code(), Some(0));
    assert!(
        shown(&told.stdout).contains("At 6 s, a client creates session 1 at n0"),
        "{}",
        shown(&told.stdout)
    );
    let schema = simulator(&["schema"]);
    assert_eq!(shown(&schema.stdout), sessionmesh_sim::scenario::json_schema());
}
