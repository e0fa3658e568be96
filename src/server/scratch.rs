//! Buffers for one request at a time, allocated at the start so that serving allocates nothing.
//!
//! Each step of serving fills another field, so the fields are open to the server's modules.

use alloc::boxed::Box;

use crate::connection::{Arrived, REQUEST_ROOM, RequestBuf};
use crate::perms::Life;
use crate::platform::Instant;
use crate::store::check::Walk;
use crate::store::{Current, DomainId};
use crate::wire::{Header, MessageBuf};

/// Seconds within which a second fault in the same request has its connection given up.
const AGAIN: u64 = 10;

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
    /// So is the event that follows the answer, or it is answered later.
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

/// A request that has been decided, of which so much is left to do that others who only look are served meanwhile.
pub struct Aside {
    /// Its stage says whether there is one.
    pub exchange: Box<Exchange>,
    pub current: Current,
    /// Cycles that it has taken.
    pub spent: u32,
    /// How far the consistency check has come that it asks for.
    pub walk: Walk,
}

impl Aside {
    pub fn new() -> Aside {
        Aside { exchange: Box::new(Exchange::EMPTY), current: Current::NONE, spent: 0, walk: Walk::default() }
    }

    /// Whose request it is, if there is one.
    #[inline(always)] // Before every request.
    pub fn whose(&self) -> Option<DomainId> {
        if self.exchange.stage == Stage::None { None } else { Some(self.exchange.from) }
    }
}

/// A request in which the server was stopped.
#[derive(Clone, Copy)]
pub struct Suspect {
    pub from: DomainId,
    pub life: Life,
    /// Hash of its payload, and its type.
    pub text: u64,
    pub msg_type: u32,
    pub at: Instant,
}

/// The latest, as many as an image goes on after in a minute unless it is told otherwise.
pub type Suspects = heapless::Deque<Suspect, 5>;

impl Suspect {
    /// Whether it is one of those again, soon after.
    pub fn is_again(&self, before: &Suspects) -> bool {
        let key = |suspect: &Suspect| (suspect.from, suspect.life, suspect.text, suspect.msg_type);
        before.iter().any(|before| key(before) == key(self) && self.at <= before.at.after_seconds(AGAIN))
    }
}

/// The payload of a message, of `len` bytes.
pub fn payload(message: &RequestBuf, len: usize) -> &[u8] {
    message.get(Header::SIZE..Header::SIZE + len).unwrap_or_default()
}
