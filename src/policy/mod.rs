//! Policies: how a host is to be cordoned, written down once. The YAML schema, safe loading,
//! and merging with the command line, as plain data.
//!
//! The text becomes a tree ([`serde_yaml`] is the parser), the tree the types of the schema,
//! and these are looked through for contradictions. The first fault of syntax ends it; faults
//! of meaning are collected, each with its key and its place.

mod contradictions;
mod fault;
mod find;
mod locate;
mod meaning;
mod read;
mod schema;
mod settings;
mod shown;
mod tree;
mod value;

pub use fault::Fault;
pub use find::{Choice, Found, PolicyError, find, in_file, load};
pub use read::{parse, print};
pub use schema::{Allow, Drain, Policy, Postgres as PostgresKeys, Ramp, Run, Spare, json_schema};
pub use settings::{Given, Origin, Partial, Settings};
pub use shown::{Setting, Shown};
pub use value::{
    AbsolutePath, Address, Interface, Name, Network, Patience, Port, RampLength, Rate, Why,
    WindowLength,
};
