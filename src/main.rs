//! The `pgcordon` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgcordon::main()
}
