//! A person at a terminal.

use super::host::Host;
use super::outcome::Outcome;
use super::story::SOON;

/// What a person does at a terminal, one thing after the other.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Types this.
    Type(&'a str),
    /// Waits until this has appeared, behind what was read before.
    Read(&'a str),
    /// Waits until this shell command, run elsewhere on the host, exits with 0.
    Until(&'a str),
    /// Closes the terminal.
    HangUp,
}

/// Ctrl-C.
pub const CTRL_C: &str = "\x03";
/// Ctrl-Z.
pub const CTRL_Z: &str = "\x1a";

impl Host {
    /// A person at an interactive shell, in which `$pgcordon` is the tool; fails unless every
    /// step comes true. The shell shows `ready> ` for its prompt.
    #[track_caller]
    pub fn at_a_shell(&self, steps: &[Step]) -> Outcome {
        self.at_a_terminal(&["bash", "--norc", "--noediting", "-i"], steps)
    }

    /// The same with another program on the terminal, and no shell around it.
    #[track_caller]
    pub fn at_a_terminal(&self, line: &[&str], steps: &[Step]) -> Outcome {
        let steps: Vec<[&str; 2]> = steps
            .iter()
            .map(|step| match step {
                Step::Type(text) => ["type", text],
                Step::Read(text) => ["read", text],
                Step::Until(command) => ["until", command],
                Step::HangUp => ["hang up", ""],
            })
            .collect();
        let steps = serde_json::to_string(&steps).expect("JSON");
        let outcome = self
            .python_program("terminal.py")
            .args([steps.as_str()])
            .args(line)
            .env("pgcordon", env!("CARGO_BIN_EXE_pgcordon"))
            .limit(SOON * 20)
            .run();
        outcome.assert_status(0);
        outcome
    }
}
