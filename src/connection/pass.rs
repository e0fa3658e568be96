//! Which peers are notified of new ring indexes: once a connection has nothing more to do, so once for a whole burst.

use super::budget::{Class, Marks};
use super::schedule::Schedule;
use crate::store::DomainId;

/// Progress of a pass over the peers to be notified.
#[derive(Default)]
pub struct Pass {
    seen: usize,
    kept: usize,
    /// A guest has been notified in it.
    told: bool,
    /// No guest is notified in it any more, only who comes before guests.
    ends: bool,
}

impl Pass {
    /// One over those who come before guests.
    pub fn urgent() -> Pass {
        Pass { ends: true, ..Pass::default() }
    }
}

impl Schedule {
    /// Has the peer notified once the connection has nothing more to do.
    #[inline]
    pub fn notify(&mut self, id: DomainId) {
        if self.mark(id, Marks::NOTIFY) {
            // At the end, where a pass that is under way finds it.
            self.notify.push(id);
        }
    }

    /// Whether some peer is to be notified.
    pub fn has_to_notify(&self) -> bool {
        !self.notify.is_empty()
    }

    /// After a turn of `id`, while others are ready: whether its peer is notified at once. So it is if others wait for what
    /// the peer does, and the connection has nothing more to do.
    pub fn is_urgent(&self, id: DomainId) -> bool {
        let entry = self.entries.get(id.index());
        entry.is_some_and(|entry| entry.class != Class::Guest && !entry.marks.contains(Marks::READY))
    }

    /// The only peer to be notified, if its connection has nothing more to do. It is not on the list any more.
    #[inline(always)] // In each wake-up.
    pub fn take_only_idle(&mut self) -> Option<DomainId> {
        let [id] = *self.notify.as_slice() else { return None };
        let entry = self.entries.get_mut(id.index()).filter(|entry| !entry.marks.contains(Marks::READY))?;
        entry.marks -= Marks::NOTIFY;
        self.notify.clear();
        self.turns = 0;
        Some(id)
    }

    /// Whether several peers are to be notified.
    pub fn has_several_to_notify(&self) -> bool {
        self.notify.len() > 1
    }

    /// After a turn, while others are ready: whether a pass over the peers to be notified is due. There is one for as many
    /// turns as the list has peers, so each turn pays for looking at one.
    pub fn is_pass_due(&mut self) -> bool {
        self.turns += 1;
        let due = self.turns >= self.notify.len();
        // Mostly it is the one whose turns these are, which has more to do.
        let nobody = match *self.notify.as_slice() {
            [] => true,
            [id] => self.is(id, Marks::READY),
            _ => false,
        };
        if due && nobody {
            self.turns = 0;
        }
        due && !nobody
    }

    /// The next peer to be notified whose connection has nothing more to do. The others stay on the list. For guests the pass is
    /// over once one has been notified and somebody is ready who comes before them: who is notified may have the processor
    /// before the server has it again. In the end [`Schedule::end_pass`] is to be called.
    pub fn next_idle(&mut self, pass: &mut Pass) -> Option<DomainId> {
        pass.ends |= pass.told && self.filled & !(Class::Guest as u8) != 0;
        while let Some(id) = self.notify.get(pass.seen).copied() {
            pass.seen += 1;
            if let Some(entry) = self.entries.get_mut(id.index()).filter(|entry| {
                let waits = pass.ends && entry.class == Class::Guest;
                !entry.marks.contains(Marks::READY) && !waits
            }) {
                entry.marks -= Marks::NOTIFY;
                pass.told |= entry.class == Class::Guest;
                return Some(id);
            }
            if let Some(place) = self.notify.get_mut(pass.kept) {
                *place = id;
            }
            pass.kept += 1;
        }
        None
    }

    /// Whether a pass has more peers to look at.
    pub fn has_more(&self, pass: &Pass) -> bool {
        pass.seen < self.notify.len()
    }

    /// Ends a pass that has seen all.
    pub fn end_pass(&mut self, pass: &Pass) {
        self.notify.truncate(pass.kept);
        if !pass.ends {
            self.turns = 0;
        }
    }

    /// A peer to be notified, also one whose connection has more to do. It is not on the list any more.
    pub fn take_to_notify(&mut self) -> Option<DomainId> {
        let id = self.notify.pop()?;
        self.unmark(id, Marks::NOTIFY);
        Some(id)
    }
}
