//! The core stories against every major version that is supported, 12 to 18.
//!
//! `tests/run` fetches the programs and names their folder in `PGCORDON_TEST_MAJORS`: in it
//! one folder for each version, with `bin`, `lib` and `share`.

mod core;
mod storm;

use crate::lab::{Cluster, Lab, Postgres};
use std::path::PathBuf;

/// Where the programs of a major version are.
///
/// # Panics
/// Where they are missing: a version that was not tried has not passed.
fn programs(major: u32) -> PathBuf {
    let shelf = std::env::var_os("PGCORDON_TEST_MAJORS");
    let shelf = shelf.map(PathBuf::from).unwrap_or_else(|| {
        panic!("PGCORDON_TEST_MAJORS is not set: run these tests by tests/run, which fetches PostgreSQL 12 to 18")
    });
    let entries = std::fs::read_dir(&shelf).unwrap_or_else(|e| {
        panic!("{}: {e}: run tests/run, which fetches PostgreSQL 12 to 18", shelf.display())
    });
    let of_major = |name: &str| name.split('.').next() == Some(&major.to_string());
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| of_major(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!("no PostgreSQL {major} in {}: run tests/run, which fetches it", shelf.display())
    })
}

/// A server of this major version, and so many clients.
fn lab(major: u32, clients: usize, postgres: Postgres) -> (Lab, Cluster) {
    let lab = Lab::bare(clients);
    // The target directory may be closed to the user postgres.
    let place = "/var/lib/postgresql/programs";
    lab.server.run(["mkdir", "-p", place]).assert_status(0);
    let programs = programs(major).to_string_lossy().into_owned();
    lab.server.run(["mount", "--bind", &programs, place]).assert_status(0);
    let cluster = lab.server.start_postgres(postgres.binaries(format!("{place}/bin")));
    assert_eq!(cluster.major, major);
    (lab, cluster)
}
