//! Messages on the wire, and how a session spells them.
//!
//! Written apart from the library's own parser: a driver that shared it could not find its mistakes.

use std::fmt;

/// Bytes of a message header.
pub const HEADER: usize = 16;

pub const DIRECTORY: u32 = 1;
pub const READ: u32 = 2;
pub const GET_PERMS: u32 = 3;
pub const WATCH: u32 = 4;
pub const UNWATCH: u32 = 5;
pub const TRANSACTION_START: u32 = 6;
pub const TRANSACTION_END: u32 = 7;
pub const INTRODUCE: u32 = 8;
pub const RELEASE: u32 = 9;
pub const GET_DOMAIN_PATH: u32 = 10;
pub const WRITE: u32 = 11;
pub const MKDIR: u32 = 12;
pub const RM: u32 = 13;
pub const SET_PERMS: u32 = 14;
pub const WATCH_EVENT: u32 = 15;
pub const ERROR: u32 = 16;
pub const IS_DOMAIN_INTRODUCED: u32 = 17;
pub const RESUME: u32 = 18;
pub const SET_TARGET: u32 = 19;
pub const RESET_WATCHES: u32 = 21;
pub const DIRECTORY_PART: u32 = 22;
pub const GET_FEATURE: u32 = 23;
pub const SET_FEATURE: u32 = 24;
pub const GET_QUOTA: u32 = 25;
pub const SET_QUOTA: u32 = 26;
pub const CONTROL: u32 = 0;

/// Message names by number (io/xs_wire.h).
const NAMES: [&str; 27] = [
    "CONTROL",
    "DIRECTORY",
    "READ",
    "GET_PERMS",
    "WATCH",
    "UNWATCH",
    "TRANSACTION_START",
    "TRANSACTION_END",
    "INTRODUCE",
    "RELEASE",
    "GET_DOMAIN_PATH",
    "WRITE",
    "MKDIR",
    "RM",
    "SET_PERMS",
    "WATCH_EVENT",
    "ERROR",
    "IS_DOMAIN_INTRODUCED",
    "RESUME",
    "SET_TARGET",
    "#20",
    "RESET_WATCHES",
    "DIRECTORY_PART",
    "GET_FEATURE",
    "SET_FEATURE",
    "GET_QUOTA",
    "SET_QUOTA",
];

/// The name of a message type, `#number` for those that have none.
pub fn name(kind: u32) -> String {
    NAMES.get(kind as usize).map_or_else(|| format!("#{kind}"), |name| (*name).to_string())
}

/// The inverse of [`name`].
pub fn number(name: &str) -> Option<u32> {
    if let Some(digits) = name.strip_prefix('#') {
        return digits.parse().ok();
    }
    NAMES.iter().position(|known| *known == name).and_then(|index| u32::try_from(index).ok())
}

/// Types whose payload is exactly one string.
pub fn takes_one_string(kind: u32) -> bool {
    matches!(
        kind,
        DIRECTORY
            | READ
            | GET_PERMS
            | MKDIR
            | RM
            | RELEASE
            | RESUME
            | GET_DOMAIN_PATH
            | IS_DOMAIN_INTRODUCED
            | TRANSACTION_END
    )
}

/// Types whose first string is a node's path, and which a transaction can hold.
pub fn is_about_a_node(kind: u32) -> bool {
    matches!(kind, DIRECTORY | READ | GET_PERMS | WRITE | MKDIR | RM | SET_PERMS | DIRECTORY_PART)
}

/// Types that change a node.
pub fn changes_a_node(kind: u32) -> bool {
    matches!(kind, WRITE | MKDIR | RM | SET_PERMS)
}

/// One message as it came out of a ring.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Packet {
    pub kind: u32,
    pub req_id: u32,
    pub tx_id: u32,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let words = [self.kind, self.req_id, self.tx_id, length];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Takes the first complete message off `bytes`.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Packet> {
        let header = bytes.get(..HEADER)?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (kind, req_id, tx_id, length) = (word(0), word(4), word(8), word(12) as usize);
        let payload = bytes.get(HEADER..HEADER.checked_add(length)?)?.to_vec();
        bytes.drain(..HEADER + length);
        Some(Packet { kind, req_id, tx_id, payload })
    }

    /// The error's name, if this is an error.
    pub fn error(&self) -> Option<&str> {
        if self.kind != ERROR {
            return None;
        }
        let text = self.payload.strip_suffix(&[0]).unwrap_or(&self.payload);
        Some(std::str::from_utf8(text).unwrap_or("(garbled)"))
    }
}

/// Bytes as a session spells them: `|` is NUL, `\xNN` any byte, `{x*9}` nine times `x`.
pub struct Spelled<'a>(pub &'a [u8]);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        let mut at = 0;
        while at < self.0.len() {
            let byte = self.0[at];
            let run = self.0[at..].iter().take_while(|other| **other == byte).count();
            if run >= 16 && byte.is_ascii_alphanumeric() {
                write!(f, "{{{}*{run}}}", byte as char)?;
                at += run;
                continue;
            }
            match byte {
                0 => f.write_str("|")?,
                b'|' | b'\\' | b'{' | b';' | b'>' => write!(f, "\\x{byte:02x}")?,
                b' ' if at == 0 || at == last => f.write_str("\\x20")?,
                b' '..=b'~' => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
            at += 1;
        }
        Ok(())
    }
}

/// Prints bytes, cut after so many characters.
pub struct Brief<T>(pub T, pub usize);

impl<T: fmt::Display> fmt::Display for Brief<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.char_indices().nth(self.1) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// Reads what [`Spelled`] writes. `{i}` stands for `index`.
pub fn unspell(text: &str, index: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\x") {
            let digits = after.get(..2).ok_or("\\x needs two digits")?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|e| e.to_string())?);
            rest = &after[2..];
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inside, after) = after.split_once('}').ok_or("{ without }")?;
            if inside == "i" {
                bytes.extend_from_slice(format!("{index:04}").as_bytes());
            } else {
                let (what, times) = inside.split_once('*').ok_or("{} needs i or x*9")?;
                let times: usize = times.parse().map_err(|_| format!("not a number: {times}"))?;
                let byte = |byte| if byte == b'|' { 0 } else { byte };
                bytes.extend(what.bytes().map(byte).cycle().take(what.len() * times));
            }
            rest = after;
        } else {
            let byte = u8::try_from(first).map_err(|_| format!("not a byte: {first}"))?;
            bytes.push(if byte == b'|' { 0 } else { byte });
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(bytes)
}
