//! Policies: how a host is to be cordoned, written down once. The settings with their flags
//! and keys, safe loading, and merging with the command line, as plain data.

mod contradictions;
mod explain;
mod fault;
mod find;
mod parse;
mod schema;
mod sections;
mod settings;
mod suggest;

pub use explain::{Given, Setting, Shown, explain};
pub use fault::Fault;
pub use find::{Choice, PolicyError, find, in_file, load};
pub use parse::parse;
pub use schema::json_schema;
pub use sections::{Allow, Drain, Policy, Ramp, Run, Spare, VERSION};
pub use settings::{Settings, Sources};
