//! Why calls fail, as programs and the manual are told.

use pgcordon::testing::failure::{Exit, Explain, Explanation, Failure, Kind};
use std::io;

#[derive(Debug, thiserror::Error)]
#[error("cannot open it: {0}")]
struct Unopened(#[source] io::Error);

impl Explain for Unopened {
    fn explain(&self) -> Explanation {
        Kind::Runtime.hint("check the limits of this shell")
    }
}

#[test]
fn where_descriptors_are_missing_the_hint_says_so() {
    let hint = |number| {
        let failure = Failure::of(&Unopened(io::Error::from_raw_os_error(number)));
        failure.why.hint
    };
    assert_eq!(hint(nix::libc::EACCES), "check the limits of this shell");
    assert!(hint(nix::libc::EMFILE).contains("open files"));
}

#[test]
fn the_manual_has_the_kinds_in_alphabetical_order() {
    assert!(Kind::ALL.is_sorted_by(|one, next| one.as_str() < next.as_str()));
}

#[test]
fn the_numbers_are_the_contract() {
    let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| exit.status()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 77, 124, 125, 126, 127, 129, 130, 131, 143]);
}

#[test]
fn a_long_meaning_is_broken_into_lines() {
    let list = Exit::list(|exit| exit == Exit::Incomplete);
    let (first, second) = list.split_once('\n').unwrap();
    assert!(first.starts_with("  3    The cordon is in force,"), "{first}");
    assert!(second.starts_with("       changed could not"), "{second}");
}
