//! Why a layer is left out, and where.

use core::fmt;

macro_rules! faults {
    ($($fault:ident $text:literal,)*) => {
        /// Why a layer is left out. As a number it is part of a server's state, so each keeps its place.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault {
            $($fault,)*
        }

        impl Fault {
            const ALL: &[Fault] = &[$(Fault::$fault,)*];

            pub fn text(self) -> &'static str {
                match self {
                    $(Fault::$fault => $text,)*
                }
            }

            /// From 1 on.
            pub fn number(self) -> u8 {
                self as u8 + 1
            }

            /// The fault with this number, if this server knows it.
            pub fn from_number(number: u8) -> Option<Fault> {
                Fault::ALL.get(usize::from(number).checked_sub(1)?).copied()
            }
        }
    };
}

faults! {
    Gzip "gzip is not unpacked",
    Version "the records are of a version that is not read",
    LongLine "the line is longer than any may be",
    NoDirective "no node and no directive: layer, whiteout, opaque, end, #",
    BadName "a layer's name is 1 to 31 of letters, digits and -_.+",
    BadPath "the path is none that a node may have",
    LongPath "the path is longer than any may be",
    NotThere "the root and special nodes are always there",
    NoValue "behind a path comes = and a value, or a colon",
    NoQuote "the value has no '\"' at its end",
    BadEscape "no escape: \\\\ \\\" \\t \\n \\r \\ooo \\xhh",
    LongValue "the value is longer than any may be",
    BadPermissions "no permissions, like (n0,r5), or something behind them",
    LongList "the permission list is longer than any may be",
    NoEnd "the layers are cut off: there is no line 'end'",
    CutOff "the records end too early, or are none",
    UnknownDomain "the permissions name a domain that is not there",
    Quota "a domain would hold more than its quotas allow",
    NoRoom "there is no room for it in the store",
    LargeModule "the module is too large beside the store in this much memory",
    TooMany "there are more layers than the store counts",
}

/// Why a layer is left out, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub fault: Fault,
    /// In a file of text the line, from 1 on; in a layer of records which one of them. 0 if it is about the whole.
    pub line: u32,
    /// In a line the byte, from 1 on; 0 of a record.
    pub column: u32,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => {}
            (record, 0) => write!(f, "record {record}: ")?,
            (line, column) => write!(f, "line {line}, column {column}: ")?,
        }
        f.write_str(self.fault.text())
    }
}
