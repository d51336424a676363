//! Durations as systemd writes them.

use pgcordon::testing::cordon::{
    CancelTime, DrainTime, LengthError, RampError, RampLength, WindowLength, parse_duration, show,
};
use std::time::Duration;

#[test]
fn a_bare_number_says_that_the_unit_is_missing() {
    let told = parse_duration("10").unwrap_err().to_string();
    assert_eq!(told, "`10` has no unit; write 10s for seconds or 10m for minutes");
}

#[test]
fn each_setting_has_its_own_least_and_its_own_most() {
    let window = |text: &str| text.parse::<WindowLength>();
    assert_eq!(window("1s"), Ok(WindowLength(Duration::from_secs(1))));
    assert_eq!(window("999ms"), Err(LengthError::ShortWindow));
    assert_eq!(window("11y"), Err(LengthError::TooLong));
    let drain = |text: &str| text.parse::<DrainTime>();
    assert_eq!(drain("0s"), Ok(DrainTime(Duration::ZERO)));
    assert_eq!(drain("1us"), Err(LengthError::ShortDrain));
    assert_eq!(drain("11y"), Err(LengthError::TooLong));
    let cancel = |text: &str| text.parse::<CancelTime>();
    assert_eq!(cancel("1us"), Err(LengthError::ShortCancel));
    let ramp = |text: &str| text.parse::<RampLength>();
    assert_eq!(ramp("0s"), Ok(RampLength(Duration::ZERO)));
    assert_eq!(ramp("25h"), Err(LengthError::Ramp(RampError::TooLong)));
}

#[test]
fn a_written_duration_is_read_as_the_same() {
    for text in ["0s", "1ms", "90s", "1h30m", "1day", "3650days", "1s7ns"] {
        let duration = parse_duration(text).unwrap();
        assert_eq!(parse_duration(&show::exactly(duration)), Ok(duration));
    }
    assert_eq!(show::exactly(Duration::from_secs(5400)), "1h30m");
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
}

#[test]
fn nonsense_is_refused_with_an_example() {
    for text in ["", "-5m", "soon", "5 parsecs", "999999999999999999999s"] {
        let message = parse_duration(text).unwrap_err().to_string();
        assert!(message.contains("write it like 90s"), "{text}: {message}");
    }
}
