//! `sim/scenario.schema.json` is up to date, takes every scenario file and refuses what the parser refuses.
//! The checker below knows exactly the words the schema uses.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sessionmesh_sim::scenario::json_schema;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let committed = std::fs::read_to_string(folder("scenario.schema.json")).unwrap_or_default();
    let help = "sessionmesh-sim schema > sim/scenario.schema.json";
    assert!(committed == json_schema(), "write it anew: {help}");
}

/// Whether a value is as a schema says; if not, the first thing that is wrong.
fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err("nothing may stand here".into()) } else { Ok(()) };
    };
    for (word, rule) in schema {
        match word.as_str() {
            "$ref" => {
                let path = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(path).unwrap(), value)?;
            }
            "oneOf" | "anyOf" => {
                let fitting =
                    rule.as_array().unwrap().iter().filter(|s| check(root, s, value).is_ok()).count();
                if fitting == 0 || (word == "oneOf" && fitting > 1) {
                    return Err(format!("{fitting} of {word} fit {value}"));
                }
            }
            "type" => check_type(rule, value)?,
            "const" if rule != value => return Err(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                return Err(format!("{value} is not one of {rule}"));
            }
            "minimum" if value.as_f64().is_some_and(|v| v < rule.as_f64().unwrap()) => {
                return Err(format!("{value} is below {rule}"));
            }
            "maximum" if value.as_f64().is_some_and(|v| v > rule.as_f64().unwrap()) => {
                return Err(format!("{value} is above {rule}"));
            }
            "pattern" => check_pattern(rule, value)?,
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| check(root, rule, item))?,
            "required" => check_required(rule, value)?,
            "properties" | "additionalProperties" => {}
            "const" | "enum" | "minimum" | "maximum" => {}
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
            unknown => panic!("the schema uses a word this test does not know: {unknown}"),
        }
    }
    value.as_object().map_or(Ok(()), |object| check_members(root, schema, object))
}

fn check_members(
    root: &Value,
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
) -> Result<(), String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, value) in object {
        if let Some(rule) = properties.and_then(|p| p.get(key)) {
            check(root, rule, value).map_err(|e| format!("{key}: {e}"))?;
        } else if let Some(rule) = schema.get("additionalProperties") {
            check(root, rule, value).map_err(|e| format!("{key}: {e}"))?;
        }
    }
    Ok(())
}

fn check_required(rule: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let missing = rule.as_array().unwrap().iter().find(|key| !object.contains_key(key.as_str().unwrap()));
    missing.map_or(Ok(()), |key| Err(format!("{key} is missing")))
}

fn check_type(rule: &Value, value: &Value) -> Result<(), String> {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("an unknown type: {other}"),
    };
    let fits = match rule {
        Value::String(kind) => is(kind),
        kinds => kinds.as_array().unwrap().iter().any(|kind| is(kind.as_str().unwrap())),
    };
    if fits { Ok(()) } else { Err(format!("{value} is no {rule}")) }
}

/// There is one pattern: a node's name.
fn check_pattern(rule: &Value, value: &Value) -> Result<(), String> {
    assert_eq!(rule, "^n[0-9]+$");
    let Some(text) = value.as_str() else { return Ok(()) };
    let digits = text.strip_prefix('n').filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    digits.map_or_else(|| Err(format!("{value} is no node")), |_| Ok(()))
}

fn fits(text: &str) -> Result<(), String> {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let value: Value = toml::from_str(text).unwrap();
    check(&schema, &schema, &value)
}

#[test]
fn every_scenario_fits_the_schema() {
    let mut checked = 0;
    for name in ["scenarios", "scenarios/canary", "scenarios/limits", "regressions"] {
        let files = std::fs::read_dir(folder(name)).unwrap().map(|e| e.unwrap().path());
        for file in files.filter(|f| f.extension().is_some_and(|e| e == "toml")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let depth = if name.contains('/') { "../" } else { "" };
            let first = format!("#:schema {depth}../scenario.schema.json");
            assert_eq!(text.lines().next(), Some(first.as_str()), "{}", file.display());
            assert_eq!(fits(&text), Ok(()), "{}", file.display());
            checked += 1;
        }
    }
    assert!(checked >= 46, "{checked}");
    for seed in 0..20 {
        assert_eq!(
            fits(&sessionmesh_sim::scenario::to_toml(&sessionmesh_sim::swarm::scenario(seed, None))),
            Ok(())
        );
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let step = |rest: &str| fits(&format!("[[step]]\n{rest}\n"));
    assert_eq!(step("at_ms = 5\nheal = {}"), Ok(()));
    for bad in [
        "at_ms = 5",
        "heal = {}",
        "at_ms = -5\nheal = {}",
        "at_ms = \"5\"\nheal = {}",
        "at_ms = 5\nheal = {}\ncrash = { nodes = [\"n0\"] }",
        "at_ms = 5\nheel = {}",
        "at_ms = 5\nheal = { now = true }",
        "at_ms = 5\ncrash = { nodes = \"n0\" }",
        "at_ms = 5\ncrash = { nodes = [\"0\"] }",
        "at_ms = 5\nfreeze = { nodes = [\"n0\"] }",
        "at_ms = 5\nfreeze = { nodes = [\"n0\"], for_ms = 5, hard = true }",
        "at_ms = 5\nnetwork = { faults = { drop = 5 } }",
    ] {
        assert!(step(bad).is_err(), "taken: {bad}");
        assert!(sessionmesh_sim::scenario::parse("f", &format!("[[step]]\n{bad}\n")).is_err(), "{bad}");
    }
    for bad in
        ["nodes = 3", "[mesh]\nnode = 3", "[mesh]\nmembership = \"tree\"", "[expect]\nmarks = \"push-lost\""]
    {
        assert!(fits(bad).is_err(), "taken: {bad}");
    }
}
