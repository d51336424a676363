//! Which existing connections stay.

use pgcordon::testing::cordon::{Spare, synchronous_standbys_needed};

#[test]
fn what_is_spared_is_named_by_role_database_or_application() {
    let spare: Spare = "application=pg_dump".parse().unwrap();
    assert!(spare.matches("app", "shop", "pg_dump"));
    assert!(!spare.matches("pg_dump", "pg_dump", "psql"));
    for bad in ["pg_dump", "role=", "user=app", "=app", ""] {
        assert!(bad.parse::<Spare>().is_err(), "{bad}");
    }
}

#[test]
fn the_number_of_synchronous_standbys_is_read_as_the_manual_says() {
    for (names, needed) in [
        ("", 0),
        ("  ", 0),
        ("s1", 1),
        ("s1, s2", 1),
        ("*", 1),
        ("2 (s1, s2, s3)", 2),
        ("FIRST 2 (s1, s2)", 2),
        ("ANY 3 (s1, s2, s3, s4)", 3),
        ("any 1 (\"odd (name\")", 1),
    ] {
        assert_eq!(synchronous_standbys_needed(names), needed, "{names}");
    }
}
