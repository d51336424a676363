//! The record of who did what.

use pgcordon::testing::audit::{Action, Event};

#[test]
fn a_record_is_one_line_that_nobody_can_forge() {
    let event = Event::new(Action::Lift)
        .with("port", 5432)
        .with("empty", "")
        .why("said \"go\"\nlift port=1 \u{202e}");
    assert_eq!(event.line(), "lift port=5432 why=\"said \\\"go\\\"\\nlift port=1 \\u{202e}\"");
}
