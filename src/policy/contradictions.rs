//! What each key allows by itself and the policy as a whole does not.

use super::sections::{Allow, Policy, Spare};
use super::suggest::shortened;
use crate::cordon::{DEFAULT_MAX_WINDOW, PassList, WindowLength};
use crate::postgres::Access;
use std::path::Path;

/// A key, and what is wrong with its value.
type Found = Option<(&'static str, String)>;

/// The first contradiction.
pub(super) fn contradiction(policy: &Policy) -> Found {
    ports(policy)
        .or_else(|| window(policy))
        .or_else(|| allow(&policy.allow))
        .or_else(|| spare(&policy.spare))
        .or_else(|| postgres(&policy.postgres))
}

fn ports(policy: &Policy) -> Found {
    let ports = policy.ports.as_ref()?;
    if ports.is_empty() {
        let message = "the list is empty; name a port, or remove the key for the built-in 5432";
        return Some(("ports", message.to_owned()));
    }
    let is_again = |number: &usize| ports[..*number].contains(&ports[*number]);
    let again = (0..ports.len()).find(is_again)?;
    let message = format!("port {} is in the list twice", ports[again]);
    Some(("ports", message))
}

fn window(policy: &Policy) -> Found {
    let window = policy.window?;
    let most = policy.max_window.unwrap_or(WindowLength(DEFAULT_MAX_WINDOW));
    let message = match policy.max_window {
        _ if window.0 <= most.0 => return None,
        Some(_) => format!("{window} is longer than max_window, {most}"),
        None => format!("{window} is longer than {most}; permit it with `max_window: {window}`"),
    };
    Some(("window", message))
}

fn allow(allow: &Allow) -> Found {
    let networks = allow.addresses.iter().flatten().map(|network| network.0);
    if let Err(error) = PassList::new(networks) {
        return Some(("allow.addresses", format!("all together: {error}")));
    }
    whole_path("allow.addresses_file", allow.addresses_file.as_deref())
}

fn spare(spare: &Spare) -> Found {
    let lists = [
        ("spare.roles", &spare.roles),
        ("spare.databases", &spare.databases),
        ("spare.applications", &spare.applications),
    ];
    let is_empty = |list: &Option<Vec<_>>| list.as_ref().is_some_and(Vec::is_empty);
    let (key, _) = lists.into_iter().find(|(_, list)| is_empty(list))?;
    let message = "the list is empty; name whom to spare, or remove the key";
    Some((key, message.to_owned()))
}

fn postgres(postgres: &Access) -> Found {
    let host = "postgres.host";
    match (postgres.host, &postgres.passfile, &postgres.socket_dir) {
        (Some(_), None, _) => {
            let message = "TCP needs a password; name its file with `passfile:`";
            Some((host, message.to_owned()))
        }
        (Some(_), _, Some(_)) => {
            let message = "PostgreSQL is reached through one of socket_dir and host, not both";
            Some((host, message.to_owned()))
        }
        (_, passfile, directory) => whole_path("postgres.passfile", passfile.as_deref())
            .or_else(|| whole_path("postgres.socket_dir", directory.as_deref())),
    }
}

/// On the command line a path may begin where the user is.
fn whole_path(key: &'static str, path: Option<&Path>) -> Found {
    let path = path.filter(|path| !path.is_absolute())?;
    let message = format!(
        "`{}` does not begin with `/`; a policy is used from any directory, so write the whole path",
        shortened(&path.display().to_string())
    );
    Some((key, message))
}
