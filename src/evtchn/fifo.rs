//! FIFO event channels: a queue of ports for each priority, linked through a word that each port has.
//!
//! Xen appends a port by linking the last one to it; if that has left the queue already, it writes the port
//! into the control block as the new head and sets the queue's bit in `ready`. We take from the head: a word
//! loses its link and its place in the queue in one step, so Xen sees the one or the other.
//!
//! Invariant: the head in the control block is the first port of a queue that is not empty. So whoever begins anew with the
//! same control block, all queues marked as ready, goes on where another has stopped. Xen does not write a head while the
//! last port is in its queue, nor do we when that has left it.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::PendingPorts;
use crate::abi::Port;
use crate::abi::fifo::{ControlBlock, EventPage, LINK, LINKED, MASKED, PENDING, QUEUES, WORDS_PER_PAGE};

pub struct Fifo<'a> {
    /// Xen sets it to have an upcall delivered.
    upcall_pending: &'a AtomicU8,
    control: &'a ControlBlock,
    pages: &'a [EventPage],
    /// A bit for each queue that is not known to be empty.
    ready: u32,
    /// Words that may still be taken in this pass; `None` between passes.
    left: Option<usize>,
}

impl<'a> Fifo<'a> {
    /// `control` and `pages` are what Xen has been told, or will be before any event can come.
    pub fn new(upcall_pending: &'a AtomicU8, control: &'a ControlBlock, pages: &'a [EventPage]) -> Self {
        Fifo { upcall_pending, control, pages, ready: 0, left: None }
    }

    fn begin_pass(&mut self) -> usize {
        // In this order: Xen sets the queue's bit first and raises the upcall only when that was 0.
        self.upcall_pending.store(0, Ordering::Relaxed);
        self.ready |= self.control.ready.swap(0, Ordering::SeqCst);
        // A port is in one queue at a time, so no more than this can be before the last of the pass.
        self.pages.len() * WORDS_PER_PAGE
    }

    fn word(&self, port: u32) -> Option<&'a AtomicU32> {
        let port = port as usize;
        self.pages.get(port / WORDS_PER_PAGE)?.0.get(port % WORDS_PER_PAGE)
    }
}

impl PendingPorts for Fifo<'_> {
    fn take(&mut self) -> Option<Port> {
        let mut left = match self.left {
            Some(left) => left,
            None => self.begin_pass(),
        };
        while self.ready != 0 && left > 0 {
            left -= 1;
            let lowest = self.ready & self.ready.wrapping_neg();
            let queue = lowest.trailing_zeros() as usize % QUEUES;
            let head = &self.control.head[queue];
            let port = head.load(Ordering::Acquire);
            // Xen queues only ports that have a word.
            let before = match self.word(port) {
                Some(word) => word.fetch_and(!(LINKED | LINK), Ordering::SeqCst),
                None => 0,
            };
            match before & LINK {
                0 => self.ready &= !lowest,
                next => head.store(next, Ordering::Relaxed),
            }
            // A closed port loses its mark but keeps its place.
            if before & (PENDING | MASKED) == PENDING {
                if let Some(word) = self.word(port) {
                    word.fetch_and(!PENDING, Ordering::SeqCst);
                }
                self.left = Some(left);
                return Some(Port(port));
            }
        }
        self.left = None;
        None
    }

    fn any(&self) -> bool {
        self.ready != 0
            || self.control.ready.load(Ordering::Relaxed) != 0
            || self.upcall_pending.load(Ordering::Relaxed) != 0
    }

    fn mask(&mut self, port: Port) {
        if let Some(word) = self.word(port.0) {
            word.fetch_or(MASKED, Ordering::SeqCst);
        }
    }

    fn unmask(&mut self, port: Port) {
        if let Some(word) = self.word(port.0) {
            // In one step: an event that comes before is forgotten, and one that comes afterwards is queued.
            if word.load(Ordering::Relaxed) & MASKED != 0 {
                word.fetch_and(!(MASKED | PENDING), Ordering::SeqCst);
            }
        }
    }
}
