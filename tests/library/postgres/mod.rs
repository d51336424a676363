//! The session against a real PostgreSQL: root gets in with no set-up, the right server
//! answers, hostile settings change nothing, and silence has an end.
//!
//! Needs root and PostgreSQL's server programs; a test that cannot run fails with the reason.
//! `PGCORDON_TEST_BINDIR` names the programs of another version.

mod doors;
mod hostile;
mod logins;
mod options;
mod passfile;
mod server;
mod silence;
mod sockets;
mod statements;

/// Runs a story on a runtime like the program's own.
fn tell(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}
