//! Writes netlink attributes into a buffer and reads them from a message. The numbers are the
//! `NFTA_*` of the kernel's `linux/netfilter/nf_tables.h`.

use netlink_packet_core::NlasIterator;

/// `NLA_F_NESTED`: the attribute holds attributes.
const NESTED: u16 = 1 << 15;

/// `NFTA_LIST_ELEM`: one member of any list.
pub const LIST_ELEM: u16 = 1;
/// `NFTA_DATA_VALUE`: the bytes of a register or key.
pub const DATA_VALUE: u16 = 1;

/// `NFTA_TABLE_*`.
pub mod table {
    pub const NAME: u16 = 1;
    pub const FLAGS: u16 = 2;
    /// `NFT_TABLE_F_DORMANT`: the table is there and does nothing.
    pub const DORMANT: u32 = 1;
    /// `NFT_TABLE_F_OWNER`: the table belongs to a netlink socket (Linux 5.12).
    pub const OWNER: u32 = 2;
}

/// `NFTA_CHAIN_*` and `NFTA_HOOK_*`.
pub mod chain {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 3;
    pub const HOOK: u16 = 4;
    pub const POLICY: u16 = 5;
    pub const HOOK_NUMBER: u16 = 1;
    pub const HOOK_PRIORITY: u16 = 2;
}

/// `NFTA_RULE_*`, `NFTA_EXPR_*`, `NFTA_COUNTER_*` and `NFTA_LIMIT_*`.
pub mod rule {
    pub const TABLE: u16 = 1;
    pub const CHAIN: u16 = 2;
    pub const EXPRESSIONS: u16 = 4;
    pub const USERDATA: u16 = 7;
    pub const EXPR_NAME: u16 = 1;
    pub const EXPR_DATA: u16 = 2;
    pub const COUNTER_BYTES: u16 = 1;
    pub const COUNTER_PACKETS: u16 = 2;
    pub const LIMIT_RATE: u16 = 1;
}

/// `NFTA_SET_*`.
pub mod set {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 2;
    pub const FLAGS: u16 = 3;
    pub const KEY_TYPE: u16 = 4;
    pub const KEY_LEN: u16 = 5;
    pub const TIMEOUT: u16 = 11;
}

/// `NFTA_SET_ELEM_LIST_*` and `NFTA_SET_ELEM_*`.
pub mod element {
    pub const LIST_TABLE: u16 = 1;
    pub const LIST_SET: u16 = 2;
    pub const LIST_ELEMENTS: u16 = 3;
    pub const KEY: u16 = 1;
    pub const FLAGS: u16 = 3;
    pub const TIMEOUT: u16 = 4;
    pub const EXPIRATION: u16 = 5;
    pub const USERDATA: u16 = 6;
    pub const EXPR: u16 = 7;
    /// `NFT_SET_ELEM_INTERVAL_END`: the first key behind an interval.
    pub const INTERVAL_END: u32 = 1;
}

/// The header of every nf_tables message (`struct nfgenmsg`): the family, then a version and a
/// resource, both zero.
pub fn family_header(family: u16) -> [u8; 4] {
    [family as u8, 0, 0, 0]
}

/// Appends an attribute.
pub fn put(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    buffer.extend(((4 + value.len()) as u16).to_ne_bytes());
    buffer.extend(kind.to_ne_bytes());
    buffer.extend(value);
    buffer.resize(buffer.len().next_multiple_of(4), 0);
}

/// Appends a name and its final zero byte.
pub fn put_name(buffer: &mut Vec<u8>, kind: u16, name: &str) {
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    put(buffer, kind, &value);
}

/// Appends an attribute that holds what `fill` appends.
pub fn put_nested(buffer: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend([0; 4]);
    fill(buffer);
    let length = (buffer.len() - start) as u16;
    buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    buffer[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
}

/// The attributes of a message or of a nested attribute.
#[derive(Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes behind the family header of an nf_tables message.
    pub fn of_message(payload: &'a [u8]) -> Self {
        Self(payload.get(4..).unwrap_or_default())
    }

    pub fn bytes(self, kind: u16) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// The bytes of each attribute of a kind. A malformed attribute ends the list.
    pub fn all(self, kind: u16) -> impl Iterator<Item = &'a [u8]> {
        NlasIterator::new(self.0).map_while(Result::ok).filter(move |nla| nla.kind() == kind).map(
            |nla| {
                let start = nla.into_inner();
                // `value` of the iterator's item borrows from the item; the slice itself
                // lives as long as the message.
                let length = u16::from_ne_bytes([start[0], start[1]]) as usize;
                &start[4..length]
            },
        )
    }

    pub fn nested(self, kind: u16) -> Option<Self> {
        self.bytes(kind).map(Self)
    }

    pub fn list(self, kind: u16) -> impl Iterator<Item = Self> {
        let inner = Self(self.bytes(kind).unwrap_or_default());
        inner.all(LIST_ELEM).map(Self)
    }

    pub fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(kind)?.try_into().ok()?))
    }

    pub fn u64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.bytes(kind)?.try_into().ok()?))
    }

    pub fn name(self, kind: u16) -> Option<&'a str> {
        let bytes = self.bytes(kind)?;
        std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).ok()
    }

    /// The comment in the user data of a rule or an element (type 0 in both): its type, its
    /// length and a text that ends in a zero byte.
    pub fn comment(self, kind: u16) -> Option<&'a str> {
        let mut rest = self.bytes(kind)?;
        while let [field, length, tail @ ..] = rest {
            let (value, after) = tail.split_at_checked(usize::from(*length))?;
            if *field == 0 {
                return std::str::from_utf8(value.strip_suffix(&[0])?).ok();
            }
            rest = after;
        }
        None
    }
}

/// An element's user data that holds a comment of at most 127 bytes.
pub fn comment_data(comment: &str) -> Vec<u8> {
    let mut data = vec![0, (comment.len() + 1) as u8];
    data.extend(comment.as_bytes());
    data.push(0);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut message = family_header(1).to_vec();
        put_name(&mut message, 1, "odd");
        put(&mut message, 2, &7_u32.to_be_bytes());
        put_nested(&mut message, 3, |list| {
            for number in [1_u64, 2] {
                put_nested(list, LIST_ELEM, |member| put(member, 5, &number.to_be_bytes()));
            }
        });
        put(&mut message, 4, &comment_data("why"));
        let read = Attributes::of_message(&message);
        assert_eq!(read.name(1), Some("odd"));
        assert_eq!(read.u32(2), Some(7));
        let members: Vec<_> = read.list(3).filter_map(|member| member.u64(5)).collect();
        assert_eq!(members, [1, 2]);
        assert_eq!(read.comment(4), Some("why"));
        assert_eq!(read.bytes(9), None);
    }

    #[test]
    fn malformed_bytes_are_not_followed() {
        for bytes in [&[][..], &[1], &[0, 0, 0, 0, 255, 255, 1, 0], &[0, 0, 0, 0, 2, 0, 1, 0]] {
            assert_eq!(Attributes::of_message(bytes).bytes(1), None);
        }
    }
}
