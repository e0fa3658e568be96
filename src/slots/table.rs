//! An arena whose slots are also found by hash: chains through the slots, heads in one array.
//!
//! Hashes of names are keyed (see `hash`), so a guest cannot choose names that share a chain; others are spread over all
//! bits of their high half.

use alloc::boxed::Box;
use core::ops::Range;

use crate::room::filled;

use super::arena::{Arena, Full, Slot};
use super::attempt::Attempt;
use super::id::{Id, Links};

/// A slot that hangs on a hash chain.
pub trait Chained: Slot {
    /// Hashes are numbers that come one after the other: each has a chain of its own then.
    const IN_ORDER: bool = false;

    fn hash(&self) -> u64;
    fn chain(&self) -> Option<Id<Self>>;
    fn set_chain(&mut self, next: Option<Id<Self>>);
}

/// Implements [`Chained`](crate::slots::Chained) by the fields `hash` and `chain`.
macro_rules! chained {
    ($slot:ty) => {
        impl $crate::slots::Chained for $slot {
            fn hash(&self) -> u64 {
                self.hash
            }
            fn chain(&self) -> Option<$crate::slots::Id<Self>> {
                self.chain
            }
            fn set_chain(&mut self, next: Option<$crate::slots::Id<Self>>) {
                self.chain = next;
            }
        }
    };
}
pub(crate) use chained;

/// Invariant: in an attempt chains only grow, at their heads. So a rollback unlinks what was taken and
/// needs no journal of heads; what was freed is unlinked once the attempt is decided.
pub struct Table<T: Chained> {
    arena: Arena<T>,
    /// At least half as many as slots; if hashes are [`Chained::IN_ORDER`], a power of two.
    heads: Box<[Option<Id<T>>]>,
}

impl<T: Chained> Table<T> {
    pub fn new(attempt: &Attempt, capacity: usize, journal: usize) -> Self {
        Table {
            arena: Arena::new(attempt, capacity, journal, journal),
            heads: filled(&None, Self::head_count(capacity)),
        }
    }

    const fn head_count(capacity: usize) -> usize {
        if T::IN_ORDER { capacity.next_power_of_two().div_ceil(2) } else { capacity.div_ceil(2) }
    }

    pub const fn bytes(capacity: usize, journal: usize) -> usize {
        Arena::<T>::bytes(capacity, journal, journal) + Self::head_count(capacity) * 4
    }

    pub fn arena(&self) -> &Arena<T> {
        &self.arena
    }

    /// See [`Arena::lend`].
    pub fn lend(&mut self, bytes: usize) -> Option<Range<usize>> {
        self.arena.lend(bytes)
    }

    /// See [`Arena::take_back`].
    pub fn take_back(&mut self) {
        self.arena.take_back();
    }

    pub fn get(&self, id: Id<T>) -> &T {
        self.arena.get(id)
    }

