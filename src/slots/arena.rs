//! Fixed-capacity slots with typed handles and an undo journal.
//!
//! In an attempt the old bytes of each changed slot go to the journal, the slots that come off the free list are noted in
//! order, and freed slots wait aside. So `rollback` restores exactly what was there before, whatever
//! a half-done request did. Where no slot was freed the end costs nothing: in the next attempt the journal begins anew.
//! Outside attempts one slot may be changed at a time. Nothing here allocates after `new`.

mod joining;
mod lending;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::attempt::Attempt;
use super::claim::Claim;
use super::id::{Id, Links};
use super::note::{NEVER, link_to, next_of};
use crate::room::{filled, unfilled};

/// No free slot, or no room in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Where in a slot its neighbours in one of its lists are.
type LinksOf<T> = fn(&mut T) -> &mut Links<T>;

/// Neighbours as they were.
#[derive(Clone, Copy)]
struct Relinked<T> {
    id: Id<T>,
    links: LinksOf<T>,
    old: Links<T>,
}

/// A type with a value that an unused slot holds.
pub trait Slot: Copy + 'static {
    const EMPTY: Self;

    /// How many slots an attempt may take that were used before.
    const TAKEN: usize = 64;

    /// Whether somebody walks [`Arena::slots`] and tells by their values which are in use. What is freed says so before.
    const WALKED: bool = false;
}

#[derive(Clone, Copy)]
struct Head<T> {
    free: Option<Id<T>>,
    /// Slots from here on were never used.
    fresh: u32,
    used: u32,
}

/// A slot, and what the arena keeps of it.
#[derive(Clone, Copy)]
struct Place<T> {
    value: T,
    /// Of a free slot a link to the next one, which is above all stamps.
    ///
    /// Else the stamp: the low half of the number of the attempt in which the slot was last saved or taken: in the same, nothing
    /// is to be saved. 0 if that was long ago. Invariant: it is not above the low half of `joined`.
    note: u32,
}

/// Where a handle leads.
fn at<T>(slots: &[Place<T>], id: Id<T>) -> &Place<T> {
    let Some(place) = slots.get(id.index()) else { dangling() };
    place
}

fn at_mut<T>(slots: &mut [Place<T>], id: Id<T>) -> &mut Place<T> {
    let Some(place) = slots.get_mut(id.index()) else { dangling() };
    place
}

/// Apart from its callers, so that each of them is spared all but a jump.
#[cold]
#[inline(never)]
fn dangling() -> ! {
    panic!("a handle leads out of its arena")
}

/// Where an arena's slots are.
pub struct Balance {
    pub capacity: u32,
    pub used: u32,
    /// On the free list or never used, as counted.
    pub free: u32,
}

/// What there is of an arena to share.
#[derive(Clone, Copy)]
pub struct Room {
    pub capacity: u32,
    /// Slots that may be taken now.
    pub free: u32,
}

pub struct Arena<T> {
    /// Those that were ever used. The memory of the others has not been written to, so that it can serve otherwise.
    slots: Vec<Place<T>>,
    /// How many there may be: fewer than there is memory for while some of that is lent.
    capacity: u32,
    attempt: Attempt,
    /// The latest attempt that this arena took part in. It joins at its first change.
    joined: u64,
    head: Head<T>,
    high_water: u32,
    /// As it was at the beginning of the attempt.
    saved: Head<T>,
    /// The slots that the attempt has taken off the free list, in order.
    taken: Vec<Id<T>>,
    /// Slots as they were, so many of them.
    journal: Box<[(Id<T>, T)]>,
    saved_slots: usize,
    /// Old neighbours of slots of which nothing else was saved, and where in the slot they belong.
    relinked: Vec<Relinked<T>>,
    /// Slots freed in the attempt; they rejoin the free list at its end.
    freed: Vec<Id<T>>,
}

impl<T: Slot> Arena<T> {
    /// Room for `capacity` slots, of which an attempt may change `journal` and free `freed`.
    pub fn new(attempt: &Attempt, capacity: usize, journal: usize, freed: usize) -> Self {
        Self::of(attempt, unfilled(capacity), capacity, journal, freed)
    }

    /// As `new`, but all slots are in use from the beginning and stay so.
    pub fn new_in_use(attempt: &Attempt, capacity: usize, journal: usize) -> Self {
        let slots = filled(&Place { value: T::EMPTY, note: 0 }, capacity).into_vec();
        Self::of(attempt, slots, capacity, journal, 0)
    }

