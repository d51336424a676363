//! Bad days: netlink fails, PostgreSQL stops or crashes while it is drained, `/run` is
//! read-only or full, file descriptors are exhausted, the clock is set. Each ends in a stated
//! outcome with its exit status, and the host is bounded: the port is free, or blocked by
//! elements that end no later than was asked for.

mod case;
mod clock;
mod host;
mod netlink;
mod postgres;
