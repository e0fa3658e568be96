//! A client of a xenstore socket that waits for each answer.

use std::env;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use xenstore::wire::{Header, MessageType, TxId};

/// No answer takes as long, even from a server that valgrind slows down a hundredfold.
const PATIENCE: Duration = Duration::from_secs(60);

fn is_early(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
}

pub struct Connection {
    stream: UnixStream,
    bytes: Vec<u8>,
    /// Events that came before the answer to the request that fired them.
    events: usize,
}

impl Connection {
    /// To the socket that XENSTORED_PATH names.
    pub fn open() -> Result<Connection> {
        let path = env::var_os("XENSTORED_PATH").ok_or_else(|| Error::other("XENSTORED_PATH is not set"))?;
        let begin = Instant::now();
        let stream = loop {
            match UnixStream::connect(&path) {
                // A server that is starting; its socket is there a moment before it listens.
                Err(error) if is_early(&error) && begin.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(10));
                }
                connected => break connected?,
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, bytes: Vec::new(), events: 0 })
    }

    /// The answer to one request, which must succeed.
    pub fn ask(&mut self, kind: MessageType, tx: TxId, payload: &[&[u8]]) -> Result<&[u8]> {
        self.bytes.clear();
        let len = payload.iter().map(|part| part.len() as u32).sum();
        let header = Header { msg_type: kind as u32, req_id: 0, tx_id: tx, len };
        self.bytes.extend_from_slice(&header.emit());
        payload.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.stream.write_all(&self.bytes)?;
        loop {
            let got = self.receive()?;
            if got == kind as u32 {
                return Ok(&self.bytes);
            }
            if got != MessageType::WatchEvent as u32 {
                let answer = self.bytes.escape_ascii();
                return Err(Error::other(format!("{} was answered by message {got}: {answer}", kind.name())));
            }
            self.events += 1;
        }
    }

    /// Takes one event.
    pub fn event(&mut self) -> Result<()> {
        if self.events > 0 {
            self.events -= 1;
            return Ok(());
        }
        match self.receive()? {
            got if got == MessageType::WatchEvent as u32 => Ok(()),
            got => Err(Error::other(format!("instead of an event came message {got}"))),
        }
    }

    /// Leaves the payload of the next message in `bytes`; its type.
    fn receive(&mut self) -> Result<u32> {
        let mut header = [0; Header::SIZE];
        self.stream.read_exact(&mut header)?;
        let header = Header::parse(&header);
        self.bytes.resize(header.len as usize, 0);
        self.stream.read_exact(&mut self.bytes)?;
        Ok(header.msg_type)
    }

    pub fn read(&mut self, tx: TxId, path: &str) -> Result<&[u8]> {
        self.ask(MessageType::Read, tx, &[path.as_bytes(), &[0]])
    }

    pub fn directory(&mut self, path: &str) -> Result<&[u8]> {
        self.ask(MessageType::Directory, TxId::NONE, &[path.as_bytes(), &[0]])
    }

    pub fn write(&mut self, tx: TxId, path: &str, value: &str) -> Result<()> {
        self.ask(MessageType::Write, tx, &[path.as_bytes(), &[0], value.as_bytes()]).map(drop)
    }

    pub fn remove(&mut self, path: &str) -> Result<()> {
        self.ask(MessageType::Rm, TxId::NONE, &[path.as_bytes(), &[0]]).map(drop)
    }

    /// Registers a watch and takes the event that every new watch fires.
    pub fn watch(&mut self, path: &str, token: &str) -> Result<()> {
        self.ask(MessageType::Watch, TxId::NONE, &[path.as_bytes(), &[0], token.as_bytes(), &[0]])?;
        self.event()
    }

    pub fn unwatch(&mut self, path: &str, token: &str) -> Result<()> {
        self.ask(MessageType::Unwatch, TxId::NONE, &[path.as_bytes(), &[0], token.as_bytes(), &[0]]).map(drop)
    }

    pub fn start(&mut self) -> Result<TxId> {
        let answer = self.ask(MessageType::TransactionStart, TxId::NONE, &[&[0]])?;
        let digits = answer.strip_suffix(&[0]).unwrap_or(answer);
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.map(TxId).ok_or_else(|| Error::other("TRANSACTION_START was answered without a number"))
    }

    pub fn commit(&mut self, tx: TxId) -> Result<()> {
        self.ask(MessageType::TransactionEnd, tx, &[b"T\0"]).map(drop)
    }
}
