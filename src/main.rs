//! The `pgcordon` command.
fn main() {}
