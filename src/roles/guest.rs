//! A guest in one of the roles: its client, its counts, and making many requests at once.

use heapless::Vec;

use super::random::Random;
use crate::abi::DomId;
use crate::client::{Answer, Client, Failure, Machine};
use crate::wire::{MessageType, TxId};

/// What a role needs of the domain, beyond what a client needs.
pub trait Domain: Machine {
    /// Closes our end of the store's event channel and binds another. False if that fails.
    fn rebind(&mut self) -> bool;
}

pub struct Role<M: Machine> {
    pub name: &'static str,
    /// One round.
    pub round: fn(&mut Guest<M>) -> Answer<()>,
}

/// Counts of what has happened.
#[derive(Default)]
pub struct Counts {
    pub rounds: u32,
    /// Answers that were errors.
    pub refused: u32,
    /// Requests without an answer.
    pub silent: u32,
    /// Answers with the wrong content.
    pub wrong: u32,
}

/// Its fields are open to the roles, which do with them what they like.
pub struct Guest<M: Machine> {
    pub client: Client<M>,
    pub domid: DomId,
    pub random: Random,
    pub counts: Counts,
    /// Watches that `load` keeps on the node it writes.
    pub watches: u32,
    /// Of 100 requests of `load`, how many write.
    pub writes: u32,
    /// How many events must come in all, where a role knows.
    pub events_due: u32,
    /// What `data/load` must hold.
    pub last_written: u32,
    /// The longest wait for an answer, nanoseconds, where a role looks at that.
    pub longest: u64,
}

/// The payload of a request that a role makes.
pub type Payload = Vec<u8, 2200>;

/// More than any quota on a number allows.
const MANY: u32 = 5000;

impl<M: Machine> Guest<M> {
    pub fn new(client: Client<M>, domid: DomId, seed: u64) -> Self {
        Guest {
            client,
            domid,
            random: Random::new(seed),
            counts: Counts::default(),
            watches: 0,
            writes: 50,
            events_due: 0,
            last_written: 0,
            longest: 0,
        }
    }

    /// Runs one round of a role and counts its result.
    pub fn live(&mut self, role: &Role<M>) {
        match (role.round)(self) {
            Ok(()) => {}
            Err(Failure::Refused(_)) => self.counts.refused += 1,
            Err(Failure::Silent) => self.counts.silent += 1,
        }
        self.counts.rounds = self.counts.rounds.wrapping_add(1);
    }

    /// Makes requests until one is refused, which has to happen. Which one that is is not checked.
    pub fn until_refused(&mut self, mut more: impl FnMut(&mut Client<M>, u32) -> Answer<()>) -> Answer<()> {
        for n in 0..MANY {
            match more(&mut self.client, n) {
                Ok(()) => {}
                Err(Failure::Refused(_)) => {
                    self.counts.refused += 1;
                    return Ok(());
                }
                Err(Failure::Silent) => return Err(Failure::Silent),
            }
        }
        self.counts.wrong += 1;
        Ok(())
    }

    /// Makes all requests as fast as the ring takes them, and waits for the last answer only.
    pub fn flood(
        &mut self,
        what: MessageType,
        tx_id: TxId,
        numbers: impl Iterator<Item = u32>,
        payload: impl Fn(u32) -> Payload,
    ) -> Answer<()> {
        let deadline = self.client.deadline();
        let mut last = None;
        for n in numbers {
            last = Some(self.client.submit(what as u32, tx_id, &[&payload(n)], deadline)?);
        }
        last.map_or(Ok(()), |last| self.client.answer_to(last, deadline).map(drop))
    }

    /// Ends a transaction. It may fail.
    pub fn end(&mut self, tx_id: TxId, how: &[u8]) -> Answer<()> {
        self.client.ask(MessageType::TransactionEnd, tx_id, &[how, b"\0"]).map(drop)
    }

    /// Drops watches, transactions and what was half sent, and registers the watch for `xl shutdown` again.
    pub fn start_over(&mut self) -> Answer<()> {
        self.client.reconnect()?;
        self.client.watch_shutdown()
    }
}