    /// Of slots for which there is memory, those in use.
    fn of(attempt: &Attempt, slots: Vec<Place<T>>, capacity: usize, journal: usize, freed: usize) -> Self {
        let used = slots.len() as u32;
        let head = Head { free: None, fresh: used, used };
        Arena {
            slots,
            capacity: capacity as u32,
            attempt: attempt.clone(),
            joined: NEVER,
            head,
            high_water: 0,
            saved: head,
            taken: unfilled(Self::most_taken(capacity, freed)),
            journal: filled(&(Id::FIRST, T::EMPTY), journal),
            saved_slots: 0,
            relinked: unfilled(journal),
            freed: unfilled(freed),
        }
    }

    /// Bytes of memory that `new` takes.
    pub const fn bytes(capacity: usize, journal: usize, freed: usize) -> usize {
        capacity * size_of::<Place<T>>()
            + journal * (size_of::<(Id<T>, T)>() + size_of::<Relinked<T>>())
            + (freed + Self::most_taken(capacity, freed)) * size_of::<Id<T>>()
    }

    /// How many slots an attempt may take off the free list, which is empty where none may be freed.
    const fn most_taken(capacity: usize, freed: usize) -> usize {
        let most = if freed == 0 { 0 } else { T::TAKEN };
        if most < capacity { most } else { capacity }
    }

    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    pub fn used(&self) -> u32 {
        self.head.used
    }

    /// Slots in use, the most that ever were at once, and all.
    pub fn level(&self) -> [u32; 3] {
        [self.head.used, self.high_water, self.capacity()]
    }

    /// The attempt that all arenas of a store share.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Slots that the present claim may still take.
    pub fn available(&self) -> u32 {
        self.available_to(self.attempt.claim())
    }

    pub fn available_to(&self, claim: Claim) -> u32 {
        self.room().free.saturating_sub(claim.kept(self.capacity()))
    }

    /// How much there is to share.
    pub fn room(&self) -> Room {
        let capacity = self.capacity();
        Room { capacity, free: capacity.saturating_sub(self.head.used + self.freed.len() as u32) }
    }

    pub fn alloc(&mut self, value: T) -> Result<Id<T>, Full> {
        let number = self.join().unwrap_or(0);
        if self.available() == 0 {
            return Err(Full);
        }
        let id = match self.head.free {
            Some(id) if number == 0 || self.taken.len() < self.taken.capacity() => {
                let place = at_mut(&mut self.slots, id);
                if number != 0 {
                    // First: until the list's head has moved on, its note is a link.
                    self.taken.push(id);
                }
                self.head.free = next_of(place.note);
                *place = Place { value, note: number as u32 };
                id
            }
            _ => {
                let id = Id::from_index(self.head.fresh as usize).ok_or(Full)?;
                if id.index() >= self.capacity as usize {
                    return Err(Full);
                }
                let place = Place { value, note: number as u32 };
                if let Some(unused) = self.slots.get_mut(id.index()) {
                    *unused = place;
                } else if self.slots.len() < self.slots.capacity() {
                    self.slots.push(place);
                }
                self.head.fresh += 1;
                id
            }
        };
        self.head.used += 1;
        self.high_water = self.high_water.max(self.head.used);
        Ok(id)
    }

    /// Whether slots have been given back that nobody has taken again.
    pub fn has_gaps(&self) -> bool {
        self.head.free.is_some()
    }

    /// The slot that [`Arena::push_fresh`] takes next, in an arena that has no gaps.
    #[inline(always)] // As that.
    pub fn fresh_id(&self) -> Result<Id<T>, Full> {
        let index = self.head.fresh as usize;
        if index >= self.capacity as usize || index != self.slots.len() || self.head.free.is_some() {
            return Err(Full);
        }
        Id::numbered(self.head.fresh + 1).ok_or(Full)
    }

    /// Takes the slot of [`Arena::fresh_id`], outside attempts.
    #[inline(always)] // So that the value is made in its place.
    pub fn push_fresh(&mut self, value: T) {
        debug_assert!(!self.attempt.is_open(), "what is undone must be known");
        self.attempt.tick();
        self.slots.push(Place { value, note: 0 });
        self.head.fresh += 1;
    }

    /// Counts the slots that [`Arena::push_fresh`] has taken. Invariant: until then nobody asks how many there are.
    pub fn count_fresh(&mut self) {
        // Without gaps all up to here are in use.
        if self.head.free.is_none() {
            self.head.used = self.head.fresh;
            self.high_water = self.high_water.max(self.head.used);
        }
    }

    /// Gives a slot back at the end of the attempt. Fails when more slots go than the journal holds.
    #[inline(never)] // As for `modify`.
    pub fn free(&mut self, id: Id<T>) -> Result<(), Full> {
        self.join()?;
        if self.freed.len() == self.freed.capacity() {
            return Err(Full);
        }
        self.freed.push(id);
        self.attempt.note_freed();
        self.head.used -= 1;
        Ok(())
    }

