//! From flags to plain data: what is to be cordoned.

use super::CommandError;
use crate::clients::interface_networks;
use crate::cordon::{AllowEntry, Cordon, Identity, PassList, Phase, Ramp, WindowLength};
use crate::policy::Settings;
use crate::sys::trusted::{self, Trust};
use ipnet::IpNet;
use std::path::Path;
use std::time::SystemTime;

/// The cordons that a call of `start`, `hold`, `run` or `plan` asks for, one for each port.
pub fn cordons(
    settings: &Settings,
    no_drain: bool,
    by: &str,
    by_uid: u32,
) -> Result<Vec<Cordon>, CommandError> {
    let Some(WindowLength(length)) = settings.window else {
        let policy = settings.file.clone();
        return Err(CommandError::NoLength { policy });
    };
    let pass = PassList::new(networks(&settings.allow.entries)?)?;
    let started_at = SystemTime::now();
    let mut ports: Vec<u16> = settings.ports.iter().map(|port| port.0).collect();
    ports.sort_unstable();
    ports.dedup();
    let ramp_for = settings.ramp.length.0;
    let ramp = (!ramp_for.is_zero())
        .then_some(Ramp { length: ramp_for, per_second: settings.ramp.rate.0 });
    let cordon = |port| Cordon {
        port,
        identity: Identity::new(random(), started_at, by, by_uid),
        phase: Phase::Closed,
        length,
        ramp,
        farewell: if no_drain {
            length
        } else {
            // While statements are cancelled their connections must not be cut off.
            let (farewell, cancel) = (settings.drain.farewell.0, settings.drain.cancel_first.0);
            farewell.saturating_add(cancel).min(length)
        },
        verdict: settings.verdict,
        pass: pass.clone(),
        spared: Vec::new(),
        closing: Vec::new(),
        reason: settings.reason.clone(),
    };
    Ok(ports.into_iter().map(cordon).collect())
}

/// A number that no other window has.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => u64::from_ne_bytes(bytes),
        // A kernel without getrandom(2): time and process tell two windows apart.
        Err(_) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.unwrap_or_default().as_nanos() as u64 ^ u64::from(std::process::id()) << 48
        }
    }
}

/// The networks of pass list entries.
pub fn networks<'a>(
    entries: impl IntoIterator<Item = &'a AllowEntry>,
) -> Result<Vec<IpNet>, CommandError> {
    let mut networks = Vec::new();
    for entry in entries {
        match entry {
            AllowEntry::Network(network) => networks.push(*network),
            AllowEntry::Interface(name) => networks.extend(interface_networks(name)?),
            AllowEntry::File(path) => networks.extend(networks_of_file(path)?),
        }
    }
    Ok(networks)
}

/// The most bytes of a file of networks: 100,000 long ones with a comment each.
const LONGEST_FILE: u64 = 16 << 20;

/// The networks of a file: one a line, `#` starts a comment.
pub fn networks_of_file(path: &Path) -> Result<Vec<IpNet>, CommandError> {
    let text = trusted::read(path, LONGEST_FILE, Trust::RootOnly)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut networks = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        let network = PassList::parse_network(entry).map_err(|source| CommandError::Allow {
            entry: format!("{}:{number}", path.display()),
            source,
        })?;
        networks.push(network);
    }
    Ok(networks)
}
