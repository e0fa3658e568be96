//! Why a state is refused.

use core::fmt;

use super::format::{HEADER, name};
use crate::slots::Full;
use crate::wire::XsError;

/// Why a state is refused, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateError {
    /// Type of the record; [`StateError::HEADER`] for the stream's beginning.
    pub record: u32,
    /// Where it begins, bytes from the beginning of the stream.
    pub offset: u64,
    pub reason: &'static str,
}

impl StateError {
    pub const HEADER: u32 = HEADER;
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateError { record, offset, reason } = self;
        match name(*record) {
            Some(name) => write!(f, "{reason}, in {name} at byte {offset} of the state"),
            None => write!(f, "{reason}, in a record of type {record:#x} at byte {offset} of the state"),
        }
    }
}

macro_rules! faults {
    ($($fault:ident $text:literal,)*) => {
        /// What is wrong with a record.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault {
            $($fault,)*
        }

        impl Fault {
            pub fn text(self) -> &'static str {
                match self {
                    $(Fault::$fault => $text,)*
                }
            }
        }
    };
}

faults! {
    HighNumber "a number is higher than any server gets to",
    LongList "the permission list is longer than any",
    BadPath "the path is none that a node may have",
    NoOwner "the node has no owner",
    LongValue "the value is longer than any",
    NodeTwice "the node has been there already",
    NoSpecial "there is no such special node",
    NoParent "the node above it is missing",
    UnknownDomain "the domain is not known",
    LongPath "the path is longer than any",
    UnknownChange "what it stands for is not known",
    CutOff "the state ends too early",
    TooShort "the record is shorter than what it says that it has",
    NoState "this is no state of a xenstore",
    OtherMessages "it is about other messages than its connection has",
    NoCause "there is no such cause",
    BadVersion "its version is none of those that are read, 1 and 2",
    NewerVersion "a newer version of this server has written it in a way that this one does not know",
    NoRoot "the root or a special node is missing",
    NoRoom "there is no room for it",
    UnknownConnection "its connection is not known",
    NumberZero "its number is 0",
    ConnectionTwice "the domain has a connection already",
    BadPort "its port is another's, or higher than any",
    LongInput "more than one request has begun",
    LongMessage "a message that waits is longer than any",
    CutMessage "a message that waits is cut off",
    LongToken "the token is longer than any",
    BadToken "the token is no string",
    WatchTwice "the watch has been there already",
    TooManyQuotas "it has too many quotas",
    NoSuchDomid "no domain has such a number",
    NoRoomForDomain "there is no room for another domain",
    TooManyLayers "it has more layers than this server counts",
}

impl From<Full> for Fault {
    fn from(_: Full) -> Fault {
        Fault::NoRoom
    }
}

impl From<XsError> for Fault {
    fn from(_: XsError) -> Fault {
        Fault::NoRoom
    }
}
