//! The scenario language and the scenarios that come with it: every file passes, every canary sounds, what makes no
//! sense is refused with its line, and what is written reads back as it was.

use std::path::{Path, PathBuf};

use sessionmesh_sim::run::{Options, run};
use sessionmesh_sim::scenario::{self, FileError, Scenario, explain, parse, read, template, to_toml};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn scenarios(name: &str) -> Vec<Scenario> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files.iter().map(|file| read(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn every_one_passes(scenarios: &[Scenario]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(one) = scenarios.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let outcome = run(one, Options::default());
                    assert!(outcome.passed(), "{}: {:#?}", one.name, outcome.violations);
                }
            });
        }
    });
}

#[test]
fn every_scenario_passes() {
    let all = scenarios("scenarios");
    assert!(all.len() >= 90, "{} scenarios", all.len());
    assert!(all.iter().all(|s| s.about.ends_with('.')), "each says what it would catch");
    every_one_passes(&all);
}

#[test]
fn every_regression_passes() {
    let all = scenarios("regressions");
    assert!(all.len() >= 6, "{} regressions", all.len());
    assert!(all.iter().all(|s| s.about.ends_with('.')), "each tells what happened");
    every_one_passes(&all);
}

/// On the day one of them holds, it fails here: then it is a scenario like any other.
#[test]
fn every_known_limit_is_still_one() {
    let all = scenarios("scenarios/limits");
    assert!(all.iter().all(|s| s.about.starts_with("A known limit: ") && s.expect.violation.is_some()));
    every_one_passes(&all);
}

#[test]
fn every_canary_sounds() {
    let all = scenarios("scenarios/canary");
    assert!(all.len() >= 3 && all.iter().all(|s| s.expect.violation.is_some()));
    every_one_passes(&all);
    for mut canary in all {
        let wanted = canary.expect.violation.take();
        let outcome = run(&canary, Options::default());
        assert!(!outcome.passed(), "{} passes without its expectation", canary.name);
        assert!(outcome.violations.iter().any(|v| Some(&v.invariant) == wanted.as_ref()), "{}", canary.name);
    }
}

#[test]
fn a_canary_that_stays_silent_fails() {
    let text = "[heal]\nat_ms = 9_000\n[[step]]\nat_ms = 8_000\nlook = { nodes = [\"n0\"], ready = true }\n[expect]\n\
                violation = \"look\"\n";
    let outcome = run(&parse("f", text).unwrap(), Options::default());
    assert_eq!(outcome.violations.len(), 1);
    assert!(outcome.violations[0].text.contains("the alarm does not work"));
}

#[test]
fn the_same_scenario_gives_the_same_hash() {
    for one in scenarios("scenarios").iter().filter(|s| s.mesh.nodes <= 5).take(12) {
        let [a, b] = [(); 2].map(|()| run(one, Options::default()));
        assert_eq!((a.hash, a.marks), (b.hash, b.marks), "{}", one.name);
    }
}

#[test]
fn every_scenario_reads_back_as_it_was_written() {
    let files = ["scenarios", "scenarios/canary", "scenarios/limits", "regressions"].into_iter();
    let seeds = (0..50).map(|seed| sessionmesh_sim::swarm::scenario(seed, None));
    for one in files.flat_map(scenarios).chain(seeds) {
        let text = to_toml(&one);
        assert_eq!(parse("again", &text).as_ref(), Ok(&one), "{text}");
    }
}

#[test]
fn every_scenario_can_be_told() {
    for one in scenarios("scenarios") {
        let text = explain(&one);
        assert!(text.starts_with(&one.name) && text.contains("the heal"), "{text}");
    }
    let told = explain(&read(&folder("scenarios/logout-before-the-session.toml")).unwrap());
    for line in [
        "3 nodes, n0 to n2, which find each other by gossip through n0.",
        "At 8 s, the links between n0 on one side and n1 and n2 on the other are cut.",
        "At 12 s, a client logs session 900 out at n1, known there or not.",
        "At 14 s, n1 and n2 must not show session 900.",
        "At 32 s, the heal: every fault ends, and whatever is down starts again.",
        "These rare things must have happened: blind-destroy and dead-for-unknown.",
    ] {
        assert!(told.lines().any(|l| l == line), "{line:?} is missing:\n{told}");
    }
}

