//! The `dbbuild` program.
fn main() {}
