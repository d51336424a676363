//! Any text ends in a policy that settings are made of, or in a fault with its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pgcordon::testing::policy::{Policy, Sources, explain, parse};

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(policy) => {
            let sources = Sources::new(Policy::default(), Some(policy));
            explain(&sources);
        }
        Err(fault) => {
            // YAML has more line ends than Rust: a carriage return alone is one, too.
            let is_end = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            // The end of the text may count as one more.
            let lines = 2 + text.chars().filter(is_end).count();
            assert!(!fault.message.is_empty());
            assert!(fault.place.line >= 1 && fault.place.column >= 1, "{fault}");
            assert!(fault.place.line <= lines, "{fault} of {lines} lines");
        }
    }
});
