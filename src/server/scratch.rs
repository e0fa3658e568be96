//! Buffers that one request at a time uses, taken at the start so that serving allocates nothing.

use crate::connection::{Arrived, REQUEST_ROOM, RequestBuf};
use crate::store::DomainId;
use crate::wire::{Header, MessageBuf};

/// The answer to a request.
pub type Reply = MessageBuf;

/// How far the request at hand has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// There is none.
    None,
    /// It is still in its ring.
    Taken,
    /// It is not any more, and its answer is not yet on its way.
    Consumed,
    /// Its answer is on its way.
    Answered,
    /// So is the event that follows it.
    Told,
}

/// A request, its answer and the event that is being put together.
pub struct Exchange {
    /// Whose request it is; what they say is only meant while `stage` says that there is one.
    pub from: DomainId,
    pub request: Arrived,
    pub stage: Stage,
    pub message: RequestBuf,
    pub reply: Reply,
    pub event: MessageBuf,
}

impl Exchange {
    pub const EMPTY: Exchange = Exchange {
        from: DomainId::FIRST,
        request: Arrived::NONE,
        stage: Stage::None,
        message: [0; REQUEST_ROOM],
        reply: Reply::EMPTY,
        event: MessageBuf::EMPTY,
    };
}

/// The payload of a message, so many bytes.
pub fn payload(message: &RequestBuf, len: usize) -> &[u8] {
    message.get(Header::SIZE..Header::SIZE + len).unwrap_or_default()
}
