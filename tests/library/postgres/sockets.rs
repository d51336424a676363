//! What /proc tells about the sockets and the children of a server.

use pgcordon::testing::postgres::{Address, Backend, find_backend, parse_unix_sockets};

const TABLE: &[u8] = b"Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 11 /var/run/postgresql/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01    12 /tmp/with space/.s.PGSQL.5432
0000000000000000: 00000003 00000000 00000000 0001 03 13 /var/run/postgresql/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 14 /tmp/false/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 15 /tmp/.s.PGSQL.54321
0000000000000000: 00000002 00000000 00010000 0001 01 16 @pg/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 17 .s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 18
0000000000000000: 00000003 00000000 00000000 0001 03 19\n";

#[test]
fn only_listening_sockets_of_this_process_and_port_count() {
    let held = [11, 12, 13, 15, 16, 17, 18, 19].into_iter().collect();
    let path = |path: &str| Address::Path(path.into());
    assert_eq!(
        parse_unix_sockets(TABLE, 5432, &held),
        [
            path("/var/run/postgresql/.s.PGSQL.5432"),
            path("/tmp/with space/.s.PGSQL.5432"),
            path(".s.PGSQL.5432"),
            Address::Abstract(b"pg/.s.PGSQL.5432".to_vec()),
        ]
    );
}

#[test]
fn a_table_cut_short_at_any_byte_is_read_without_harm() {
    let held = (11..20).collect();
    for end in 0..TABLE.len() {
        parse_unix_sockets(&TABLE[..end], 5432, &held);
    }
}

#[test]
fn our_own_child_is_found() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(find_backend(own, pid), Backend::Child(pid));
    assert_eq!(find_backend(pid, own), Backend::Stranger);
    child.kill().unwrap();
    child.wait().unwrap();
}
