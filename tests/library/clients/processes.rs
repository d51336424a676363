//! Listeners and backends are found through /proc, and only backends past their startup
//! are signalled.

use super::net::{CLIENT, LONG, Remote, SERVER, connect, in_namespace, listener, run, within};
use super::server::{Server, log_in, message, send};
use nix::sys::socket::{setsockopt, sockopt};
use pgcordon::testing::clients::{
    Backend, Client, Destroyed, PortInodes, Process, ProcessError, RowKey, SignalError, Signalled,
    Sockets, Stage, backends, join, listener_processes, sessions_without_socket, signal,
};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const PORT: u16 = 5432;
fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), PORT)
}

fn listeners(port: u16) -> Vec<(SocketAddr, Option<Process>)> {
    let mut sockets = Sockets::open().expect("sock_diag");
    let listening = sockets.listening(port).expect("a scan");
    let processes = listener_processes(&listening).expect("their processes");
    let addresses = listening.iter().map(|socket| socket.local);
    addresses.zip(processes).collect()
}

fn postmaster_of(server: &Server) -> Process {
    let found = Process::read(server.pid()).expect("/proc");
    found.expect("the postmaster")
}

fn inodes() -> PortInodes {
    let mut sockets = Sockets::open().expect("sock_diag");
    let listening = sockets.listening(PORT).expect("a scan");
    let connected = sockets.connected(PORT).expect("a scan");
    PortInodes::new(&listening, &connected)
}

fn backends_of(server: &Server) -> Vec<Backend> {
    backends(&postmaster_of(server), &inodes()).expect("backends")
}

fn is_client(backend: &Backend, stream: &TcpStream) -> bool {
    let own = stream.local_addr().expect("its address");
    matches!(&backend.client, Client::Address { address, .. } if *address == own)
}

fn wait_for_end(backend: &Backend) {
    within(LONG, "the backend's end", || backend.has_ended().expect("poll").then_some(()));
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).expect("SO_LINGER");
}

#[test]
fn each_listener_has_its_own_postmaster() {
    in_namespace(|| {
        let _remote = Remote::linked();
        let outer = Server::start(SERVER, PORT, &[]);
        let inner = Server::start("127.0.0.1,::1", PORT, &[]);
        let mut found = listeners(PORT);
        found.sort_by_key(|(address, _)| *address);
        let pids: Vec<_> = found
            .iter()
            .map(|(address, process)| {
                let process = process.as_ref().expect("a process");
                assert!(process.is_postgres, "{process:?}");
                assert_eq!(process.name, "postgres");
                (address.ip().to_string(), process.pid)
            })
            .collect();
        assert_eq!(
            pids,
            [
                ("127.0.0.1".to_owned(), inner.pid()),
                (SERVER.to_owned(), outer.pid()),
                ("::1".to_owned(), inner.pid()),
            ]
        );
    });
}

#[test]
fn a_listener_that_is_not_postgres_is_named() {
    in_namespace(|| {
        let (_listening, port) = listener();
        let found = listeners(port);
        let process = found[0].1.as_ref().expect("this process");
        assert_eq!(process.pid, std::process::id() as i32);
        assert!(!process.is_postgres);
    });
}

#[test]
fn what_the_kernel_hides_is_not_taken_for_nobody() {
    in_namespace(|| {
        let server = Server::start("127.0.0.1", PORT, &[]);
        let _client = connect(at("127.0.0.1"));
        let postmaster = postmaster_of(&server);
        let inodes = inodes();
        let mut sockets = Sockets::open().expect("sock_diag");
        let listening = sockets.listening(PORT).expect("a scan");
        // Of this thread alone.
        let ptrace = caps::Capability::CAP_SYS_PTRACE;
        caps::drop(None, caps::CapSet::Effective, ptrace).expect("drop a capability");
        let found = listener_processes(&listening);
        assert!(matches!(found, Err(ProcessError::Privilege(_))), "{found:?}");
        let found = backends(&postmaster, &inodes);
        assert!(matches!(found, Err(ProcessError::Privilege(_))), "{found:?}");
    });
}

