//! A part of the trace as CONTROL `trace dump` answers it: text, so that any client can pass it on.
//!
//! The first line is [`Head`], the second the records' wire form in base64 (RFC 4648, section 4, with
//! padding). Records are numbered from the start on. A client asks from 0 first and then from where the page
//! before has ended; what `first` is beyond the number asked for has been overwritten meanwhile.

use core::fmt;

use super::Record;

/// Version of the format, in the first word of a page.
pub const VERSION: u32 = 1;

/// Records of a full page: as many as fit a message with the first line.
pub const RECORDS_MAX: usize = 90;

/// The first line: `xenstore-trace 1 first=… count=… end=… lost=… khz=… started=…`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of the first record here.
    pub first: u64,
    /// Records here.
    pub count: u64,
    /// One above the number of the newest record of all.
    pub end: u64,
    /// Records overwritten since the start.
    pub lost: u64,
    /// Cycles in a millisecond, in which the records' times count.
    pub khz: u64,
    /// When the server's program was entered, cycles.
    pub started: u64,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { first, count, end, lost, khz, started } = *self;
        write!(
            f,
            "xenstore-trace {VERSION} first={first} count={count} end={end} lost={lost} khz={khz} started={started}"
        )
    }
}

/// What is wrong with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadPage {
    /// It does not begin as a page.
    NoPage,
    /// It is one of another version.
    Version(u32),
    /// It is not whole.
    Incomplete,
}

impl fmt::Display for BadPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPage::NoPage => f.write_str("not a page of a xenstore trace"),
            BadPage::Version(found) => {
                write!(f, "a xenstore trace of version {found}; this is for version {VERSION}")
            }
            BadPage::Incomplete => f.write_str("a page of a xenstore trace that is not whole"),
        }
    }
}

impl Head {
    /// Parses the first line. Returns it with the rest of the page.
    pub fn parse(page: &str) -> Result<(Head, &str), BadPage> {
        let (line, rest) = page.split_once('\n').unwrap_or((page, ""));
        let mut words = line.split(' ');
        if words.next() != Some("xenstore-trace") {
            return Err(BadPage::NoPage);
        }
        let version = words.next().and_then(|word| word.parse().ok()).ok_or(BadPage::NoPage)?;
        if version != VERSION {
            return Err(BadPage::Version(version));
        }
        let mut field = |name| {
            let (found, value) = words.next()?.split_once('=')?;
            value.parse().ok().filter(|_| found == name)
        };
        let mut fields = || {
            Some(Head {
                first: field("first")?,
                count: field("count")?,
                end: field("end")?,
                lost: field("lost")?,
                khz: field("khz")?,
                started: field("started")?,
            })
        };
        Ok((fields().ok_or(BadPage::Incomplete)?, rest))
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes in base64.
#[derive(Default)]
pub struct Base64 {
    held: u32,
    count: u32,
}

impl Base64 {
    /// Writes the whole groups of three bytes and keeps the rest for the next call.
    #[inline(never)] // It is rare.
    pub fn write(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
        for byte in bytes {
            self.held = self.held << 8 | u32::from(*byte);
            self.count += 1;
            if self.count == 3 {
                out(&self.digits());
                *self = Base64::default();
            }
        }
    }

    /// Writes what is kept, padded.
    #[inline(never)]
    pub fn finish(mut self, out: &mut dyn FnMut(&[u8])) {
        let bytes = self.count as usize;
        if bytes == 0 {
            return;
        }
        self.held <<= 8 * (3 - self.count);
        let mut digits = self.digits();
        digits.iter_mut().skip(bytes + 1).for_each(|digit| *digit = b'=');
        out(&digits);
    }

    fn digits(&self) -> [u8; 4] {
        [18, 12, 6, 0].map(|shift| DIGITS.get((self.held >> shift) as usize % 64).copied().unwrap_or(b'='))
    }
}

const _: () = assert!((RECORDS_MAX * Record::SIZE).div_ceil(3) * 4 + 200 <= crate::wire::PAYLOAD_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    #[test]
    fn heads_are_read_back() {
        let head = Head { first: 3, count: 2, end: 9, lost: 1, khz: 2_000_000, started: u64::MAX };
        let page = std::format!("{head}\nAAAA\n");
        assert_eq!(Head::parse(&page), Ok((head, "AAAA\n")));
        assert_eq!(Head::parse("xenstore-trace 2 first=0"), Err(BadPage::Version(2)));
        assert_eq!(Head::parse("xenstore-trace 1 first=0"), Err(BadPage::Incomplete));
        assert_eq!(Head::parse("EINVAL"), Err(BadPage::NoPage));
        assert!(BadPage::Version(2).to_string().contains("version 2"));
    }

    #[test]
    fn base64_as_the_rfc_has_it() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            let mut written = String::new();
            let mut out = |digits: &[u8]| written += core::str::from_utf8(digits).expect("ASCII");
            let mut base64 = Base64::default();
            let (one, two) = bytes.split_at(bytes.len() / 2);
            base64.write(one.as_bytes(), &mut out);
            base64.write(two.as_bytes(), &mut out);
            base64.finish(&mut out);
            assert_eq!(written, text);
        }
    }
}
