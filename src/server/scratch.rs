//! Buffers that one request at a time uses, taken at the start so that serving allocates nothing.

use alloc::vec::Vec;

use crate::connection::{REQUEST_ROOM, RequestBuf};
use crate::path::{Path, PathBuf};
use crate::store::{DomainId, WatchId};
use crate::wire::{Header, MessageBuf};

/// A watch that a change concerns. Its order is that of events: by receiver, then by registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub domain: DomainId,
    pub sequence: u64,
    pub id: WatchId,
}

/// The answer to a request.
pub type Reply = MessageBuf;

/// A request, its answer and the event that is being put together.
pub struct Exchange {
    pub message: RequestBuf,
    pub reply: Reply,
    pub event: MessageBuf,
}

impl Exchange {
    pub const EMPTY: Exchange =
        Exchange { message: [0; REQUEST_ROOM], reply: Reply::EMPTY, event: MessageBuf::EMPTY };
}

/// The payload of a message, so many bytes.
pub fn payload(message: &RequestBuf, len: usize) -> &[u8] {
    message.get(Header::SIZE..Header::SIZE + len).unwrap_or_default()
}

/// The events of one change: collected when it is decided, sent after. Each watch hears of a change once at most.
pub struct Collected {
    /// Watches that the change concerns, in the order of their events.
    pub matches: Vec<Match>,
    /// What has changed. Kept only if somebody hears of it.
    pub path: PathBuf,
    /// Hash of the path.
    pub hash: u64,
}

impl Collected {
    /// Room for as many events as there can be watches.
    pub fn new(watches: usize) -> Collected {
        Collected { matches: Vec::with_capacity(watches), path: PathBuf::new(), hash: 0 }
    }

    /// Keeps the path of what changes. It has room: a path is no longer than any other.
    pub fn keep(&mut self, path: Path<'_>, hash: u64) {
        self.hash = hash;
        self.path.clear();
        let _fits = self.path.extend_from_slice(path.as_bytes());
    }

    /// Bytes of memory that `new` takes.
    pub const fn bytes(watches: usize) -> usize {
        watches * size_of::<Match>()
    }
}
