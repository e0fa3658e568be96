//! Handles of slots, and neighbours in a list.

use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::attempt::Attempt;

/// Handle of a slot in an `Arena<T>`. Only the arena makes them, so an index is always in range.
pub struct Id<T> {
    raw: NonZeroU32,
    slot: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The first slot, for an owner field of an unused slot.
    pub const FIRST: Self = Id { raw: NonZeroU32::MIN, slot: PhantomData };

    pub(super) fn from_index(index: usize) -> Option<Self> {
        let raw = u32::try_from(index).ok()?.checked_add(1)?;
        if raw < Attempt::NUMBERS { Id::numbered(raw) } else { None }
    }

    /// The handle as a number: not 0, and below 2^31, so that a note has room for a bit beside it.
    pub(super) fn number(self) -> u32 {
        self.raw.get()
    }

    /// The handle that is this number; none has 0.
    pub(super) fn numbered(number: u32) -> Option<Self> {
        Some(Id { raw: NonZeroU32::new(number)?, slot: PhantomData })
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

/// A slot's neighbours in a list.
pub struct Links<T> {
    pub next: Option<Id<T>>,
    pub prev: Option<Id<T>>,
}

impl<T> Clone for Links<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Links<T> {}

impl<T> Links<T> {
    pub const NONE: Self = Links { next: None, prev: None };
}
