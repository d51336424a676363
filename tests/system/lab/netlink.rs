//! Faults between a program and the kernel's netlink: one request of it is not sent, is
//! refused, or is never answered.

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::libc;

use super::traced::{Call, Order};

/// The header of a netlink message, and of an error message as a whole.
const HEADER: usize = 16;
const ERROR: usize = HEADER + 4 + HEADER;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not sent.
    Send(Errno),
    /// The kernel says no, and has done nothing.
    Refused(Errno),
    /// It is done, and its answer cannot be received.
    Receive(Errno),
    /// It is done, and its answer never comes: what the program is told at the end of its
    /// patience, it is told at once.
    Lost,
    /// It is done, its answer is lost, and the program waits.
    LostSlowly,
}

/// Looks for a program's requests, and lets one of them fail, or all from one on.
pub struct Netlink {
    fault: Option<Fault>,
    first: usize,
    last: usize,
    sockets: BTreeSet<u64>,
    /// Whose answers are lost, or cannot be received.
    deaf: BTreeSet<u64>,
    /// Whose request is to be refused, and its sequence number.
    refused: Option<(u64, u32)>,
    /// What each request was, in words.
    pub requests: Vec<String>,
}

impl Netlink {
    /// Nothing fails.
    pub fn watch() -> Netlink {
        Netlink {
            fault: None,
            first: 0,
            last: 0,
            sockets: BTreeSet::new(),
            deaf: BTreeSet::new(),
            refused: None,
            requests: Vec::new(),
        }
    }

    /// The request of this number fails, from 0.
    pub fn fail(number: usize, fault: Fault) -> Netlink {
        Netlink { fault: Some(fault), first: number, last: number, ..Netlink::watch() }
    }

    /// All requests from this number on fail.
    pub fn fail_from(number: usize, fault: Fault) -> Netlink {
        Netlink { last: usize::MAX, ..Netlink::fail(number, fault) }
    }

    /// Whether the program has come to what was to fail.
    pub fn has_failed(&self) -> bool {
        self.fault.is_some() && self.requests.len() > self.first
    }

    /// What is to happen at a boundary.
    pub fn order(&mut self, call: &Call) -> Order {
        let descriptor = call.arguments[0];
        let is_ours = self.sockets.contains(&descriptor);
        match (call.number, call.result) {
            (libc::SYS_socket, Some(new @ 0..)) if descriptor == libc::AF_NETLINK as u64 => {
                self.sockets.insert(new as u64);
            }
            (libc::SYS_close, None) => {
                self.sockets.remove(&descriptor);
                self.deaf.remove(&descriptor);
            }
            (libc::SYS_sendto | libc::SYS_sendmsg, None) if is_ours => return self.sending(call),
            (libc::SYS_recvfrom | libc::SYS_recvmsg, _) if is_ours => return self.receiving(call),
            _ => {}
        }
        Order::GoOn
    }

    fn sending(&mut self, call: &Call) -> Order {
        let (start, length) = match call.number {
            libc::SYS_sendto => (call.arguments[1], call.arguments[2]),
            _ => {
                let header = call.arguments[1];
                let (parts, count) = (call.read_u64(header + 16), call.read_u64(header + 24));
                let length = |part| call.read_u64(parts + 16 * part + 8);
                (call.read_u64(parts), (0..count).map(length).sum())
            }
        };
        let header = call.read(start, HEADER);
        let number = self.requests.len();
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let flags = u16::from_ne_bytes([header[6], header[7]]);
        self.requests.push(format!("{length} bytes, type {kind:#x}, flags {flags:#x}"));
        if !(self.first..=self.last).contains(&number) {
            return Order::GoOn;
        }
        match self.fault {
            Some(Fault::Send(error)) => Order::Skip(-i64::from(error as i32)),
            Some(Fault::Refused(_)) => {
                let sequence = header[8..12].try_into().expect("four bytes");
                self.refused = Some((call.arguments[0], u32::from_ne_bytes(sequence)));
                Order::Skip(length as i64)
            }
            Some(Fault::Receive(_) | Fault::Lost | Fault::LostSlowly) => {
                self.deaf.insert(call.arguments[0]);
                Order::GoOn
            }
            None => Order::GoOn,
        }
    }

    fn receiving(&mut self, call: &Call) -> Order {
        let descriptor = call.arguments[0];
        if let (Some((refused, sequence)), None) = (self.refused, call.result) {
            if refused == descriptor {
                self.refused = None;
                return self.refuse(call, sequence);
            }
        }
        if !self.deaf.contains(&descriptor) {
            return Order::GoOn;
        }
        match (self.fault, call.result) {
            (Some(Fault::Receive(error)), None) => Order::Skip(-i64::from(error as i32)),
            (Some(Fault::Lost), None) => Order::Skip(-i64::from(libc::EAGAIN)),
            // The answer is taken off the socket, and nobody has seen it.
            (Some(Fault::LostSlowly), Some(0..)) => Order::Tell(-i64::from(libc::EINTR)),
            _ => Order::GoOn,
        }
    }

    /// Puts an error where the program wants its answer.
    fn refuse(&self, call: &Call, sequence: u32) -> Order {
        let Some(Fault::Refused(error)) = self.fault else {
            return Order::GoOn;
        };
        let buffer = match call.number {
            libc::SYS_recvfrom => call.arguments[1],
            _ => call.read_u64(call.read_u64(call.arguments[1] + 16)),
        };
        let mut message = vec![0; ERROR];
        message[..4].copy_from_slice(&(ERROR as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        message[8..12].copy_from_slice(&sequence.to_ne_bytes());
        message[HEADER..HEADER + 4].copy_from_slice(&(-(error as i32)).to_ne_bytes());
        // The kernel repeats the header of what it refuses; its sequence number is enough.
        message[HEADER + 12..HEADER + 16].copy_from_slice(&sequence.to_ne_bytes());
        call.write(buffer, &message);
        Order::Skip(ERROR as i64)
    }
}
