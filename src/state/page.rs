//! A part of a state as CONTROL `state dump` answers it: text, so that any client can pass it on. And of a layer, as
//! `layers diff` does.
//!
//! The first line is [`Head`], the second the state's bytes from there on in base64 (RFC 4648, section 4, with padding). What
//! follows the first line of a layer is its text as it is.
//! The first page comes with the number that the state has while it is held; a client asks with that for what follows,
//! from where the page before has ended.

use core::fmt;

use crate::trace::page::Base64;

/// Version of the format, in the first word of a page.
pub const VERSION: u32 = 1;

/// Bytes of a full page: as many as fit a message with the first line.
pub const BYTES_MAX: usize = 2952;

/// What is held, as the first word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A state.
    State,
    /// A layer, as text: the first line is a comment in it.
    Layer {
        /// With what is left out otherwise.
        all: bool,
    },
}

impl What {
    /// What an operator calls it.
    pub fn name(self) -> &'static str {
        match self {
            What::State => "state",
            What::Layer { .. } => "changes",
        }
    }

    fn word(self) -> &'static str {
        match self {
            What::State => "xenstore-state",
            What::Layer { .. } => "# xenstore-layer",
        }
    }
}

/// The first line: `xenstore-state 1 number=… first=… count=… size=…`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub number: u64,
    /// Where in the state the bytes here begin.
    pub first: usize,
    /// Bytes here.
    pub count: usize,
    /// Bytes of the whole state.
    pub size: usize,
}

impl Head {
    /// Writes the first line, without its end.
    pub fn show(&self, what: What, out: &mut dyn fmt::Write) -> fmt::Result {
        let (Head { number, first, count, size }, word) = (*self, what.word());
        write!(out, "{word} {VERSION} number={number} first={first} count={count} size={size}")
    }

    /// Parses the first line. Returns it with the rest of the page; `None` if it is none, or one of another version.
    pub fn parse(what: What, page: &str) -> Option<(Head, &str)> {
        let (line, rest) = page.split_once('\n')?;
        let mut words = line.strip_prefix(what.word())?.strip_prefix(' ')?.split(' ');
        words.next().filter(|version| version.parse() == Ok(VERSION))?;
        let mut field = |name| {
            let (found, value) = words.next()?.split_once('=')?;
            value.parse::<u64>().ok().filter(|_| found == name)
        };
        let number = field("number")?;
        let [first, count, size] = [field("first")?, field("count")?, field("size")?].map(|n| n as usize);
        Some((Head { number, first, count, size }, rest))
    }
}

/// Writes bytes of a state as the second line has them.
pub fn write(bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
    let mut base64 = Base64::default();
    base64.write(bytes, out);
    base64.finish(out);
}

// Four numbers of 20 digits at most.
const _: () = assert!(BYTES_MAX.div_ceil(3) * 4 + 140 <= crate::wire::PAYLOAD_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back() {
        let head = Head { number: u64::MAX, first: 3, count: 2, size: 9 };
        let mut page = std::string::String::new();
        for what in [What::State, What::Layer { all: false }] {
            page.clear();
            head.show(what, &mut page).unwrap();
            page += "\nAAA=\n";
            assert_eq!(Head::parse(what, &page), Some((head, "AAA=\n")));
        }
        assert_eq!(Head::parse(What::State, &page), None);
        for other in
            ["", "EINVAL", "xenstore-state 2 number=0 first=0 count=0 size=0\n", "xenstore-state 1 first=0\n"]
        {
            assert_eq!(Head::parse(What::State, other), None, "{other}");
        }
    }
}
