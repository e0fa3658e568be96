//! The request at hand: whose it is, and what it has named and used so far.

use super::domain::DomainId;
use crate::abi::DomId;
use crate::quota::Quotas;
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

/// Begun once when a request is taken, ended once when it is answered. In between all who have to do with the request
/// find here what they need to know of it; outside of requests it is nobody's.
#[derive(Clone, Copy)]
pub struct Current {
    /// Whose request is being served; none when the server acts by itself.
    pub from: Option<DomainId>,
    /// The same by domid, as changes are signed by it; [`DomId::INVALID`] for the server's own.
    pub writer: DomId,
    /// Where its type is counted, see [`type_index`].
    pub type_index: usize,
    /// Hash of the first path that the request has named, 0 if there is none.
    pub named: u64,
    /// How it is answered, once that is decided.
    pub answer: Option<Result<Answer, XsError>>,
    /// The largest that the request has used of what quotas limit per request.
    pub largest: Quotas,
}

impl Current {
    /// No request: counted apart from all types.
    pub const NONE: Current = Current {
        from: None,
        writer: DomId::INVALID,
        type_index: TYPES - 1,
        named: 0,
        answer: None,
        largest: Quotas::NOTHING,
    };

    /// A request that has been taken.
    pub fn begin(from: DomainId, writer: DomId, msg_type: u32) -> Current {
        Current {
            from: Some(from),
            writer,
            type_index: type_index(msg_type),
            named: 0,
            answer: None,
            largest: Quotas::NOTHING,
        }
    }

    /// The request has been answered. What it has named and used is left for nobody to ask for: writing that too
    /// would be a hundredth of a short request.
    pub fn end(&mut self) {
        self.from = None;
        self.writer = DomId::INVALID;
        self.type_index = TYPES - 1;
    }
}
