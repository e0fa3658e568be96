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

/// Longest time between two looks for wishes, nanoseconds, though no event tells of any.
const LOOK: u64 = 60_000_000_000;

/// This domain as a client of the host's store.
pub struct Host<M: Machine> {
    pub client: Client<M>,
    /// It did not answer the last time. It is told nothing until it has answered a look for wishes, since each time
    /// would take as long.
    silent: bool,
    /// Events there had been when the wish was read that is not granted yet, or whose node could not be emptied.
    seen: Option<u32>,
}

impl<M: Machine> Host<M> {
    /// Without a store, what would be told there is not.
    pub fn new(client: Client<M>) -> Self {
        Host { client, silent: false, seen: None }
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

    /// Waits for the next wish.
    pub fn next_wish(&mut self) -> Request {
        loop {
            if let Some(wish) = self.wish() {
                return wish;
            }
            let (events, now) = (self.client.events, self.client.now());
            self.client.listen_for(events.wrapping_add(1), now + LOOK);
        }
    }

    /// What is wished for, once: a wish whose node cannot be emptied is looked at again when there has been an event.
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

    /// It has been granted, or cannot be.
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
