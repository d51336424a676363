//! What a service manager hears of `hold`: its unit is active as long as the window is.

use crate::lab::{Lab, SOON};
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/run/lab/notify";

/// The next message.
fn heard(socket: &UnixDatagram) -> String {
    let mut message = [0; 1000];
    let length = socket.recv(&mut message).expect("a message");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[test]
fn hold_says_when_it_is_ready_and_until_when() {
    let lab = Lab::new(1);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    lab.server.run(["mkdir", "-p", "/run/lab"]).assert_status(0);
    let socket = lab.server.inside(|| UnixDatagram::bind(SOCKET)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let hold = lab.server.tool().env("NOTIFY_SOCKET", SOCKET).args(["hold", "--for", "5m"]).spawn();
    let ready = heard(&socket);
    assert!(ready.starts_with("READY=1\nSTATUS=cordoned until "), "{ready}");
    assert!(!ready.contains("incomplete"), "{ready}");
    // The drain is over by then: whoever waited for the unit finds nobody remote.
    client.wait_end(SOON).assert_farewell();
    let ends_at = lab.server.window()["ends_at"].as_str().unwrap().replace('T', " ");
    assert!(ready.contains(&ends_at[..16]), "{ready}, {ends_at}");

    lab.server.cordon("extend --by 10m");
    let moved = heard(&socket);
    let ends_at = lab.server.window()["ends_at"].as_str().unwrap().replace('T', " ");
    assert!(moved.starts_with("STATUS=cordoned until "), "{moved}");
    assert!(moved.contains(&ends_at[..16]), "{moved}, {ends_at}");
    hold.signal(Signal::SIGTERM);
    hold.wait(SOON).assert_status(143);
}

#[test]
fn an_incomplete_drain_is_told_with_it() {
    let lab = Lab::new(1);
    let stuck = lab.clients[0].connect(lab.server.at_v4(5432));
    lab.server.signal(stuck.backend_pid(), "STOP");
    lab.server.run(["mkdir", "-p", "/run/lab"]).assert_status(0);
    let socket = lab.server.inside(|| UnixDatagram::bind(SOCKET)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let _hold = lab
        .server
        .tool()
        .env("NOTIFY_SOCKET", SOCKET)
        .args(["hold", "--for", "5m", "--drain-timeout", "1s"])
        .spawn();
    let ready = heard(&socket);
    assert!(ready.contains("the drain was incomplete"), "{ready}");
}

#[test]
fn a_service_manager_that_does_not_listen_changes_nothing() {
    let lab = Lab::new(0);
    let outcome = lab
        .server
        .tool()
        .env("NOTIFY_SOCKET", "/run/lab/nobody")
        .args(["hold", "--for", "1s"])
        .run();
    outcome.assert_status(0).assert_stderr_has("service manager");
}
