//! The startup options for each version of the server.

use pgcordon::testing::postgres::Tier;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(2500);

#[test]
fn each_version_gets_what_it_knows() {
    let has = |tier: Tier, name: &str| tier.options(TIMEOUT).contains(name);
    assert!(has(Tier::Since17, "-c event_triggers=off"));
    assert!(!has(Tier::Since17AsUser, "event_triggers"));
    assert!(has(Tier::Since17AsUser, "-c transaction_timeout=0"));
    assert!(!has(Tier::Since14, "transaction_timeout"));
    assert!(has(Tier::Since14, "-c idle_session_timeout=0"));
    assert!(!has(Tier::Since12, "idle_session_timeout"));
    assert!(has(Tier::Since12, "-c search_path=pg_catalog"));
    assert!(has(Tier::Since12, "-c role=none"));
    assert!(has(Tier::Since12, "-c statement_timeout=2500"));
}

#[test]
fn the_way_down_ends() {
    for first in [Tier::Since17, Tier::Since17AsUser, Tier::Since14] {
        let mut tier = first;
        while let Some(next) = tier.below("42704") {
            assert_ne!(tier, next);
            tier = next;
        }
        assert_eq!(tier, Tier::Since12);
    }
    assert_eq!(Tier::Since17.below("42501"), Some(Tier::Since17AsUser));
    assert_eq!(Tier::Since14.below("42501"), None);
    assert_eq!(Tier::Since17.below("28000"), None);
}

#[test]
fn the_guess_follows_the_data_directory() {
    let guesses = [Some(13), Some(14), Some(16), Some(18), None].map(Tier::guess);
    use Tier::{Since12, Since14, Since17};
    assert_eq!(guesses, [Since12, Since14, Since14, Since17, Since17]);
}

#[test]
fn white_space_is_protected() {
    let options = Tier::Since12.options(TIMEOUT);
    assert!(options.contains("-c default_transaction_isolation=read\\ committed -c"), "{options}");
}
