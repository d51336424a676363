//! Raising, extending, lifting and reading back windows: the firewall under the lock.

use crate::cordon::{Cordon, PassList, Window, WindowEnd, show_duration};
use crate::firewall::{Change, Firewall, FirewallError, Standing};
use crate::lock::{self, LockError};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// What the kernel may take off a timeout between two looks at it.
const SLACK: Duration = Duration::from_secs(2);

/// For how long the packets of a closing socket pass: longer than the kernel keeps an
/// orphan in FIN_WAIT1 (105 to 120 s were seen).
const LINGER: Duration = Duration::from_secs(120);

/// Why a window could not be raised or changed.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The firewall refused or could not be read.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// Another call holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The port is in a window that is not the one that was asked for.
    #[error("port {port} is in a window already, with {}", differences.join(", "))]
    Differs {
        /// The port.
        port: u16,
        /// In which points.
        differences: Vec<String>,
    },
    /// `hold` and `run` want a window of their own.
    #[error("port {port} is in a window already")]
    Occupied {
        /// The port.
        port: u16,
    },
    /// There is no window.
    #[error("port {port} is not in a window")]
    None {
        /// The port.
        port: u16,
    },
    /// The end would be too far from the start.
    #[error(
        "the window on port {port} would last {} in total, and {} is the most",
        show_duration(*total),
        show_duration(*most)
    )]
    TooLong {
        /// The port.
        port: u16,
        /// From its start to its new end.
        total: Duration,
        /// The most that is allowed.
        most: Duration,
    },
    /// The pass list could not be made.
    #[error(transparent)]
    Pass(#[from] crate::cordon::PassError),
}

/// What became of one port of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The window as it was read back.
    pub window: Window,
    /// Whether this call changed it.
    pub changed: bool,
}

/// What became of the ports of a call, and since when they are blocked.
#[derive(Debug, Clone)]
pub struct Raised {
    /// One for each port.
    pub outcomes: Vec<Outcome>,
    /// When the kernel acknowledged the cordon, or the window was found in force.
    pub acknowledged: Instant,
}

/// Raises cordons, all in one transaction; ports in a window are left alone.
///
/// # Errors
/// Then nothing of this call is in force, or, where even that failed, the kernel's timer
/// ends it.
pub fn raise(firewall: &mut impl Firewall, cordons: &[Cordon]) -> Result<Raised, WindowError> {
    let ports: Vec<u16> = cordons.iter().map(|cordon| cordon.port).collect();
    let _locks = lock::ports(&ports)?;
    let mut leftovers = Vec::new();
    let mut fresh = Vec::new();
    let mut outcomes = Vec::new();
    let mut acknowledged = Instant::now();
    for cordon in cordons {
        match firewall.read(cordon.port)? {
            Some(Standing {
                window: Some(window),
                ..
            }) => {
                check_same(&window, cordon)?;
                outcomes.push(Outcome {
                    window,
                    changed: false,
                });
            }
            Some(_) => {
                leftovers.push(cordon.port);
                fresh.push(cordon.clone());
            }
            None => fresh.push(cordon.clone()),
        }
    }
    if !fresh.is_empty() {
        let raised = firewall
            .raise(&fresh, &leftovers)
            .map_err(WindowError::from)
            .and_then(|()| {
                acknowledged = Instant::now();
                fresh
                    .iter()
                    .map(|cordon| verify(firewall, cordon))
                    .collect()
            });
        match raised {
            Ok(windows) => outcomes.extend::<Vec<Outcome>>(windows),
            Err(error) => {
                take_back(firewall, &fresh);
                return Err(error);
            }
        }
    }
    outcomes.sort_by_key(|outcome| ports.iter().position(|port| *port == outcome.window.port));
    Ok(Raised {
        outcomes,
        acknowledged,
    })
}

