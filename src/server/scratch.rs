//! Buffers that one request at a time uses, taken at the start so that serving allocates nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::connection::{REQUEST_ROOM, RequestBuf};
use crate::store::{DomainId, WatchId};
use crate::wire::MessageBuf;

/// A watch that a change concerns. Its order is that of events: by receiver, then by registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub domain: DomainId,
    pub sequence: u64,
    pub id: WatchId,
}

/// The answer to a request.
pub type Reply = MessageBuf;

/// A request and its answer.
pub struct Exchange {
    pub message: RequestBuf,
    pub reply: Reply,
}

/// Each is taken while it is used, and put back.
pub struct Scratch {
    pub exchange: Option<Box<Exchange>>,
    /// Where watch events are put together.
    pub event: Option<Box<MessageBuf>>,
    /// Watches that the change at hand concerns.
    pub matches: Vec<Match>,
}

impl Scratch {
    /// Room for as many matches as there can be watches.
    pub fn new(watches: usize) -> Scratch {
        Scratch {
            exchange: Some(Box::new(Exchange { message: [0; REQUEST_ROOM], reply: Reply::EMPTY })),
            event: Some(Box::new(MessageBuf::EMPTY)),
            matches: Vec::with_capacity(watches),
        }
    }

    /// Bytes of memory that `new` takes.
    pub const fn bytes(watches: usize) -> usize {
        size_of::<Exchange>() + size_of::<MessageBuf>() + watches * size_of::<Match>()
    }
}
