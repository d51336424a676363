//! pgcordon on a host.

use super::host::Host;
use super::outcome::Outcome;
use super::program::Program;
use super::running::Running;

impl Host {
    /// The tool, not started yet: add arguments, a user, missing capabilities.
    pub fn tool(&self) -> Program {
        self.program(env!("CARGO_BIN_EXE_pgcordon"))
    }

    /// The tool as another user, with that user's groups and no capability. It is a copy:
    /// the target directory may be closed to others.
    pub fn tool_as(&self, user: &str) -> Program {
        let copy = "/run/lab/pgcordon";
        self.run(["install", "-D", env!("CARGO_BIN_EXE_pgcordon"), copy]).assert_status(0);
        self.program(copy).user(user)
    }

    /// Runs pgcordon to its end.
    pub fn pgcordon<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.tool().args(args).run()
    }

    /// Starts pgcordon.
    pub fn spawn_pgcordon<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        self.tool().args(args).spawn()
    }
}
