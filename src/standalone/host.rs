//! The trial's report in the host's own store, in nodes of this domain, and the commands that it takes there.

use core::fmt::{Arguments, Write};

use heapless::String;

use crate::client::{Answer, Client, Failure, Machine};
use crate::wire::{MessageType, TxId};

/// The directory of the nodes, below this domain's home.
const PLACE: &str = "data/xenstore-stubdom/";

/// A command that is written there is carried out; then the node is empty again.
const REQUEST: &[u8] = b"data/xenstore-stubdom/request";

/// The commands.
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

/// Longest time between two looks for commands, nanoseconds, if no event comes.
const LOOK: u64 = 60_000_000_000;

/// This domain as a client of the host's store.
pub struct Host<M: Machine> {
    pub client: Client<M>,
    /// It did not answer the last time. Nothing is written until it has answered a look for commands, since each
    /// attempt would take as long.
    silent: bool,
    /// The number of events when the latest command was read, if it is not done yet, or its node could not be emptied.
    seen: Option<u32>,
}

impl<M: Machine> Host<M> {
    /// Without a store, nothing is reported there.
    pub fn new(client: Client<M>) -> Self {
        Host { client, silent: false, seen: None }
    }

    /// Begins to listen for commands, and for `xl shutdown`.
    pub fn listen(&mut self) -> Answer<()> {
        self.with(|client| {
            client.watch_shutdown()?;
            client.write(REQUEST, b"")?;
            client.watch(REQUEST, b"request")
        })
    }

    /// Writes one result into the node of that name.
    pub fn note(&mut self, name: &str, value: Arguments<'_>) -> Answer<()> {
        let (mut path, mut text) = (String::<64>::new(), String::<128>::new());
        // Names are short. A long value is cut.
        let _ = path.push_str(PLACE).and_then(|()| path.push_str(name));
        let _ = text.write_fmt(value);
        self.with(|client| client.write(path.as_bytes(), text.as_bytes()))
    }

    /// Waits for the next command.
    pub fn next_wish(&mut self) -> Request {
        loop {
            if let Some(wish) = self.wish() {
                return wish;
            }
            let (events, now) = (self.client.events, self.client.now());
            self.client.listen_for(events.wrapping_add(1), now + LOOK);
        }
    }

    /// The command that is there, once. If its node cannot be emptied, it is looked at again after an event.
    pub fn wish(&mut self) -> Option<Request> {
        if self.client.is_to_stop() {
            return Some(Request::Stop);
        }
        if self.seen == Some(self.client.events) {
            return None;
        }
        let wish = self.client.ask(MessageType::Read, TxId::NONE, &[REQUEST, b"\0"]);
        let wish = wish.map(|wish| match wish {
            b"" => None,
            b"dump" => Some(Request::Dump),
            b"run" => Some(Request::Run),
            b"stop" => Some(Request::Stop),
            _ => Some(Request::Unknown),
        });
        self.silent = wish == Err(Failure::Silent);
        let wish = wish.ok().flatten();
        self.seen = wish.map(|_| self.client.events);
        wish
    }

    /// The command has been carried out, or cannot be.
    pub fn granted(&mut self) -> Answer<()> {
        self.client.write(REQUEST, b"")?;
        self.seen = None;
        Ok(())
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