#[test]
fn a_silent_client_is_in_startup_and_is_never_signalled() {
    in_namespace(|| {
        let remote = Remote::linked();
        let mut server = Server::start(SERVER, PORT, &["update_process_title=off"]);
        let mut silent = remote.connect(at(SERVER));
        let backend = within(LONG, "the silent client's backend", || backends_of(&server).pop());
        assert_eq!(backend.stage, Stage::Startup);
        assert_eq!(backend.client, Client::Unknown);
        let refused = signal(&backend);
        assert!(matches!(refused, Err(SignalError::InStartup(_))), "{refused:?}");

        // Its socket ends it.
        let mut sockets = Sockets::open().expect("sock_diag");
        for socket in sockets.connected(PORT).expect("a scan") {
            assert_eq!(backend.inodes, [socket.inode]);
            assert_eq!(sockets.destroy(&socket).expect("destroy"), Destroyed::Done);
        }
        wait_for_end(&backend);
        silent.read(&mut [0; 1]).expect_err("a reset");
        assert!(backends_of(&server).is_empty());
        server.assert_unharmed();
    });
}

#[test]
fn a_session_is_signalled_hears_why_and_the_others_stay() {
    in_namespace(|| {
        let remote = Remote::linked();
        let listen = format!("{SERVER},127.0.0.1");
        let mut server = Server::start(&listen, PORT, &["cluster_name=main"]);
        let mut cut = remote.connect(at(SERVER));
        let mut stays = connect(at("127.0.0.1"));
        log_in(&mut cut);
        log_in(&mut stays);

        let mut found = backends_of(&server);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|backend| backend.stage == Stage::Running));
        let at_cut = found.iter().position(|backend| is_client(backend, &cut));
        let backend = found.swap_remove(at_cut.expect("the remote client's backend"));
        assert!(is_client(&found[0], &stays));
        assert_eq!(signal(&backend).expect("SIGTERM"), Signalled::Sent);

        let (kind, body) = message(&mut cut);
        assert_eq!(kind, b'E');
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(body.contains("57P01"), "{body}");
        assert_eq!(cut.read(&mut [0; 1]).expect("a close"), 0);
        wait_for_end(&backend);
        assert_eq!(signal(&backend).expect("nobody there"), Signalled::Gone);

        send(&mut stays, "SELECT 1");
        assert_eq!(message(&mut stays).0, b'T');
        assert_eq!(backends_of(&server).len(), 1);
        server.assert_unharmed();
    });
}

#[test]
fn a_client_that_resets_while_its_query_runs_is_found_without_a_socket() {
    in_namespace(|| {
        let remote = Remote::linked();
        let listen = format!("{SERVER},127.0.0.1");
        for title in ["update_process_title=on", "update_process_title=off"] {
            let mut server = Server::start(&listen, PORT, &[title]);
            let mut client = remote.connect(at(SERVER));
            let own = client.local_addr().expect("its address");
            log_in(&mut client);
            send(&mut client, "SELECT pg_sleep(600)");
            assert_eq!(backends_of(&server).len(), 1);
            // The statement has arrived once the server has nothing left to read.
            let mut sockets = Sockets::open().expect("sock_diag");
            within(LONG, "the statement's start", || {
                let found = sockets.connected(PORT).expect("a scan");
                (found[0].receive_queue == 0).then_some(())
            });
            reset(client);
            within(LONG, "the socket's end", || {
                let found = sockets.connected(PORT).expect("a scan");
                found.is_empty().then_some(())
            });

            let scan = inodes();
            let postmaster = postmaster_of(&server);
            assert!(backends(&postmaster, &scan).expect("backends").is_empty());
            // A session over a Unix socket is none of the port's.
            let path = server.folder().join(format!(".s.PGSQL.{PORT}"));
            let _local = std::os::unix::net::UnixStream::connect(path).expect("a local client");
            let found = sessions_without_socket(&postmaster, PORT, &scan).expect("sessions");
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].unlisted, Some(at(SERVER)));
            assert_eq!(found[0].stage, Stage::Running);
            let address = Client::Address { address: own };
            assert_eq!(found[0].client, address, "{found:?}");
            assert_eq!(own.ip().to_string(), CLIENT);
            assert_eq!(signal(&found[0]).expect("SIGTERM"), Signalled::Sent);
            wait_for_end(&found[0]);
            server.assert_unharmed();
        }
    });
}

