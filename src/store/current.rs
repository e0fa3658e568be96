//! The request at hand: its sender, its answer, and what it has named and used so far.

use super::domain::DomainId;
use crate::abi::DomId;
use crate::trace::{TYPES, type_index};
use crate::wire::XsError;

/// How a request that has been served is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// `OK`.
    Ok,
    /// What is in the reply buffer.
    Data,
    /// `OK` for a watch that was registered, and then its first event, with the path and token of the request.
    Watching,
}

/// It begins when a request is taken and ends when it is answered; outside of requests it is the server's own. A plain
/// value with open fields: every layer above adds what it has to say of the request.
#[derive(Clone, Copy)]
pub struct Current {
    /// The sender; none when the server acts by itself.
    pub from: Option<DomainId>,
    /// The sender's domid, which generations carry; [`DomId::INVALID`] for the server.
    pub writer: DomId,
    /// The place of its type among the tallies, see [`type_index`].
    pub type_index: usize,
    /// Hash of the first path that the request has named, 0 if there is none.
    pub path_hash: u64,
    /// Its answer, once that is decided.
    pub answer: Option<Result<Answer, XsError>>,
    /// Something that it takes was not to be had: there is no room, or no more for its sender.
    pub short: bool,
    /// That has failed its transaction.
    pub fails: bool,
    /// Copies of nodes that it has taken in its transaction.
    pub copies: u32,
    /// It is to be decided again after others' turns: with these, if they are as many as may be in one go; or it has passed
    /// over as many names of a list, or somebody is to be buried first.
    pub pauses: bool,
}

impl Current {
    /// No request. It counts as a type of its own.
    pub const NONE: Current = Current {
        from: None,
        writer: DomId::INVALID,
        type_index: TYPES - 1,
        path_hash: 0,
        answer: None,
        short: false,
        fails: false,
        copies: 0,
        pauses: false,
    };

    /// A request that has been taken.
    pub fn begin(from: DomainId, writer: DomId, msg_type: u32) -> Current {
        Current {
            from: Some(from),
            writer,
            type_index: type_index(msg_type),
            path_hash: 0,
            answer: None,
            short: false,
            fails: false,
            copies: 0,
            pauses: false,
        }
    }

    /// The request has been answered. The other fields keep their values, which nobody reads: clearing them would take
    /// a hundredth of a short request's time.
    pub fn end(&mut self) {
        self.from = None;
        self.writer = DomId::INVALID;
        self.type_index = TYPES - 1;
    }
}
