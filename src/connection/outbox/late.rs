//! The request that has made a change of which others hear later, as the cause of what waits for them.

use super::Outbox;

impl Outbox {
    /// The request at hand has made a change of which others hear later, and is over soon.
    pub fn leave_late(&mut self) {
        self.late = self.late.or(Some(self.current));
    }

    /// The request that has made that change is at hand for one message, or was; if it still is, it stays so.
    pub fn change_late(&mut self) {
        if let Some(late) = &mut self.late {
            core::mem::swap(&mut self.current, late);
            self.is_late = !self.is_late;
        }
    }

    /// All who hear of that change have their places.
    pub fn end_late(&mut self) {
        self.late = None;
    }
}
