//! What the system gives, in the words of this program. Nothing here knows of windows or of
//! PostgreSQL.

pub mod fd;
pub mod lock;
pub mod netlink;
pub mod privilege;
pub mod runtime;
pub mod terminal;
pub mod trusted;
