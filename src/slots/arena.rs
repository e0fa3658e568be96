//! Fixed-capacity slots with typed handles and an undo journal.
//!
//! While an arena records, the old bytes of each changed slot go to the journal, new slots come off the
//! free list without touching their links, and freed slots wait aside. So `rollback` restores exactly
//! what was there at `begin`, whatever a half-done request did, and `commit` costs a few stores.
//! Nothing here allocates after `new`.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::claim::Claim;

/// No free slot, or no room in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Handle of a slot in an `Arena<T>`. Only the arena makes them, so an index is always in range.
pub struct Id<T> {
    raw: NonZeroU32,
    slot: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The first slot, for an owner field of an unused slot.
    pub const FIRST: Self = Id { raw: NonZeroU32::MIN, slot: PhantomData };

    fn from_index(index: usize) -> Option<Self> {
        let raw = u32::try_from(index).ok()?.checked_add(1)?;
        Some(Id { raw: NonZeroU32::new(raw)?, slot: PhantomData })
    }

    /// The slot in the same place of another arena, which must be as large.
    pub(super) fn same_place<U>(self) -> Id<U> {
        Id { raw: self.raw, slot: PhantomData }
    }

    /// Position of the slot, below the arena's capacity.
    pub fn index(self) -> usize {
        self.raw.get() as usize - 1
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<T> core::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "#{}", self.raw)
    }
}

/// A type with a value that an unused slot holds.
pub trait Slot: Copy + 'static {
    const EMPTY: Self;
}

#[derive(Clone, Copy)]
struct Head<T> {
    free: Option<Id<T>>,
    /// Slots from here on were never used.
    fresh: u32,
    used: u32,
}

/// What the arena keeps of each slot beside it.
#[derive(Clone, Copy)]
struct Note<T> {
    /// Of a free slot, the next one. Invariant: taking a slot leaves its link alone, so restoring `head`
    /// restores the list.
    link: Option<Id<T>>,
    /// The request in which the slot was last saved or taken; equal to `request`, nothing is to be saved.
    stamp: u32,
}

/// What belongs to a handle in one of its arena's arrays.
fn at<T, U>(array: &[U], id: Id<T>) -> &U {
    let Some(place) = array.get(id.index()) else { dangling() };
    place
}