    pub fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        self.arena.modify(id)
    }

    #[inline(always)]
    pub fn relink(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        self.arena.relink(id, links)
    }

    pub fn update(&mut self, id: Id<T>) -> &mut T {
        self.arena.update(id)
    }

    /// See [`Arena::mark`].
    pub fn mark(&mut self, id: Id<T>) -> &mut T {
        self.arena.mark(id)
    }

    /// The place of the chain of this hash: what its high half is of all that it may be, so any number of chains will
    /// do.
    #[inline(always)]
    fn place(&self, hash: u64) -> usize {
        if T::IN_ORDER {
            return hash as usize & self.heads.len().wrapping_sub(1);
        }
        ((u64::from((hash >> 32) as u32) * self.heads.len() as u64) >> u32::BITS) as usize
    }

    fn head(&self, hash: u64) -> Option<Id<T>> {
        *self.heads.get(self.place(hash))?
    }

    fn set_head(&mut self, hash: u64, first: Option<Id<T>>) {
        let place = self.place(hash);
        if let Some(head) = self.heads.get_mut(place) {
            *head = first;
        }
    }

    /// Whether there may be a slot with this hash.
    pub fn may_have(&self, hash: u64) -> bool {
        self.head(hash).is_some()
    }

    /// The slot with this hash that `matches` accepts.
    #[inline(always)]
    pub fn find(&self, hash: u64, matches: impl FnMut(&T) -> bool) -> Option<Id<T>> {
        self.find_from(self.head(hash)?, hash, matches)
    }

    /// Apart, so that a chain without slots is found out at once.
    fn find_from(&self, first: Id<T>, hash: u64, mut matches: impl FnMut(&T) -> bool) -> Option<Id<T>> {
        let mut next = Some(first);
        while let Some(id) = next {
            let slot = self.arena.get(id);
            if slot.hash() == hash && matches(slot) {
                return Some(id);
            }
            next = slot.chain();
        }
        None
    }

    pub fn insert(&mut self, mut value: T) -> Result<Id<T>, Full> {
        let hash = value.hash();
        value.set_chain(self.head(hash));
        let id = self.arena.alloc(value)?;
        self.set_head(hash, Some(id));
        Ok(id)
    }

    /// As `insert`, outside attempts, into the slot of [`Arena::fresh_id`].
    #[inline(always)] // Of each node that a state has.
    pub fn insert_fresh(&mut self, id: Id<T>, mut value: T) {
        let place = self.place(value.hash());
        if let Some(head) = self.heads.get_mut(place) {
            value.set_chain(head.replace(id));
        }
        self.arena.push_fresh(value);
    }

    /// See [`Arena::count_fresh`].
    pub fn count_fresh(&mut self) {
        self.arena.count_fresh();
    }

    /// Takes a slot that no hash leads to.
    pub fn insert_apart(&mut self, value: T) -> Result<Id<T>, Full> {
        self.arena.alloc(value)
    }

    /// Gives a slot back at the end of the attempt; until then it is still found by its hash.
    pub fn remove(&mut self, id: Id<T>) -> Result<(), Full> {
        self.arena.free(id)
    }

    #[inline(never)] // The end of an attempt has it twice, for each table.
    fn unlink(&mut self, id: Id<T>) {
        let slot = self.arena.get(id);
        let (hash, after) = (slot.hash(), slot.chain());
        let mut next = self.head(hash);
        if next == Some(id) {
            self.set_head(hash, after);
            return;
        }
        while let Some(at) = next {
            next = self.arena.get(at).chain();
            if next == Some(id) {
                self.arena.unchain(at).set_chain(after);
                return;
            }
        }
    }

    /// As for an arena: the slots that were freed leave their chains.
    #[inline(always)] // Most tables have none.
    pub fn commit(&mut self) {
        if !self.arena.freed().is_empty() {
            self.settle();
        }
    }

    #[inline(never)]
    fn settle(&mut self) {
        while let Some(id) = self.arena.freed().last().copied() {
            self.unlink(id);
            self.arena.settle_last(id);
        }
    }

    /// As for an arena: the slots that were taken leave their chains.
    pub fn rollback(&mut self) {
        let mut taken = 0;
        while let Some(id) = self.arena.taken(taken).filter(|_| self.arena.takes_part()) {
            self.unlink(id);
            taken += 1;
        }
        self.arena.rollback();
    }

    /// The slot behind another one on its chain, or the first on the chains after so many, which are counted; for the
    /// consistency check.
    pub fn next_of_all(&self, chains: &mut usize, last: Option<Id<T>>) -> Option<Id<T>> {
        let mut next = last.and_then(|last| self.get(last).chain());
        while next.is_none() {
            next = *self.heads.get(*chains)?;
            *chains += 1;
        }
        next
    }

    /// Every slot reachable by its hash, for the consistency check.
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        let (mut chains, mut last) = (0, None);
        core::iter::from_fn(move || {
            last = self.next_of_all(&mut chains, last);
            last.map(|id| (id, self.get(id)))
        })
    }
}
