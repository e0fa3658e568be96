//! What the host's own store is told, in nodes of this domain, and what may be asked there.

use core::fmt::{Arguments, Write};

use heapless::String;

use crate::client::{Answer, Client, Failure, Machine};
use crate::wire::{MessageType, TxId};

/// Where the nodes are, below this domain's home.
const PLACE: &str = "data/xenstore-stubdom/";

/// Who writes a wish there has it granted; then the node is empty again.
const REQUEST: &[u8] = b"data/xenstore-stubdom/request";

/// What may be wished for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// The trace ring on the console.
    Dump,
    /// The benchmark again.
    Run,
    Stop,
    /// Something else.
    Unknown,
}

/// This domain as a client of the host's store.
pub struct Host<M: Machine> {
    pub client: Client<M>,
    /// It has not answered. It is not asked again, since each time would take as long.
    silent: bool,
}

impl<M: Machine> Host<M> {
    /// Without a store, what would be told there is not.
    pub fn new(client: Client<M>) -> Self {
        Host { client, silent: false }
    }

    /// Begins to listen for wishes, and for those of `xl shutdown`.
    pub fn listen(&mut self) -> Answer<()> {
        self.with(|client| {
            client.watch_shutdown()?;
            client.write(REQUEST, b"")?;
            client.watch(REQUEST, b"request")
        })
    }

    /// Writes one thing down, in the node of that name.
    pub fn note(&mut self, name: &str, value: Arguments<'_>) -> Answer<()> {
        let (mut path, mut text) = (String::<64>::new(), String::<128>::new());
        // Names are short; of a long value what fits is written.
        let _ = path.push_str(PLACE).and_then(|()| path.push_str(name));
        let _ = text.write_fmt(value);
        self.with(|client| client.write(path.as_bytes(), text.as_bytes()))
    }

    /// What is wished for, once.
    pub fn wish(&mut self) -> Option<Request> {
        if self.client.is_to_stop() {
            return Some(Request::Stop);
        }
        let wish = self.client.ask(MessageType::Read, TxId::NONE, &[REQUEST, b"\0"]).ok()?;
        Some(match wish {
            b"" => return None,
            b"dump" => Request::Dump,
            b"run" => Request::Run,
            b"stop" => Request::Stop,
            _ => Request::Unknown,
        })
    }

    /// It has been granted, or cannot be.
    pub fn granted(&mut self) -> Answer<()> {
        self.with(|client| client.write(REQUEST, b""))
    }

    fn with(&mut self, ask: impl FnOnce(&mut Client<M>) -> Answer<()>) -> Answer<()> {
        if self.silent {
            return Ok(());
        }
        let answer = ask(&mut self.client);
        self.silent = answer == Err(Failure::Silent);
        answer
    }
}
