//! Memory of slots that were never used, which serves otherwise for a while.

use core::ops::Range;

use super::{Arena, Place, Slot};

impl<T: Slot> Arena<T> {
    /// Addresses of the memory of slots that were never used. Whoever writes there must be done before the next slot is
    /// taken.
    pub fn untouched(&self) -> Range<usize> {
        let start = self.slots.as_ptr().expose_provenance();
        start + self.slots.len() * size_of::<Place<T>>()
            ..start + self.capacity as usize * size_of::<Place<T>>()
    }

    /// Lends memory of slots that were never used, the addresses of `bytes` or somewhat more. Refused if an eighth of the
    /// slots would not stay free.
    pub fn lend(&mut self, bytes: usize) -> Option<Range<usize>> {
        let slots = u32::try_from(bytes.div_ceil(size_of::<Place<T>>().max(1))).ok()?;
        let rest = self.capacity.checked_sub(slots).filter(|rest| *rest as usize >= self.slots.len())?;
        if self.room().free < slots + self.capacity / 8 {
            return None;
        }
        let end = self.untouched().end;
        self.capacity = rest;
        Some(self.untouched().end..end)
    }

    /// Bytes that can be lent.
    pub fn lendable(&self) -> usize {
        let reserve = self.capacity as usize / 8;
        let unused = (self.capacity as usize).saturating_sub(self.slots.len());
        unused.min((self.room().free as usize).saturating_sub(reserve)) * size_of::<Place<T>>()
    }

    /// Whether some is lent.
    pub fn is_lent(&self) -> bool {
        (self.capacity as usize) < self.slots.capacity()
    }

    /// What was lent is the arena's own again, and of no certain content.
    pub fn take_back(&mut self) {
        self.capacity = self.slots.capacity() as u32;
    }
}
