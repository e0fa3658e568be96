//! What is told later: the events of a change for receivers that had no room for them when it happened.
//!
//! A transaction that has taken effect stays as long as somebody is to hear the rest of it: its copies say what has
//! changed, in which order, and by which permission lists it may be heard. A single change of which one receiver would be
//! told much has a record of the same kind, of one copy. For a receiver there is one [`Rest`] in its queue instead of each
//! event, and the events are made from it when there is room for them.
//!
//! Its slots stay in the share of the guest that has made the change: when that guest has too little room, it loses what it
//! has been the first to do, and nobody else does.
//!
//! Invariant: a transaction counts each `Rest` of it.

use crate::perms::Life;
use crate::platform::Instant;
use crate::slots::{Claim, Full, List, Text};
use crate::store::domain::DomainId;
use crate::store::intent::Intent;
use crate::store::share::Share;
use crate::store::steps::Next;
use crate::store::transaction::{Mark, Transaction, TransactionId, TxNode, TxNodeId};
use crate::store::{Collected, Rest, Store};
use crate::wire::{TxId, XsError};

/// Events of one change that may wait each for itself.
const FEW: u32 = 8;

/// Nanoseconds for which a guest whose request wants the room of what it has done waits for those who read of that.
const PATIENCE: u64 = 50_000_000;

/// What has become of the room that a request wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Some has been made.
    Made,
    /// Some can be made then, if not before.
    At(Instant),
    /// Nothing that is kept takes any that it may have.
    None,
}

impl Store {
    /// Has a receiver hear later: from a copy on, or this event and the rest of the change at hand. In an attempt.
    #[inline(never)] // It is rare, beside messages.
    pub fn tell_later(&mut self, to: DomainId, from: Option<TxNodeId>) -> Result<Rest, Full> {
        let copy = match from.or(self.collected.copy) {
            Some(copy) => {
                self.note_lists(copy)?;
                copy
            }
            None => self.record_change()?,
        };
        let tx = self.transactions.nodes.get(copy).tx;
        let open = self.transactions.open.modify(tx)?;
        open.waiting += 1;
        (open.newest, open.number) = (self.watches.last_sequence, self.collected.number);
        self.domains.modify(to)?.behind = self.collected.number;
        let told = self.collected.sent.checked_sub(1).and_then(|n| self.collected.matches.get(n));
        let told = told.filter(|told| told.domain == to && from.is_none());
        let after = told.map_or(0, |told| told.rank);
        Ok(Rest { tx, copy, after, target: self.domains.caller(to).target })
    }

    /// Whether the receiver of the next event is told so much of the change at hand that it had better hear it later than
    /// have each event wait.
    pub fn tells_much(&self) -> bool {
        let Collected { matches, sent, copy, path, .. } = &self.collected;
        // Of what happens to domains a receiver has one message: many of them may die at once.
        let few = if path.first() == Some(&b'@') { 1 } else { FEW };
        let receiver = |n: usize| matches.get(n).map(|found| found.domain);
        let nodes = copy
            .map_or(0, |copy| self.transactions.open.get(self.transactions.nodes.get(copy).tx).node_count);
        nodes > FEW || receiver(sent + few as usize).is_some_and(|to| receiver(*sent) == Some(to))
    }

    /// Whether the receiver of the next event hears of the change at hand later.
    pub fn is_behind(&self, to: DomainId) -> bool {
        self.domains.get(to).behind == self.collected.number
    }

    /// The record of a single change.
    pub(in crate::store) fn record_change(&mut self) -> Result<TxNodeId, Full> {
        let by = self.current.from.unwrap_or(DomainId::FIRST);
        let payer = self.domains.get(by).payer();
        let tx = self.transactions.open.insert(Transaction::record(by, payer, self.collected.number))?;
        self.take(by, Share::Transactions, 1)?;
        self.take(by, Share::Copies, 1)?;
        let path = Text::store(&mut self.blobs, &self.collected.path)?;
        let mut copy = TxNode::new(tx, self.collected.hash);
        copy.fires = Some(self.collected.change);
        copy.mark = Mark::EXISTED;
        copy.text_len = path.len() as u16;
        copy.path = path;
        self.move_chunks(by, 0, copy.spilled())?;
        let copy = self.transactions.nodes.insert(copy)?;
        self.transactions.open.modify(tx)?.touched.append(&mut self.transactions.nodes, copy)?;
        self.keep_record(tx)?;
        Ok(copy)
    }

    /// Keeps a transaction that has ended until all has been told of it.
    fn keep_record(&mut self, tx: TransactionId) -> Result<(), Full> {
        self.intents.modify()?.told.append(&mut self.transactions.open, tx)
    }

    /// Whether the request at hand has found no room, has not been decided, and something is kept to be told, or is still to
    /// be forgotten.
    pub fn wants_room(&self) -> bool {
        let Intent { told, over, .. } = self.intents.get();
        self.current.short
            && self.current.answer.is_none()
            && (told.first().is_some() || over.first().is_some())
    }

    /// Receivers that wait to hear of something, for the consistency check.
    pub fn waiting_to_hear(&self) -> u32 {
        self.transactions.open.iter().map(|(_, open)| open.waiting).sum()
    }

