//! `schema`: the JSON Schema of scenario files.

use sessionmesh_sim::scenario::json_schema;

use super::Failure;
use super::out::Out;

pub(super) fn main() -> Result<bool, Failure> {
    Out::new().text(&json_schema())?;
    Ok(true)
}
