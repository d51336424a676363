//! The matches and verdicts of the cordon's rules, with names that read like the rules.
//!
//! `nftnl` has wrappers for some of these. It has none for fib, limit, dynset and exthdr, and
//! its wrappers know only the first register, so that an address together with a port cannot be
//! looked up. So all are written here, in one way: as plain data.

pub use super::ffi::Expr;
use super::names::{ChainName, Family, SetName, c_name};
use nftnl::nftnl_sys as sys;
use nix::libc;

const REGISTER: u32 = libc::NFT_REG_1 as u32;
/// `NFT_REG32_01`: behind the four bytes of an IPv4 address in `NFT_REG_1`.
const BEHIND_IPV4: u32 = 9;
/// `NFT_REG_2`: behind the sixteen bytes of an IPv6 address in `NFT_REG_1`.
const BEHIND_IPV6: u32 = libc::NFT_REG_2 as u32;

/// Offset of the destination port in the TCP header.
const TCP_DESTINATION_PORT: u32 = 2;
/// Offset of the flags in the TCP header.
const TCP_FLAGS: u32 = 13;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// `NFT_FIB_RESULT_ADDRTYPE`.
const FIB_ADDRESS_TYPE: u32 = 3;
/// `NFTA_FIB_F_SADDR`.
const FIB_SOURCE: u32 = 1;
/// `NFTA_FIB_F_DADDR`.
const FIB_DESTINATION: u32 = 2;

/// Loads `meta KEY` into the register.
fn meta(key: i32) -> Expr {
    Expr::new(c"meta")
        .with(sys::NFTNL_EXPR_META_KEY, key as u32)
        .with(sys::NFTNL_EXPR_META_DREG, REGISTER)
}

fn compare(operator: i32, data: &[u8]) -> Expr {
    Expr::new(c"cmp")
        .with(sys::NFTNL_EXPR_CMP_SREG, REGISTER)
        .with(sys::NFTNL_EXPR_CMP_OP, operator as u32)
        .with(sys::NFTNL_EXPR_CMP_DATA, data.to_vec())
}

fn equals(data: &[u8]) -> Expr {
    compare(libc::NFT_CMP_EQ, data)
}

fn differs(data: &[u8]) -> Expr {
    compare(libc::NFT_CMP_NEQ, data)
}

fn payload(base: i32, offset: u32, length: u32, register: u32) -> Expr {
    Expr::new(c"payload")
        .with(sys::NFTNL_EXPR_PAYLOAD_DREG, register)
        .with(sys::NFTNL_EXPR_PAYLOAD_BASE, base as u32)
        .with(sys::NFTNL_EXPR_PAYLOAD_OFFSET, offset)
        .with(sys::NFTNL_EXPR_PAYLOAD_LEN, length)
}

fn masked(mask: &[u8]) -> Expr {
    Expr::new(c"bitwise")
        .with(sys::NFTNL_EXPR_BITWISE_SREG, REGISTER)
        .with(sys::NFTNL_EXPR_BITWISE_DREG, REGISTER)
        .with(sys::NFTNL_EXPR_BITWISE_LEN, mask.len() as u32)
        .with(sys::NFTNL_EXPR_BITWISE_MASK, mask.to_vec())
        .with(sys::NFTNL_EXPR_BITWISE_XOR, vec![0; mask.len()])
}

/// Loads `fib saddr type` or `fib daddr type` into the register.
fn address_type(which: u32) -> Expr {
    Expr::new(c"fib")
        .with(sys::NFTNL_EXPR_FIB_DREG, REGISTER)
        .with(sys::NFTNL_EXPR_FIB_RESULT, FIB_ADDRESS_TYPE)
        .with(sys::NFTNL_EXPR_FIB_FLAGS, which)
}

fn local() -> [u8; 4] {
    u32::from(libc::RTN_LOCAL).to_ne_bytes()
}

