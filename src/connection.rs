//! One domain's I/O: its ring, its port, the message half received and those not yet delivered.

use heapless::Vec;

use crate::abi::{Port, RING_SIZE};
use crate::domain::DomainId;
use crate::outbox::Queue;
use crate::store::{Blob, NodeId};
use crate::wire::{Header, PAYLOAD_MAX};

/// Most pieces of one message that are taken out of the ring before the last arrives.
const PIECES: usize = (Header::SIZE + PAYLOAD_MAX).div_ceil(RING_SIZE as usize);

/// A message too long for the ring, received in part.
#[derive(Clone)]
pub struct Partial {
    pub header: Header,
    pub pieces: Vec<Blob, PIECES>,
    pub len: u32,
}

/// Where the last DIRECTORY_PART stopped, so that the next goes on there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The listed node's list generation, which no other list ever has.
    pub generation: u64,
    /// Bytes of names before `child`.
    pub offset: usize,
    pub child: Option<NodeId>,
}

pub struct Connection<R> {
    pub ring: R,
    /// `None` when the domain's event channel could not be bound again.
    pub port: Option<Port>,
    /// The client broke the protocol: its ring is not looked at any more.
    pub ignored: bool,
    pub partial: Option<Partial>,
    pub queue: Queue,
    pub cursor: Option<Cursor>,
    /// On the server's list of connections to look at.
    pub ready: bool,
    pub next_ready: Option<DomainId>,
    /// On the server's list of connections to notify.
    pub notify: bool,
    /// On the server's list of connections to look at again later.
    pub waiting: bool,
}

impl<R> Connection<R> {
    pub fn new(ring: R, port: Port) -> Self {
        Connection {
            ring,
            port: Some(port),
            ignored: false,
            partial: None,
            queue: Queue::EMPTY,
            cursor: None,
            ready: false,
            next_ready: None,
            notify: false,
            waiting: false,
        }
    }
}
