//! What `start`, `hold` and `run` have in common: cordon, then drain.

use super::settings::{self, Decision};
use super::{CommandError, Context, record, request, select};
use crate::cli::Start;
use crate::clients::{Locality, Sockets};
use crate::cordon::{Cordon, DrainReport, KeepRules, Ramp, Rate, Window, show_duration};
use crate::drain::{Classifier, Listeners, Order, Pace};
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall, TableState};
use crate::policy::{Run, Settings};
use crate::report::{Outcome, Report};
use crate::sys::privilege;
use crate::sys::trusted::Trust;
use crate::window::{self, Guards, Ownership};
use std::time::Duration;

/// A call of `start`, `hold` or `run` that was checked and has not touched anything yet.
pub struct Plan {
    /// What it goes by.
    pub settings: Settings,
    /// What is to be cordoned, one for each port.
    pub cordons: Vec<Cordon>,
    /// Who listens there.
    pub listeners: Vec<Listeners>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Checks a call.
    ///
    /// # Errors
    /// A bad policy, bad values, a listener that is not PostgreSQL, a missing privilege.
    pub fn new(args: &Start) -> Result<Self, CommandError> {
        Self::of_run(args, &Run::default())
    }

    /// The same with what is said for `run`.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of_run(args: &Start, run: &Run) -> Result<Self, CommandError> {
        let policy = args.policy.as_ref();
        let Decision {
            settings, warnings, ..
        } = settings::decide(args, run, policy, Trust::RootOnly)?;
        let (by, by_uid) = privilege::author();
        check_host(&settings)?;
        let cordons = request::cordons(&settings, args.no_drain, &by, by_uid)?;
        let of = |cordon: &Cordon| Listeners::of(cordon.port, args.any_listener);
        let listeners = cordons.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self {
            settings,
            cordons,
            listeners,
            warnings,
        })
    }

    /// What is to be drained on the port of a number.
    pub fn order(&self, number: usize, args: &Start) -> Order {
        let settings = &self.settings;
        let keep = KeepRules {
            spare: settings.spare.rules.clone(),
            replication: settings.allow.replication,
            cut_standbys: args.cut_standbys,
        };
        let (cordon, listeners) = (&self.cordons[number], &self.listeners[number]);
        Order::for_cordon(
            cordon,
            listeners,
            pace(settings),
            keep,
            settings.postgres.clone(),
        )
    }
}

fn pace(settings: &Settings) -> Pace {
    Pace {
        farewell: settings.drain.farewell.0,
        timeout: settings.drain.timeout.0,
        cancel_first: settings.drain.cancel_first.0,
    }
}

/// What is to be drained again under a window in force.
///
/// # Errors
/// A missing privilege.
pub fn order_under(window: &Window, settings: &Settings) -> Result<Order, CommandError> {
    check_host(settings)?;
    Ok(Order::for_window(
        window,
        pace(settings),
        settings.postgres.clone(),
    )?)
}

/// A password must not be sent to another machine.
fn check_host(settings: &Settings) -> Result<(), CommandError> {
    let Some(host) = settings.postgres.host else {
        return Ok(());
    };
    let is_local = Locality::open().and_then(|mut locality| locality.is_local(host, 0));
    match is_local.map_err(CommandError::Sockets)? {
        true => Ok(()),
        false => Err(CommandError::ForeignHost { host }),
    }
}

/// Raises what was planned, and reports it.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn raise(
    context: &mut Context,
    command: &'static str,
    plan: &mut Plan,
) -> Result<Report, CommandError> {
    for cordon in &mut plan.cordons {
        // Where nobody remote is connected no farewell is needed, and none has to be ended,
        // which would take the kernel longer than all the rest.
        if cordon.farewell < cordon.length && !has_remote(cordon)? {
            cordon.farewell = Duration::ZERO;
        }
    }
    // `hold` and `run` lift what they hold, and so it must be theirs.
    let ownership = match command {
        "start" => Ownership::Shared,
        _ => Ownership::Exclusive,
    };
    for cordon in &plan.cordons {
        // What is away just now is a window all the same.
        if context.firewall.guard(cordon.port).is_some() {
            select::settle(&mut context.firewall, &[cordon.port])?;
        }
    }
    let raised = window::raise(&mut context.firewall, &plan.cordons, ownership)?;
    let outcome = match raised.fresh.is_empty() {
        true => Outcome::AlreadyCordoned,
        false => Outcome::Cordoned,
    };
    let mut report = Report::new(command, outcome);
    report.changed = !raised.fresh.is_empty();
    report.warnings = context.firewall.warnings();
    report.blocked_after = Some(raised.acknowledged.duration_since(context.began));
    report.windows = raised.fresh;
    for found in raised.found {
        let asked = plan
            .cordons
            .iter()
            .find(|c| c.port == found.window.cordon.port);
        if let Some(cordon) = asked {
            report.warnings.extend(other_end(&found.window, cordon));
            report.warnings.extend(other_ramp(&found.window, cordon));
        }
        add(&mut report, found);
    }
    let order = |window: &Window| {
        plan.cordons
            .iter()
            .position(|c| c.port == window.cordon.port)
    };
    report.windows.sort_by_key(order);
    report.policy = plan.settings.file.clone();
    report.warnings.extend(plan.warnings.clone());
    for listeners in &plan.listeners {
        report.warnings.extend(listeners.warning.clone());
    }
    Ok(report)
}

