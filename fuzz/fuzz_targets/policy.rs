//! Any text ends in a policy that survives print and parse, or in faults with places.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pgcordon::testing::policy::{parse, print};

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(policy) => {
            let printed = print(&policy).expect("every policy has a text");
            assert_eq!(parse(&printed).as_ref(), Ok(&policy), "{printed}");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "a bad policy has a fault");
            // YAML has more line ends than Rust: a carriage return alone is one, too.
            let is_end = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            // The end of the text may count as one more.
            let lines = 2 + text.chars().filter(is_end).count();
            for fault in faults {
                assert!(!fault.message.is_empty());
                assert!(fault.place.line >= 1 && fault.place.column >= 1, "{fault}");
                assert!(fault.place.line <= lines, "{fault} of {lines} lines");
            }
        }
    }
});