fn limit(rate: u64, flags: u32) -> Vec<Expr> {
    // The burst is the rate: with nft's default of 5, clients that retry starve.
    let burst = rate as u32;
    vec![
        Expr::new(c"limit")
            .with(sys::NFTNL_EXPR_LIMIT_RATE, rate)
            .with(sys::NFTNL_EXPR_LIMIT_UNIT, 1_u64)
            .with(sys::NFTNL_EXPR_LIMIT_BURST, burst)
            .with(sys::NFTNL_EXPR_LIMIT_TYPE, 0_u32)
            .with(sys::NFTNL_EXPR_LIMIT_FLAGS, flags),
    ]
}

fn verdict(code: i32, chain: Option<ChainName>) -> Vec<Expr> {
    let verdict = Expr::new(c"immediate")
        .with(sys::NFTNL_EXPR_IMM_DREG, libc::NFT_REG_VERDICT as u32)
        .with(sys::NFTNL_EXPR_IMM_VERDICT, code as u32);
    vec![match chain {
        Some(chain) => verdict.with(sys::NFTNL_EXPR_IMM_CHAIN, c_name(chain.as_str())),
        None => verdict,
    }]
}

/// How nft calls the family.
pub fn keyword(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// `meta nfproto ipv4` or `ipv6`; nft adds it before an address of that family.
fn of_family(family: Family) -> [Expr; 2] {
    let number = match family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    };
    [meta(libc::NFT_META_NFPROTO), equals(&[number as u8])]
}

/// Loads the source address into the register, from offset 12 of the IPv4 header or 8 of the
/// IPv6 header.
fn source_address(family: Family) -> Expr {
    let base = libc::NFT_PAYLOAD_NETWORK_HEADER;
    match family {
        Family::V4 => payload(base, 12, 4, REGISTER),
        Family::V6 => payload(base, 8, 16, REGISTER),
    }
}

/// `iif lo`; the loopback interface has index 1 in every network namespace.
pub fn from_loopback() -> Vec<Expr> {
    vec![meta(libc::NFT_META_IIF), equals(&1_u32.to_ne_bytes())]
}

/// `fib saddr type local`
pub fn source_local() -> Vec<Expr> {
    vec![address_type(FIB_SOURCE), equals(&local())]
}

/// `fib daddr type local`
pub fn destination_local() -> Vec<Expr> {
    vec![address_type(FIB_DESTINATION), equals(&local())]
}

/// `fib daddr type != local`
pub fn destination_not_local() -> Vec<Expr> {
    vec![address_type(FIB_DESTINATION), differs(&local())]
}

/// Loads `ip saddr` for a lookup.
pub fn source(family: Family) -> Vec<Expr> {
    let [load, compare] = of_family(family);
    vec![load, compare, source_address(family)]
}

/// Loads `ip saddr . tcp sport` for a lookup, once the protocol has been matched.
pub fn flow(family: Family) -> Vec<Expr> {
    let behind = match family {
        Family::V4 => BEHIND_IPV4,
        Family::V6 => BEHIND_IPV6,
    };
    let mut parts = source(family);
    parts.push(payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, behind));
    parts
}

/// `@set`, looks up what is in the register.
pub fn in_set(set: SetName) -> Vec<Expr> {
    vec![
        Expr::new(c"lookup")
            .with(sys::NFTNL_EXPR_LOOKUP_SREG, REGISTER)
            .with(sys::NFTNL_EXPR_LOOKUP_SET, c_name(set.as_str())),
    ]
}

/// `update @set { … counter }`, counts what is in the register.
pub fn count_in(set: SetName) -> Vec<Expr> {
    vec![
        Expr::new(c"dynset")
            .with(sys::NFTNL_EXPR_DYNSET_SREG_KEY, REGISTER)
            .with(sys::NFTNL_EXPR_DYNSET_OP, libc::NFT_DYNSET_OP_UPDATE as u32)
            .with(sys::NFTNL_EXPR_DYNSET_SET_NAME, c_name(set.as_str()))
            .with(sys::NFTNL_EXPR_DYNSET_EXPR, Expr::new(c"counter")),
    ]
}

/// `meta l4proto tcp`
pub fn tcp() -> Vec<Expr> {
    vec![meta(libc::NFT_META_L4PROTO), equals(&[libc::IPPROTO_TCP as u8])]
}

