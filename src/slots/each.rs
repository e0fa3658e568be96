//! One value for each slot of another arena, kept apart from it and journaled like any slot.

use core::marker::PhantomData;

use super::arena::{Arena, Full, Slot};
use super::attempt::Attempt;
use super::id::Id;

pub struct Each<O, V> {
    values: Arena<V>,
    owners: PhantomData<fn(O)>,
}

impl<O, V: Slot> Each<O, V> {
    /// Empty values for `owners` owners, of which `journal` may change in an attempt.
    pub fn new(attempt: &Attempt, owners: usize, journal: usize) -> Self {
        Each { values: Arena::new_in_use(attempt, owners, journal), owners: PhantomData }
    }

    /// Bytes of memory for so many values.
    pub const fn bytes(owners: usize, journal: usize) -> usize {
        Arena::<V>::bytes(owners, journal, 0)
    }

    pub fn of(&self, owner: Id<O>) -> &V {
        self.values.get(owner.same_place())
    }

    /// The owner's value for changing in an attempt.
    pub fn modify(&mut self, owner: Id<O>) -> Result<&mut V, Full> {
        self.values.modify(owner.same_place())
    }

    /// The owner's value for a change outside attempts, which must be the only one.
    pub fn update(&mut self, owner: Id<O>) -> &mut V {
        self.values.update(owner.same_place())
    }

    pub fn rollback(&mut self) {
        self.values.rollback();
    }
}