/// Removes what a failed call has raised. If this fails too, the kernel's timer is left,
/// and the first error is the one to report.
fn take_back(firewall: &mut impl Firewall, cordons: &[Cordon]) {
    for cordon in cordons {
        let ours = |standing: &Standing| {
            let window = standing.window.as_ref();
            window.is_some_and(|window| window.identity.id == cordon.identity.id)
        };
        if firewall
            .read(cordon.port)
            .ok()
            .flatten()
            .as_ref()
            .is_some_and(ours)
            && let Err(error) = firewall.remove(&[cordon.port])
        {
            tracing::warn!(port = cordon.port, %error, "what was raised could not be removed");
        }
    }
}

/// Reads a cordon back and compares it with what was asked for.
fn verify(firewall: &mut impl Firewall, cordon: &Cordon) -> Result<Outcome, WindowError> {
    let port = cordon.port;
    let differs = |faults| Err(FirewallError::Differs { port, faults }.into());
    let Some(standing) = firewall.read(port)? else {
        return differs(vec!["the table is gone".to_owned()]);
    };
    let mut faults = standing.faults;
    let Some(window) = standing.window else {
        return differs(vec!["the window is not there".to_owned()]);
    };
    if window.identity.id != cordon.identity.id {
        faults.push("another window is there".to_owned());
    }
    check_timeout(&window, cordon.length, &mut faults);
    if window.pass != cordon.pass {
        faults.push("the pass list differs".to_owned());
    }
    if window.verdict != cordon.verdict {
        faults.push("the verdict differs".to_owned());
    }
    if !faults.is_empty() {
        return differs(faults);
    }
    Ok(Outcome {
        window,
        changed: true,
    })
}

fn check_timeout(window: &Window, length: Duration, faults: &mut Vec<String>) {
    // Jiffies are rounded up, by 10 ms at most.
    if window.remaining > length + Duration::from_millis(20) || window.remaining + SLACK < length {
        faults.push(format!(
            "the window lasts {:?} instead of {length:?}",
            window.remaining
        ));
    }
}

