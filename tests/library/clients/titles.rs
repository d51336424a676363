//! What the title of a backend tells about its client.

use pgcordon::testing::clients::Client;

#[test]
fn titles_of_sessions_name_their_clients() {
    let other = "203.0.113.7:43000";
    for (title, client) in [
        ("app shop 203.0.113.7(43000) idle", other),
        ("main: app shop 203.0.113.7(43000) idle in transaction (aborted)", other),
        ("walsender repl 2001:db8::7(43000) streaming 0/3000148", "[2001:db8::7]:43000"),
        ("app shop ::ffff:203.0.113.7(43000) SELECT", other),
        ("app name with spaces 127.0.0.1(1) authentication", "127.0.0.1:1"),
        ("app shop fe80::1%eth0(43000) idle", "[fe80::1]:43000"),
    ] {
        let address = client.parse().unwrap();
        let named = Client::from_title(&format!("postgres: {title}"));
        assert_eq!(named, Client::Address { address }, "{title}");
    }
    let local = Client::from_title("postgres: app shop [local] idle");
    assert_eq!(local, Client::Unix);
}

#[test]
fn nothing_is_guessed_from_a_title() {
    for title in [
        "/usr/lib/postgresql/15/bin/postgres -D /data 203.0.113.7(43000)",
        "postgres: checkpointer",
        "postgres: parallel worker for PID 4711",
        "postgres: app shop client.example(43000) idle",
        // A role may bear the name of a local client.
        "postgres: 127.0.0.1(1) shop 203.0.113.7(43000) idle",
        "postgres: [local] shop 203.0.113.7(43000) idle",
        "postgres: app shop 203.0.113.7(430",
        "postgres: app shop 203.0.113.7(70000) idle",
        "postgres: app shop 203.0.113.7%eth0(43000) idle",
        "",
    ] {
        assert_eq!(Client::from_title(title), Client::Unknown, "{title}");
    }
}
