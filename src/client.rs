//! A client's end of a ring: whole requests and their answers, and arbitrary bytes for tests.
//!
//! The program provides a [`Machine`]. Invariant: nothing here panics, whatever the server sends.

use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Release};

use crate::abi::{RING_SIZE, RingPage};
use crate::ring::guest;
use crate::wire::{Header, MessageType, PAYLOAD_MAX, TxId, XsError};

/// What a client needs of the domain that it is in.
pub trait Machine {
    /// The page that it shares with the server.
    fn page(&self) -> &RingPage;
    /// Nanoseconds of a monotonic clock whose zero is arbitrary.
    fn now(&self) -> u64;
    /// Notifies the server.
    fn notify(&mut self);
    /// Returns when the server has notified us, or at `deadline`, in nanoseconds of `now`. It may return earlier.
    fn wait(&mut self, deadline: u64);
}

/// Longest wait for an answer, nanoseconds. A store that takes longer counts as silent.
const PATIENCE: u64 = 30_000_000_000;

/// Token of the watch for `xl shutdown`.
const SHUTDOWN: &[u8] = b"shutdown";

/// Why a request has no usable answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    Refused(XsError),
    /// Nothing came, or it breaks the protocol.
    Silent,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Refused(error) => error.name(),
            Failure::Silent => "no answer",
        })
    }
}

pub type Answer<T> = Result<T, Failure>;

/// The machine is the program's own, and the open counts are for it to read and reset.
pub struct Client<M: Machine> {
    pub machine: M,
    /// A message that is being received, and how many of its bytes have come.
    message: [u8; Header::SIZE + PAYLOAD_MAX],
    have: usize,
    req_id: u32,
    /// Watch events that came, those of [`Client::watch_shutdown`] not counted.
    pub events: u32,
    /// The watch of [`Client::watch_shutdown`] has fired.
    told_to_stop: bool,
    /// We have been asked to shut down; never cleared.
    stopping: bool,
    /// It was a reboot that we have been asked for.
    pub reboots: bool,
}

impl<M: Machine> Client<M> {
    pub fn new(machine: M) -> Self {
        let message = [0; Header::SIZE + PAYLOAD_MAX];
        Client {
            machine,
            message,
            have: 0,
            req_id: 0,
            events: 0,
            told_to_stop: false,
            stopping: false,
            reboots: false,
        }
    }

    /// The machine's clock.
    pub fn now(&self) -> u64 {
        self.machine.now()
    }

    /// When to stop waiting for an answer to what is sent next.
    pub fn deadline(&self) -> u64 {
        self.now() + PATIENCE
    }

    /// Notifies the server.
    pub fn notify(&mut self) {
        self.machine.notify();
    }

    /// Sends a request, its payload in parts, and waits for the answer's payload.
    pub fn ask(&mut self, what: MessageType, tx_id: TxId, parts: &[&[u8]]) -> Answer<&[u8]> {
        let deadline = self.deadline();
        let req_id = self.submit(what as u32, tx_id, parts, deadline)?;
        self.answer_to(req_id, deadline)
    }

    /// Sends a request, its payload in parts. Returns its `req_id`.
    pub fn submit(&mut self, msg_type: u32, tx_id: TxId, parts: &[&[u8]], deadline: u64) -> Answer<u32> {
        self.req_id = self.req_id.wrapping_add(1);
        let len = parts.iter().map(|part| part.len() as u32).sum();
        let header = Header { msg_type, req_id: self.req_id, tx_id, len };
        self.put(&header.emit(), deadline)?;
        for part in parts {
            self.put(part, deadline)?;
        }
        self.notify();
        Ok(self.req_id)
    }

    /// The payload of the answer to a request. Late answers to earlier ones are dropped.
    pub fn answer_to(&mut self, req_id: u32, deadline: u64) -> Answer<&[u8]> {
        let answer = loop {
            let looked = self.now();
            match self.receive() {
                Some(answer) if answer.msg_type == MessageType::WatchEvent as u32 => {}
                Some(answer) if answer.req_id == req_id => break answer,
                Some(answer) if req_id.wrapping_sub(answer.req_id) < 1 << 31 => {}
                Some(_) => return Err(Failure::Silent),
                None => self.wait(looked, deadline)?,
            }
        };
        let payload = self.payload(&answer);
        if answer.msg_type == MessageType::Error as u32 {
            let name = payload.strip_suffix(b"\0").unwrap_or(payload);
            let error = XsError::ALL.into_iter().find(|error| error.name().as_bytes() == name);
            return Err(error.map_or(Failure::Silent, Failure::Refused));
        }
        Ok(payload)
    }

    /// As `ask`, outside of transactions, without the answer's payload.
    #[inline(never)]
    pub fn tell(&mut self, what: MessageType, parts: &[&[u8]]) -> Answer<()> {
        self.ask(what, TxId::NONE, parts).map(drop)
    }

    pub fn write(&mut self, path: &[u8], value: &[u8]) -> Answer<()> {
        self.tell(MessageType::Write, &[path, b"\0", value])
    }

    pub fn watch(&mut self, path: &[u8], token: &[u8]) -> Answer<()> {
        self.tell(MessageType::Watch, &[path, b"\0", token, b"\0"])
    }

