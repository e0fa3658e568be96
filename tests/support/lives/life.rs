//! One guest's part in a recording: its requests made one by one, each answer compared with the recorded one.

use std::collections::VecDeque;

use xenstore::wire::{MessageType, TxId};

use super::recording::{Recording, Request, Section, Step, Who};

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub error: Option<String>,
    pub payload: Vec<u8>,
}

/// A host for guests, and the connections to its store.
pub trait World {
    /// One client's connection.
    type Session: Copy;

    /// Xen has made the domain.
    fn made(&mut self, domid: u16);
    /// The domain has ended, and Xen reports that to the store.
    fn gone(&mut self, domid: u16) -> Result<(), String>;
    /// How dom0 itself asks.
    fn dom0(&self) -> Self::Session;
    /// How an introduced domain asks.
    fn guest(&self, domid: u16) -> Option<Self::Session>;
    /// Makes a request and waits for the answer. Fails only if none comes.
    fn ask(
        &mut self,
        from: Self::Session,
        kind: MessageType,
        tx: TxId,
        payload: &[u8],
    ) -> Result<Answer, String>;
}

/// Which of its requests a life makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    All,
    /// Not for lists that all guests share: each is as long as there are guests, whatever serves it.
    WithoutSharedLists,
    /// Only those that change something: after them, the store is as after all.
    Changes,
}

impl Part {
    fn has(self, request: &Request) -> bool {
        use MessageType::{Directory, DirectoryPart, GetDomainPath, GetPerms, Read};
        match self {
            Part::All => true,
            Part::WithoutSharedLists => !request.is_shared_list(),
            Part::Changes => {
                !matches!(request.kind, Directory | DirectoryPart | GetDomainPath | GetPerms | Read)
            }
        }
    }
}

pub struct Life<'a, S> {
    section: &'a Section,
    domid: u16,
    /// How its toolstack asks.
    dom0: S,
    part: Part,
    /// Steps still to be done, by their places in the section.
    steps: VecDeque<usize>,
    /// The server's identifiers for the section's transactions.
    txs: Vec<TxId>,
    /// Transactions that had to be done again.
    pub again: u64,
    payload: Vec<u8>,
}

impl<'a, S: Copy> Life<'a, S> {
    pub fn new(section: &'a Section, domid: u16, dom0: S, part: Part) -> Self {
        let wanted = |step: &Step| !matches!(step, Step::Request(request) if !part.has(request));
        let steps = section.steps.iter().enumerate();
        Life {
            section,
            domid,
            dom0,
            part,
            steps: steps.filter(|(_, step)| wanted(step)).map(|(at, _)| at).collect(),
            txs: vec![TxId::NONE; section.transactions],
            again: 0,
            payload: Vec::new(),
        }
    }

    /// Does all that is left of it.
    pub fn run(&mut self, world: &mut impl World<Session = S>) -> Result<(), String> {
        while self.step(world)? {}
        Ok(())
    }

    /// Does the next step; false if there is none. An answer that the recording does not have is an error, but
    /// for EAGAIN: then the transaction is done once more.
    pub fn step(&mut self, world: &mut impl World<Session = S>) -> Result<bool, String> {
        let Some(at) = self.steps.pop_front() else { return Ok(false) };
        match &self.section.steps[at] {
            Step::Made => world.made(self.domid),
            Step::Gone => world.gone(self.domid)?,
            Step::Request(request) => self.make(world, request)?,
        }
        Ok(true)
    }

    fn make(&mut self, world: &mut impl World<Session = S>, request: &Request) -> Result<(), String> {
        let from = match request.who {
            Who::Dom0 => self.dom0,
            Who::Guest => world.guest(self.domid).ok_or("a guest asks before it is introduced")?,
        };
        let starts = request.kind == MessageType::TransactionStart;
        let tx = request.tx.filter(|_| !starts).map_or(TxId::NONE, |tx| self.txs[tx]);
        request.payload.fill(self.domid, &mut self.payload);
        let answer = world.ask(from, request.kind, tx, &self.payload)?;
        match answer.error.as_deref() {
            error if error == request.error.as_deref() => {}
            Some("EAGAIN") if request.kind == MessageType::TransactionEnd => {
                self.again += 1;
                self.repeat(request.tx);
                return Ok(());
            }
            Some("E2BIG") if request.is_shared_list() => {
                return read_in_parts(world, from, tx, &self.payload).map(drop);
            }
            error => {
                let (error, step) = (error.unwrap_or("ok"), Step::Request(request.clone()));
                return Err(format!("domain {}: {error} instead of: {step}", self.domid));
            }
        }
        if let (true, Some(tx)) = (starts, request.tx) {
            let digits = std::str::from_utf8(&answer.payload).ok();
            let id = digits.and_then(|digits| digits.trim_end_matches('\0').parse().ok());
            self.txs[tx] = TxId(id.ok_or("TRANSACTION_START was answered without a number")?);
        }
        Ok(())
    }

    /// Puts all steps of a transaction before those that are left.
    fn repeat(&mut self, tx: Option<usize>) {
        for (at, step) in self.section.steps.iter().enumerate().rev() {
            if matches!(step, Step::Request(request) if request.tx == tx && self.part.has(request)) {
                self.steps.push_front(at);
            }
        }
    }
}

/// The domain that the recorded store was. Nobody introduces it.
const STORE: u16 = 1;

/// Makes the requests of a host before its first guest, and creates what the recorded guest found of earlier ones.
pub fn come_up<W: World>(world: &mut W, recording: &Recording) -> Result<(), String> {
    let dom0 = world.dom0();
    world.made(STORE);
    Life::new(&recording.host, 0, dom0, Part::All).run(world)?;
    for path in ["/vm\0", "/libxl\0", "/local/domain/2/name\0"] {
        world.ask(dom0, MessageType::Write, TxId::NONE, path.as_bytes())?;
    }
    Ok(())
}

/// The names in a list that is too long for one answer, each with its NUL, as Xen's own client library reads them.
pub fn read_in_parts<W: World>(
    world: &mut W,
    from: W::Session,
    tx: TxId,
    path: &[u8],
) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop {
        let payload = [path, all.len().to_string().as_bytes(), b"\0"].concat();
        let answer = world.ask(from, MessageType::DirectoryPart, tx, &payload)?;
        if let Some(error) = answer.error {
            return Err(format!("{error} for a part of a list"));
        }
        // The list's generation comes first; an empty name ends the list.
        let names = answer.payload.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default();
        match names {
            [0] => return Ok(all),
            [names @ .., 0, 0] => {
                all.extend_from_slice(names);
                all.push(0);
                return Ok(all);
            }
            _ => all.extend_from_slice(names),
        }
    }
}
