//! Which socket is the server's, wherever it stands.

use super::server::{Server, Setup, major, run, set_mode};
use super::tell;
use pgcordon::testing::postgres::SessionError;
use pgcordon::testing::sys::EffectiveIds;
use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

const NOBODY: u32 = 65534;

#[test]
fn root_gets_in_with_no_set_up_and_keeps_its_own_ids() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        assert_eq!(session.role(), "postgres");
        assert!(rustix::process::geteuid().is_root());
        drop(session);
        let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgcordon'";
        while server.sql("postgres", &[left]) != "0" {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_false_socket_of_an_unprivileged_user_is_refused() {
    let server = Server::start();
    let folder = tempfile::tempdir_in(server.folder.path()).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    set_mode(folder.path(), 0o755);
    let ids = EffectiveIds::switch(NOBODY, NOBODY).unwrap();
    let _false_server = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    drop(ids);
    tell(async {
        let mut target = server.target();
        server.open(&target).await.expect("the real one is found");

        target.access.socket_dir = Some(server.folder.path().to_owned());
        server.open(&target).await.expect("the real one is named");

        target.access.socket_dir = Some(folder.path().to_owned());
        let error = server.open(&target).await.unwrap_err();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(matches!(error, SessionError::WrongPeer { peer, .. } if peer == own), "{error}");
    });
}

#[test]
fn a_false_socket_in_the_real_ones_place_is_refused() {
    let server = Server::start();
    fs::rename(server.socket(), server.folder.path().join("moved")).unwrap();
    tell(async {
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::OpenSocket { .. }), "{error}");

        fs::write(server.socket(), "").unwrap();
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::NotASocket { .. }), "{error}");
        fs::remove_file(server.socket()).unwrap();

        let _false_server = UnixListener::bind(server.socket()).unwrap();
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::WrongPeer { .. }), "{error}");
    });
}

#[test]
fn one_good_socket_among_bad_ones_is_enough() {
    let server = Server::start_with(&Setup {
        conf: "unix_socket_directories = '{dir}/data, {dir}'",
        ..Setup::default()
    });
    let first = server.folder.path().join("data/.s.PGSQL.5432");
    fs::remove_file(&first).unwrap();
    let _false_server = UnixListener::bind(&first).unwrap();
    tell(async {
        server.session().await;
    });
}

#[test]
fn a_forged_line_in_the_kernels_list_leads_nowhere() {
    let server = Server::start();
    // A socket's name may hold a line feed; behind it stands a line that looks like one of
    // the postmaster's sockets under another path.
    let table = fs::read_to_string(format!("/proc/{}/net/unix", server.postmaster)).unwrap();
    let socket = server.socket().display().to_string();
    let line = table.lines().find(|line| line.ends_with(&socket)).unwrap();
    let inode = line.split_ascii_whitespace().nth(6).unwrap();
    let evil = tempfile::Builder::new().prefix("e").tempdir_in("/tmp").unwrap();
    let name = format!("x\n0: 2 0 00010000 1 1 {inode} {}", evil.path().display());
    run(Command::new("mkdir").arg("-p").arg(format!("{}/{name}", evil.path().display())));
    std::env::set_current_dir(evil.path()).unwrap();
    let _false_server = UnixListener::bind(format!("{name}/.s.PGSQL.5432")).unwrap();
    tell(async {
        server.session().await;
    });
}

#[test]
fn a_relative_directory_is_the_servers_own() {
    let server = Server::start_with(&Setup {
        conf: "unix_socket_directories = '../data'",
        ..Setup::default()
    });
    tell(async {
        server.session().await;
    });
}

#[test]
fn an_abstract_socket_will_do() {
    if major() < 14 {
        return; // To 12 and 13 it would be a directory's name: there is nothing to reach.
    }
    let server = Server::start_with(&Setup {
        conf: "unix_socket_directories = '@pgcordon'",
        ..Setup::default()
    });
    tell(async {
        server.session().await;
    });
}

#[test]
fn a_private_tmp_is_entered_and_its_links_stay_inside() {
    // The server's root holds /run/pg; outside, nothing has that name. The way there is a
    // link to an absolute path.
    let server = Server::start_with(&Setup {
        conf: "unix_socket_directories = '{dir}/link'",
        around: Some(
            "exec unshare --mount sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/pg && \
             chown postgres /mnt/pg && ln -s /mnt/pg {dir}/link && exec \"$@\"' sh \"$@\"",
        ),
        ..Setup::default()
    });
    assert!(!std::path::Path::new("/mnt/pg").exists());
    tell(async {
        let session = server.session().await;
        assert_eq!(session.role(), "postgres");
    });
}

#[test]
fn a_server_in_a_pid_namespace_of_its_own_is_recognised() {
    let server = Server::start_with(&Setup {
        around: Some("exec unshare --pid --fork --kill-child \"$@\""),
        ..Setup::default()
    });
    tell(async {
        let session = server.session().await;
        let client = server.client("postgres").await;
        let inside = client.pid().await;
        let outside = session.host_pid(inside).expect("a child of the postmaster");
        assert_ne!(inside, outside);
        let status = fs::read_to_string(format!("/proc/{outside}/status")).unwrap();
        let parent = format!("PPid:\t{}\n", server.postmaster);
        assert!(status.contains(&parent), "{status}");
    });
}

#[test]
fn without_a_unix_socket_the_error_names_the_ways_out() {
    let server =
        Server::start_with(&Setup { conf: "unix_socket_directories = ''", ..Setup::default() });
    tell(async {
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::NoSocket { .. }), "{error}");
        assert!(error.to_string().contains("--pg-host"), "{error}");
    });
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let server = Server::start();
    tell(async {
        let mut target = server.target();
        target.postmaster = i32::MAX;
        let error = server.open(&target).await.unwrap_err();
        assert!(matches!(error, SessionError::Postmaster { .. }), "{error}");
    });
}