#[test]
fn a_new_scenario_passes_as_it_is() {
    for nodes in [1, 2, 3, 7, 20] {
        let scenario = parse("new", &template("new", nodes)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((scenario.name.as_str(), scenario.mesh.nodes), ("new", nodes));
        let outcome = run(&scenario, Options::default());
        assert!(outcome.passed(), "{nodes} nodes: {:?}", outcome.violations);
    }
}

/// A file of three nodes with these lines after its first four, which is refused.
fn refused(lines: &str) -> FileError {
    let text = format!("about = \"three nodes\"\n\n[mesh]\nnodes = 3\n{lines}");
    match parse("bad.toml", &text) {
        Err(error) => error,
        Ok(_) => panic!("taken:\n{text}"),
    }
}

/// Line, part of what is said, what is meant.
fn says(lines: &str, line: usize, what: &str, meant: Option<&str>) {
    let error = refused(lines);
    assert!(error.what.contains(what), "{error} does not say {what:?}");
    assert_eq!((error.line, error.meant.as_deref()), (line, meant), "{error}");
    assert!(error.to_string().starts_with(&format!("bad.toml:{line}: ")), "{error}");
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    says("noddes = 3\n", 5, "unknown field `noddes`", Some("nodes"));
    says("[network]\ndelay_max_ms = 3\ndrop_per_mile = 5\n", 7, "unknown field", Some("drop_per_mille"));
    says("[netwrok]\ndrop_per_mille = 5\n", 5, "unknown field", Some("network"));
    says(
        "[[step]]\nat_ms = 1\nheal = {}\n[[step]]\nat_ms = 5\ncrsh = { nodes = [\"n0\"] }\n",
        10,
        "unknown variant",
        Some("crash"),
    );
    says("[[step]]\nat_ms = 5\ncrash = { node = [\"n0\"] }\n", 7, "unknown field `node`", Some("nodes"));
    says(
        "# freeze = {} is only a comment\n[[step]]\nat_ms = 5\n\n[step.freeze]\nnodes = [\"n0\"]\nfor_sm = 7\n",
        11,
        "unknown field `for_sm`",
        Some("for_ms"),
    );
    says(
        "[[workload]]\nfrom_ms = 1\nuntil_ms = 9\nops = 1\nsessions = 1\nmix = { reads = 1 }\n",
        10,
        "unknown field",
        Some("read"),
    );
    says(
        "[expect]\nmarks = [\n  \"push-lost\",\n  \"puch-lost\",\n]\n",
        8,
        "no mark \"puch-lost\"",
        Some("push-lost"),
    );
    says("[expect]\nviolation = \"converge\"\n", 6, "no invariant", Some("converges"));
}

#[test]
fn impossible_times_are_refused() {
    says("[heal]\nat_ms = 9_000\n[[step]]\nat_ms = 9_001\nheal = {}\n", 8, "after the heal at 9000 ms", None);
    says("[[step]]\nheal = {}\nat_ms = 9_000_000_000_000\n", 7, "60 days", None);
    says("[[step]]\nat_ms = -1\nheal = {}\n", 6, "invalid value: integer `-1`", None);
    says("[[workload]]\nfrom_ms = 9\nuntil_ms = 9\nops = 1\nsessions = 1\n", 7, "not after from_ms", None);
    says(
        "[heal]\nat_ms = 5_000\n[[workload]]\nfrom_ms = 9\nuntil_ms = 5_001\nops = 1\nsessions = 1\n",
        9,
        "after the heal",
        None,
    );
    says("[heal]\nlinger_ms = 99_000_000_000_000\n", 6, "linger_ms", None);
    says("[network]\ndelay_min_ms = 9\ndelay_max_ms = 8\n", 7, "below delay_min_ms", None);
    says("[[step]]\nat_ms = 5\nfreeze = { nodes = [\"n0\"], for_ms = 0 }\n", 7, "nothing would happen", None);
    says(
        "[[step]]\nat_ms = 5\ncreate = { node = \"n0\", session = 1, ttl_ms = 0 }\n",
        7,
        "never be seen",
        None,
    );
}

#[test]
fn missing_nodes_are_refused() {
    says("seeds = [\"n3\"]\n", 5, "there is no n3", Some("n2"));
    says(
        "[[step]]\nat_ms = 5\ncrash = { nodes = [\"n1\", \"n7\"] }\n",
        7,
        "there is no n7: the mesh has 3 nodes",
        Some("n2"),
    );
    says("[[step]]\nat_ms = 5\ncrash = { nodes = [\"one\"] }\n", 7, "\"one\" is not a node", None);
    says("[[step]]\nat_ms = 5\ncrash = { nodes = [] }\n", 7, "no nodes", None);
    says("[heal]\nat_ms = 9\ncore = [\"n4\"]\n", 7, "there is no n4", Some("n2"));
    says("late = [\"n0\", \"n1\", \"n2\"]\n", 5, "nobody is there", None);
    says(
        "[[workload]]\nfrom_ms = 1\nuntil_ms = 9\nops = 1\nsessions = 1\nnodes = [\"n5\"]\n",
        10,
        "there is no n5",
        Some("n2"),
    );
    assert_eq!(parse("f", "[mesh]\nnodes = 65\n").unwrap_err().line, 2);
    assert_eq!(parse("f", "[mesh]\nnodes = 2\nseeds = []\n").unwrap_err().line, 3);
}

#[test]
fn contradictions_are_refused() {
    let look = |rest: &str| format!("[[step]]\nat_ms = 5\nlook = {{ nodes = [\"n0\"], {rest} }}\n");
    says(
        &look("session = 1, shown = false, fields = { a = \"1\" }"),
        7,
        "shown = false, and yet fields",
        None,
    );
    says(
        &look("session = 1, fields = { a = \"1\" }, absent = [\"a\"]"),
        7,
        "a cannot have a value and be absent",
        None,
    );
    says(&look("shown = true"), 7, "about a session", None);
    says(&look("alive = [\"n0\"]"), 7, "does not count itself", None);
    says("[[step]]\nat_ms = 5\nlook = { nodes = [\"n0\"] }\n", 7, "a look at nothing", None);
    says(
        "[[step]]\nat_ms = 5\ncut = { between = [\"n0\", \"n1\"], and = [\"n1\"] }\n",
        7,
        "n1 stands on both sides",
        None,
    );
    says(
        "[[step]]\nat_ms = 5\nset = { node = \"n0\", session = 1, fields = { a = \"1\" }, remove = [\"a\"] }\n",
        7,
        "set and removed",
        None,
    );
    says(
        "[[step]]\nat_ms = 5\nwire = { nodes = [\"n0\"], version = 9 }\n",
        7,
        "the core speaks 1 to 2",
        None,
    );
    says(
        "[[step]]\nat_ms = 5\ntamper = { node = \"n0\", how = \"off\", to = [\"n0\"] }\n",
        7,
        "no link to itself",
        None,
    );
    says(
        "[[step]]\nat_ms = 5\ntamper = { node = \"n0\", how = \"value_of_page\" }\n",
        7,
        "unknown variant",
        Some("value_of_pages"),
    );
}

#[test]
fn what_is_said_and_counted_can_be_expected() {
    let run_with = |expect: &str| {
        let lie = "tamper = { node = \"n2\", how = \"push_without_entries\" }";
        let create = "create = { node = \"n2\", session = 900 }";
        let text = format!(
            "[mesh]\naudit_interval_ms = 1_000\n[[step]]\nat_ms = 6_000\n{lie}\n[[step]]\nat_ms = 7_000\n{create}\n\
             [heal]\nat_ms = 90_000\n[expect]\n{expect}\n"
        );
        let outcome = run(&parse("f", &text).unwrap(), Options::default());
        outcome.violations.into_iter().map(|v| v.text).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        run_with("conflicts_at_most = 0\nlinks_closed_at_most = 0\nwarnings = [\"audit: partitions\"]"),
        ""
    );
    assert_eq!(run_with("warnings = [\"an elephant\"]"), "no node warned of \"an elephant\"");
}

#[test]
fn memory_and_fence_settings_are_those_of_the_core() {
    let text =
        "max_memory_bytes = 1\nhard_memory_bytes = 2\nfence_after_ms = 5_000\nfence_timeout_ms = 7_000\n";
    let scenario = parse("f", &format!("[mesh]\n{text}")).unwrap();
    let limits = scenario.mesh.limits();
    assert_eq!((limits.max_memory_bytes, limits.hard_memory_bytes), (1, 2));
    assert_eq!((limits.fence_after_ms, limits.fence_timeout_ms), (5_000, 7_000));
    assert_eq!(scenario::Mesh::default().limits().max_memory_bytes, u64::MAX);
    let told = explain(&scenario);
    assert!(told.contains("a fence after 5 s of standing still, for 7 s at most"), "{told}");
}

#[test]
fn expectations_and_settings_that_cannot_be_are_refused() {
    says("[expect]\nconverged_within_ms = 0\n", 6, "nothing is equal at once", None);
    says("[expect]\nviolation = \"everything_ends\"\n", 6, "after a linger", None);
    says("[expect]\nviolation = \"look\"\n", 6, "there is no look", None);
    says(
        "[network]\nunsealed = true\n[expect]\nviolation = \"converges\"\n",
        8,
        "only bounds are promised",
        None,
    );
    says("[network]\ndrop_per_mille = 1001\n", 6, "of a thousand", None);
    says(
        "[[workload]]\nfrom_ms = 1\nuntil_ms = 9\nops = 1\nsessions = 1\nmix = { read = 1_001 }\n",
        10,
        "of a thousand",
        None,
    );
    says("max_drift_ms = 10\n", 5, "max_drift_ms = 10", None);
    says(
        "[[step]]\nat_ms = 5\nload = { node = \"n0\", session = 1, client = 0 }\n",
        7,
        "belongs to somebody",
        None,
    );
    says(
        "[[step]]\nat_ms = 5\n\n[step.network.faults]\ndelay_max_ms = 5\ndelay_min_ms = 6\n",
        9,
        "below delay_min_ms",
        None,
    );
}

#[test]
fn duplicates_wrong_types_and_broken_toml_are_refused() {
    says("nodes = 4\n", 5, "duplicate key", None);
    says("[[step]]\nat_ms = 5\nat_ms = 6\nheal = {}\n", 7, "duplicate key", None);
    says(
        "[[step]]\nat_ms = 5\nheal = {}\ncrash = { nodes = [\"n0\"] }\n",
        8,
        "two actions in one step: `crash` and `heal`",
        None,
    );
    says("[[step]]\nat_ms = 5\n", 5, "a step without an action", None);
    says("[[step]]\nheal = {}\n", 5, "missing field `at_ms`", None);
    says("partitions = \"eight\"\n", 5, "invalid type: string \"eight\"", None);
    says("[[step]]\nat_ms = \"soon\"\nheal = {}\n", 6, "invalid type: string \"soon\"", None);
    says("[[step]]\nat_ms = 5\ncrash = { nodes = \"n0\" }\n", 7, "invalid type: string \"n0\"", None);
    says("[[step]]\nat_ms = 5\ncrash = \"n0\"\n", 7, "invalid type: string \"n0\"", None);
    says(
        "[[step]]\nat_ms = 5\nslow = { nodes = [\"n0\"], by_ms = 1.5 }\n",
        7,
        "invalid type: floating point",
        None,
    );
    says("[[step]]\nat_ms = 5\nfreeze = { nodes = [\"n0\"] }\n", 7, "missing field `for_ms`", None);
    says("late = [\"n1\"\n\n[heal]\n", 7, "", None);
}

#[test]
fn huge_and_unreadable_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("huge.toml");
    std::fs::write(&file, "#".repeat((8 << 20) + 1)).unwrap();
    let error = read(&file).unwrap_err();
    assert_eq!(error.line, 0);
    assert!(error.what.contains("8388609 bytes: a scenario has at most 8388608"), "{error}");
    assert!(read(&folder.path().join("none.toml")).unwrap_err().to_string().contains("none.toml: "));
    std::fs::write(&file, [0xff, 0xfe, b'a']).unwrap();
    assert!(read(&file).unwrap_err().to_string().contains("huge.toml: "), "not UTF-8");
    assert!(read(folder.path()).is_err(), "a folder is no file");
}

