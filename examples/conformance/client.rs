//! The guest's end of one ring.

use std::rc::Rc;

use crate::message::Packet;
use crate::page::{Buffer, Page, RING, Word};

/// One domain's connection, which does what the session says.
pub struct Client {
    pub page: Rc<dyn Page>,
    /// False while the domain leaves its answers in the ring.
    pub reading: bool,
    /// Most bytes that the domain puts into the ring before it notifies the server.
    pub piece: u32,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

impl Client {
    pub fn new(page: Rc<dyn Page>) -> Client {
        Client { page, reading: true, piece: RING, unsent: Vec::new(), received: Vec::new() }
    }

    /// Bytes to be put into the ring as room appears.
    pub fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Drops all that is half sent or half received, as after a reset of the ring.
    pub fn forget(&mut self) {
        self.unsent.clear();
        self.received.clear();
    }

    /// Bytes that fit into the ring.
    fn room(&self) -> u32 {
        let used = self.page.word(Word::ReqProd).wrapping_sub(self.page.word(Word::ReqCons));
        RING.saturating_sub(used)
    }

    pub fn can_push(&self) -> bool {
        !self.unsent.is_empty() && self.room() > 0
    }

    /// Puts as much as fits into the ring. Returns how many bytes.
    pub fn push(&mut self) -> u32 {
        if self.unsent.is_empty() {
            return 0;
        }
        let count = self.room().min(self.piece).min(self.unsent.len() as u32);
        let producer = self.page.word(Word::ReqProd);
        let at = producer % RING;
        let first = count.min(RING - at) as usize;
        self.page.write(Buffer::Requests, at, &self.unsent[..first]);
        self.page.write(Buffer::Requests, 0, &self.unsent[first..count as usize]);
        self.page.set_word(Word::ReqProd, producer.wrapping_add(count));
        self.unsent.drain(..count as usize);
        count
    }

    /// Takes all bytes out of the ring, if the domain is reading. Returns how many.
    pub fn pull(&mut self) -> u32 {
        if !self.reading {
            return 0;
        }
        let consumer = self.page.word(Word::RspCons);
        let count = self.page.word(Word::RspProd).wrapping_sub(consumer);
        if count == 0 || count > RING {
            return 0;
        }
        let mut bytes = vec![0; count as usize];
        let at = consumer % RING;
        let first = count.min(RING - at) as usize;
        let (head, tail) = bytes.split_at_mut(first);
        self.page.read(Buffer::Responses, at, head);
        self.page.read(Buffer::Responses, 0, tail);
        self.page.set_word(Word::RspCons, consumer.wrapping_add(count));
        self.received.extend_from_slice(&bytes);
        count
    }

    /// Bytes the server has not taken, in the ring or before it.
    pub fn waiting(&self) -> u32 {
        let ring = self.page.word(Word::ReqProd).wrapping_sub(self.page.word(Word::ReqCons));
        ring.saturating_add(self.unsent.len() as u32)
    }

    /// The complete messages received since the last call.
    pub fn packets(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| Packet::take(&mut self.received)).collect()
    }
}
