//! The dashboard, mounted in a service of your own.
fn main() {}
