//! Who raised a window, as the kernel's comment keeps it.

use pgcordon::testing::cordon::Identity;
use std::time::{Duration, SystemTime};

fn longest() -> Identity {
    let mut identity = Identity::new(
        u64::MAX,
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000),
        &"\"ü name".repeat(9),
        u32::MAX,
    );
    identity.healed = u32::MAX;
    identity.guard = Some(u32::MAX);
    identity
}

#[test]
fn the_longest_identity_fits_into_a_comment_and_comes_back() {
    let comment = longest().to_string();
    assert!(comment.len() <= 127, "{} bytes", comment.len());
    assert!(!comment.contains('"'));
    assert_eq!(Identity::from_comment(&comment), Some(longest()));
}

#[test]
fn a_foreign_comment_is_no_identity() {
    for comment in ["", "hello", "id=zz start=1 by=a uid=0 healed=0", "id=1"] {
        assert_eq!(Identity::from_comment(comment), None, "{comment}");
    }
}
