//! The sets of a cordon's table.

use super::names::{Family, SetName};
use crate::cordon::Cordon;
use std::time::Duration;

/// How long a source address is kept after its last knock.
const KNOCKS_KEPT: Duration = Duration::from_secs(60 * 60);

/// The key of a set: the number of its data type and its length in bytes. The numbers are
/// those of nft's `datatype.h`; a concatenation shifts by six bits and pads its parts to four
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub kind: u32,
    pub length: u32,
}

const PROTOCOL_FAMILY: Key = Key { kind: 2, length: 1 };
const PORT: Key = Key { kind: 13, length: 2 };

fn address(family: Family) -> Key {
    match family {
        Family::V4 => Key { kind: 7, length: 4 },
        Family::V6 => Key { kind: 8, length: 16 },
    }
}

fn address_and_port(family: Family) -> Key {
    let address = address(family);
    Key { kind: address.kind << 6 | PORT.kind, length: address.length + 4 }
}

/// Flags of a set, `NFT_SET_*`.
pub mod flag {
    /// Holds intervals.
    pub const INTERVAL: u32 = 0x4;
    /// Elements may time out.
    pub const TIMEOUT: u32 = 0x10;
    /// Rules may add elements.
    pub const DYNAMIC: u32 = 0x20;
}

/// One set, without its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSpec {
    pub name: SetName,
    pub key: Key,
    /// See [`flag`].
    pub flags: u32,
    /// The timeout of elements that have none of their own.
    pub timeout: Option<Duration>,
}

pub fn sets(cordon: &Cordon) -> Vec<SetSpec> {
    use Family::{V4, V6};
    use SetName::{Armed, Farewell, Flows, Knocks, Pass, Ramp, Window};
    let length = cordon.length;
    let farewell = cordon.farewell.max(Duration::from_millis(1));
    let timed =
        |name, key, timeout| SetSpec { name, key, flags: flag::TIMEOUT, timeout: Some(timeout) };
    let pass = |family| SetSpec {
        name: Pass(family),
        key: address(family),
        flags: flag::INTERVAL,
        timeout: None,
    };
    // The kernel gives a set that a rule adds to `size 65535`. Stated here, that size would be
    // allocated at once (2 MiB for both sets) and walked at each reading. At that size the
    // rule that counts stops counting; the rule that drops goes on.
    let knocks = |family| SetSpec {
        name: Knocks(family),
        key: address(family),
        flags: flag::TIMEOUT | flag::DYNAMIC,
        timeout: Some(KNOCKS_KEPT),
    };
    vec![
        timed(Window, PORT, length),
        timed(Armed, PROTOCOL_FAMILY, length),
        timed(Farewell, PORT, farewell),
        timed(Ramp, PORT, cordon.whole_length()),
        pass(V4),
        pass(V6),
        timed(Flows(V4), address_and_port(V4), length),
        timed(Flows(V6), address_and_port(V6), length),
        knocks(V4),
        knocks(V6),
    ]
}
