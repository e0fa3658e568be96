//! A host in memory: the server, and clients that speak to it through real rings.

use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};

use xenstore::abi::{DomId, Port, RING_SIZE, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::ring::guest;
use xenstore::server::Server;
use xenstore::wire::{Header, MessageType, TxId};

use support::lives::{Answer, Recording, World, come_up};

use super::xen::Xen;

/// Bytes that are written before the server works and after, for whoever follows a trace of all memory.
pub static MARKS: [AtomicU8; 2] = [const { AtomicU8::new(0) }; 2];

/// One client's connection to the server: a domain's, or that of a further client in dom0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session(Port);

pub struct Host {
    server: Server<Xen>,
    xen: Xen,
    /// By port: bytes that are no whole message yet.
    partial: Vec<Vec<u8>>,
    /// The answer that came, and to whom.
    answer: Option<(Session, Answer)>,
    /// How many came.
    answered: usize,
    dom0: Session,
}

impl Host {
    /// A host that is up, and has no guest.
    pub fn new(capacities: &Capacities, recording: &Recording) -> Result<Host, String> {
        let mut xen = Xen::default();
        xen.create(0);
        let mut server = Server::new(Settings::DEFAULT, capacities, 42);
        server.start(&mut xen, DomId(0), Port(1)).map_err(|_| "the server does not start")?;
        let dom0 = Session(xen.port_of(0).ok_or("dom0 is not connected")?);
        let mut host = Host { server, xen, partial: Vec::new(), answer: None, answered: 0, dom0 };
        host.work();
        come_up(&mut host, recording)?;
        Ok(host)
    }

    /// One more client in dom0.
    pub fn accept(&mut self) -> Result<Session, String> {
        let page = Rc::new(RingPage::new());
        let port = self.xen.open_port(page.clone());
        self.server.accept(page, port).map_err(|_| "there is no room for a client")?;
        Ok(Session(port))
    }

    /// Slots of each kind that the store has in use.
    pub fn in_use(&self) -> Capacities {
        self.server.in_use()
    }

    /// Makes one request so many times, as often at once as it fits into the ring. Fails if not all are answered.
    pub fn ask_at_once(&mut self, from: Session, message: &[u8], times: usize) -> Result<(), String> {
        let page = self.xen.page(from.0).ok_or("the client is not connected")?.clone();
        let before = self.answered;
        let mut left = times;
        while left > 0 {
            let now = left.min(RING_SIZE as usize / message.len());
            let written: usize = (0..now).map(|_| guest::write(&page, message)).sum();
            if now == 0 || written < now * message.len() {
                return Err("the ring has no room".to_string());
            }
            left -= now;
            self.xen.kick(from.0);
            self.work();
        }
        if self.answered - before == times { Ok(()) } else { Err("not all were answered".to_string()) }
    }

    /// Lets the server work, and clients read, until nothing is left to do.
    fn work(&mut self) {
        loop {
            MARKS[0].store(1, Ordering::Relaxed);
            self.serve();
            MARKS[1].store(1, Ordering::Relaxed);
            let mut more = false;
            while let Some(port) = self.xen.take_notified() {
                more |= self.read(port);
            }
            if !more {
                return;
            }
        }
    }

    /// The server's part: the only function whose instructions count.
    #[inline(never)]
    pub fn serve(&mut self) {
        self.server.poll(&mut self.xen);
    }

    /// A client reads all that waits for it. True if the server waits for it to.
    fn read(&mut self, port: Port) -> bool {
        let Some(page) = self.xen.page(port) else { return false };
        let at = port.0 as usize;
        if self.partial.len() <= at {
            self.partial.resize_with(at + 1, Vec::new);
        }
        let mut was_full = false;
        let mut buffer = [0; 1024];
        loop {
            let count = guest::read(page, &mut buffer);
            was_full |= count == buffer.len();
            if count == 0 {
                break;
            }
            self.partial[at].extend_from_slice(&buffer[..count]);
        }
        let mut rest = self.partial[at].as_slice();
        while let Some((header, after)) = rest.split_first_chunk::<{ Header::SIZE }>() {
            let header = Header::parse(header);
            let Some((payload, after)) = after.split_at_checked(header.len as usize) else { break };
            rest = after;
            if header.msg_type == MessageType::WatchEvent as u32 {
                continue;
            }
            let error = header.msg_type == MessageType::Error as u32;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string();
            let error = error.then(|| text(payload));
            self.answered += 1;
            self.answer = Some((Session(port), Answer { error, payload: payload.to_vec() }));
        }
        let read = self.partial[at].len() - rest.len();
        self.partial[at].drain(..read);
        if was_full {
            self.xen.kick(port);
        }
        was_full
    }
}

impl World for Host {
    type Session = Session;

    fn made(&mut self, domid: u16) {
        self.xen.create(domid);
    }

    fn gone(&mut self, domid: u16) -> Result<(), String> {
        self.xen.destroy(domid);
        self.work();
        Ok(())
    }

    fn dom0(&self) -> Session {
        self.dom0
    }

    fn guest(&self, domid: u16) -> Option<Session> {
        self.xen.port_of(domid).map(Session)
    }

    fn ask(&mut self, from: Session, kind: MessageType, tx: TxId, payload: &[u8]) -> Result<Answer, String> {
        let header = Header { msg_type: kind as u32, req_id: 1, tx_id: tx, len: payload.len() as u32 };
        for bytes in [&header.emit(), payload] {
            let mut rest = bytes;
            while !rest.is_empty() {
                let page = self.xen.page(from.0).ok_or("the client is not connected")?;
                let written = guest::write(page, rest);
                rest = &rest[written..];
                if written == 0 {
                    return Err("the server does not take what fills the ring".to_string());
                }
                if !rest.is_empty() {
                    self.xen.kick(from.0);
                    self.work();
                }
            }
        }
        self.xen.kick(from.0);
        self.work();
        match self.answer.take() {
            Some((to, answer)) if to == from => Ok(answer),
            Some(_) => Err("an answer went to somebody else".to_string()),
            None => Err(format!("{} was not answered", kind.name())),
        }
    }
}
