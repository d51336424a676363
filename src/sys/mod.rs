//! What the program uses of the system. Nothing here knows about windows or PostgreSQL.

pub mod fd;
pub mod lock;
pub mod netlink;
pub mod privilege;
pub mod proc;
pub mod runtime;
pub mod terminal;
pub mod trusted;
