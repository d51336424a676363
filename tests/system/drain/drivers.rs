//! Programs that people use, as remote clients: each hears PostgreSQL's own farewell, and
//! is back after the window by its own retry.
//!
//! `tests/run` fetches them and names their folder in `PGCORDON_TEST_CLIENTS`.

use crate::lab::{Lab, Program, SOON, assert_complete};

/// A program or a folder among the clients that `tests/run` has fetched.
fn fetched(path: &str) -> String {
    let shelf = std::env::var("PGCORDON_TEST_CLIENTS").unwrap_or_else(|_| {
        panic!("PGCORDON_TEST_CLIENTS is not set: run these tests by tests/run, which fetches the clients")
    });
    let path = format!("{shelf}/{path}");
    assert!(
        std::path::Path::new(&path).exists(),
        "{path} is missing: run tests/run, which fetches it"
    );
    path
}

fn script(name: &str) -> String {
    format!("{}/tests/system/lab/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The driver says `connected`, works, is cut, says what it heard, and comes back.
fn is_cut_and_comes_back(lab: &Lab, driver: Program) {
    let started = lab.cluster().started_at();
    let running = driver.spawn();
    running.wait_for_stdout("connected", SOON);
    let report = lab.server.cordon("start --for 10m");
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["ended"], 1, "{report}");
    running.wait_for_stdout("lost", SOON);
    let heard = running.stdout_so_far();
    let farewells = [
        "lost 57P01",
        "terminating connection due to administrator command",
        "connection was closed in the middle of operation None",
    ];
    assert!(farewells.iter().any(|word| heard.contains(word)), "{heard}");
    // It knocks now, and is not let in.
    let knocks = || lab.server.window()["knocks"].as_array().unwrap().len();
    let deadline = std::time::Instant::now() + SOON;
    while knocks() == 0 {
        assert!(std::time::Instant::now() < deadline, "no retry");
    }
    assert!(!running.stdout_so_far().contains("back"));
    lab.server.cordon("lift");
    running.wait_for_stdout("back", SOON);
    assert_eq!(lab.cluster().started_at(), started);
}

#[test]
fn psycopg_over_both_families() {
    for v6 in [false, true] {
        let lab = Lab::new(1);
        let address = lab.server.addresses()[usize::from(v6)].to_string();
        let driver = lab.clients[0]
            .program(&fetched("python/bin/python"))
            .args([&script("driver_psycopg.py"), &address]);
        is_cut_and_comes_back(&lab, driver);
    }
}

#[test]
fn asyncpg() {
    let lab = Lab::new(1);
    let driver = lab.clients[0]
        .program(&fetched("python/bin/python"))
        .args([&script("driver_asyncpg.py"), &lab.server.v4.to_string()]);
    is_cut_and_comes_back(&lab, driver);
}

#[test]
fn node_postgres() {
    let lab = Lab::new(1);
    let modules = fetched("node/node_modules/pg");
    let folder = modules.trim_end_matches("/node_modules/pg");
    let driver = lab.clients[0].program("node").args([
        script("driver_pg.cjs"),
        folder.to_owned(),
        lab.server.v4.to_string(),
    ]);
    is_cut_and_comes_back(&lab, driver);
}

#[test]
fn pgbench() {
    let lab = Lab::new(1);
    let host = lab.server.v4.to_string();
    lab.server
        .program("/usr/lib/postgresql/15/bin/pgbench")
        .args(["-i", "-q", "-h", "127.0.0.1", "-U", "postgres", "postgres"])
        .run()
        .assert_status(0);
    let bench = |rest: &[&str]| {
        lab.clients[0]
            .program("/usr/lib/postgresql/15/bin/pgbench")
            .env("PGCONNECT_TIMEOUT", "2")
            .args(["-n", "-c", "4", "-h", &host, "-U", "postgres"])
            .args(rest)
            .args(["postgres"])
    };
    let cut = bench(&["-T", "60"]).spawn();
    let busy = "select count(*) = 4 from pg_stat_activity where application_name = 'pgbench'";
    lab.cluster().wait_until(busy, SOON);
    let report = lab.server.cordon("start --for 10m");
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["ended"], 4, "{report}");
    let outcome = cut.wait(SOON);
    outcome.assert_stderr_has("terminating connection due to administrator command");

    // Its own retry is that of the script which runs it.
    bench(&["-t", "5"]).run().assert_status(1);
    let line = format!(
        "until /usr/lib/postgresql/15/bin/pgbench -n -c 4 -t 5 -h {host} -U postgres postgres; do echo again; done"
    );
    let retrying =
        lab.clients[0].program("bash").env("PGCONNECT_TIMEOUT", "2").args(["-c", &line]).spawn();
    retrying.wait_for_stdout("again", SOON);
    lab.server.cordon("lift");
    retrying.wait(SOON).assert_status(0);
}
