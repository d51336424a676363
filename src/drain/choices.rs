//! Who stays although it is remote: spared connections and standbys. One judgement for the
//! drain and for `plan`.

use super::server::{self, Facts};
use super::{Classifier, Order};
use crate::clients::{Backend, Client};
use crate::cordon::{Fate, synchronous_standbys_needed};
use crate::postgres::{Row, Standby};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// What follows from a server's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Addresses that pass from now on.
    pub pass: Vec<IpAddr>,
    pub spared: Vec<SocketAddr>,
    /// Backends, by the server's pid, that are cut after all others.
    pub last: HashSet<i32>,
    pub warnings: Vec<String>,
}

/// Whether a row is one of those that may stay although they are remote.
pub fn may_stay(order: &Order, row: &Row) -> bool {
    row.backend_type == "walsender" || is_spared(order, row)
}

fn is_spared(order: &Order, row: &Row) -> bool {
    let mut rules = order.keep.spare.iter();
    rules.any(|rule| rule.matches(&row.role, &row.database, &row.application))
}

/// Chooses among the remote rows of a server.
pub fn choose(classifier: &mut Classifier, order: &Order, facts: &Facts) -> io::Result<Choices> {
    let mut choices = Choices::default();
    let mut standbys = Vec::new();
    for row in &facts.rows {
        let Some(client) = server::client(row) else {
            continue;
        };
        if classifier.fate(client, 0)? != Fate::Cut {
            continue;
        }
        if is_spared(order, row) {
            choices.spared.push(client);
        } else if row.backend_type == "walsender" {
            standbys.push((row, client));
        }
    }
    let at_risk: HashSet<i32> = standbys.iter().map(|(row, _)| row.pid).collect();
    let needed = needed(facts, &at_risk);
    for (row, client) in standbys {
        let name = format!("{} ({})", row.application, client.ip());
        if order.keep.replication {
            choices.pass.push(client.ip());
        } else if !needed.contains(&row.pid) {
            choices
                .warnings
                .push(format!("standby {name} is cut; --allow-replication lets standbys stay"));
        } else if order.keep.cut_standbys {
            choices.last.insert(row.pid);
            choices.warnings.push(format!(
                "synchronous standby {name} is cut: local commits wait until it is back"
            ));
        } else {
            choices.pass.push(client.ip());
            choices.warnings.push(format!(
                "synchronous standby {name} passes, since local commits would wait for it; --cut-standbys cuts it too"
            ));
        }
    }
    Ok(choices)
}

/// The address of a standby, by its title: without SQL that is all there is to go by.
pub fn standby_by_title(backend: &Backend) -> Option<IpAddr> {
    match backend.client {
        Client::Address { address } if backend.is_walsender() => Some(address.ip()),
        _ => None,
    }
}

/// The warning of a standby that is cut where SQL does not say what it is for.
pub fn unknown_standby(address: IpAddr) -> String {
    format!(
        "standby at {address} is cut, and without SQL it cannot be known whether local commits wait for it; --allow-replication lets standbys stay"
    )
}

/// Those standbys at risk without which local commits would wait: as many as
/// `synchronous_standby_names` wants beyond those that stay anyway.
fn needed(facts: &Facts, at_risk: &HashSet<i32>) -> Vec<i32> {
    let wanted = synchronous_standbys_needed(&facts.standby_names);
    let is_counted = |standby: &&Standby| matches!(&*standby.sync_state, "sync" | "quorum");
    let counted = facts.standbys.iter().filter(is_counted);
    let mut counted: Vec<i32> = counted.map(|standby| standby.pid).collect();
    counted.sort_unstable();
    let (at_risk, staying): (Vec<_>, Vec<_>) =
        counted.into_iter().partition(|pid| at_risk.contains(pid));
    let missing = wanted.saturating_sub(staying.len());
    at_risk.into_iter().take(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_synchronous_standbys_are_needed_as_commits_wait_for() {
        let standby = |(pid, state): (i32, &str)| Standby { pid, sync_state: state.to_owned() };
        let standbys = [(1, "quorum"), (2, "quorum"), (3, "async")].map(standby);
        let table: [(&str, &[i32], &[i32]); 5] = [
            ("ANY 1 (s1, s2)", &[1, 2, 3], &[1]),
            ("ANY 2 (s1, s2)", &[1, 2, 3], &[1, 2]),
            ("", &[1, 2, 3], &[]),
            // One of them is local and stays anyway.
            ("ANY 1 (s1, s2)", &[2], &[]),
            ("ANY 2 (s1, s2)", &[2], &[2]),
        ];
        for (names, at_risk, expected) in table {
            let facts = Facts {
                rows: Vec::new(),
                standbys: standbys.to_vec(),
                standby_names: names.to_owned(),
            };
            let at_risk = at_risk.iter().copied().collect();
            assert_eq!(needed(&facts, &at_risk), expected, "{names}");
        }
    }
}
