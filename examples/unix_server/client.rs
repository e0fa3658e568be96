//! One socket and its ring: bytes are moved from one to the other, as much as either side takes.

use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use mio::net::UnixStream;
use xenstore::abi::{Port, RingPage};
use xenstore::ring::guest;
use xenstore::server;

use crate::platform::Unix;

pub struct Client {
    stream: UnixStream,
    page: Rc<RingPage>,
    port: Port,
    handle: server::Client,
    /// Bytes of the socket that the ring had no room for.
    inward: Vec<u8>,
    /// Bytes of the ring that the socket had no room for.
    outward: Vec<u8>,
    gone: bool,
}

impl Client {
    pub fn new(stream: UnixStream, page: Rc<RingPage>, port: Port, handle: server::Client) -> Client {
        Client { stream, page, port, handle, inward: Vec::new(), outward: Vec::new(), gone: false }
    }

    pub fn handle(&self) -> server::Client {
        self.handle
    }

    /// It hung up, or broke the protocol so that the server does not hear it any more.
    pub fn is_gone(&self) -> bool {
        self.gone || self.page.error.load(Relaxed) != 0
    }

    /// Moves bytes both ways until neither side takes any more, and tells the server if its ring changed.
    pub fn pump(&mut self, unix: &mut Unix) {
        let read = self.pump_out(unix.buffer());
        let written = self.pump_in(unix.buffer());
        if read || written {
            unix.kick(self.port);
        }
    }

    /// From the ring to the socket. True if the ring has room again.
    fn pump_out(&mut self, buffer: &mut [u8]) -> bool {
        let mut moved = false;
        loop {
            if self.outward.is_empty() {
                let count = guest::read(&self.page, buffer);
                if count == 0 {
                    return moved;
                }
                moved = true;
                self.outward.extend_from_slice(&buffer[..count]);
            }
            match self.stream.write(&self.outward) {
                Ok(count) => drop(self.outward.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return moved,
                Err(_) => {
                    self.gone = true;
                    return moved;
                }
            }
        }
    }

    /// From the socket to the ring. True if the ring has something new.
    fn pump_in(&mut self, buffer: &mut [u8]) -> bool {
        let mut moved = false;
        let mut drained = false;
        loop {
            if self.inward.is_empty() {
                if drained {
                    return moved;
                }
                match self.stream.read(buffer) {
                    Ok(0) => {
                        self.gone = true;
                        return moved;
                    }
                    Ok(count) => {
                        drained = count < buffer.len();
                        self.inward.extend_from_slice(&buffer[..count]);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return moved,
                    Err(_) => {
                        self.gone = true;
                        return moved;
                    }
                }
            }
            let put = guest::write(&self.page, &self.inward);
            self.inward.drain(..put);
            if put == 0 {
                return moved;
            }
            moved = true;
        }
    }
}
