//! What each key allows by itself and the policy as a whole does not.

use super::schema::{Allow, Policy, Postgres, Spare};
use crate::cordon::{DEFAULT_MAX_WINDOW, PassList, duration_text};

/// The names that lead to a value; numbers are those of elements.
type Names<'a> = Vec<&'a str>;

/// All contradictions, each with where it shows. `is_there` tells whether a key is in the
/// text, be it faulty: what a policy lacks only for that reason is no second fault.
pub(super) fn contradictions(
    policy: &Policy,
    is_there: impl Fn(&[&str]) -> bool,
) -> Vec<(Names<'static>, String)> {
    let mut found = Vec::new();
    ports(policy, &is_there, &mut found);
    window(policy, &is_there, &mut found);
    allow(&policy.allow, &mut found);
    spare(&policy.spare, &is_there, &mut found);
    postgres(&policy.postgres, &is_there, &mut found);
    found
}

type Found = Vec<(Names<'static>, String)>;

fn ports(policy: &Policy, is_there: &impl Fn(&[&str]) -> bool, found: &mut Found) {
    let Some(ports) = &policy.ports else { return };
    if ports.is_empty() && !is_there(&["ports", "0"]) {
        let message = "the list is empty; name a port, or remove the key for the built-in 5432";
        found.push((vec!["ports"], message.to_owned()));
    }
    let twice = |number: usize| ports[..number].contains(&ports[number]);
    if let Some(number) = (0..ports.len()).find(|number| twice(*number)) {
        let message = format!("port {} is in the list twice", ports[number].0);
        found.push((vec!["ports"], message));
    }
}

fn window(policy: &Policy, is_there: &impl Fn(&[&str]) -> bool, found: &mut Found) {
    let Some(window) = &policy.window else { return };
    if policy.max_window.is_none() && is_there(&["max_window"]) {
        return;
    }
    let most = policy
        .max_window
        .as_ref()
        .map_or(DEFAULT_MAX_WINDOW, |max| max.0);
    if window.0 > most {
        let (window, shown) = (duration_text(window.0), duration_text(most));
        let message = match policy.max_window {
            Some(_) => format!("{window} is longer than max_window, {shown}"),
            None => {
                format!("{window} is longer than {shown}; permit it with `max_window: {window}`")
            }
        };
        found.push((vec!["window"], message));
    }
}

fn allow(allow: &Allow, found: &mut Found) {
    let networks = allow.addresses.iter().flatten().map(|network| network.0);
    if let Err(error) = PassList::new(networks) {
        found.push((vec!["allow", "addresses"], format!("all together: {error}")));
    }
}

fn spare(spare: &Spare, is_there: &impl Fn(&[&str]) -> bool, found: &mut Found) {
    let lists = [
        ("roles", &spare.roles),
        ("databases", &spare.databases),
        ("applications", &spare.applications),
    ];
    for (key, list) in lists {
        // An element that is faulty leaves the list, and is told by itself.
        let is_empty = list.as_ref().is_some_and(Vec::is_empty);
        if is_empty && !is_there(&["spare", key, "0"]) {
            let message = "the list is empty; name whom to spare, or remove the key";
            found.push((vec!["spare", key], message.to_owned()));
        }
    }
}

fn postgres(postgres: &Postgres, is_there: &impl Fn(&[&str]) -> bool, found: &mut Found) {
    if postgres.host.is_some() && !is_there(&["postgres", "passfile"]) {
        let message = "TCP needs a password; name its file with `passfile:`";
        found.push((vec!["postgres", "host"], message.to_owned()));
    }
    if postgres.host.is_some() && postgres.socket_dir.is_some() {
        let message = "PostgreSQL is reached through one of socket_dir and host, not both";
        found.push((vec!["postgres", "host"], message.to_owned()));
    }
}
