//! From flags to plain data: what is to be cordoned.

use super::CommandError;
use crate::cli::{AllowEntry, Start};
use crate::clients::interface_networks;
use crate::cordon::{Cordon, DEFAULT_RAMP_RATE, Identity, PassList, Phase, Ramp, show_duration};
use ipnet::IpNet;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// The cordons that a call of `start`, `hold`, `run` or `plan` asks for, one for each port.
///
/// # Errors
/// A window that is too long, or a bad entry of the pass list.
pub fn cordons(args: &Start, by: &str, by_uid: u32) -> Result<Vec<Cordon>, CommandError> {
    if args.length > args.max {
        return Err(CommandError::TooLong {
            asked: show_duration(args.length),
            most: show_duration(args.max),
        });
    }
    let pass = PassList::new(networks(&args.allow)?)?;
    let started_at = SystemTime::now();
    let mut ports = args.ports.clone();
    ports.sort_unstable();
    ports.dedup();
    let ramp = args.ramp.map(|length| Ramp {
        length,
        per_second: args.ramp_rate.unwrap_or(DEFAULT_RAMP_RATE),
    });
    let cordon = |port| Cordon {
        port,
        identity: Identity::new(random(), started_at, by, by_uid),
        phase: Phase::Closed,
        length: args.length,
        ramp,
        farewell: if args.no_drain {
            args.length
        } else {
            // While statements are cancelled their connections must not be cut off.
            let cancel_first = args.pace.cancel_first.unwrap_or_default();
            let both = args.pace.farewell.saturating_add(cancel_first);
            both.min(args.length)
        },
        verdict: args.verdict,
        pass: pass.clone(),
        spared: Vec::new(),
        closing: Vec::new(),
        reason: args.reason.clone(),
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
///
/// # Errors
/// An entry that is no network, an unknown interface, a file that cannot be read.
pub fn networks(entries: &[AllowEntry]) -> Result<Vec<IpNet>, CommandError> {
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

/// A regular file as text; a pipe or a device could keep us waiting for ever.
fn read_regular(path: &Path) -> io::Result<String> {
    let refused = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(refused("it is not a regular file"));
    }
    if facts.len() > LONGEST_FILE {
        return Err(refused("it has more than 16 MiB"));
    }
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// The networks of a file: one a line, `#` starts a comment.
fn networks_of_file(path: &Path) -> Result<Vec<IpNet>, CommandError> {
    let text = read_regular(path).map_err(|source| CommandError::AllowFile {
        path: path.to_owned(),
        source,
    })?;
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
