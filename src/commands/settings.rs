//! From the command line to settings: what flags say, merged with the policy that is meant.

use super::CommandError;
use crate::cli::{Pace, Start};
use crate::cordon::{AllowEntry, PassList, show_duration};
use crate::policy::{self, Choice, Given, Origin, Partial, Settings};
use crate::postgres::Access;
use crate::sys::trusted::Trust;

/// What a call of `start`, `hold`, `run` or `plan` goes by, and what the user should know of
/// it.
///
/// # Errors
/// A policy that is not there, not to be trusted, or bad; a host without a password file; a
/// rate without a ramp.
pub fn decide(
    args: &Start,
    flags: Partial,
    choice: Option<&Choice>,
    trust: Trust,
) -> Result<(Settings, Vec<String>), CommandError> {
    let found = policy::find(choice, trust)?;
    if let Some(found) = &found {
        tracing::debug!(policy = %found.path.display(), "goes by a policy");
    }
    let mut settings = checked(Settings::merge(flags, found.as_ref()))?;
    let mut warnings = Vec::new();
    if args.no_drain && settings.replication.value {
        // To know the standbys is the drain's work.
        warnings.push(
            "with --no-drain the policy's allow.replication does nothing: standbys go on, but one that is cut off does not come back before the window ends"
                .to_owned(),
        );
        settings.replication = Given {
            value: false,
            origin: Origin::Flag,
        };
    }
    Ok((settings, warnings))
}

/// The settings of a drain: flags alone, since it reads no policy.
///
/// # Errors
/// A host without a password file.
pub fn of_drain(pace: &Pace, postgres: &Access) -> Result<Settings, CommandError> {
    checked(Settings::merge(drain_flags(pace, postgres), None))
}

/// What one value needs of another one, wherever each of them came from.
fn checked(settings: Settings) -> Result<Settings, CommandError> {
    let (length, rate) = (settings.ramp_for, settings.ramp_rate);
    if rate.origin == Origin::Flag && length.value.is_zero() && length.origin != Origin::Flag {
        return Err(CommandError::NoRamp);
    }
    let most = settings.max_window.value;
    if let Some(window) = settings.window.filter(|window| window.value > most) {
        return Err(CommandError::TooLong {
            asked: show_duration(window.value),
            most: show_duration(most),
        });
    }
    // Each of them may be good, and all of them cover everything.
    PassList::new(
        settings
            .allow
            .iter()
            .filter_map(|entry| match &entry.value {
                AllowEntry::Network(network) => Some(*network),
                _ => None,
            }),
    )?;
    match (&settings.postgres.host, &settings.postgres.passfile) {
        (Some(host), None) => Err(CommandError::NoPassfile { host: host.value }),
        _ => Ok(settings),
    }
}

/// What the flags say.
#[must_use]
pub fn flags(args: &Start) -> Partial {
    Partial {
        ports: (!args.ports.is_empty()).then(|| args.ports.clone()),
        window: args.length,
        max_window: args.max,
        verdict: args.verdict,
        allow: args.allow.clone(),
        // To cut even synchronous standbys is to let none pass.
        replication: args
            .allow_replication
            .or(args.cut_standbys.then_some(false)),
        spare: args.spare.clone(),
        strict: args.strict,
        ramp_for: args.ramp,
        ramp_rate: args.ramp_rate,
        reason: args.reason.clone(),
        ..drain_flags(&args.pace, &args.postgres)
    }
}

fn drain_flags(pace: &Pace, postgres: &Access) -> Partial {
    Partial {
        farewell: pace.farewell,
        timeout: pace.drain_timeout,
        cancel_first: pace.cancel_first,
        postgres: postgres.clone(),
        ..Partial::default()
    }
}
