//! Numbers and paths as roles write them.

use core::fmt::Write;

use heapless::String;

use super::guest::Payload;

/// A number in decimal digits.
pub fn text(number: u32) -> String<10> {
    let mut text = String::new();
    // Ten digits hold any.
    let _ = write!(text, "{number}");
    text
}

/// The parts in one piece; empty if that is too long, which no role's text is.
pub fn joined(parts: &[&[u8]]) -> Payload {
    let mut whole = Payload::new();
    let fits = parts.iter().all(|part| whole.extend_from_slice(part).is_ok());
    if fits { whole } else { Payload::new() }
}

/// Text with a number at its end.
pub fn numbered(text_before: &[u8], number: u32) -> Payload {
    joined(&[text_before, text(number).as_bytes()])
}

/// The path of the nth of many nodes below another: in groups, since the names of too many in one would use up that
/// one's size.
pub fn spread(path: &[u8], number: u32) -> Payload {
    joined(&[path, text(number / 100).as_bytes(), b"/", text(number % 100).as_bytes()])
}

/// The same as a request has it, with a value.
pub fn node(path: &[u8], number: u32, value: &[u8]) -> Payload {
    joined(&[&spread(path, number), b"\0", value])
}
