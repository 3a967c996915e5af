//! The JSON Schema of scenario files, for editors that complete and check them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Action, Scenario, Step};

/// The schema as text, ending in a newline: what `sim/scenario.schema.json` holds.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Scenario);
    // A schema is JSON already; there is nothing in it that could fail.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// By hand, as its reading is: `at_ms` stands beside the one key that names the action, and nothing else does.
impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut actions = Action::json_schema(generator);
        let branches =
            actions.get_mut("oneOf").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        let steps: Vec<Value> = branches.into_iter().map(with_time).collect();
        json_schema!({ "description": "One step of the timeline: a moment and one action.", "oneOf": steps })
    }
}

/// The schema of an action as that of a step.
fn with_time(mut branch: Value) -> Value {
    let at_ms =
        json!({ "description": "When (virtual ms).", "type": "integer", "format": "uint64", "minimum": 0 });
    if let Some(properties) = branch.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("at_ms".into(), at_ms);
    }
    if let Some(required) = branch.get_mut("required").and_then(Value::as_array_mut) {
        required.push("at_ms".into());
    }
    branch
}
