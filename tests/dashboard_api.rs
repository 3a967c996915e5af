//! The dashboard's API against its contract, `docs/openapi.json`: every answer of a real mesh in the shape the file says,
//! every path in the file answered and no other; `/metrics` read by a parser; and who is let in to see what.

#[path = "dashboards/mod.rs"]
mod dashboards;
#[path = "meshes/mod.rs"]
mod meshes;
