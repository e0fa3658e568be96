//! What a state takes out of a store and puts into an empty one, beside what requests do.

use super::acl::AclId;
use super::domain::DomainId;
use super::node::{AclChanges, Node, NodeId};
use super::origin::Origin;
use super::transaction::{Mark, Transaction, TransactionId, TxNode};
use super::watch::{Change, Watch, WatchId};
use super::{Rest, Store};
use crate::perms::Life;
use crate::quota::Quotas;
use crate::slots::Full;

/// What a copy says of the change that is told of.
#[derive(Clone, Copy)]
pub struct ToldCopy {
    pub fires: Option<Change>,
    /// By which it may be heard: before, now, and of the node above. None of them if that has been decided before.
    pub lists: [Option<AclId>; 3],
}

impl TxNode {
    pub fn told(&self) -> ToldCopy {
        let old = self.seen_acl.filter(|_| self.mark.contains(Mark::EXISTED));
        ToldCopy { fires: self.tells(), lists: [old, self.acl, self.above] }
    }
}

impl Store {
    /// How many changes of values and lists of children there have been.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A sum of numbers, one of which grows with each change of a node, of a permission list or of who lives.
    pub fn moment(&self) -> u64 {
        self.attempt.latest() + self.generation + u64::from(self.domains.lives())
    }

    /// The place of the latest watch among all that were ever registered.
    pub fn last_watch(&self) -> u64 {
        self.watches.last_sequence
    }

    /// Goes on where another store has stopped: no number is used twice.
    pub fn restore_numbers(&mut self, generation: u64, last_watch: u64, change: u64) {
        self.generation = self.generation.max(generation);
        self.watches.last_sequence = self.watches.last_sequence.max(last_watch);
        self.collected.number = self.collected.number.max(change);
    }

    /// A domain's watches, the oldest first.
    pub fn watches_of(&self, id: DomainId) -> impl Iterator<Item = (WatchId, &Watch)> {
        self.held.of(id).watches.iter(&self.watches.arena)
    }

    /// The watch of the same domain that was registered next.
    pub fn watch_after(&self, id: WatchId) -> Option<WatchId> {
        self.watches.arena.get(id).of_domain.next
    }

    /// Says when a watch was registered, and its depth.
    pub fn place_watch(&mut self, id: WatchId, sequence: u64, depth: Option<u32>) {
        let watch = self.watches.arena.update(id);
        *watch = Watch { sequence, ..watch.with_depth(depth) };
    }

    /// A domain's nodes, in the order in which it got them.
    pub fn owned_by(&self, id: DomainId) -> impl Iterator<Item = &Node> {
        self.held.of(id).nodes.iter(&self.nodes).map(|(_, node)| node)
    }

    /// Gives a node the numbers that it had.
    #[inline(always)] // Once, in a loop.
    pub fn restore_generations(
        &mut self,
        id: NodeId,
        value: u64,
        list: u64,
        acl_changes: AclChanges,
        origin: Origin,
    ) {
        self.nodes.update(id).restore_numbers(value, list, acl_changes, origin);
    }

    /// The node that was made so many nodes after the first one, in a store of which nothing was ever removed.
    pub fn nth_node(&self, number: usize) -> Option<NodeId> {
        self.nodes.arena().id_at(number)
    }

    /// What all former guests have held at most.
    pub fn peak_of_gone(&self) -> Quotas {
        self.peak_of_gone
    }

    pub fn set_peak_of_gone(&mut self, peak: Quotas) {
        self.peak_of_gone = peak;
    }

    /// Changes that somebody is to hear more of, the oldest first.
    pub fn told(&self) -> impl Iterator<Item = (TransactionId, &Transaction)> {
        self.intents.get().told.iter(&self.transactions.open)
    }

    /// The number of the change that a receiver hears the rest of, and which of its copies is next.
    pub fn position_of(&self, rest: &Rest) -> (u64, u32) {
        let before = self.copies(rest.tx).take_while(|(copy, _)| *copy != rest.copy);
        (self.transactions.open.get(rest.tx).number, before.count() as u32)
    }

    /// The other way round: nothing of that copy has been told, and the receiver acts for nobody.
    pub fn rest_at(&self, number: u64, copy: u32) -> Option<Rest> {
        let (tx, _) = self.told().find(|(_, open)| open.number == number)?;
        let (copy, _) = self.copies(tx).nth(copy as usize)?;
        Some(Rest { tx, copy, after: 0, target: Life::NONE })
    }

    /// One receiver more is to hear of a change. In an attempt.
    pub fn await_telling(&mut self, tx: TransactionId) -> Result<(), Full> {
        self.transactions.open.modify(tx)?.waiting += 1;
        Ok(())
    }
}