    /// For the request at hand, which finds no room: gives up the oldest that is kept to be told of what its sender has
    /// done; if there is none, and the sender has no more than it needs, of what is in nobody's share. Who reads is given time
    /// to hear of it before, as guests can wait. For the privileged, who do not, it is of a change before this one.
    pub fn give_up_oldest(&mut self, by: DomainId, number: u64, now: Instant) -> Room {
        let guest = Some(by).filter(|by| !self.domains.is_privileged(*by));
        let usage = &self.held.of(by).usage;
        let needs = [Share::Transactions, Share::Copies, Share::Chunks]
            .iter()
            .all(|kind| guest.is_none() || usage.held(*kind) < kind.need());
        let mut oldest = None;
        let kept = self.intents.get().told.iter(&self.transactions.open);
        for (kept, _) in kept.take_while(|(_, open)| guest.is_some() || open.number < number) {
            match self.payer_of(kept) {
                whose if whose == guest => {
                    oldest = Some(kept);
                    break;
                }
                None if needs => oldest = oldest.or(Some(kept)),
                _ => {}
            }
        }
        let Some(oldest) = oldest else { return Room::None };
        if guest.is_some() {
            let spared = &mut self.transactions.open.update(oldest).started;
            if *spared == Instant(0) {
                *spared = now.after_nanoseconds(PATIENCE);
            }
            if *spared > now {
                return Room::At(*spared);
            }
        }
        let given_up = self.attempt(Claim::Answer, |store| Ok(store.finish_record(oldest)?));
        if given_up.is_ok() { Room::Made } else { Room::None }
    }

    /// Forgets all that nobody is to hear of any more, for the request at hand, which finds no room: it has not failed its
    /// transaction, then.
    pub fn forget_all(&mut self, by: DomainId, tx: TxId) {
        if let Some(tx) = self.find_transaction(by, tx).filter(|_| self.current.fails) {
            self.transactions.open.update(tx).failed = false;
        }
        (self.current.short, self.current.fails) = (false, false);
        while self.forget_some() {}
    }

    /// Whether there is something that nobody is to hear of any more.
    pub fn has_to_forget(&self) -> bool {
        self.intents.get().over.first().is_some()
    }

    /// No more is told of a transaction that has ended: it is forgotten. Who waits to hear of it finds its number gone.
    pub(super) fn finish_record(&mut self, tx: TransactionId) -> Result<(), Full> {
        let open = self.transactions.open.modify(tx)?;
        (open.waiting, open.number) = (0, 0);
        let intent = self.intents.modify()?;
        intent.told.remove(&mut self.transactions.open, tx)?;
        intent.over.append(&mut self.transactions.open, tx)
    }

    /// A transaction that has taken effect is open no more, and is kept to be told of.
    pub(super) fn keep_to_tell(&mut self, tx: TransactionId) -> Result<Next, XsError> {
        self.retire(tx)?;
        self.keep_record(tx)?;
        Ok(Next::Step)
    }

    /// A transaction is nobody's any more.
    pub(super) fn retire(&mut self, tx: TransactionId) -> Result<(), Full> {
        self.take_from_domain(tx)?;
        let open = self.transactions.open.modify(tx)?;
        open.id = TxId::NONE;
        (open.memory, open.started) = (0, Instant(0));
        open.made = List::EMPTY;
        Ok(())
    }

    /// Takes a transaction from its domain, which has its slots in its share until they are given back.
    #[inline(always)] // The end of every transaction.
    pub(super) fn take_from_domain(&mut self, tx: TransactionId) -> Result<(), Full> {
        let Transaction { domain, memory, .. } = *self.transactions.open.get(tx);
        let held = self.held.modify(domain)?;
        held.transactions.remove(&mut self.transactions.open, tx)?;
        held.usage.memory -= memory;
        held.usage.transactions -= 1;
        Ok(())
    }

    /// Whose share a transaction's slots are of, if that guest lives.
    pub fn payer_of(&self, tx: TransactionId) -> Option<DomainId> {
        let Transaction { domain, payer, .. } = *self.transactions.open.get(tx);
        (payer != Life::NONE && self.domains.get(domain).life == payer).then_some(domain)
    }

    /// Somebody has heard all of a transaction, or never will. In an attempt.
    pub fn end_telling(&mut self, tx: TransactionId) -> Result<(), Full> {
        let open = self.transactions.open.modify(tx)?;
        open.waiting -= 1;
        if open.waiting > 0 || !open.has_ended() { Ok(()) } else { self.finish_record(tx) }
    }

    /// Notes by which permission lists others may hear of what a transaction has done to a node, if it is to be told later.
    /// The copy does not decide anything else any more.
    pub(super) fn note_lists(&mut self, id: TxNodeId) -> Result<(), Full> {
        let copy = *self.transactions.nodes.get(id);
        if copy.above.is_some() || !copy.mark.contains(Mark::EXISTS) {
            return Ok(());
        }
        let node = self.node_hashed(copy.path_hash());
        let Some([own, Some(above)]) = node.map(|node| self.lists_of(node)) else { return Ok(()) };
        let own = own.map(|own| self.acls.retain(own)).transpose()?;
        let above = Some(self.acls.retain(above)?);
        let place = self.transactions.nodes.modify(id)?;
        (place.acl, place.above) = (own, above);
        copy.acl.map_or(Ok(()), |acl| self.acls.release(acl))
    }

    /// The number of the change that a message stands for, if it is still told of.
    pub fn number_of(&self, rest: &Rest) -> u64 {
        self.transactions.open.get(rest.tx).number
    }
}
