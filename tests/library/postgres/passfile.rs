//! Passwords from a file in the format of .pgpass.

use pgcordon::testing::postgres::{Wanted, password};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

const WANTED: Wanted<'_> = Wanted {
    host: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    port: 5432,
    database: "postgres",
    role: "cordon",
};

/// The password in a file of root's alone; in /run only root may write, unlike in /tmp.
fn matched(line: &str) -> Option<String> {
    let folder = tempfile::tempdir_in("/run").unwrap();
    let path = folder.path().join("pass");
    let mut only_ours = fs::OpenOptions::new();
    let mut file = only_ours.write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(line.as_bytes()).unwrap();
    let password = password(&path, WANTED);
    if let Err(why) = &password {
        assert!(why.contains("no line matches"), "{why}");
    }
    password.ok().map(|it| String::from_utf8(it).unwrap())
}

#[test]
fn a_line_matches_by_its_first_four_fields() {
    for (line, password) in [
        ("127.0.0.1:5432:postgres:cordon:pw", Some("pw")),
        ("localhost:*:*:cordon:p w#\r", Some("p w#")),
        ("*:*:*:*:*", Some("*")),
        ("127.0.0.2:5432:postgres:cordon:pw", None),
        ("*:5433:*:*:pw", None),
        ("*:*:*:cordon2:pw", None),
        ("*:*:*:*x:pw", None),
        ("#*:*:*:*:pw", None),
        ("*:*:*:*", None),
        ("", None),
    ] {
        assert_eq!(matched(line).as_deref(), password, "{line}");
    }
}

#[test]
fn escapes_are_undone() {
    assert_eq!(matched("*:*:*:*:a\\:b\\\\c").as_deref(), Some("a:b\\c"));
    assert_eq!(matched("*:*:*:\\*:pw"), None);
    assert_eq!(matched("*:*:*:*:pw\\").as_deref(), Some("pw"));
}

#[test]
fn only_a_file_that_is_roots_alone_is_used() {
    let folder = tempfile::tempdir_in("/run").unwrap();
    let path = folder.path().join("pass");
    fs::write(&path, "# mine\n*:*:*:*:pw\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(password(&path, WANTED).unwrap(), b"pw");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(password(&path, WANTED).unwrap_err().contains("0640"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    assert!(password(&path, WANTED).unwrap_err().contains("not to root"));
    assert!(password(folder.path(), WANTED).unwrap_err().contains("regular"));
}
