//! All I/O: each domain's ring and port, the message half received, those not yet delivered, and who is looked at next.
//!
//! [`Links`] has all connections with what they share: the [`outbox`] and the [`Schedule`]. Its `input` makes whole
//! requests of ring bytes, its `output` brings messages to the ring or keeps them. It charges the store for what
//! waits, and does not know the server: what a request means, and when it is served, is decided there.

mod input;
mod links;
pub mod outbox;
mod output;
mod schedule;

pub use input::{Arrived, Found, REQUEST_ROOM, RequestBuf};
pub use links::{Links, Roster};
pub use output::{GivenUp, Sent};
pub use schedule::{Pass, Schedule};

use crate::abi::Port;
use crate::ring::Input;
use crate::slots::Blob;
use crate::store::DomainId;
use crate::wire::Header;

/// The beginning of a message: taken out of the ring, the rest still to come.
#[derive(Clone, Copy)]
pub struct Partial {
    header: [u8; Header::SIZE],
    /// Bytes received, those of the header included.
    len: u32,
    payload: Blob,
}

impl Partial {
    pub const EMPTY: Partial = Partial { header: [0; Header::SIZE], len: 0, payload: Blob::EMPTY };

    /// Bytes of memory that it takes beside the connection.
    pub fn memory(&self) -> u32 {
        Blob::memory(self.payload.len())
    }
}

/// What becomes of a connection's half request.
#[derive(Clone, Copy)]
pub struct Taking {
    id: DomainId,
    partial: Partial,
    /// All of it is taken out of the ring.
    input: Option<Input>,
}

/// The server reads and sets the open fields. They do not depend on one another.
pub struct Connection<R> {
    pub ring: R,
    /// `None` when the domain's event channel could not be bound again.
    pub port: Option<Port>,
    /// The client broke the protocol: its ring is not looked at any more.
    pub ignored: bool,
    partial: Partial,
}

impl<R> Connection<R> {
    pub fn new(ring: R, port: Port) -> Self {
        Connection { ring, port: Some(port), ignored: false, partial: Partial::EMPTY }
    }

    /// Bytes of memory that its half request takes beside it.
    pub fn memory(&self) -> u32 {
        self.partial.memory()
    }
}
