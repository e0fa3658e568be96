//! Values and permissions as `xenstore-ls -f -p` prints them.

use core::fmt::{self, Write};

use super::item::Permission;
use crate::perms::letter;

/// A value between quotes. Quotes in it have no escape.
pub fn quoted<'a>(pieces: impl Iterator<Item = &'a [u8]>, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    for byte in pieces.flatten() {
        match byte {
            b'\t' => out.write_str("\\t")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\\' => out.write_str("\\\\")?,
            b' '..=b'~' => out.write_char(char::from(*byte))?,
            0..=7 => write!(out, "\\{byte:03o}")?,
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    out.write_char('"')
}

/// A permission list with the blanks before it.
pub fn permissions(list: impl Iterator<Item = Permission>, out: &mut dyn Write) -> fmt::Result {
    out.write_str("   (")?;
    for (n, (access, domid)) in list.enumerate() {
        let comma = if n > 0 { "," } else { "" };
        write!(out, "{comma}{}{}", char::from(letter(access)), domid.0)?;
    }
    out.write_char(')')
}
