//! Calls of libnftnl for which `nftnl` has no safe wrapper.
//!
//! libnftnl's attribute setters copy their data, with one exception that is named where it is
//! used.

#![allow(unsafe_code)]

use nftnl::expr::Expression;
use nftnl::nftnl_sys as sys;
use nftnl::set::{Set, SetKey};
use nftnl::{MsgType, NlMsg, Rule};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::NonNull;

/// The value of an expression's attribute.
#[derive(Debug, Clone)]
pub enum Value {
    /// Numbers in this host's order, keys and masks in network order.
    Bytes(Vec<u8>),
    Nested(Box<Expr>),
}

macro_rules! value_from {
    ($($kind:ty => $bytes:expr),*) => {
        $(impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Bytes($bytes(value))
            }
        })*
    };
}
value_from!(
    u8 => |number| vec![number],
    u32 => |number: u32| number.to_ne_bytes().to_vec(),
    u64 => |number: u64| number.to_ne_bytes().to_vec(),
    CString => CString::into_bytes_with_nul,
    Vec<u8> => std::convert::identity
);

impl From<Expr> for Value {
    fn from(inner: Expr) -> Self {
        Self::Nested(Box::new(inner))
    }
}

/// One nftables expression: its name in the kernel, and its attributes by libnftnl's numbers
/// `NFTNL_EXPR_*`.
#[derive(Debug, Clone)]
pub struct Expr {
    name: &'static CStr,
    attributes: Vec<(u32, Value)>,
}

impl Expr {
    pub fn new(name: &'static CStr) -> Self {
        Self { name, attributes: Vec::new() }
    }

    pub fn with(mut self, attribute: u32, value: impl Into<Value>) -> Self {
        self.attributes.push((attribute, value.into()));
        self
    }

    /// The caller owns the result: it must free it or give it away.
    fn build(&self) -> NonNull<sys::nftnl_expr> {
        // SAFETY: the name is a C string; the result is checked before it is used.
        let raw = unsafe { sys::nftnl_expr_alloc(self.name.as_ptr()) };
        let Some(expr) = NonNull::new(raw) else {
            // Out of memory, or this libnftnl does not know the name. Nothing was sent yet.
            std::process::abort();
        };
        for (attribute, value) in &self.attributes {
            let attribute = *attribute as u16;
            // SAFETY: `expr` is a live expression of ours; every setter but the last copies
            // its data, and the nested expression is given away for good.
            unsafe {
                match value {
                    Value::Bytes(bytes) => {
                        let data = bytes.as_ptr().cast::<c_void>();
                        let length = bytes.len() as u32;
                        sys::nftnl_expr_set(expr.as_ptr(), attribute, data, length);
                    }
                    Value::Nested(inner) => {
                        let inner = inner.build().as_ptr().cast::<c_void>();
                        sys::nftnl_expr_set(expr.as_ptr(), attribute, inner, 0);
                    }
                }
            }
        }
        expr
    }
}

impl Expression for Expr {
    fn to_expr(&self, _rule: &Rule) -> NonNull<sys::nftnl_expr> {
        self.build()
    }
}

/// Sets a 32-bit attribute (`NFTNL_SET_*`) of a set.
pub fn set_u32<K: SetKey>(set: &Set<'_, K>, attribute: u32, value: u32) {
    // SAFETY: the set is live as long as its wrapper.
    unsafe { sys::nftnl_set_set_u32(set.as_ptr().as_ptr(), attribute as u16, value) }
}

/// Sets a 64-bit attribute (`NFTNL_SET_*`) of a set.
pub fn set_u64<K: SetKey>(set: &Set<'_, K>, attribute: u32, value: u64) {
    // SAFETY: the set is live as long as its wrapper.
    unsafe { sys::nftnl_set_set_u64(set.as_ptr().as_ptr(), attribute as u16, value) }
}

/// A message of a batch with other flags than its type sets by itself.
pub struct Flagged<'a, M: NlMsg> {
    pub message: &'a M,
    /// `NLM_F_*` to add.
    pub add: u16,
    /// `NLM_F_*` to take away.
    pub remove: u16,
}

