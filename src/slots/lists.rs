//! One list for each slot of another arena: what each of its owners has.
//!
//! The lists are kept with their members, not in the owners, so an owner need not know what it may have. Both ends
//! of each list are journaled like the links between.

use core::marker::PhantomData;

use super::arena::{Arena, Full, Id, Slot};
use super::claim::Claim;
use super::list::{Linked, List, Slots};

impl<T: 'static, L: 'static> Slot for List<T, L> {
    const EMPTY: Self = List::EMPTY;
}

/// Invariant: there is a list for every slot of the owners' arena. An owner that goes leaves an empty one.
pub struct Lists<O, T, L> {
    ends: Arena<List<T, L>>,
    owners: PhantomData<fn(O)>,
}

impl<O, T: Linked<L>, L: 'static> Lists<O, T, L> {
    /// Empty lists for `owners` owners, of which `journal` may change in an attempt.
    pub fn new(owners: usize, journal: usize) -> Self {
        Lists { ends: Arena::new_in_use(owners, journal), owners: PhantomData }
    }

    /// Bytes of memory for so many lists.
    pub const fn bytes(owners: usize, journal: usize) -> usize {
        Arena::<List<T, L>>::bytes(owners, journal)
    }

    pub fn of(&self, owner: Id<O>) -> List<T, L> {
        *self.ends.get(owner.same_place())
    }

    /// As [`List::append`], to the owner's list.
    pub fn append(&mut self, owner: Id<O>, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        self.ends.modify(owner.same_place())?.append(slots, id)
    }

    /// As [`List::remove`], from the owner's list.
    pub fn remove(&mut self, owner: Id<O>, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        self.ends.modify(owner.same_place())?.remove(slots, id)
    }

    pub fn begin(&mut self, claim: Claim) {
        self.ends.begin(claim);
    }

    pub fn commit(&mut self) {
        self.ends.commit();
    }

    pub fn rollback(&mut self) {
        self.ends.rollback();
    }
}