fn at_mut<T, U>(array: &mut [U], id: Id<T>) -> &mut U {
    let Some(place) = array.get_mut(id.index()) else { dangling() };
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

pub struct Arena<T> {
    slots: Box<[T]>,
    notes: Box<[Note<T>]>,
    request: u32,
    head: Head<T>,
    high_water: u32,
    /// While recording, for what slots are taken.
    recording: Option<Claim>,
    /// No quota of a domain counts these slots, so guests leave more of them.
    scarce: bool,
    saved: Head<T>,
    journal: Vec<(Id<T>, T)>,
    /// Slots freed while recording; they rejoin the free list at commit.
    freed: Vec<Id<T>>,
}

impl<T: Slot> Arena<T> {
    /// Room for `capacity` slots, and for `journal` changes per request.
    pub fn new(capacity: usize, journal: usize) -> Self {
        let head = Head { free: None, fresh: 0, used: 0 };
        Arena {
            slots: vec![T::EMPTY; capacity].into_boxed_slice(),
            notes: vec![Note { link: None, stamp: 0 }; capacity].into_boxed_slice(),
            request: 0,
            head,
            high_water: 0,
            recording: None,
            scarce: false,
            saved: head,
            journal: Vec::with_capacity(journal),
            freed: Vec::with_capacity(journal),
        }
    }

    /// As `new`, but all slots are in use from the beginning and stay so.
    pub fn new_in_use(capacity: usize, journal: usize) -> Self {
        let mut arena = Self::new(capacity, journal);
        arena.head = Head { free: None, fresh: arena.capacity(), used: arena.capacity() };
        arena
    }

    /// Bytes that `capacity` slots and a journal take.
    pub const fn bytes(capacity: usize, journal: usize) -> usize {
        capacity * (size_of::<T>() + size_of::<Note<T>>()) + journal * (size_of::<(Id<T>, T)>() + 4)
    }

    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn used(&self) -> u32 {
        self.head.used
    }

    /// Most slots ever in use at once.
    pub fn high_water(&self) -> u32 {
        self.high_water
    }

    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Slots that the present claim may still take.
    pub fn available(&self) -> u32 {
        self.available_to(self.recording.unwrap_or(Claim::Answer))
    }

    pub fn available_to(&self, claim: Claim) -> u32 {
        let kept = match claim {
            Claim::GreedyGuest if self.scarce => self.capacity() / 2,
            Claim::GreedyGuest => self.capacity() / 4,
            Claim::Guest if self.scarce => self.capacity() / 4,
            Claim::Guest => self.capacity() / 16,
            Claim::GuestAnswer => self.capacity() / 64 * 3,
            Claim::Privileged => self.capacity() / 32,
            Claim::Answer => 0,
        };
        self.capacity().saturating_sub(self.head.used + self.freed.len() as u32).saturating_sub(kept)
    }

    pub fn alloc(&mut self, value: T) -> Result<Id<T>, Full> {
        if self.available() == 0 {
            return Err(Full);
        }
        let id = match self.head.free {
            Some(id) => {
                self.head.free = at(&self.notes, id).link;
                id
            }
            None => {
                let id = Id::from_index(self.head.fresh as usize).ok_or(Full)?;
                if id.index() >= self.slots.len() {
                    return Err(Full);
                }
                self.head.fresh += 1;
                id
            }
        };
        self.head.used += 1;
        self.high_water = self.high_water.max(self.head.used);
        *at_mut(&mut self.slots, id) = value;
        at_mut(&mut self.notes, id).stamp = self.request;
        Ok(id)
    }

    /// Gives a slot back. Fails only while recording, when more slots go than the journal holds.
    pub fn free(&mut self, id: Id<T>) -> Result<(), Full> {
        if self.is_recording() {
            if self.freed.len() == self.freed.capacity() {
                return Err(Full);
            }
            self.freed.push(id);
        } else {
            at_mut(&mut self.notes, id).link = self.head.free;
            self.head.free = Some(id);
        }
        self.head.used -= 1;
        Ok(())
    }

    pub fn get(&self, id: Id<T>) -> &T {
        at(&self.slots, id)
    }

    /// The slot for changing, its old bytes saved first.
    #[inline(never)] // Called all over; inlined, it would be 5 KB of the image.
    pub fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        let slot = at_mut(&mut self.slots, id);
        if self.recording.is_some() {
            let note = at_mut(&mut self.notes, id);
            if note.stamp != self.request {
                if self.journal.len() == self.journal.capacity() {
                    return Err(Full);
                }
                self.journal.push((id, *slot));
                note.stamp = self.request;
            }
        }
        Ok(slot)
    }

    /// The slot for a change that stands whatever becomes of the request, or that follows a decision.
    pub fn update(&mut self, id: Id<T>) -> &mut T {
        debug_assert!(!self.is_recording(), "a change outside the journal while recording");
        at_mut(&mut self.slots, id)
    }

    /// The slot for a change to links that `rollback` itself undoes.
    pub fn relink(&mut self, id: Id<T>) -> &mut T {
        at_mut(&mut self.slots, id)
    }

    /// Has guests leave more to the privileged, because no quota of theirs counts these slots.
    pub fn make_scarce(&mut self) {
        self.scarce = true;
    }

    pub fn begin(&mut self, claim: Claim) {
        self.saved = self.head;
        self.recording = Some(claim);
        self.request = self.request.wrapping_add(1);
        if self.request == 0 {
            self.forget_stamps();
        }
    }

    /// Once in 2^32 requests: the stamps of so many requests ago must not look like this one's.
    #[cold]
    #[inline(never)]
    fn forget_stamps(&mut self) {
        for note in &mut self.notes {
            note.stamp = 0;
        }
        self.request = 1;
    }

    /// The first slot taken since `begin`: from the part of the old free list that is gone, else from what
    /// was never used before.
    pub fn first_taken(&self) -> Option<Id<T>> {
        match self.saved.free {
            Some(id) if self.head.free != Some(id) => Some(id),
            _ => self.fresh_taken(self.saved.fresh),
        }
    }

    /// The slot taken after `id`.
    pub fn taken_after(&self, id: Id<T>) -> Option<Id<T>> {
        if id.index() >= self.saved.fresh as usize {
            return self.fresh_taken(id.index() as u32 + 1);
        }
        match at(&self.notes, id).link {
            Some(next) if self.head.free != Some(next) => Some(next),
            _ => self.fresh_taken(self.saved.fresh),
        }
    }

    fn fresh_taken(&self, index: u32) -> Option<Id<T>> {
        (index < self.head.fresh).then(|| Id::from_index(index as usize)).flatten()
    }

    pub fn commit(&mut self) {
        while let Some(id) = self.freed.pop() {
            at_mut(&mut self.notes, id).link = self.head.free;
            self.head.free = Some(id);
        }
        self.settle();
    }

    pub fn rollback(&mut self) {
        while let Some((id, old)) = self.journal.pop() {
            *at_mut(&mut self.slots, id) = old;
        }
        self.head = self.saved;
        self.freed.clear();
        self.settle();
    }

    fn settle(&mut self) {
        self.journal.clear();
        self.recording = None;
    }

    /// Every slot, in use or not.
    pub fn slots(&self) -> &[T] {
        &self.slots
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
            next = at(&self.notes, id).link;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for u32 {
        const EMPTY: u32 = 0;
    }

    #[test]
    fn rollback_restores_slots_links_and_counts() {
        let mut arena = Arena::<u32>::new(8, 8);
        let ids: [Id<u32>; 4] = core::array::from_fn(|n| arena.alloc(n as u32).unwrap());
        arena.free(ids[1]).unwrap();
        arena.begin(Claim::Privileged);
        *arena.modify(ids[0]).unwrap() = 70;
        arena.free(ids[2]).unwrap();
        arena.free(ids[3]).unwrap();
        let taken = arena.alloc(71).unwrap();
        assert_eq!(taken, ids[1], "slots freed in the request are not handed out in it");
        arena.free(taken).unwrap();
        *arena.modify(ids[0]).unwrap() = 72;
        arena.rollback();
        assert_eq!((arena.used(), *arena.get(ids[0]), *arena.get(ids[3])), (3, 0, 3));
        assert_eq!(arena.count_free(), 5);
        assert_eq!(arena.alloc(9).unwrap(), ids[1]);
        assert_eq!(arena.alloc(9).unwrap().index(), 4);
    }

    #[test]
    fn commit_makes_freed_slots_available() {
        let mut arena = Arena::<u32>::new(2, 2);
        let first = arena.alloc(1).unwrap();
        arena.alloc(2).unwrap();
        arena.begin(Claim::Privileged);
        arena.free(first).unwrap();
        assert_eq!(arena.alloc(3), Err(Full), "a freed slot may still be rolled back");
        arena.commit();
        assert_eq!(arena.alloc(3), Ok(first));
    }

    #[test]
    fn guests_leave_the_reserve() {
        let mut arena = Arena::<u32>::new(32, 1);
        arena.begin(Claim::Guest);
        let taken = (0..).take_while(|n| arena.alloc(*n).is_ok()).count();
        assert_eq!(taken, 30);
        arena.commit();
        assert!(arena.alloc(0).is_ok());
    }

    #[test]
    fn a_full_journal_refuses_the_change() {
        let mut arena = Arena::<u32>::new(4, 1);
        let (a, b) = (arena.alloc(1).unwrap(), arena.alloc(2).unwrap());
        arena.begin(Claim::Privileged);
        *arena.modify(a).unwrap() = 5;
        assert_eq!(arena.modify(b), Err(Full));
        arena.rollback();
        assert_eq!((*arena.get(a), *arena.get(b)), (1, 2));
    }
}
