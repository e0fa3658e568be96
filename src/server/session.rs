//! The session of a live update: what has been sent of a new image, and who waits. What else takes memory that the store
//! lends, and where its growth stands.

use alloc::vec::Vec;
use core::ops::Range;

use crate::layers;
use crate::platform::Instant;
use crate::room::unfilled;
use crate::state::Progress;
use crate::state::page::{BYTES_MAX, What};
use crate::store::DomainId;
use crate::wire::Header;

/// Longest command line for a new image, bytes.
pub const COMMAND_LINE: usize = 1024;

/// Beginnings of transactions that are put off at most. What comes then is served: the update waits for its end.
pub const PUT_OFF: usize = 32;

/// The request to start the new image, which waits for its answer.
#[derive(Clone, Copy)]
pub struct Start {
    pub header: Header,
    pub since: Instant,
    /// Seconds for which open transactions are waited for.
    pub patience: u32,
    /// Then they are given up.
    pub force: bool,
    /// The version of the state that was asked for.
    pub version: Option<u32>,
    /// The last version of our own records that it reads.
    pub records: u32,
}

/// What has been sent.
pub struct Session {
    /// The connection that sends it.
    pub whose: DomainId,
    /// Where it is kept, and room for it.
    pub room: Range<usize>,
    /// Its size, bytes, and how much of that is there.
    pub size: usize,
    pub there: usize,
    /// A command line for it has come.
    pub has_line: bool,
    pub start: Option<Start>,
    /// Whoever sends it has not been heard of since.
    pub heard: Instant,
}

impl Session {
    /// Seconds for which the next step is waited for. Whoever has sent the last one may have been killed, and transactions
    /// wait for the end of the session.
    pub const PATIENCE: u64 = 30;

    /// When it does not wait any longer: for the next step, or for transactions that are open.
    pub fn deadline(&self) -> Instant {
        match self.start {
            None => self.heard.after_seconds(Self::PATIENCE),
            Some(start) => start.since.after_seconds(start.patience.into()),
        }
    }
}

/// What has been written for an image that takes over to memory that was never used, in pages one after the other, while others were served.
#[derive(Clone, Copy)]
pub struct Prepared {
    /// Those of the present image.
    pub pages: u32,
    /// Behind them, the nodes as they were at a [`moment`](super::Server::moment).
    pub nodes: PreparedNodes,
    pub moment: u64,
    /// How often they have been written.
    pub times: u32,
}

impl Prepared {
    /// Whether the nodes are those of this moment and can be where they were written, if there was room for them. `start` is
    /// where they are to begin behind a multiple of eight bytes.
    pub fn are_those_of(&self, moment: u64, start: u64) -> bool {
        self.moment == moment && (self.nodes.pages == 0 || self.nodes.start == start)
    }
}

/// The records of nodes, without pages if there was no room for them.
#[derive(Clone, Copy, Default)]
pub struct PreparedNodes {
    pub pages: u32,
    pub count: usize,
    /// Where they begin in the first page and end in the last.
    pub start: u64,
    pub end: u64,
}

/// A state that is held for an operator, or a layer.
pub struct Held {
    pub what: What,
    /// The connection that has asked for it.
    pub whose: DomainId,
    /// By which its pages are asked for.
    pub number: u64,
    /// Where the memory ends that is lent for it, in which its pages lie one below the other.
    pub end: usize,
    /// Bytes.
    pub size: usize,
    /// Of these, those in front, whose pages lie below all others.
    pub front: usize,
    pub until: Instant,
}

impl Held {
    /// Seconds for which it is held after it was asked for.
    pub const PATIENCE: u64 = 10;

    /// Where the bytes from there on are that lie in one piece, as far as they fit a page.
    #[cold]
    pub fn page(&self, from: usize) -> Option<Range<usize>> {
        let behind = self.size.checked_sub(self.front)?;
        let (size, at, end) = match from.checked_sub(self.front) {
            Some(at) => (behind, at, self.end),
            None => (self.front, from, self.end.checked_sub(behind.next_multiple_of(BYTES_MAX))?),
        };
        let (whole, skipped) = (at / BYTES_MAX, at % BYTES_MAX);
        let start = end.checked_sub((whole + 1) * BYTES_MAX)?;
        let length = BYTES_MAX.min(size.checked_sub(whole * BYTES_MAX)?);
        Some(start + skipped..start + length).filter(|page| !page.is_empty())
    }
}

