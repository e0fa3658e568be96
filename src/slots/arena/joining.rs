//! How an arena takes part in an attempt.

use super::super::note::{LINK, NEVER};
use super::{Arena, Full, Slot};

impl<T: Slot> Arena<T> {
    /// Takes part in the attempt at hand, whose number is the result. Fails if there is none.
    #[inline(always)]
    pub(super) fn join(&mut self) -> Result<u64, Full> {
        self.attempt.tick();
        let number = self.attempt.number();
        if self.joined != number { self.join_late(number) } else { Ok(number) }
    }

    #[inline(never)] // As for `modify`.
    fn join_late(&mut self, number: u64) -> Result<u64, Full> {
        if number == 0 {
            return Err(Full);
        }
        if self.has_old_stamps(number) {
            self.forget_stamps();
        }
        self.join_anew(number);
        Ok(number)
    }

    #[inline(always)]
    pub(super) fn join_anew(&mut self, number: u64) {
        self.saved = self.head;
        self.taken.clear();
        self.saved_slots = 0;
        self.relinked.clear();
        // Last: until then there is nothing to roll back.
        self.joined = number;
    }

    /// Once in 2^31 attempts: stamps of so many attempts ago must not look like this one's.
    #[inline(always)]
    pub(super) fn has_old_stamps(&self, number: u64) -> bool {
        number as u32 <= self.joined as u32
    }

    #[cold]
    #[inline(never)]
    pub(super) fn forget_stamps(&mut self) {
        for place in &mut self.slots {
            if place.note < LINK {
                place.note = 0;
            }
        }
        self.joined = NEVER;
    }
}