#[test]
fn a_scenario_is_called_as_its_file_unless_it_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("by-file.toml");
    std::fs::write(&file, "seed = 3\n").unwrap();
    assert_eq!(read(&file).unwrap().name, "by-file");
    std::fs::write(&file, "name = \"itself\"\n").unwrap();
    assert_eq!(read(&file).unwrap().name, "itself");
    assert_eq!(scenario::parse("f", "").unwrap().mesh.nodes, 3);
}

#[test]
fn the_guide_names_every_scenario_and_its_example_passes() {
    let guide = std::fs::read_to_string(folder("../docs/SCENARIOS.md")).unwrap();
    for name in ["scenarios", "scenarios/canary", "scenarios/limits", "regressions"] {
        for one in scenarios(name) {
            let link = format!("| [{0}](../sim/{name}/{0}.toml) | {1} |", one.name, one.about);
            assert!(guide.contains(&link), "docs/SCENARIOS.md lacks: {link}");
        }
    }
    let linked = guide.match_indices("](../sim/").map(|(at, _)| &guide[at + 3..]);
    for path in linked.filter_map(|rest| rest.split(')').next()) {
        assert!(folder("..").join(&path[2..]).is_file(), "{path} is named and not there");
    }
    let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let outcome = run(&parse("docs/SCENARIOS.md", example).unwrap(), Options::default());
    assert!(outcome.passed(), "{:?}", outcome.violations);
}
