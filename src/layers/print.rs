//! Values and permissions as `xenstore-ls -f -p` prints them.

use core::fmt::{self, Write};

use super::item::Permission;
use crate::abi::DomId;
use crate::perms::{Access, letter};

/// A value between quotes.
pub fn quoted(value: &[u8], out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    escaped(value, out)?;
    out.write_char('"')
}

/// Bytes of a value.
#[cold]
#[inline(never)]
pub fn escaped(bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
    for byte in bytes {
        match byte {
            0..=7 => write!(out, "\\{byte:03o}")?,
            // Quotes have no escape.
            b'"' | b'\'' => out.write_char(char::from(*byte))?,
            _ => write!(out, "{}", byte.escape_ascii())?,
        }
    }
    Ok(())
}

/// A permission list with the blanks before it.
pub fn permissions(list: impl Iterator<Item = Permission>, out: &mut dyn Write) -> fmt::Result {
    let mut before = "   (";
    for (access, domid) in list {
        entry(before, access, domid, out)?;
        before = ",";
    }
    out.write_char(')')
}

#[cold]
#[inline(never)]
fn entry(before: &str, access: Access, domid: DomId, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{before}{}{}", char::from(letter(access)), domid.0)
}
