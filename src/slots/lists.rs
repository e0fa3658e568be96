//! One list for each slot of another arena, whose slots are the lists' owners.
//!
//! The lists are kept with their members, not in the owners, so an owner's type need not know what it owns. The ends of
//! each list are journaled like its links.

use super::arena::{Full, Slot};
use super::attempt::Attempt;
use super::each::Each;
use super::id::Id;
use super::list::{Linked, List, Queue, Slots};

impl<T: 'static, L: 'static> Slot for List<T, L> {
    const EMPTY: Self = List::EMPTY;
}

impl<T: 'static, L: 'static> Slot for Queue<T, L> {
    const EMPTY: Self = Queue::EMPTY;
}

/// Invariant: there is a list for every slot of the owners' arena. An owner that goes leaves an empty one.
pub struct Lists<O, T, L>(Each<O, List<T, L>>);

impl<O, T: Linked<L>, L: 'static> Lists<O, T, L> {
    /// Empty lists for `owners` owners, of which `journal` may change in an attempt.
    pub fn new(attempt: &Attempt, owners: usize, journal: usize) -> Self {
        Lists(Each::new(attempt, owners, journal))
    }

    /// Bytes of memory for so many lists.
    pub const fn bytes(owners: usize, journal: usize) -> usize {
        Each::<O, List<T, L>>::bytes(owners, journal)
    }

    pub fn of(&self, owner: Id<O>) -> List<T, L> {
        *self.0.of(owner)
    }

    /// Gives the owner another list.
    pub fn set(&mut self, owner: Id<O>, list: List<T, L>) -> Result<(), Full> {
        *self.0.modify(owner)? = list;
        Ok(())
    }

    /// As [`List::append`], to the owner's list.
    pub fn append(&mut self, owner: Id<O>, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        self.0.modify(owner)?.append(slots, id)
    }

    /// As [`List::remove`], from the owner's list.
    pub fn remove(&mut self, owner: Id<O>, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        self.0.modify(owner)?.remove(slots, id)
    }

    pub fn rollback(&mut self) {
        self.0.rollback();
    }
}
