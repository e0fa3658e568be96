//! Bytes with places for a guest's own numbers, and how they are written as text.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

/// As text `|` is NUL, `{domid}` and `{uuid}` are the guest's, other bytes are escaped as in Rust.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Domid,
    Uuid,
}

const PLACES: [(&str, Piece); 2] = [("{domid}", Piece::Domid), ("{uuid}", Piece::Uuid)];

impl Template {
    /// Leaves the bytes for one guest in `out`. Each domid has a UUID of its own.
    pub fn fill(&self, domid: u16, out: &mut Vec<u8>) {
        out.clear();
        for piece in &self.0 {
            let written = match piece {
                Piece::Bytes(bytes) => out.write_all(bytes),
                Piece::Domid => write!(out, "{domid}"),
                Piece::Uuid => write!(out, "00000000-0000-4000-8000-{domid:012}"),
            };
            written.expect("a vector takes all");
        }
    }

    /// Whether the bytes are the same for every guest.
    pub fn is_fixed(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Bytes(_)))
    }

    /// `bytes` as they were for one guest, made those of any.
    pub fn of_guest(bytes: &[u8], domid: &[u8], uuid: &[u8]) -> Template {
        let mut template = Template::default();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(uuid) {
                template.0.push(Piece::Uuid);
                at += uuid.len();
            } else if rest.starts_with(domid) && stands_alone(&bytes[..at], &rest[domid.len()..]) {
                template.0.push(Piece::Domid);
                at += domid.len();
            } else {
                template.push(rest[0]);
                at += 1;
            }
        }
        template
    }

    fn push(&mut self, byte: u8) {
        match self.0.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes.push(byte),
            _ => self.0.push(Piece::Bytes(vec![byte])),
        }
    }
}

/// Whether a number between these is no part of another number, name or address. In a permission a letter
/// stands before it.
fn stands_alone(before: &[u8], after: &[u8]) -> bool {
    let in_permission = matches!(before, [.., 0, b'n' | b'r' | b'w' | b'b']);
    let before = before.last().is_some_and(u8::is_ascii_alphanumeric) && !in_permission;
    !before && !after.first().is_some_and(u8::is_ascii_alphanumeric)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            let Piece::Bytes(bytes) = piece else {
                PLACES.iter().filter(|place| place.1 == *piece).try_for_each(|place| f.write_str(place.0))?;
                continue;
            };
            for byte in bytes {
                match byte {
                    0 => f.write_str("|")?,
                    b'|' | b'{' => write!(f, "\\x{byte:02x}")?,
                    _ => write!(f, "{}", byte.escape_ascii())?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        let mut template = Template::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('|') {
                template.push(0);
                rest = after;
            } else if let Some((name, piece)) = PLACES.iter().find(|place| rest.starts_with(place.0)) {
                template.0.push(piece.clone());
                rest = &rest[name.len()..];
            } else {
                template.push(unescape(&mut rest)?);
            }
        }
        Ok(template)
    }
}

/// Takes one byte, escaped as in Rust or not, off a text that is not empty.
pub fn unescape(rest: &mut &str) -> Result<u8, String> {
    let (byte, len) = match rest.as_bytes() {
        [b'\\', b'x', ..] => {
            let digits = rest.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (digits.ok_or_else(|| format!("two digits are missing: {rest}"))?, 4)
        }
        [b'\\', b'n', ..] => (b'\n', 2),
        [b'\\', b'r', ..] => (b'\r', 2),
        [b'\\', b't', ..] => (b'\t', 2),
        [b'\\', byte @ (b'\\' | b'\'' | b'"'), ..] => (*byte, 2),
        [byte @ (b' '..=b'[' | b']'..=b'~'), ..] => (*byte, 1),
        _ => return Err(format!("not how a byte is written: {rest}")),
    };
    *rest = &rest[len..];
    Ok(byte)
}
