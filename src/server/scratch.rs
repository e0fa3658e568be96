//! Buffers for one request at a time, allocated at the start so that serving allocates nothing.
//!
//! Each step of serving fills another field, so the fields are open to the server's modules.

use crate::connection::{Arrived, REQUEST_ROOM, RequestBuf};
use crate::store::DomainId;
use crate::wire::{Header, MessageBuf};

/// The answer to a request.
pub type Reply = MessageBuf;

/// The progress of the request at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// There is none.
    None,
    /// It is still in its ring.
    Taken,
    /// It is consumed, and its answer is neither in the ring nor queued.
    Consumed,
    /// Its answer is in the ring or queued.
    Answered,
    /// So is the event that follows the answer.
    Told,
}

/// A request, its answer and the event that is being built.
pub struct Exchange {
    /// The sender. Valid only while `stage` says that there is a request, like the rest.
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

/// The payload of a message, of `len` bytes.
pub fn payload(message: &RequestBuf, len: usize) -> &[u8] {
    message.get(Header::SIZE..Header::SIZE + len).unwrap_or_default()
}
