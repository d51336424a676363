//! Rates and lengths of ramps.

use pgcordon::testing::cordon::{Ramp, RampError, Rate};
use std::time::Duration;

#[test]
fn a_rate_carries_its_unit() {
    assert_eq!("10/s".parse(), Ok(Rate(10)));
    assert_eq!(" 250/s ".parse(), Ok(Rate(250)));
    assert_eq!(Rate(7).to_string().parse(), Ok(Rate(7)));
    assert_eq!(
        "10".parse::<Rate>().unwrap_err().to_string(),
        "`10` has no unit; write 10/s for 10 new connections a second"
    );
}

#[test]
fn nonsense_is_no_rate_and_the_message_shows_one() {
    for text in ["", "/s", "-1/s", "+1/s", "1.5/s", "ten/s", "10/m", "10/s/s"] {
        let error = text.parse::<Rate>().unwrap_err();
        assert!(matches!(error, RampError::Malformed(_)), "{text}: {error}");
        assert!(error.to_string().contains("10/s"), "{text}: {error}");
    }
    for text in ["0/s", "1000001/s", "99999999999999999999/s"] {
        let error = text.parse::<Rate>().unwrap_err();
        assert!(matches!(error, RampError::OutOfRange(_)), "{text}: {error}");
    }
}

#[test]
fn a_ramp_lasts_a_second_at_least_and_a_day_at_most() {
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(Ramp::check_length(day), Ok(day));
    let beyond = day + Duration::from_millis(1);
    assert_eq!(Ramp::check_length(beyond), Err(RampError::TooLong));
    let short = Duration::from_millis(999);
    assert_eq!(Ramp::check_length(short), Err(RampError::TooShort));
}