/// A window in force must be the one that is asked for, but for its end and reason.
fn check_same(window: &Window, cordon: &Cordon) -> Result<(), WindowError> {
    let mut differences = Vec::new();
    if window.verdict != cordon.verdict {
        differences.push(format!(
            "the verdict {} instead of {}",
            window.verdict, cordon.verdict
        ));
    }
    if window.pass != cordon.pass {
        let show = |pass: &PassList| match pass.len() {
            0 => "empty".to_owned(),
            1..=4 => pass
                .networks()
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(" "),
            many => format!("of {many} networks"),
        };
        differences.push(format!(
            "the pass list {} instead of {}",
            show(&window.pass),
            show(&cordon.pass)
        ));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(WindowError::Differs {
        port: window.port,
        differences,
    })
}

/// Moves the end of a window; without `shorten` never to an earlier time.
///
/// # Errors
/// No window, a total beyond `most`, or the firewall's word.
pub fn extend(
    firewall: &mut impl Firewall,
    port: u16,
    end: WindowEnd,
    shorten: bool,
    most: Duration,
) -> Result<Outcome, WindowError> {
    let _lock = lock::ports(&[port])?;
    let window = in_force(firewall, port)?;
    let remaining = match end {
        WindowEnd::By(more) => window.remaining.saturating_add(more),
        WindowEnd::In(remaining) => remaining,
    };
    if remaining <= window.remaining && !shorten {
        return Ok(Outcome {
            window,
            changed: false,
        });
    }
    let since_start = SystemTime::now()
        .duration_since(window.identity.started_at)
        .unwrap_or_default();
    let total = since_start.saturating_add(remaining);
    if total > most && remaining > window.remaining {
        return Err(WindowError::TooLong { port, total, most });
    }
    let change = Change::End {
        identity: window.identity,
        remaining,
        spared: window.spared,
        closing: window.closing,
    };
    firewall.change(port, &change)?;
    let window = in_force(firewall, port)?;
    let mut faults = Vec::new();
    check_timeout(&window, remaining, &mut faults);
    if !faults.is_empty() {
        return Err(FirewallError::Differs { port, faults }.into());
    }
    Ok(Outcome {
        window,
        changed: true,
    })
}

/// Adds networks to a window's pass list, or takes them out of it.
///
/// # Errors
/// No window, a pass list that cannot be, or the firewall's word.
pub fn allow(
    firewall: &mut impl Firewall,
    port: u16,
    networks: &[IpNet],
    remove: bool,
) -> Result<Outcome, WindowError> {
    let _lock = lock::ports(&[port])?;
    let window = in_force(firewall, port)?;
    let networks = networks.iter().copied();
    let pass = if remove {
        window.pass.without(networks)?
    } else {
        window.pass.with(networks)?
    };
    if pass == window.pass {
        return Ok(Outcome {
            window,
            changed: false,
        });
    }
    firewall.change(port, &Change::Pass(pass.clone()))?;
    let window = in_force(firewall, port)?;
    if window.pass != pass {
        let faults = vec!["the pass list differs".to_owned()];
        return Err(FirewallError::Differs { port, faults }.into());
    }
    Ok(Outcome {
        window,
        changed: true,
    })
}

/// Lets existing connections through to the end of the window.
///
/// # Errors
/// No window, or the firewall's word.
pub fn spare(
    firewall: &mut impl Firewall,
    port: u16,
    flows: Vec<SocketAddr>,
) -> Result<(), WindowError> {
    let _lock = lock::ports(&[port])?;
    let remaining = in_force(firewall, port)?.remaining;
    Ok(firewall.change(port, &Change::Spare { flows, remaining })?)
}

/// Ends windows now, and removes what is left of old ones. Returns the windows that were
/// in force, as they were.
///
/// # Errors
/// The firewall's word; what was in force then stays until its time.
pub fn lift(firewall: &mut impl Firewall, ports: &[u16]) -> Result<Vec<Window>, WindowError> {
    let _locks = lock::ports(ports)?;
    let mut lifted = Vec::new();
    let mut tables = Vec::new();
    for port in ports {
        if let Some(standing) = firewall.read(*port)? {
            tables.push(*port);
            lifted.extend(standing.window);
        }
    }
    match firewall.remove(&tables) {
        // Someone else removed it at the same moment: it is gone, as was asked.
        Err(FirewallError::Missing { .. }) if tables.len() == 1 => {}
        other => other?,
    }
    for port in tables {
        if firewall.read(port)?.is_some() {
            let faults = vec!["the table is still there".to_owned()];
            return Err(FirewallError::Differs { port, faults }.into());
        }
    }
    Ok(lifted)
}

/// Lets packets of existing connections pass for `length` from now on.
///
/// # Errors
/// The firewall's word.
pub fn renew_farewell(
    firewall: &mut impl Firewall,
    port: u16,
    length: Duration,
) -> Result<(), WindowError> {
    let _lock = lock::ports(&[port])?;
    let window = in_force(firewall, port)?;
    let length = length.min(window.remaining);
    Ok(firewall.change(port, &Change::Farewell(length))?)
}

/// Ends the farewell, and lets sockets finish a close that is under way.
///
/// # Errors
/// The firewall's word.
pub fn end_farewell(
    firewall: &mut impl Firewall,
    port: u16,
    closing: Vec<SocketAddr>,
) -> Result<(), WindowError> {
    let _lock = lock::ports(&[port])?;
    let change = Change::FarewellOver {
        closing,
        linger: LINGER,
    };
    Ok(firewall.change(port, &change)?)
}

/// The window in force on a port.
///
/// # Errors
/// There is none, or the firewall cannot be read.
pub fn in_force(firewall: &mut impl Firewall, port: u16) -> Result<Window, WindowError> {
    let standing = firewall.read(port)?;
    standing
        .and_then(|standing| standing.window)
        .ok_or(WindowError::None { port })
}