#[test]
fn sockets_backends_and_rows_become_one_list() {
    in_namespace(|| {
        let remote = Remote::linked();
        let server = Server::start(SERVER, PORT, &[]);
        let mut client = remote.connect(at(SERVER));
        log_in(&mut client);
        let silent = remote.connect(at(SERVER));
        within(LONG, "two backends", || (backends_of(&server).len() == 2).then_some(()));

        let mut sockets = Sockets::open().expect("sock_diag");
        let found = sockets.connected(PORT).expect("a scan");
        let backends = backends_of(&server);
        let pid = backends.iter().find(|b| is_client(b, &client)).expect("its backend").pid;
        let own = client.local_addr().expect("its address");
        let elsewhere = SocketAddr::new(own.ip(), 1);
        let rows = [("other", pid, elsewhere), ("app", pid, own), ("twin", pid + 1, own)];
        let list = join(&found, &backends, &rows, |row| {
            let (_, pid, client) = *row;
            Some(RowKey { pid, client })
        });
        assert_eq!(list.len(), 2);
        for joined in &list {
            let backend = joined.backend.expect("a backend");
            if joined.socket.remote == own {
                assert_eq!(backend.pid, pid);
                assert_eq!(joined.row.expect("a row").0, "app");
            } else {
                assert_eq!(joined.socket.remote, silent.local_addr().unwrap());
                assert_eq!(backend.stage, Stage::Startup);
                assert!(joined.row.is_none());
            }
        }
    });
}

#[test]
fn hundreds_of_backends_are_found_quickly_and_a_storm_hides_none() {
    in_namespace(|| {
        let remote = Remote::linked();
        let mut server = Server::start(SERVER, PORT, &["max_connections=300"]);
        let mut clients: Vec<_> = (0..200).map(|_| remote.connect(at(SERVER))).collect();
        for client in &mut clients {
            log_in(client);
        }
        let begin = Instant::now();
        let found = listeners(PORT);
        println!("the listener among 200 backends in {:?}", begin.elapsed());
        assert_eq!(found[0].1, Some(postmaster_of(&server)));
        let scan = inodes();
        let begin = Instant::now();
        let found = backends(&postmaster_of(&server), &scan).expect("backends");
        println!("200 backends in {:?}", begin.elapsed());
        let begin = Instant::now();
        backends(&postmaster_of(&server), &scan).expect("backends");
        println!("the same again in {:?}", begin.elapsed());
        assert_eq!(found.len(), 200);

        // While half of them end, every one of the other half is seen each time.
        let staying: Vec<_> = clients.drain(..100).collect();
        let ending = std::thread::spawn(move || drop(clients));
        let mut rounds = 0;
        while rounds < 20 || !ending.is_finished() {
            let found = backends(&postmaster_of(&server), &scan).expect("backends");
            for client in &staying {
                assert!(found.iter().any(|backend| is_client(backend, client)));
            }
            rounds += 1;
        }
        ending.join().expect("the clients' end");
        server.assert_unharmed();
    });
}

#[test]
fn postgres_is_known_by_its_file_even_after_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("postgres", true),
        ("edb-postgres", true),
        ("postmaster", true),
        ("pgbouncer", false),
        ("postgres_exporter", false),
    ] {
        let path = folder.path().join(name);
        // Not by this process: what another thread starts meanwhile would hold the file open.
        run("cp", &["/bin/sleep", path.to_str().unwrap()]);
        let mut child = std::process::Command::new(&path).arg("60").spawn().unwrap();
        let is_postgres = || Process::read(child.id() as i32).unwrap().unwrap().is_postgres;
        assert_eq!(is_postgres(), expected, "{name}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(is_postgres(), expected, "{name} (deleted)");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn this_process_can_be_read_and_a_missing_one_is_none() {
    let pid = std::process::id() as i32;
    let process = Process::read(pid).unwrap().unwrap();
    assert_eq!(process.uid, rustix::process::geteuid().as_raw());
    assert!(!process.is_postgres);
    assert_eq!(Process::read(i32::MAX).unwrap(), None);
}
