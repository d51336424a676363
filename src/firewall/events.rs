//! Changes that other programs make to nftables. The kernel sends one notification for each
//! object of a transaction, then one with the new generation. It sends none when an element
//! expires.

use super::attributes::{self as attr, Attributes};
use super::names::{is_pass_set, table_name};
use crate::sys::fd;
use crate::sys::netlink::{self, Link, Message};
use nix::libc;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// `1 << (NFNLGRP_NFTABLES - 1)`: the multicast group of nf_tables.
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

/// `NFTA_*_TABLE`: the first attribute of every nf_tables object is its table's name.
const TABLE: u16 = 1;
/// `NFTA_GEN_PROC_NAME`.
const PROGRAM: u16 = 3;

/// A subscription to the changes of this network namespace's nftables.
pub struct Events {
    link: Link,
    table: String,
    /// What the transaction whose notifications are arriving has done so far.
    pending: Event,
}

impl AsFd for Events {
    /// Becomes readable when there is something to [`read`](Events::read).
    fn as_fd(&self) -> BorrowedFd<'_> {
        fd::of_netlink(self.link.socket())
    }
}

/// What happened to one port's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// True also if notifications were lost and the table may have been touched.
    pub touched: bool,
    pub touched_pass: bool,
    /// The name of the program that did it, if the kernel gives one.
    pub program: Option<String>,
}

impl Events {
    /// Subscribes to changes of a port's table from now on.
    pub fn of(port: u16) -> io::Result<Self> {
        Ok(Self {
            link: Link::listen(mnl::Bus::Netfilter, GROUP)?,
            table: table_name(port),
            pending: Event::default(),
        })
    }

    /// Reads one datagram. Returns what happened to the table once all notifications of the
    /// transaction have come.
    ///
    /// Lost notifications are no error: then everything may have been touched.
    pub fn read(&mut self) -> io::Result<Event> {
        match self.link.receive(Instant::now() + netlink::WAIT) {
            Ok(messages) => {
                let mut events = Event::default();
                for message in &messages {
                    self.note(message, &mut events);
                }
                Ok(events)
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                Ok(Event { touched: true, touched_pass: true, program: None })
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in one notification. The last one of a transaction names the program.
    fn note(&mut self, message: &Message, events: &mut Event) {
        let kind = i32::from(message.header.message_type);
        if kind >> 8 != libc::NFNL_SUBSYS_NFTABLES {
            return;
        }
        let attributes = Attributes::of_message(message.payload());
        match kind & 0xff {
            libc::NFT_MSG_NEWGEN if self.pending.touched => {
                let done = std::mem::take(&mut self.pending);
                events.touched = true;
                events.touched_pass |= done.touched_pass;
                events.program = attributes.name(PROGRAM).map(str::to_owned);
            }
            libc::NFT_MSG_NEWGEN => {}
            kind if attributes.name(TABLE) == Some(&self.table) => {
                self.pending.touched = true;
                let is_element =
                    matches!(kind, libc::NFT_MSG_NEWSETELEM | libc::NFT_MSG_DELSETELEM);
                let set = attributes.name(attr::element::LIST_SET).unwrap_or_default();
                self.pending.touched_pass |= is_element && is_pass_set(set);
            }
            _ => {}
        }
    }
}