/// Says so where a window in force ends before what was asked for.
fn other_end(window: &Window, cordon: &Cordon) -> Option<String> {
    (window.cordon.length < cordon.length).then(|| {
        format!(
            "the window on port {} ends in {}, before what was asked; pgcordon extend --for {} moves its end",
            cordon.port,
            show_duration(window.cordon.length),
            humantime::format_duration(cordon.length)
                .to_string()
                .replace(' ', "")
        )
    })
}

/// Says so where a window in force has another ramp than what was asked for.
fn other_ramp(window: &Window, cordon: &Cordon) -> Option<String> {
    let ramp = cordon.ramp.filter(|_| window.cordon.ramp != cordon.ramp)?;
    let has = match window.cordon.ramp {
        Some(other) => format!("another ramp ({})", show_ramp(other)),
        None => "no ramp".to_owned(),
    };
    Some(format!(
        "the window on port {} has {has}; pgcordon lift --ramp {} --ramp-rate {} ends it with this one",
        window.cordon.port,
        humantime::format_duration(ramp.length)
            .to_string()
            .replace(' ', ""),
        Rate(ramp.per_second)
    ))
}

fn show_ramp(ramp: Ramp) -> String {
    format!(
        "{} at {}",
        show_duration(ramp.length),
        Rate(ramp.per_second)
    )
}

/// Adds what became of a window to a report.
pub fn add(report: &mut Report, outcome: window::Outcome) {
    if !outcome.mended.is_empty() {
        record::healed(&outcome.window, &outcome.mended);
        report.warnings.push(format!(
            "the cordon on port {} was damaged and is put back: {}",
            outcome.window.cordon.port,
            outcome.mended.join("; ")
        ));
    }
    report.changed |= outcome.changed || !outcome.mended.is_empty();
    report.windows.push(outcome.window);
}

/// Whether a remote client has a socket of the port, in any state.
fn has_remote(cordon: &Cordon) -> Result<bool, CommandError> {
    let look = || -> std::io::Result<bool> {
        let sockets = Sockets::open()?.connected(cordon.port)?;
        let mut classifier = Classifier::new(cordon.pass.clone())?;
        for socket in &sockets {
            let counts = socket.state.is_open() || socket.state.is_closing();
            if counts && classifier.cuts(socket)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    look().map_err(CommandError::Sockets)
}

/// Reads windows again after a drain that has met somebody: it may have let some through.
pub fn read_again(
    context: &mut Context,
    mut report: Report,
    drain: Option<&DrainReport>,
) -> Report {
    if drain.is_some_and(|drain| drain.backends.found + drain.sockets.found > 0) {
        for window in &mut report.windows {
            match context.firewall.read(window.cordon.port, Detail::Whole) {
                Ok(Some(TableState {
                    window: Some(now), ..
                })) => {
                    if !now.is_closed() {
                        report.warnings.push(format!(
                            "the window on port {} is over, and its ramp has begun",
                            now.cordon.port
                        ));
                    }
                    *window = now;
                }
                Ok(_) => report.warnings.push(format!(
                    "the window on port {} is not there any more",
                    window.cordon.port
                )),
                Err(error) => report.warnings.push(error.to_string()),
            }
        }
    }
    report
}

/// Puts what a drain has done into a report, and tells the exit status.
pub fn conclude(mut report: Report, drain: Option<DrainReport>) -> (Report, Exit) {
    let complete = drain.as_ref().is_none_or(DrainReport::is_complete);
    if let Some(drain) = drain {
        report.warnings.extend(drain.warnings.clone());
        report.drain = Some(drain);
    }
    if complete {
        return (report, Exit::Done);
    }
    report.outcome = Outcome::Incomplete;
    (report, Exit::Incomplete)
}
