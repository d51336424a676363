//! Whose packets pass: the farewell, flows that are spared or closing, and standbys.

use super::{Guards, WindowError, differs, in_force, locked};
use crate::cordon::ClosingFlow;
use crate::firewall::Change;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long the packets of a closing socket pass: longer than the kernel keeps an orphan in
/// FIN_WAIT1 (105 to 120 s were seen).
const LINGER: Duration = Duration::from_secs(120);

/// Adds the addresses of standbys to a window's pass list. A spared flow of port 0, which no
/// client can have, marks each address that no user has named.
pub fn allow_standbys(
    firewall: &mut impl Guards,
    port: u16,
    addresses: &[IpAddr],
) -> Result<(), WindowError> {
    let _lock = locked(firewall, &[port])?;
    let before = in_force(firewall, port)?.window.cordon;
    let pass = before.pass.with(addresses.iter().copied().map(IpNet::from))?;
    let named = |address: &&IpAddr| !before.pass.contains(**address);
    let marks = addresses.iter().filter(named);
    let flows = Change::Flows {
        spared: marks.map(|address| SocketAddr::new(*address, 0)).collect(),
        closing: Vec::new(),
        remaining: before.length,
    };
    firewall.change(&[(port, Change::Pass(pass.clone())), (port, flows)])?;
    if in_force(firewall, port)?.window.cordon.pass != pass {
        return Err(differs(port, &"the pass list differs"));
    }
    Ok(())
}

/// Lets packets of existing connections pass for `length` from now on.
pub fn renew_farewell(
    firewall: &mut impl Guards,
    port: u16,
    length: Duration,
) -> Result<(), WindowError> {
    let _lock = locked(firewall, &[port])?;
    let length = length.min(in_force(firewall, port)?.window.cordon.length);
    Ok(firewall.change(&[(port, Change::Farewell(length))])?)
}

/// Ends the farewell, and lets sockets finish a close that is under way.
pub fn end_farewell(
    firewall: &mut impl Guards,
    port: u16,
    closing: Vec<SocketAddr>,
) -> Result<(), WindowError> {
    let _lock = locked(firewall, &[port])?;
    let linger = LINGER;
    Ok(firewall.change(&[(port, Change::FarewellOver { closing, linger })])?)
}

/// Lets sockets finish a close that is under way, where there is no farewell to end.
pub fn linger(
    firewall: &mut impl Guards,
    port: u16,
    closing: Vec<SocketAddr>,
) -> Result<(), WindowError> {
    let _lock = locked(firewall, &[port])?;
    let closing = closing.into_iter().map(|client| ClosingFlow { client, remaining: LINGER });
    let change =
        Change::Flows { spared: Vec::new(), closing: closing.collect(), remaining: LINGER };
    Ok(firewall.change(&[(port, change)])?)
}

/// Lets existing connections through to the end of the window.
pub fn spare(
    firewall: &mut impl Guards,
    port: u16,
    spared: Vec<SocketAddr>,
) -> Result<(), WindowError> {
    let _lock = locked(firewall, &[port])?;
    let change = Change::Flows {
        spared,
        closing: Vec::new(),
        remaining: in_force(firewall, port)?.window.cordon.length,
    };
    Ok(firewall.change(&[(port, change)])?)
}