/// How far what is to be held has been written.
#[derive(Clone, Copy)]
pub enum At {
    State(Progress),
    Layer {
        /// With what is left out otherwise.
        all: bool,
        at: layers::At,
    },
}

impl At {
    pub fn what(&self) -> What {
        match *self {
            At::State(_) => What::State,
            At::Layer { all, .. } => What::Layer { all },
        }
    }
}

/// What is being written to be held.
#[derive(Clone)]
pub struct Writing {
    pub at: At,
    /// None before anything has been.
    pub pages: Option<Pages>,
}

/// What is written to memory that is lent: page below page, so that what is left is next to what is not lent.
#[derive(Clone, Default)]
pub struct Pages {
    pub room: Range<usize>,
    /// Bytes of the pages so far, also of those that have found no room.
    pub taken: usize,
    /// Bytes of what is written, also of what has found no room.
    pub size: usize,
    /// Those of the front, which is written last.
    pub front: usize,
}

/// Where updates stand. Its fields are independent, but for the memory that the store lends: that is the session's, or it is
/// the held state's.
pub struct Updates {
    pub session: Option<Session>,
    pub held: Option<Held>,
    /// One of them on its way there, for the request that is set aside.
    pub writing: Option<Writing>,
    /// For the session, or for the store's growth.
    pub prepared: Option<Prepared>,
    /// The number of the state that was held last.
    pub latest_state: u64,
    pub command_line: Vec<u8>,
    /// Beginnings of transactions, first come first served.
    pub put_off: Vec<(DomainId, Header)>,
    /// A request to start whose session has been given up.
    pub given_up: Option<(DomainId, Header)>,
    /// There may be something to look at.
    pub active: bool,
    /// Nothing stands in the way any more.
    pub due: bool,
    /// Images that have taken over.
    pub count: u64,
    /// How long the last hand-over took.
    pub microseconds: u64,
}

impl Updates {
    /// Bytes of memory beside it.
    pub const BYTES: usize = COMMAND_LINE + PUT_OFF * size_of::<(DomainId, Header)>();

    pub fn new() -> Updates {
        Updates {
            session: None,
            held: None,
            writing: None,
            prepared: None,
            latest_state: 0,
            command_line: unfilled(COMMAND_LINE),
            put_off: unfilled(PUT_OFF),
            given_up: None,
            active: false,
            due: false,
            count: 0,
            microseconds: 0,
        }
    }

    /// Whether a domain's beginning of a transaction can be put off, given how many it has open.
    pub fn can_put_off(&self, open: u32) -> bool {
        open == 0 && self.put_off.len() < PUT_OFF
    }

    /// The first beginning of a transaction that has been put off, which is not any more.
    pub fn next_put_off(&mut self) -> Option<(DomainId, Header)> {
        let first = self.put_off.first().copied()?;
        self.put_off.rotate_left(1);
        self.put_off.pop();
        Some(first)
    }

    /// Keeps a command line, or its beginning if it is too long.
    pub fn set_line(&mut self, line: &[u8]) {
        self.command_line.clear();
        for byte in line {
            if self.command_line.len() < self.command_line.capacity() {
                self.command_line.push(*byte);
            }
        }
    }
}

/// What the store has of memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The arenas have room enough.
    Enough,
    /// More memory is wanted.
    Wanted,
    /// It has been there since.
    There(Instant),
}

/// Where the store's growth stands, see `growth`. Its fields are independent.
pub struct Growth {
    pub stage: Stage,
    /// The number of the attempt after which the arenas are looked at.
    pub look_at: u64,
    /// The platform is not asked before.
    pub not_before: Instant,
    /// How often there was too little memory for the state, as far as that counts.
    pub in_vain: u32,
    /// Bytes of memory that there may be; 0 of a store that cannot grow.
    pub limit: u64,
}

impl Growth {
    /// Seconds for which open transactions are waited for.
    const PATIENCE: u64 = 5;

    /// Of a store that cannot grow.
    pub const NEVER: Growth =
        Growth { stage: Stage::Enough, look_at: u64::MAX, not_before: Instant(0), in_vain: 0, limit: 0 };

    /// Whether transactions do not begin because of it.
    pub fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::There(_))
    }

    /// Whether the arenas are to be looked at, after the attempt of this number.
    #[inline(always)] // In every round.
    pub fn is_look_due(&self, attempt: u64) -> bool {
        attempt >= self.look_at
    }

    /// When it does not wait any longer.
    pub fn deadline(&self) -> Option<Instant> {
        let Stage::There(since) = self.stage else { return None };
        Some(since.after_seconds(Self::PATIENCE))
    }
}