    pub fn begin(&mut self) -> Answer<TxId> {
        let answer = self.ask(MessageType::TransactionStart, TxId::NONE, &[b"\0"])?;
        let digits = answer.strip_suffix(b"\0").unwrap_or(answer);
        let id = core::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        id.map(TxId).ok_or(Failure::Silent)
    }

    /// Puts all of `bytes` into the ring and notifies.
    pub fn send(&mut self, bytes: &[u8], deadline: u64) -> Answer<()> {
        self.put(bytes, deadline)?;
        self.notify();
        Ok(())
    }

    /// Puts all of `bytes` into the ring and notifies only if there was no room for them. It takes events meanwhile,
    /// since a store does not read from a client that leaves answers unread.
    fn put(&mut self, mut bytes: &[u8], deadline: u64) -> Answer<()> {
        loop {
            let sent = guest::write(self.machine.page(), bytes);
            bytes = bytes.get(sent..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            self.notify();
            let looked = self.now();
            if sent == 0 && self.receive().is_none() {
                self.wait(looked, deadline)?;
            }
        }
    }

    /// Puts what there is room for into the ring and notifies.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let sent = guest::write(self.machine.page(), bytes);
        self.notify();
        sent
    }

    /// Drops what the store has sent.
    pub fn drain(&mut self) {
        self.have = 0;
        while guest::read(self.machine.page(), &mut self.message) > 0 {}
        self.notify();
    }

    /// The next whole message, if it is there. Counts events.
    pub fn receive(&mut self) -> Option<Header> {
        loop {
            let header = self.message.first_chunk().filter(|_| self.have >= Header::SIZE).map(Header::parse);
            let whole = Header::SIZE + header.map_or(0, |header| (header.len as usize).min(PAYLOAD_MAX));
            if let Some(header) = header
                && self.have == whole
            {
                self.have = 0;
                self.note_event(header);
                return Some(header);
            }
            let full = guest::waiting(self.machine.page()) == RING_SIZE as usize;
            let place = self.message.get_mut(self.have..whole).unwrap_or_default();
            let taken = guest::read(self.machine.page(), place);
            if full {
                self.notify();
            }
            if taken == 0 {
                return None;
            }
            self.have += taken;
        }
    }

    /// The payload of the message that was received last.
    pub fn payload(&self, header: &Header) -> &[u8] {
        self.message.get(Header::SIZE..Header::SIZE + header.len as usize).unwrap_or_default()
    }

    /// Whether there is more to be received, of a message that has begun or of another.
    pub fn is_receiving(&self) -> bool {
        self.have > 0 || guest::waiting(self.machine.page()) > 0
    }

    fn note_event(&mut self, header: Header) {
        if header.msg_type != MessageType::WatchEvent as u32 {
            return;
        }
        let token = self.payload(&header).split(|&byte| byte == 0).nth(1);
        if token == Some(SHUTDOWN) {
            self.told_to_stop = true;
        } else {
            self.events += 1;
        }
    }

    /// Waits for the store, unless what was looked at last was so after the deadline: the machine may stand still between a look
    /// and the next step.
    fn wait(&mut self, looked: u64, deadline: u64) -> Answer<()> {
        if looked >= deadline {
            return Err(Failure::Silent);
        }
        self.machine.wait(deadline);
        Ok(())
    }

    /// Takes events until `deadline`, nanoseconds since Xen booted, or until it is to stop.
    pub fn listen(&mut self, deadline: u64) {
        self.listen_for(u32::MAX, deadline);
    }

    /// As `listen`, but only until so many events have come in all.
    pub fn listen_for(&mut self, events: u32, deadline: u64) {
        loop {
            while self.receive().is_some() {}
            if self.events >= events || self.told_to_stop || self.now() >= deadline {
                return;
            }
            self.machine.wait(deadline);
        }
    }

    /// Sleeps for so many microseconds and reads nothing.
    pub fn pause(&mut self, microseconds: u64) {
        let deadline = self.now() + microseconds * 1000;
        while self.now() < deadline {
            self.machine.wait(deadline);
        }
    }

    pub fn watch_shutdown(&mut self) -> Answer<()> {
        self.watch(b"control/shutdown", SHUTDOWN)
    }

    /// Whether `xl shutdown`, `xl reboot` or the like ask us to shut down. Acknowledges that in the store.
    pub fn is_to_stop(&mut self) -> bool {
        if core::mem::take(&mut self.told_to_stop) {
            let wanted = self.ask(MessageType::Read, TxId::NONE, &[b"control/shutdown\0"]);
            let reboots = matches!(wanted, Ok(b"reboot"));
            if (reboots || matches!(wanted, Ok(b"poweroff" | b"halt")))
                && self.write(b"control/shutdown", b"").is_ok()
            {
                (self.stopping, self.reboots) = (true, reboots);
            }
        }
        self.stopping
    }

    /// Asks the store for a new connection: watches, transactions and half-sent messages are gone.
    pub fn reconnect(&mut self) -> Answer<()> {
        let deadline = self.deadline();
        self.machine.page().connection.store(1, Release);
        self.notify();
        loop {
            let looked = self.now();
            if self.machine.page().connection.load(Acquire) == 0 {
                break;
            }
            self.wait(looked, deadline)?;
        }
        self.have = 0;
        Ok(())
    }
}