    /// The handle of the slot in this place, if that was ever taken.
    pub fn id_at(&self, index: usize) -> Option<Id<T>> {
        if index < self.head.fresh as usize { Id::from_index(index) } else { None }
    }

    pub fn get(&self, id: Id<T>) -> &T {
        self.attempt.look();
        &at(&self.slots, id).value
    }

    /// The slot for changing in an attempt, its old bytes saved first.
    #[inline(never)] // Called all over; inlined, it would be 10 KB of the image.
    pub fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        self.attempt.tick();
        let number = self.attempt.number();
        if self.joined != number {
            if number == 0 || self.has_old_stamps(number) {
                return self.modify_anew(id);
            }
            self.join_anew(number);
        }
        let place = at_mut(&mut self.slots, id);
        if place.note != number as u32 {
            let saved = self.journal.get_mut(self.saved_slots).ok_or(Full)?;
            saved.0 = id;
            saved.1 = place.value;
            self.saved_slots += 1;
            place.note = number as u32;
        }
        Ok(&mut place.value)
    }

    /// Apart, so that `modify` calls nothing.
    #[cold]
    #[inline(never)]
    fn modify_anew(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        debug_assert!(self.attempt.is_open(), "a change outside attempts that might be half done");
        if !self.attempt.is_open() {
            return Err(Full);
        }
        self.forget_stamps();
        self.modify(id)
    }

    /// A slot's neighbours in one of its lists, for changing in an attempt: they are saved alone if the slot is not.
    #[inline(always)] // So that `links` is no call.
    pub fn relink(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        self.attempt.tick();
        let number = self.attempt.number();
        if self.joined != number {
            return self.relink_late(id, links);
        }
        self.relink_now(id, links)
    }

    #[inline(never)] // As for `modify`.
    fn relink_late(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        self.join()?;
        self.relink_now(id, links)
    }

    #[inline(always)]
    fn relink_now(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        let place = at_mut(&mut self.slots, id);
        let neighbours = links(&mut place.value);
        if place.note != self.joined as u32 {
            if self.relinked.len() == self.relinked.capacity() {
                return Err(Full);
            }
            self.relinked.push(Relinked { id, links, old: *neighbours });
        }
        Ok(neighbours)
    }

    /// The slot for a change outside attempts, of this one slot only: so it happens completely or not at all.
    pub fn update(&mut self, id: Id<T>) -> &mut T {
        debug_assert!(!self.attempt.is_open(), "a change outside the journal while recording");
        self.attempt.tick();
        &mut at_mut(&mut self.slots, id).value
    }

    /// The slot for a change to links that the end of the attempt itself makes or undoes.
    pub fn unchain(&mut self, id: Id<T>) -> &mut T {
        &mut at_mut(&mut self.slots, id).value
    }

    /// The slot for a mark that no attempt undoes: whoever sets it takes it away.
    pub fn mark(&mut self, id: Id<T>) -> &mut T {
        &mut at_mut(&mut self.slots, id).value
    }

    /// Whether anything has changed in the attempt at hand.
    pub fn takes_part(&self) -> bool {
        self.joined == self.attempt.number()
    }

    /// The slot that the attempt has taken after so many others: first those off the free list, then what was never used before.
    pub fn taken(&self, before: usize) -> Option<Id<T>> {
        let Some(fresh) = before.checked_sub(self.taken.len()) else {
            return self.taken.get(before).copied();
        };
        let index = self.saved.fresh as usize + fresh;
        if index < self.head.fresh as usize { Id::from_index(index) } else { None }
    }

    /// How many more slots may be freed in the attempt.
    pub fn room_to_free(&self) -> usize {
        self.freed.capacity() - self.freed.len()
    }

    /// The slots freed in the attempt.
    pub fn freed(&self) -> &[Id<T>] {
        &self.freed
    }

    /// Makes the attempt's changes last. Stopped at any point and called again, it does the rest.
    pub fn commit(&mut self) {
        if !self.freed.is_empty() {
            self.settle();
        }
    }

    #[inline(never)]
    fn settle(&mut self) {
        while let Some(id) = self.freed.last().copied() {
            self.settle_last(id);
        }
    }

    /// The slot that was freed last rejoins the free list.
    #[inline(always)]
    pub(super) fn settle_last(&mut self, id: Id<T>) {
        self.attempt.tick();
        if self.head.free != Some(id) {
            at_mut(&mut self.slots, id).note = link_to(self.head.free);
            self.head.free = Some(id);
        }
        self.freed.pop();
    }

    /// Undoes the attempt's changes. Stopped at any point and called again, it does the rest.
    #[inline(never)]
    pub fn rollback(&mut self) {
        if self.takes_part() {
            self.attempt.tick();
            for (id, old) in self.journal.iter().take(self.saved_slots) {
                at_mut(&mut self.slots, *id).value = *old;
            }
            // What was saved as a whole has the neighbours that it had then.
            for Relinked { id, links, old } in self.relinked.iter().rev() {
                *links(&mut at_mut(&mut self.slots, *id).value) = *old;
            }
            let mut next = self.head.free;
            for id in self.taken.iter().rev() {
                let place = at_mut(&mut self.slots, *id);
                if T::WALKED {
                    place.value = T::EMPTY;
                }
                // Equal if it was being taken when the attempt stopped: its note is a link still.
                if next != Some(*id) {
                    place.note = link_to(next);
                }
                next = Some(*id);
            }
            if T::WALKED {
                let fresh = self.slots.get_mut(self.saved.fresh as usize..self.head.fresh as usize);
                fresh.unwrap_or_default().iter_mut().for_each(|place| place.value = T::EMPTY);
            }
            // Before the head leads to them again.
            self.taken.clear();
            self.head = self.saved;
            self.freed.clear();
            self.saved_slots = 0;
            self.relinked.clear();
        }
    }

    /// Every slot that was ever used.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator {
        self.slots.iter().map(|place| &place.value)
    }

    /// What there is of the slots, for the consistency check.
    #[inline(never)]
    pub fn balance(&self) -> Balance {
        Balance { capacity: self.capacity(), used: self.used(), free: self.count_free() }
    }

    /// Slots on the free list or never used, counted by walking.
    fn count_free(&self) -> u32 {
        let mut count = self.capacity() - self.head.fresh;
        let mut next = self.head.free;
        while let Some(id) = next {
            count += 1;
            if count > self.capacity() {
                return count;
            }
            next = next_of(at(&self.slots, id).note);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for u32 {
        const EMPTY: u32 = 0;
        const WALKED: bool = true;
    }

    /// Runs an attempt on one arena, which is decided if `step` says so.
    fn attempt(arena: &mut Arena<u32>, claim: Claim, step: impl FnOnce(&mut Arena<u32>) -> bool) {
        arena.attempt.begin(claim);
        if step(arena) {
            arena.commit()
        } else {
            arena.rollback()
        }
        arena.attempt.end();
    }

    #[test]
    fn rollback_restores_slots_links_and_counts() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 8, 8, 8);
        let ids: [Id<u32>; 4] = core::array::from_fn(|n| arena.alloc(n as u32).unwrap());
        attempt(&mut arena, Claim::Privileged, |arena| arena.free(ids[1]).is_ok());
        attempt(&mut arena, Claim::Privileged, |arena| {
            *arena.modify(ids[0]).unwrap() = 70;
            arena.free(ids[2]).unwrap();
            arena.free(ids[3]).unwrap();
            let taken = arena.alloc(71).unwrap();
            assert_eq!(taken, ids[1], "slots freed in the attempt are not handed out in it");
            arena.free(taken).unwrap();
            *arena.modify(ids[0]).unwrap() = 72;
            false
        });
        assert_eq!((arena.used(), *arena.get(ids[0]), *arena.get(ids[3])), (3, 0, 3));
        assert_eq!(arena.count_free(), 5);
        attempt(&mut arena, Claim::Privileged, |arena| {
            assert!((0..3).all(|n| arena.alloc(80 + n).is_ok()));
            false
        });
        assert!(arena.slots().all(|value| *value < 80), "an unused slot is empty");
        assert_eq!(arena.alloc(9).unwrap(), ids[1]);
        assert_eq!(arena.alloc(9).unwrap().index(), 4);
    }

    #[test]
    fn commit_makes_freed_slots_available() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 2, 2, 2);
        let first = arena.alloc(1).unwrap();
        arena.alloc(2).unwrap();
        attempt(&mut arena, Claim::Privileged, |arena| {
            arena.free(first).unwrap();
            assert_eq!(arena.alloc(3), Err(Full), "a freed slot may still be rolled back");
            true
        });
        assert_eq!(arena.alloc(3), Ok(first));
    }

    #[test]
    fn guests_leave_the_reserve() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 64, 1, 1);
        attempt(&mut arena, Claim::Guest, |arena| {
            let taken = (0..).take_while(|n| arena.alloc(*n).is_ok()).count();
            assert_eq!(taken, 61);
            true
        });
        assert!(arena.alloc(0).is_ok());
    }

    #[test]
    fn only_what_was_never_used_is_lent() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 16, 8, 8);
        let ids: [Id<u32>; 4] = core::array::from_fn(|n| arena.alloc(n as u32).unwrap());
        attempt(&mut arena, Claim::Privileged, |arena| ids.iter().all(|id| arena.free(*id).is_ok()));
        let whole = arena.untouched();
        assert_eq!(whole.end - whole.start, 12 * size_of::<Place<u32>>());
        assert_eq!(arena.lend(13 * size_of::<Place<u32>>()), None);
        assert_eq!(arena.lendable(), 12 * size_of::<Place<u32>>());
        let lent = arena.lend(10 * size_of::<Place<u32>>() - 1).unwrap();
        assert_eq!((lent.end, lent.end - lent.start), (whole.end, 10 * size_of::<Place<u32>>()));
        assert_eq!((arena.capacity(), arena.untouched().end), (6, lent.start));
        assert_eq!((0..).take_while(|n| arena.alloc(*n).is_ok()).count(), 6);
        let Balance { capacity, used, free } = arena.balance();
        assert_eq!((capacity, used, free), (6, 6, 0));
        arena.take_back();
        assert_eq!((0..).take_while(|n| arena.alloc(*n).is_ok()).count(), 10);
    }

    #[test]
    fn a_full_journal_refuses_the_change() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 4, 1, 1);
        let (a, b) = (arena.alloc(1).unwrap(), arena.alloc(2).unwrap());
        attempt(&mut arena, Claim::Privileged, |arena| {
            *arena.modify(a).unwrap() = 5;
            assert_eq!(arena.modify(b), Err(Full));
            false
        });
        assert_eq!((*arena.get(a), *arena.get(b)), (1, 2));
    }

    #[test]
    fn what_an_attempt_has_taken_rejoins_the_free_list_in_its_order() {
        const COUNT: usize = <u32 as Slot>::TAKEN;
        let mut arena = Arena::<u32>::new(&Attempt::new(), COUNT + 4, 4, COUNT + 1);
        let ids: Vec<Id<u32>> = (0..=COUNT).map(|n| arena.alloc(n as u32).unwrap()).collect();
        attempt(&mut arena, Claim::Answer, |arena| ids.iter().all(|id| arena.free(*id).is_ok()));
        for more in [0, 1, 2, COUNT, COUNT + 1, COUNT + 3] {
            attempt(&mut arena, Claim::Answer, |arena| {
                for n in 0..more {
                    let id = arena.alloc(7).unwrap();
                    assert_eq!(arena.taken(n), Some(id));
                    // Beyond what can be noted come slots that were never used, and all that are there are on the list again.
                    assert_eq!(id.index(), if n < COUNT { n } else { n + 1 });
                    *arena.modify(id).unwrap() = 8;
                }
                assert_eq!(arena.taken(more), None);
                false
            });
            assert_eq!((arena.used(), arena.count_free()), (0, COUNT as u32 + 4));
        }
    }

    #[test]
    fn the_end_of_an_attempt_may_be_made_twice() {
        let mut arena = Arena::<u32>::new(&Attempt::new(), 4, 4, 4);
        let ids: [Id<u32>; 3] = core::array::from_fn(|n| arena.alloc(n as u32).unwrap());
        attempt(&mut arena, Claim::Privileged, |arena| {
            arena.free(ids[0]).unwrap();
            arena.free(ids[1]).unwrap();
            arena.commit();
            true
        });
        assert_eq!((arena.used(), arena.count_free()), (1, 3));
        attempt(&mut arena, Claim::Privileged, |arena| {
            arena.free(ids[2]).unwrap();
            arena.rollback();
            false
        });
        assert_eq!((arena.used(), arena.count_free()), (1, 3));
    }

    #[test]
    fn stamps_of_long_ago_mean_nothing() {
        for takes_one_first in [false, true] {
            let mut arena = Arena::<u32>::new(&Attempt::new(), 2, 2, 2);
            let id = arena.alloc(1).unwrap();
            attempt(&mut arena, Claim::Privileged, |arena| arena.modify(id).is_ok());
            // The low half of the number is the same again.
            arena.attempt.skip(u64::from(u32::MAX));
            attempt(&mut arena, Claim::Privileged, |arena| {
                assert_eq!(at(&arena.slots, id).note, arena.attempt.number() as u32);
                if takes_one_first {
                    arena.alloc(3).unwrap();
                }
                *arena.modify(id).unwrap() = 2;
                false
            });
            assert_eq!(*arena.get(id), 1);
        }
    }
}
