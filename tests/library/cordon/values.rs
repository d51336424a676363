//! Values as a user writes them.

use pgcordon::testing::cordon::{Reason, ValueError};

#[test]
fn a_reason_is_what_nft_can_load_again() {
    assert!("x".repeat(100).parse::<Reason>().is_ok());
    let long = "x".repeat(101).parse::<Reason>();
    assert_eq!(long, Err(ValueError::LongReason(101)));
    for bad in ["a\"b", "tab\there", "new\nline", "nul\0", "größer", "\u{202e}"] {
        let refused = bad.parse::<Reason>();
        assert!(matches!(refused, Err(ValueError::UnprintableReason(_))), "{bad:?}");
    }
}
