//! One file for each command: a straight pipeline from the checks to the report.

pub mod allow;
pub mod completions;
mod context;
pub mod drain;
mod error;
pub mod extend;
pub mod hold;
mod in_force;
pub mod lift;
pub mod man;
pub mod plan;
pub mod policy;
mod raise;
mod request;
pub mod run;
mod select;
mod settings;
pub mod start;
pub mod status;
mod supervise;

pub use context::Context;
pub use error::{CommandError, check_privilege};
