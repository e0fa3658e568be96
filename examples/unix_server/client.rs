//! One socket and its ring: moves bytes from one to the other, as many as either takes.

use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use mio::event::Event;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use xenstore::abi::{RING_SIZE, RingPage};
use xenstore::ring::guest;
use xenstore::server;

pub struct Client {
    stream: UnixStream,
    page: Rc<RingPage>,
    handle: server::Client,
    /// Bytes of the socket that the ring had no room for.
    inward: Vec<u8>,
    /// Bytes of the ring that the socket had no room for.
    outward: Vec<u8>,
    /// What events of the socket come by.
    token: Token,
    /// One comes when the socket has room.
    awaits_room: bool,
    /// Nothing more comes from the socket, and what it has is to be read to the end, since no further event tells of that.
    closed: bool,
    /// Nor does anybody read what it is given.
    hung_up: bool,
    /// All that it had has been read.
    ended: bool,
    gone: bool,
}

impl Client {
    /// Has events of the socket come by `token`.
    pub fn new(
        mut stream: UnixStream,
        page: Rc<RingPage>,
        handle: server::Client,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Client> {
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Client {
            stream,
            page,
            handle,
            inward: Vec::new(),
            outward: Vec::new(),
            token,
            awaits_room: false,
            closed: false,
            hung_up: false,
            ended: false,
            gone: false,
        })
    }

    pub fn handle(&self) -> server::Client {
        self.handle
    }

    /// It has closed the socket, and has the answers to all that it has asked if it reads them. Or it has broken the protocol, so
    /// that the server does not read from it any more.
    pub fn is_gone(&self) -> bool {
        self.gone || self.page.error.load(Relaxed) != 0 || (self.ended && (self.hung_up || self.has_all()))
    }

    /// Whether nothing is on its way, to the server or from it.
    fn has_all(&self) -> bool {
        let RingPage { req_cons, req_prod, rsp_cons, rsp_prod, .. } = &*self.page;
        self.inward.is_empty()
            && self.outward.is_empty()
            && req_cons.load(Relaxed) == req_prod.load(Relaxed)
            && rsp_cons.load(Relaxed) == rsp_prod.load(Relaxed)
    }

    /// The socket is ready: takes what it has and gives what it had no room for. True if the server is to
    /// look at the ring. `buffer` is for passing bytes on.
    pub fn socket_ready(&mut self, event: &Event, buffer: &mut [u8], registry: &Registry) -> bool {
        self.closed |= event.is_read_closed();
        self.hung_up |= event.is_write_closed();
        (!self.outward.is_empty() && self.pump_out(buffer, registry)) | self.pump_in(buffer)
    }

    /// The server has moved an index: gives what it wrote, and the rest of what the ring had no room for.
    pub fn ring_moved(&mut self, buffer: &mut [u8], registry: &Registry) -> bool {
        self.pump_out(buffer, registry) | (!self.inward.is_empty() && self.pump_in(buffer))
    }

    /// From the ring to the socket, until one is empty or the other full. True if the ring was full: only
    /// then does the server wait for room.
    fn pump_out(&mut self, buffer: &mut [u8], registry: &Registry) -> bool {
        if !self.outward.is_empty() {
            let bytes = std::mem::take(&mut self.outward);
            self.outward = self.give(&bytes).to_vec();
        }
        // The buffer holds more than a ring.
        let idle = self.outward.is_empty() && !self.gone;
        let count = if idle { guest::read(&self.page, buffer) } else { 0 };
        let rest = self.give(&buffer[..count]);
        self.outward.extend_from_slice(rest);
        if self.awaits_room == self.outward.is_empty() {
            self.await_room(registry);
        }
        count == RING_SIZE as usize
    }

    /// An event is to come when the socket has room, if bytes wait for that. If none do, whoever reads an answer would wake
    /// the server by it.
    fn await_room(&mut self, registry: &Registry) {
        self.awaits_room = !self.outward.is_empty();
        let room = self.awaits_room.then_some(Interest::WRITABLE);
        let interest = room.map_or(Interest::READABLE, |room| room | Interest::READABLE);
        self.gone |= registry.reregister(&mut self.stream, self.token, interest).is_err();
    }

    /// Writes to the socket and returns what it does not take now.
    fn give<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return rest,
                Err(_) => {
                    self.gone = true;
                    return &[];
                }
            }
        }
        rest
    }

    /// From the socket to the ring, until one is empty or the other full. True if the ring has more.
    fn pump_in(&mut self, buffer: &mut [u8]) -> bool {
        let mut moved = false;
        if !self.inward.is_empty() {
            let put = guest::write(&self.page, &self.inward);
            self.inward.drain(..put);
            moved = put > 0;
        }
        while self.inward.is_empty() && !self.gone && !self.ended {
            match self.stream.read(buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    let put = guest::write(&self.page, &buffer[..count]);
                    self.inward.extend_from_slice(&buffer[put..count]);
                    moved |= put > 0;
                    // A short read has emptied the socket; what comes later is announced, but not an end that is there already.
                    if count < buffer.len() && !self.closed {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.gone = true,
            }
        }
        moved
    }
}
