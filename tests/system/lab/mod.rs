//! The laboratory of the black-box tests: hosts with networks, mounts and processes of
//! their own, a bridge between them, and a real PostgreSQL on the server.
//!
//! ```ignore
//! let lab = Lab::new(2);
//! let sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 10);
//! lab.server.pgcordon(["start", "--for", "10m"]).assert_status(0);
//! for session in &sessions {
//!     session.wait_end(SOON).assert_farewell();
//! }
//! ```
//!
//! Nothing is put into the machine's own namespaces, and nothing has a name there. File
//! descriptors of the test process hold the namespaces; the processes of a lab share a
//! PID namespace whose first process ends when its standard input does. So a test that is
//! killed leaves nothing behind, and labs side by side do not meet.
//!
//! Process ids that a program on a host prints, and those in `/proc` there, are those of
//! the lab's PID namespace. [`Running::pid`] is the id that the test process sees.

mod aftermath;
mod cluster;
mod ending;
mod firewall;
mod host;
mod line;
mod login;
mod logs;
mod netlink;
mod network;
mod outcome;
mod pipe;
mod postgres;
mod processes;
mod program;
mod pump;
mod relay;
mod running;
mod session;
mod sockets;
mod space;
mod standby;
mod story;
mod template;
mod terminal;
mod tool;
mod traced;
mod wire;

use std::sync::Arc;

pub use aftermath::{Vitals, assert_complete};
pub use cluster::Cluster;
pub use ending::Close;
pub use host::{Host, Reach};
pub use login::Login;
pub use netlink::{Fault, Netlink};
pub use outcome::Outcome;
pub use postgres::Postgres;
pub use program::Program;
pub use relay::SlowLink;
pub use running::Running;
pub use session::Session;
pub use sockets::TcpState;
pub use space::FIT;
pub use story::{
    GLIMPSE, SOON, START, assert_same_end, milliseconds, only_window, warns, with_time_enough,
};
pub use terminal::{CTRL_C, CTRL_Z, Step};
pub use traced::{Call, Order};

use network::Network;
use space::Land;

/// A server and its clients on one bridge.
pub struct Lab {
    /// The host that pgcordon runs on: 203.0.113.1 and 2001:db8:53::1.
    pub server: Host,
    /// The other hosts: 203.0.113.11 and 2001:db8:53::11, then 12, and so on.
    pub clients: Vec<Host>,
    cluster: Option<Cluster>,
    network: Network,
    land: Arc<Land>,
}

impl Lab {
    /// A server with PostgreSQL on port 5432, and so many clients.
    pub fn new(clients: usize) -> Lab {
        Lab::with(clients, Postgres::new())
    }

    /// A server with this PostgreSQL, and so many clients.
    pub fn with(clients: usize, postgres: Postgres) -> Lab {
        let mut lab = Lab::bare(clients);
        lab.cluster = Some(lab.server.start_postgres(postgres));
        lab
    }

    /// A server without PostgreSQL, and so many clients.
    pub fn bare(clients: usize) -> Lab {
        let land = Land::new();
        let network = Network::new(&land);
        let numbers = std::iter::once(1).chain((11..).take(clients));
        let mut hosts = network.attach(&land, numbers);
        let server = hosts.remove(0);
        Lab { server, clients: hosts, cluster: None, network, land }
    }

    /// One more host on the bridge, 203.0.113.`number`.
    pub fn add_host(&self, number: u8) -> Host {
        self.network.attach(&self.land, std::iter::once(number)).remove(0)
    }

    /// The server's PostgreSQL.
    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("a lab with PostgreSQL")
    }

    /// The first process of the lab, as the test process sees it.
    pub fn first_pid(&self) -> u32 {
        self.land.first_pid()
    }
}
