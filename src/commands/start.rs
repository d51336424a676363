//! `pgcordon start`: cordon the port, cut remote clients, and return.

use super::raise::{self, Plan};
use super::{CommandError, Context};
use crate::cli::Start;
use crate::failure::Exit;
use crate::foreground::Foreground;
use crate::report::Report;
use crate::window::Ownership;

/// Raises the cordons, then drains.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    let mut foreground = Foreground::new().map_err(CommandError::Runtime)?;
    let shared = Ownership::Shared;
    let mut cordoned = raise::cordon_and_drain(context, args, &mut plan, shared, &mut foreground)?;
    cordoned.warn(context);
    Ok((cordoned.report(context), cordoned.exit()))
}
