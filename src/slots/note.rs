//! What an arena keeps beside each slot, in one word: the next slot of the free list, or when the slot was last saved.

use super::attempt::Attempt;
use super::id::Id;

/// What makes a link of a handle.
pub const LINK: u32 = Attempt::NUMBERS;

pub fn link_to<T>(next: Option<Id<T>>) -> u32 {
    LINK | next.map_or(0, Id::number)
}

/// The next slot of the free list, of a note that is a link.
pub fn next_of<T>(note: u32) -> Option<Id<T>> {
    Id::numbered(note & !LINK)
}

/// The number of no attempt, which is not 0 either, and whose low half is below that of all numbers.
pub const NEVER: u64 = 1 << u32::BITS;