/// `meta l4proto != tcp`
pub fn not_tcp() -> Vec<Expr> {
    vec![meta(libc::NFT_META_L4PROTO), differs(&[libc::IPPROTO_TCP as u8])]
}

fn destination_port() -> Expr {
    let base = libc::NFT_PAYLOAD_TRANSPORT_HEADER;
    payload(base, TCP_DESTINATION_PORT, 2, REGISTER)
}

fn tcp_flags() -> Expr {
    payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, 1, REGISTER)
}

/// `tcp dport` into the register, once the protocol has been matched; nft loads it again
/// for each match, and so a reloaded rule reads the same.
pub fn port_loaded() -> Vec<Expr> {
    vec![destination_port()]
}

/// `tcp dport PORT`
pub fn to_port(port: u16) -> Vec<Expr> {
    [tcp(), vec![destination_port(), equals(&port.to_be_bytes())]].concat()
}

/// `tcp dport @set`
pub fn to_port_in(set: SetName) -> Vec<Expr> {
    [tcp(), port_loaded(), in_set(set)].concat()
}

/// `tcp dport != 0`: the packet holds a TCP header as far as the port.
pub fn port_readable() -> Vec<Expr> {
    [tcp(), vec![destination_port(), differs(&[0, 0])]].concat()
}

/// `tcp flags & syn == 0`
pub fn no_syn() -> Vec<Expr> {
    [tcp(), vec![tcp_flags(), masked(&[SYN]), equals(&[0])]].concat()
}

/// `tcp flags & (syn | ack) == syn`, once the protocol has been matched.
pub fn first_syn() -> Vec<Expr> {
    vec![tcp_flags(), masked(&[SYN | ACK]), equals(&[SYN])]
}

/// `meta nfproto @armed`, after the `meta nfproto ipv6` that nft adds for `frag`.
pub fn armed_family() -> Vec<Expr> {
    let mut parts = of_family(Family::V6).to_vec();
    parts.push(meta(libc::NFT_META_NFPROTO));
    parts.extend(in_set(SetName::Armed));
    parts
}

/// `frag frag-off 0`: the 13 upper bits at offset 2 of the fragment header (44).
pub fn first_fragment() -> Vec<Expr> {
    vec![
        Expr::new(c"exthdr")
            .with(sys::NFTNL_EXPR_EXTHDR_DREG, REGISTER)
            .with(sys::NFTNL_EXPR_EXTHDR_TYPE, libc::IPPROTO_FRAGMENT as u8)
            .with(sys::NFTNL_EXPR_EXTHDR_OFFSET, 2_u32)
            .with(sys::NFTNL_EXPR_EXTHDR_LEN, 2_u32),
        masked(&[0xff, 0xf8]),
        equals(&[0, 0]),
    ]
}

/// `limit rate N/second burst N packets`
pub fn below(rate: u64) -> Vec<Expr> {
    limit(rate, 0)
}

/// `limit rate over N/second burst N packets`
pub fn over(rate: u64) -> Vec<Expr> {
    limit(rate, libc::NFT_LIMIT_F_INV as u32)
}

/// `counter`
pub fn counter() -> Vec<Expr> {
    vec![Expr::new(c"counter")]
}

/// `reject with tcp reset`
pub fn reject_with_reset() -> Vec<Expr> {
    vec![
        Expr::new(c"reject")
            .with(sys::NFTNL_EXPR_REJECT_TYPE, libc::NFT_REJECT_TCP_RST as u32)
            .with(sys::NFTNL_EXPR_REJECT_CODE, 0_u8),
    ]
}

/// `accept`
pub fn accept() -> Vec<Expr> {
    verdict(libc::NF_ACCEPT, None)
}

/// `drop`
pub fn drop() -> Vec<Expr> {
    verdict(libc::NF_DROP, None)
}

/// `return`
pub fn ret() -> Vec<Expr> {
    verdict(libc::NFT_RETURN, None)
}

/// `goto CHAIN`
pub fn goto(chain: ChainName) -> Vec<Expr> {
    verdict(libc::NFT_GOTO, Some(chain))
}

/// `jump CHAIN`
pub fn jump(chain: ChainName) -> Vec<Expr> {
    verdict(libc::NFT_JUMP, Some(chain))
}
