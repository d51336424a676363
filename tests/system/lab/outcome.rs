//! How a program ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

/// A program's exit status and output.
#[derive(Debug)]
pub struct Outcome {
    /// The command line.
    pub line: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it printed to stderr.
    pub stderr: String,
    /// From just before the fork to the end of the process.
    pub took: Duration,
}

impl Outcome {
    /// Fails with all output unless the exit status is this one.
    #[track_caller]
    pub fn assert_status(&self, wanted: i32) -> &Outcome {
        let same = self.status.code() == Some(wanted);
        assert!(same, "exit status {wanted} expected of {self}");
        self
    }

    /// Fails with all output unless a signal of this number ended it.
    #[track_caller]
    pub fn assert_killed_by(&self, signal: i32) -> &Outcome {
        let same = self.status.signal() == Some(signal);
        assert!(same, "an end by signal {signal} expected of {self}");
        self
    }

    /// Fails with all output unless stdout holds `text`.
    #[track_caller]
    pub fn assert_stdout_has(&self, text: &str) -> &Outcome {
        assert!(self.stdout.contains(text), "{text:?} expected on stdout of {self}");
        self
    }

    /// Fails with all output unless stderr holds `text`.
    #[track_caller]
    pub fn assert_stderr_has(&self, text: &str) -> &Outcome {
        assert!(self.stderr.contains(text), "{text:?} expected on stderr of {self}");
        self
    }

    /// Stdout as the one JSON object that it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("one JSON object expected on stdout ({e}) of {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { line, status, stdout, stderr, .. } = self;
        write!(f, "{line}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
