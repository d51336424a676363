//! From the command line to settings: what flags say, merged with the policy that is meant.

use super::CommandError;
use crate::cli::{self, Start};
use crate::cordon::{AllowEntry, PassList, show};
use crate::policy::{self, Choice, Policy, Run, Settings, Sources};
use crate::sys::trusted::Trust;

/// What a call of `start`, `hold`, `run` or `plan` goes by.
pub struct Decision {
    /// Every setting.
    pub settings: Settings,
    /// Who said what.
    pub sources: Sources,
    /// What the user should know of it.
    pub warnings: Vec<String>,
}

/// Decides what a call goes by; `run` is empty but for the command of that name.
pub fn decide(
    args: &Start,
    run: &Run,
    choice: Option<&Choice>,
    trust: Trust,
) -> Result<Decision, CommandError> {
    let policy = policy::find(choice, trust)?;
    if let Some(path) = policy.as_ref().and_then(|policy| policy.file.as_ref()) {
        tracing::debug!(policy = %path.display(), "goes by a policy");
    }
    let mut flags = args.said.clone();
    flags.run = run.clone();
    flags.drain.strict = args.strict;
    let mut warnings = Vec::new();
    if args.cut_standbys {
        // To cut even synchronous standbys is to let none pass.
        flags.allow.replication = Some(false);
    } else if args.no_drain && policy.as_ref().is_some_and(|p| p.allow.replication == Some(true)) {
        // To know the standbys is the drain's work.
        warnings.push(
            "with --no-drain the policy's allow.replication does nothing: standbys go on, but one that is cut off does not come back before the window ends"
                .to_owned(),
        );
        flags.allow.replication = Some(false);
    }
    let sources = Sources::new(flags, policy);
    let settings = checked(&sources)?;
    Ok(Decision { settings, sources, warnings })
}

/// The settings of a drain: flags alone, since it reads no policy.
pub fn of_drain(args: &cli::Drain) -> Result<Settings, CommandError> {
    let flags =
        Policy { drain: args.drain.clone(), postgres: args.postgres.clone(), ..Policy::default() };
    checked(&Sources::new(flags, None))
}

/// What one value needs of another one, wherever each of them came from.
fn checked(sources: &Sources) -> Result<Settings, CommandError> {
    let settings = sources.settings();
    let ramp = &sources.flags.ramp;
    if ramp.rate.is_some() && ramp.length.is_none() && settings.ramp.length.0.is_zero() {
        return Err(CommandError::NoRamp);
    }
    let most = settings.max_window.0;
    if let Some(window) = settings.window.filter(|window| window.0 > most) {
        return Err(CommandError::TooLong {
            asked: show::duration(window.0),
            most: show::duration(most),
        });
    }
    // Each of them may be good, and all of them cover everything.
    let entries = settings.allow.entries.iter();
    PassList::new(entries.filter_map(|entry| match entry {
        AllowEntry::Network(network) => Some(*network),
        _ => None,
    }))?;
    match (settings.postgres.host, &settings.postgres.passfile) {
        (Some(host), None) => Err(CommandError::NoPassfile { host }),
        _ => Ok(settings),
    }
}
