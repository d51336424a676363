//! Who stays although it is remote: spared connections and standbys. One judgement for the
//! drain and for `plan`.

use super::server::{self, Facts};
use super::{Classifier, Order};
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
    /// Existing connections that stay.
    pub spared: Vec<SocketAddr>,
    /// Backends, by the server's pid, that are cut after all others.
    pub last: HashSet<i32>,
    /// What the user should know.
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
    let mut remote = Vec::new();
    for row in &facts.rows {
        let Some(client) = server::client(row) else {
            continue;
        };
        if classifier.fate(client, 0)? == Fate::Cut {
            remote.push((row, client));
        }
    }
    let mut choices = Choices::default();
    let (stays, remote): (Vec<_>, Vec<_>) = remote
        .into_iter()
        .partition(|(row, _)| is_spared(order, row));
    choices.spared = stays.into_iter().map(|(_, client)| client).collect();

    let standbys = |(row, _): &&(&Row, SocketAddr)| row.backend_type == "walsender";
    let standbys: Vec<_> = remote.iter().filter(standbys).collect();
    let at_risk: HashSet<i32> = standbys.iter().map(|(row, _)| row.pid).collect();
    let needed = needed(facts, &at_risk);
    for (row, client) in standbys {
        let name = format!("{} ({})", row.application, client.ip());
        if order.keep.replication {
            choices.pass.push(client.ip());
        } else if !needed.contains(&row.pid) {
            choices.warnings.push(format!(
                "standby {name} is cut; --allow-replication lets standbys stay"
            ));
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
    let mut counted: Vec<&Standby> = facts
        .standbys
        .iter()
        .filter(|standby| matches!(standby.sync_state.as_str(), "sync" | "quorum"))
        .collect();
    counted.sort_by_key(|standby| standby.pid);
    let (at_risk, staying): (Vec<_>, Vec<_>) = counted
        .into_iter()
        .partition(|standby| at_risk.contains(&standby.pid));
    let missing = wanted.saturating_sub(staying.len());
    at_risk
        .iter()
        .take(missing)
        .map(|standby| standby.pid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standby(pid: i32, sync_state: &str) -> Standby {
        Standby {
            pid,
            sync_state: sync_state.to_owned(),
        }
    }

    fn facts(names: &str, standbys: Vec<Standby>) -> Facts {
        Facts {
            rows: Vec::new(),
            standbys,
            standby_names: names.to_owned(),
        }
    }

    #[test]
    fn as_many_synchronous_standbys_are_needed_as_commits_wait_for() {
        let three = || {
            vec![
                standby(1, "quorum"),
                standby(2, "quorum"),
                standby(3, "async"),
            ]
        };
        let all = HashSet::from([1, 2, 3]);
        assert_eq!(needed(&facts("ANY 1 (s1, s2)", three()), &all), [1]);
        assert_eq!(needed(&facts("ANY 2 (s1, s2)", three()), &all), [1, 2]);
        assert_eq!(needed(&facts("", three()), &all), [0; 0]);
        // One of them is local and stays anyway.
        assert_eq!(
            needed(&facts("ANY 1 (s1, s2)", three()), &HashSet::from([2])),
            [0; 0]
        );
        assert_eq!(
            needed(&facts("ANY 2 (s1, s2)", three()), &HashSet::from([2])),
            [2]
        );
    }
}
