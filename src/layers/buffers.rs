//! What layers are read into.

use heapless::Vec;

use super::item::{LINE_MAX, PERMISSIONS_MAX, Permission, VALUE_MAX};

pub type LineBuf = Vec<u8, LINE_MAX>;
pub type ValueBuf = Vec<u8, VALUE_MAX>;
pub type PermissionBuf = Vec<Permission, PERMISSIONS_MAX>;

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
