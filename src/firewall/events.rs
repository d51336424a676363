//! What other programs do to nftables, as the kernel tells it: one notification for each
//! object of a transaction, and a last one with the new generation.
//!
//! That an element's time is up is told nobody.

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

/// `NFTA_*_TABLE`: every object of nf_tables names its table in its first attribute.
const TABLE: u16 = 1;
/// `NFTA_GEN_PROC_NAME`.
const PROGRAM: u16 = 3;

/// A subscription to the changes of this network namespace's nftables.
pub struct Events {
    link: Link,
    table: String,
    told: Event,
}

impl AsFd for Events {
    /// Becomes readable when there is something to [`read`](Events::read).
    fn as_fd(&self) -> BorrowedFd<'_> {
        fd::of_netlink(self.link.socket())
    }
}

/// What has happened to one port's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Whether it was touched; also where notifications were lost, and it may have been.
    pub touched: bool,
    /// Whether its pass list was.
    pub touched_pass: bool,
    /// Who did it: the program's name, as far as the kernel tells it.
    pub program: Option<String>,
}

impl Events {
    /// Listens to what happens to a port's table from now on.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub fn of(port: u16) -> io::Result<Self> {
        Ok(Self {
            link: Link::listen(mnl::Bus::Netfilter, GROUP)?,
            table: table_name(port),
            told: Event::default(),
        })
    }

    /// Reads what is there, one datagram; what has happened to the table once the
    /// transaction that did it is known as a whole.
    ///
    /// # Errors
    /// What the kernel says of the socket. That notifications were lost is no error: then
    /// everything may have been touched.
    pub fn read(&mut self) -> io::Result<Event> {
        match self.link.receive(Instant::now() + netlink::WAIT) {
            Ok(messages) => {
                let mut events = Event::default();
                for message in &messages {
                    self.note(message, &mut events);
                }
                Ok(events)
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Event {
                touched: true,
                touched_pass: true,
                program: None,
            }),
            Err(error) => Err(error),
        }
    }

    /// Takes one notification in; the last one of a transaction names the program.
    fn note(&mut self, message: &Message, events: &mut Event) {
        let kind = i32::from(message.kind());
        if kind >> 8 != libc::NFNL_SUBSYS_NFTABLES {
            return;
        }
        let attributes = Attributes::of_message(message.payload());
        match kind & 0xff {
            libc::NFT_MSG_NEWGEN if self.told.touched => {
                let told = std::mem::take(&mut self.told);
                events.touched = true;
                events.touched_pass |= told.touched_pass;
                events.program = attributes.name(PROGRAM).map(str::to_owned);
            }
            libc::NFT_MSG_NEWGEN => {}
            kind if attributes.name(TABLE) == Some(&self.table) => {
                self.told.touched = true;
                let is_element =
                    matches!(kind, libc::NFT_MSG_NEWSETELEM | libc::NFT_MSG_DELSETELEM);
                let set = attributes.name(attr::element::LIST_SET).unwrap_or_default();
                self.told.touched_pass |= is_element && is_pass_set(set);
            }
            _ => {}
        }
    }
}