// SAFETY: the inner message writes a valid message with a header at its front; only bits
// of the header's flags are changed.
unsafe impl<M: NlMsg> NlMsg for Flagged<'_, M> {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, kind: MsgType) {
        // SAFETY: the buffer is what the batch promises to every message.
        unsafe {
            self.message.write(buffer, sequence, kind);
            let header = buffer.cast::<nix::libc::nlmsghdr>();
            (*header).nlmsg_flags = (*header).nlmsg_flags & !self.remove | self.add;
        }
    }
}

/// A message of a batch whose payload is already written.
pub struct Plain {
    /// `NFT_MSG_*`.
    pub kind: u16,
    /// `NFPROTO_*`.
    pub family: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// Attributes; at most [`Plain::LONGEST`] bytes.
    pub payload: Vec<u8>,
}

impl Plain {
    /// What fits behind the header into the room that a batch promises to a message.
    pub const LONGEST: usize = u16::MAX as usize;
}

// SAFETY: writes a header and at most LONGEST bytes, which is less than
// `nft_nlmsg_maxsize` (LONGEST and a page), and sets the length to what was written.
unsafe impl NlMsg for Plain {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, _: MsgType) {
        let length = self.payload.len().min(Self::LONGEST);
        // SAFETY: the buffer is what the batch promises to every message; the header is
        // followed by room for LONGEST bytes.
        unsafe {
            let header = sys::nftnl_nlmsg_build_hdr(
                buffer.cast::<c_char>(),
                self.kind,
                self.family,
                self.flags,
                sequence,
            );
            let behind = buffer.cast::<u8>().add((*header).nlmsg_len as usize);
            std::ptr::copy_nonoverlapping(self.payload.as_ptr(), behind, length);
            (*header).nlmsg_len += length as u32;
        }
    }
}

/// The bytes of a message as they would be sent.
pub fn message_bytes(message: &impl NlMsg, kind: MsgType) -> Vec<u8> {
    // Not filled with zeros: a rule takes a hundredth of the room.
    let mut buffer = Vec::<u64>::with_capacity(nftnl::nft_nlmsg_maxsize() as usize / 8 + 1);
    let start = buffer.as_mut_ptr().cast::<c_void>();
    // SAFETY: the buffer is aligned and has the room that a message may take; its first
    // bytes are the header that tells how many were written, and no others are read.
    unsafe {
        message.write(start, 0, kind);
        let length = (*start.cast::<nix::libc::nlmsghdr>()).nlmsg_len as usize;
        std::slice::from_raw_parts(start.cast::<u8>(), length).to_vec()
    }
}

/// The most bytes of a rule in libnftnl's notation. Ours take less than a thousand.
const LONGEST_RULE: usize = 8192;

/// The rule of a message in libnftnl's own notation, which names chain, expressions and
/// comment; `None` if the message does not parse.
pub fn rule_text(message: &[u8]) -> Option<String> {
    let mut aligned = vec![0_u32; message.len().div_ceil(4)];
    let mut text = Vec::<u8>::with_capacity(LONGEST_RULE);
    // SAFETY: the copy is aligned for a header and as long as the header says (checked);
    // libnftnl reads within that length, and writes at most LONGEST_RULE bytes.
    let written = unsafe {
        let start = aligned.as_mut_ptr().cast::<u8>();
        std::ptr::copy_nonoverlapping(message.as_ptr(), start, message.len());
        let header = start.cast::<nix::libc::nlmsghdr>();
        if message.len() < size_of::<nix::libc::nlmsghdr>()
            || (*header).nlmsg_len as usize > message.len()
        {
            return None;
        }
        let rule = NonNull::new(sys::nftnl_rule_alloc())?;
        let parsed = sys::nftnl_rule_nlmsg_parse(header, rule.as_ptr());
        let written = if parsed < 0 {
            -1
        } else {
            let out = text.as_mut_ptr().cast::<c_char>();
            sys::nftnl_rule_snprintf(out, LONGEST_RULE, rule.as_ptr(), sys::NFTNL_OUTPUT_DEFAULT, 0)
        };
        sys::nftnl_rule_free(rule.as_ptr());
        written
    };
    let written = usize::try_from(written).ok().filter(|length| *length < LONGEST_RULE)?;
    // SAFETY: libnftnl has written so many bytes, fewer than there is room for.
    unsafe { text.set_len(written) };
    String::from_utf8(text).ok()
}
