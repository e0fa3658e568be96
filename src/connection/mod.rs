//! All I/O: each domain's ring and port, the message half received, those not yet delivered, and who is looked at next.
//!
//! [`Links`] has all connections with what they share: the [`outbox`] and the [`Schedule`]. Its `input` makes whole
//! requests of ring bytes, its `output` brings messages to the ring or keeps them. It charges the store for what
//! waits, and does not know the server: what a request means, and when it is served, is decided there.

mod active;
mod budget;
mod heard;
mod input;
mod links;
mod moved;
pub mod outbox;
mod output;
mod pass;
mod put_off;
mod schedule;

pub use budget::{Class, Hindrance, Pace};
pub use input::{Arrived, Found, REQUEST_ROOM, RequestBuf};
pub use links::{Links, Roster};
pub use moved::{Late, Stands};
pub use output::{GivenUp, Sent};
pub use pass::Pass;
pub use schedule::{Schedule, Turn};

use crate::abi::Port;
use crate::ring::Input;
use crate::slots::{Blob, Blobs};
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

    /// What has been received, piece by piece.
    pub fn pieces<'a>(&'a self, blobs: &'a Blobs) -> impl Iterator<Item = &'a [u8]> {
        let header = self.header.get(..(self.len as usize).min(Header::SIZE)).unwrap_or_default();
        core::iter::once(header).chain(blobs.pieces(self.payload))
    }

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
    /// It has not read what waits for it when it had time to. Over when nothing waits any more.
    pub slow: bool,
    /// See [`Links::is_masked`].
    turns: u8,
    /// See [`Links::may_notify`].
    free: u8,
    /// In the state that it comes from, its number; 0 if it comes from none.
    pub number: u32,
    partial: Partial,
}

impl<R> Connection<R> {
    pub fn new(ring: R, port: Port) -> Self {
        Connection::restored(ring, Some(port), 0)
    }

    /// One that a state calls `number`.
    pub fn restored(ring: R, port: Option<Port>, number: u32) -> Self {
        Connection {
            ring,
            port,
            ignored: false,
            slow: false,
            turns: 0,
            free: 0,
            number,
            partial: Partial::EMPTY,
        }
    }

    /// The bytes of its half request, piece by piece.
    pub fn half_request<'a>(&'a self, blobs: &'a Blobs) -> impl Iterator<Item = &'a [u8]> {
        self.partial.pieces(blobs)
    }

    /// Bytes of memory that its half request takes beside it.
    pub fn memory(&self) -> u32 {
        self.partial.memory()
    }
}
