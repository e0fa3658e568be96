//! Arguments of a request: NUL-terminated strings and the numbers in them.
//!
//! Upstream has two rules, and so has this. Some requests take exactly one string. The others count NULs and ignore
//! what follows the last one.

use super::XsError;
use crate::abi::DomId;
use crate::words::position_of;

/// The payload's only string. EINVAL unless its one NUL is its last byte.
pub fn one_string(payload: &[u8]) -> Result<&[u8], XsError> {
    match payload.split_last() {
        Some((0, string)) if position_of::<0>(string).is_none() => Ok(string),
        _ => Err(XsError::EINVAL),
    }
}

/// The payload without its last byte, which must be a NUL, else EINVAL. The caller must refuse a NUL in the rest.
pub fn terminated(payload: &[u8]) -> Result<&[u8], XsError> {
    match payload.split_last() {
        Some((0, text)) => Ok(text),
        _ => Err(XsError::EINVAL),
    }
}

/// The NUL-terminated strings of a payload, in order.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    rest: &'a [u8],
}

pub fn strings(payload: &[u8]) -> Strings<'_> {
    Strings { rest: payload }
}

impl<'a> Strings<'a> {
    /// What is left behind the strings taken so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// All that are left, which are so many, else EINVAL.
    pub fn exactly<const N: usize>(mut self) -> Result<[&'a [u8]; N], XsError> {
        let mut strings = [b"".as_slice(); N];
        for string in &mut strings {
            *string = self.required()?;
        }
        if self.remaining() == 0 { Ok(strings) } else { Err(XsError::EINVAL) }
    }

    /// How many strings are left. Whoever takes some first counts fewer bytes.
    #[inline(never)] // A vector loop, which is long.
    pub fn remaining(&self) -> usize {
        self.rest.iter().filter(|byte| **byte == 0).count()
    }

    /// The next string, or EINVAL.
    pub fn required(&mut self) -> Result<&'a [u8], XsError> {
        self.next().ok_or(XsError::EINVAL)
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = position_of::<0>(self.rest)?;
        let (string, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some(string)
    }
}

/// A number as `atoi` reads it: it accepts leading blanks and a sign, ignores what follows
/// the digits, and takes garbage for 0. Saturates.
pub fn number(string: &[u8]) -> i64 {
    let string = string.trim_ascii_start();
    let (negative, digits) = match string.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, string),
    };
    let value = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |value, byte| value.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    if negative { -value } else { value }
}

/// A number of decimal digits and nothing else, at least one. None for anything else, and if it does not fit.
pub fn plain_number(string: &[u8]) -> Option<u32> {
    if string.is_empty() {
        return None;
    }
    string.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A number as decimal digits, at the end of `digits`.
pub fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = at;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// A domid: decimal digits only and at most 65535, else EINVAL. The empty string is 0, as in the C daemon.
pub fn strict_domid(string: &[u8]) -> Result<DomId, XsError> {
    if !string.iter().all(u8::is_ascii_digit) {
        return Err(XsError::EINVAL);
    }
    u16::try_from(number(string)).map(DomId).map_err(|_| XsError::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_string() {
        assert_eq!(one_string(b"/a\0"), Ok(&b"/a"[..]));
        assert_eq!(one_string(b"\0"), Ok(&b""[..]));
        for bad in [&b""[..], b"/a", b"/a\0x", b"/a\0x\0"] {
            assert_eq!(one_string(bad), Err(XsError::EINVAL));
        }
    }

    #[test]
    fn counted_strings() {
        let mut args = strings(b"a\0\0b\0junk");
        assert_eq!(args.remaining(), 3);
        assert_eq!(args.by_ref().collect::<std::vec::Vec<_>>(), [&b"a"[..], b"", b"b"]);
        assert_eq!(args.rest(), b"junk");
    }

    #[test]
    fn numbers() {
        for (text, value) in [(&b"12"[..], 12), (b" 7x", 7), (b"-3", -3), (b"", 0), (b"x", 0)] {
            assert_eq!(number(text), value);
        }
        assert_eq!(number(&[b'9'; 40]), i64::MAX);
        for (text, value) in [(&b"0"[..], 0), (b"012", 12), (b"4294967295", u32::MAX)] {
            assert_eq!(plain_number(text), Some(value));
        }
        for bad in [&b""[..], b"x", b"1x", b" 1", b"1 ", b"+1", b"-1", b"0x1", b"4294967296", &[b'9'; 40]] {
            assert_eq!(plain_number(bad), None);
        }
        for n in [0, 7, 10, 65535, u32::MAX] {
            assert_eq!(decimal(n, &mut [0; 10]), std::string::ToString::to_string(&n).as_bytes());
        }
        for (text, id) in [(&b""[..], Some(0)), (b"05", Some(5)), (b"65535", Some(65535))] {
            assert_eq!(strict_domid(text).ok(), id.map(DomId));
        }
        for bad in [&b"x"[..], b"65536", b"-1", b"1x"] {
            assert_eq!(strict_domid(bad), Err(XsError::EINVAL));
        }
    }
}
