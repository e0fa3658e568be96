//! What layers are read into.

use heapless::Vec;

use super::item::{LINE_MAX, PERMISSIONS_MAX, Permission, VALUE_MAX};
use crate::words::equal;

pub type LineBuf = Vec<u8, LINE_MAX>;
pub type ValueBuf = Vec<u8, VALUE_MAX>;

/// A permission list, which is mostly that of the line before, too.
#[derive(Default)]
pub struct PermissionBuf {
    list: Vec<Permission, PERMISSIONS_MAX>,
    /// Its text with all that stands around it, if it is known and short.
    text: Vec<u8, 48>,
}

impl PermissionBuf {
    pub const fn new() -> PermissionBuf {
        PermissionBuf { list: Vec::new(), text: Vec::new() }
    }

    pub fn as_slice(&self) -> &[Permission] {
        &self.list
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.text.clear();
    }

    /// None if there is no room for more.
    pub fn push(&mut self, entry: Permission) -> Option<()> {
        self.list.push(entry).ok()
    }

    /// The text that it is known to have.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it is the list with this text.
    pub fn says(&self, text: &[u8]) -> bool {
        !text.is_empty() && equal(&self.text, text)
    }

    /// It is the list with this text.
    pub fn note(&mut self, text: &[u8]) {
        // A longer one is read each time.
        let _fits = self.text.extend_from_slice(text);
    }
}

/// What lines and records are read into, so that each needs little stack of its own.
pub struct Buffers {
    pub line: LineBuf,
    pub value: ValueBuf,
    pub permissions: PermissionBuf,
}

impl Buffers {
    pub const EMPTY: Buffers =
        Buffers { line: LineBuf::new(), value: ValueBuf::new(), permissions: PermissionBuf::new() };
}
