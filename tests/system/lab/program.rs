//! Programs to be run on a host.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use super::running::Running;
use super::space::Space;

/// How long a program may run when nothing else is said.
const LIMIT: Duration = Duration::from_secs(120);

/// A program to be run on a host.
pub struct Program {
    space: Arc<Space>,
    words: Vec<String>,
    prefix: Vec<String>,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
    pub(super) limit: Duration,
}

impl Program {
    pub(super) fn new(space: Arc<Space>, name: &str) -> Program {
        Program {
            space,
            words: vec![name.to_owned()],
            prefix: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Program {
        self.words.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the program reads; without it, its standard input is empty.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Program {
        self.input = text.into();
        self
    }

    /// Runs it as this user, with that user's groups.
    pub fn user(mut self, name: &str) -> Program {
        let (uid, gid) = (format!("--reuid={name}"), format!("--regid={}", group(name)));
        self.prefix.extend(["setpriv".to_owned(), uid, gid, "--init-groups".to_owned()]);
        self
    }

    /// Runs it without these capabilities, such as `net_admin`, for ever.
    pub fn without(self, capabilities: &[&str]) -> Program {
        let list: Vec<_> = capabilities.iter().map(|c| format!("-{c}")).collect();
        let list = list.join(",");
        let (bounding, own) = (format!("--bounding-set={list}"), format!("--inh-caps={list}"));
        // In front of a change of user, after which it would not be allowed.
        self.under(["setpriv", &bounding, &own])
    }

    /// Puts words in front of the command, such as `["setsid"]`. The words given last
    /// run first. They must end in exec, not in a child: the pid is to be the program's.
    pub fn under<S: AsRef<str>>(mut self, words: impl IntoIterator<Item = S>) -> Program {
        let words = words.into_iter().map(|w| w.as_ref().to_owned());
        self.prefix.splice(0..0, words);
        self
    }

    /// How long it may run before the test fails; two minutes by default.
    pub fn limit(mut self, limit: Duration) -> Program {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        let limit = self.limit;
        self.spawn().wait(limit)
    }

    /// Starts it. The handle's pid is that of the program itself, as a child of the test
    /// process: a thread that has entered the host's namespaces forks it, so no nsenter
    /// stands between (entering a PID namespace takes effect in children only).
    pub fn spawn(self) -> Running {
        let line: Vec<_> = self.prefix.iter().chain(&self.words).cloned().collect();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .envs(self.environment)
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self
            .space
            .inside(|| command.spawn())
            .unwrap_or_else(|e| panic!("{}: {e}", line.join(" ")));
        if let Some(mut pipe) = child.stdin.take() {
            let input = self.input;
            // A program may end without reading all of it.
            thread::spawn(move || drop(pipe.write_all(&input)));
        }
        Running::new(line.join(" "), child, started, self.space)
    }
}

/// The id of the user's primary group.
fn group(user: &str) -> String {
    let user = nix::unistd::User::from_name(user)
        .expect("the user database")
        .unwrap_or_else(|| panic!("this machine has no user {user}"));
    user.gid.to_string()
}
