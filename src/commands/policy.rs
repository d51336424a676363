//! `pgcordon policy`: check and show what is written down. It needs no privilege, and changes
//! nothing.

use super::{CommandError, Context, request, settings};
use crate::cli::{Check, Policy, Show};
use crate::cordon::PassList;
use crate::failure::{Exit, Failure, Kind};
use crate::policy::{self, PolicyError};
use crate::report::{self, Answer, CheckedFile};
use crate::sys::trusted::Trust;
use std::path::{Path, PathBuf};

/// Runs one of them.
pub fn run(context: &mut Context, command: &Policy) -> Result<(Answer, Exit), CommandError> {
    match command {
        Policy::Check(args) => Ok(check(args)),
        Policy::Show(args) => Ok((Answer::Show(Box::new(show(context, args)?)), Exit::Done)),
        Policy::Schema => {
            let schema = policy::json_schema();
            // A JSON value always has a text.
            let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
            Ok((Answer::Text(text), Exit::Done))
        }
    }
}

/// What is asked of a file: root is told of what root would not use.
fn trust() -> Trust {
    match rustix::process::geteuid().is_root() {
        true => Trust::RootOnly,
        false => Trust::Anybody,
    }
}

fn check(args: &Check) -> (Answer, Exit) {
    let trust = match args.content {
        true => Trust::Anybody,
        false => trust(),
    };
    let check = |file: &PathBuf| check_file(file, trust);
    let files: Vec<CheckedFile> = args.files.iter().map(check).collect();
    let bad = files.iter().filter(|file| !file.valid).count();
    let failure = (bad > 0).then(|| Failure {
        message: match (bad, files.len()) {
            (1, 1) => "the policy is bad".to_owned(),
            (1, all) => format!("1 of {all} policies is bad"),
            (bad, all) => format!("{bad} of {all} policies are bad"),
        },
        why: Kind::Policy.hint(
            "what a policy may hold: pgcordon policy --help; every key: pgcordon policy schema",
        ),
    });
    let exit = failure.as_ref().map_or(Exit::Done, |f| f.why.exit);
    (Answer::Check(report::Check { files, failure }), exit)
}

fn check_file(file: &Path, trust: Trust) -> CheckedFile {
    let (faults, problem) = match policy::load(file, trust) {
        Ok(policy) => (Vec::new(), problem_of_addresses(file, &policy, trust)),
        Err(PolicyError::Fault { fault, .. }) => (vec![fault], None),
        // What is in it can be told all the same.
        Err(PolicyError::File(error)) if error.is_mistrust() => {
            match policy::load(file, Trust::Anybody) {
                Err(PolicyError::Fault { fault, .. }) => (vec![fault], Some(error.to_string())),
                _ => (Vec::new(), Some(error.to_string())),
            }
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    CheckedFile {
        file: file.to_owned(),
        valid: faults.is_empty() && problem.is_none(),
        faults,
        problem,
    }
}

/// Why root could not use the file of addresses that a policy names. It need not be there
/// where somebody else checks.
fn problem_of_addresses(file: &Path, policy: &policy::Policy, trust: Trust) -> Option<String> {
    let allow = &policy.allow;
    let (Some(path), Trust::RootOnly) = (&allow.addresses_file, trust) else {
        return None;
    };
    let own = allow.addresses.iter().flatten().map(|network| network.0);
    let all = request::networks_of_file(path)
        .and_then(|networks| Ok(PassList::new(networks.into_iter().chain(own))?));
    let error = all.err()?;
    let file = file.display();
    Some(format!("{file}: allow.addresses_file: {error}"))
}

fn show(context: &mut Context, args: &Show) -> Result<report::Show, CommandError> {
    let choice = args.name.as_ref().or(args.start.policy.as_ref());
    let decision = settings::decide(&args.start, &args.run, choice, trust())?;
    for warning in decision.warnings {
        context.warn(warning);
    }
    Ok(report::Show {
        file: decision.settings.file,
        description: decision.settings.description,
        settings: policy::explain(&decision.sources),
    })
}
