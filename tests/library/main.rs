//! The rooms of the library by their own interfaces: on real sockets and servers, with a firewall
//! in memory, and policies of every shape.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests, too.
#![allow(clippy::print_stdout)] // What a test has seen, for --nocapture.

mod audit;
mod clients;
mod cordon;
mod drain;
mod failure;
mod firewall;
mod job;
mod policies;
mod postgres;
mod sys;
mod window;
