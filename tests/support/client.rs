//! A guest's end of a ring: it writes requests and reads replies and events.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use xenstore::abi::RingPage;
use xenstore::wire::{Header, MessageType, TxId};

pub struct Client {
    pub page: Arc<RingPage>,
    /// Bytes read of a message that is not whole yet.
    partial: Vec<u8>,
}

/// A message from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub header: Header,
    pub payload: Vec<u8>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\x00", "|");
        match MessageType::from_wire(self.header.msg_type) {
            Some(MessageType::WatchEvent) => {
                let mut parts = self.payload.split(|byte| *byte == 0);
                let (path, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                write!(f, "ev {},{}", text(path), text(token))
            }
            Some(MessageType::Error) => {
                write!(f, "{}", text(self.payload.strip_suffix(b"\0").unwrap_or_default()))
            }
            _ => write!(f, "{}", text(&self.payload)),
        }
    }
}

/// The bytes of a request.
pub fn request(msg_type: u32, req_id: u32, tx_id: TxId, payload: &[u8]) -> Vec<u8> {
    let header = Header { msg_type, req_id, tx_id, len: payload.len() as u32 };
    [&header.emit(), payload].concat()
}

fn get(buffer: &[AtomicU64; 128], position: u32) -> u8 {
    let position = position as usize % 1024;
    buffer[position / 8].load(SeqCst).to_le_bytes()[position % 8]
}

fn put(buffer: &[AtomicU64; 128], position: u32, byte: u8) {
    let position = position as usize % 1024;
    let mut word = buffer[position / 8].load(SeqCst).to_le_bytes();
    word[position % 8] = byte;
    buffer[position / 8].store(u64::from_le_bytes(word), SeqCst);
}

impl Client {
    pub fn new(page: Arc<RingPage>) -> Client {
        Client { page, partial: Vec::new() }
    }

    /// Writes as much as fits. Returns how much that was.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let (cons, prod) = (self.page.req_cons.load(SeqCst), self.page.req_prod.load(SeqCst));
        let room = 1024 - prod.wrapping_sub(cons) as usize;
        let count = bytes.len().min(room);
        for (n, byte) in bytes[..count].iter().enumerate() {
            put(&self.page.req, prod.wrapping_add(n as u32), *byte);
        }
        self.page.req_prod.store(prod.wrapping_add(count as u32), SeqCst);
        count
    }

    pub fn has_room(&self) -> bool {
        self.page.req_prod.load(SeqCst).wrapping_sub(self.page.req_cons.load(SeqCst)) < 1024
    }

    /// Bytes sent that the server has not taken.
    pub fn unread(&self) -> u32 {
        self.page.req_prod.load(SeqCst).wrapping_sub(self.page.req_cons.load(SeqCst))
    }

    /// Reads what is there and returns the whole messages.
    pub fn read(&mut self) -> Vec<Message> {
        self.read_some(1024)
    }

    /// Reads at most `limit` bytes and returns the messages that have become whole.
    pub fn read_some(&mut self, limit: u32) -> Vec<Message> {
        let (mut cons, prod) = (self.page.rsp_cons.load(SeqCst), self.page.rsp_prod.load(SeqCst));
        for _ in 0..limit.min(prod.wrapping_sub(cons)) {
            self.partial.push(get(&self.page.rsp, cons));
            cons = cons.wrapping_add(1);
        }
        self.page.rsp_cons.store(cons, SeqCst);
        let mut messages = Vec::new();
        while let Some((header, rest)) = self.partial.split_first_chunk::<{ Header::SIZE }>() {
            let header = Header::parse(header);
            let Some(payload) = rest.get(..header.len as usize) else { break };
            messages.push(Message { header, payload: payload.to_vec() });
            self.partial = rest[header.len as usize..].to_vec();
        }
        messages
    }

    /// Bytes from the server that were not read.
    pub fn waiting(&self) -> u32 {
        self.page.rsp_prod.load(SeqCst).wrapping_sub(self.page.rsp_cons.load(SeqCst))
    }

    /// All four indexes: req_cons, req_prod, rsp_cons, rsp_prod.
    pub fn indexes(&self) -> [u32; 4] {
        let page = &self.page;
        [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod].map(|index| index.load(SeqCst))
    }

    /// Sets all four indexes, as a guest may at any time.
    pub fn set_indexes(&self, values: [u32; 4]) {
        let page = &self.page;
        let indexes = [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod];
        for (index, value) in indexes.into_iter().zip(values) {
            index.store(value, SeqCst);
        }
    }

    /// Drops what was read in part, as a guest does that resets its ring.
    pub fn forget(&mut self) {
        self.partial.clear();
    }
}
