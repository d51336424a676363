//! The cordon in the kernel: nftables tables, written and read through netlink.

pub mod ffi;
pub mod netlink;
