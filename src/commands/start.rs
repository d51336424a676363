//! `pgcordon start`: cordon the port, cut remote clients, and return.

use super::{CommandError, Context, Exit, request};
use crate::cli::Start;
use crate::cordon::show_duration;
use crate::report::{Outcome, Report};
use crate::window;

/// Raises the cordon, then drains.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let cordons = request::cordons(args, "root", 0)?;
    let outcomes = window::raise(&mut context.firewall, &cordons)?;
    let mut report = Report::new("start", Outcome::AlreadyCordoned);
    for (outcome, cordon) in outcomes.into_iter().zip(&cordons) {
        if outcome.changed {
            report.outcome = Outcome::Cordoned;
            report.changed = true;
        } else if outcome.window.remaining < cordon.length {
            report.warnings.push(format!(
                "the window on port {} ends in {}, before what was asked; pgcordon extend --for {} moves its end",
                cordon.port,
                show_duration(outcome.window.remaining),
                humantime::format_duration(cordon.length)
            ));
        }
        report.windows.push(outcome.window);
    }
    report.blocked_after = Some(context.began.elapsed());
    Ok((report, Exit::Done))
}
