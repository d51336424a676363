//! The rooms of the library that meet the kernel and PostgreSQL, by their own interfaces, and
//! policies of every shape.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests, too.
#![allow(clippy::print_stdout)] // What a test has seen, for --nocapture.

mod clients;
mod firewall;
mod policies;
mod postgres;
