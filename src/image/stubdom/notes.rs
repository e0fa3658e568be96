//! What an image writes before the state for the one that takes over: what is the machine's and not the store's.

use xenstore::abi::DomId;
use xenstore::platform::{Clock, Cycles};
use xenstore::server::{Handed, Server};
use xenstore::slots::Full;
use xenstore::state::{Sink, Source};
use xenstore::wire::{Header, TxId};

use super::grants::Ring;
use super::hand_over::Bytes;
use super::platform::Guest;
use super::seed;
use crate::image::counters;

/// The fixed part of the notes.
pub struct Notes {
    /// When the first image was entered.
    pub started: Cycles,
    /// When the image before began to hand over.
    pub begun: Cycles,
    pub seed: u64,
    pub counters: [u64; 5],
}

/// A number of so many bytes, little-endian.
fn put(sink: &mut dyn Sink, bytes: usize, value: u64) -> Result<(), Full> {
    sink.put(value.to_le_bytes().get(..bytes).unwrap_or_default())
}

/// Writes them.
pub fn write(server: &Server<Guest>, guest: &Guest, begun: u64, sink: &mut dyn Sink) -> Result<(), Full> {
    for value in [guest.started().0, begun, seed::present()].into_iter().chain(counters::all()) {
        put(sink, 8, value)?;
    }
    let Handed { updates, starter, put_off } = server.handed();
    put(sink, 8, updates)?;
    put_request(sink, starter)?;
    put(sink, 4, put_off.len() as u64)?;
    put_off.iter().try_for_each(|request| put_request(sink, *request))?;
    let granted = || server.rings().filter_map(Ring::grant);
    put(sink, 4, granted().count() as u64)?;
    for (domid, handle) in granted() {
        put(sink, 2, domid.0.into())?;
        put(sink, 4, handle.into())?;
    }
    Ok(())
}

fn put_request(sink: &mut dyn Sink, (domid, header): (DomId, Header)) -> Result<(), Full> {
    put(sink, 2, domid.0.into())?;
    sink.put(&header.emit())
}

/// Reads the notes, and leaves `from` at the state. The image before may hand anything over, but nothing that is read here
/// is followed further than it leads.
pub fn read(from: &mut Bytes) -> (Notes, Handed, Grants) {
    let [started, begun, seed] = [(); 3].map(|()| from.number(8));
    let counters = [(); 5].map(|()| from.number(8));
    let notes = Notes { started: Cycles(started), begun: Cycles(begun), seed, counters };
    let mut handed = Handed { updates: from.number(8), starter: request(from), ..Handed::NONE };
    for _ in 0..from.number(4) {
        let request = request(from);
        if handed.put_off.push(request).is_err() {
            break;
        }
    }
    let left = from.number(4) as usize;
    let grants = Grants { from: *from, left };
    from.pass(left * GRANT);
    (notes, handed, grants)
}

fn request(from: &mut Bytes) -> (DomId, Header) {
    let domid = DomId(from.number(2) as u16);
    let [msg_type, req_id, tx_id, len] = [(); 4].map(|()| from.number(4) as u32);
    (domid, Header { msg_type, req_id, tx_id: TxId(tx_id), len })
}

/// Bytes of a grant in the notes.
const GRANT: usize = 6;

/// Ring pages that the image before has mapped, in the order in which the state has their connections.
pub struct Grants {
    from: Bytes,
    left: usize,
}

impl Grants {
    fn next(&mut self) -> Option<Ring> {
        self.left = self.left.checked_sub(1)?;
        let domid = DomId(self.from.number(2) as u16);
        let handle = self.from.number(4) as u32;
        Some(Ring::adopt(domid, handle))
    }

    /// The ring page of this domain. Those before it are unmapped: their connections are none any more.
    pub fn take(&mut self, domid: DomId) -> Option<Ring> {
        core::iter::from_fn(|| self.next()).find(|ring| ring.domid() == domid)
    }

    /// Unmaps what is left.
    pub fn end(mut self) {
        while self.next().is_some() {}
    }
}
