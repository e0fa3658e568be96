//! Connections whose next request waits until what is under way is done.

use super::budget::{Class, Marks};
use super::schedule::{Lane, Schedule};
use crate::store::DomainId;

impl Schedule {
    /// Has a connection wait until what is under way is done.
    #[inline(never)]
    pub fn put_off(&mut self, id: DomainId) {
        if self.mark(id, Marks::PUT_OFF) {
            self.put_off.push(id);
        }
    }

    /// Nothing is under way any more. Those who wait for that come first, in the order in which they have come.
    #[inline(never)]
    pub fn go_on(&mut self) {
        let owing = core::mem::take(&mut self.owing);
        if self.put_off.is_empty() {
            return;
        }
        // All line up anew, maybe in other lanes: a class may have changed meanwhile.
        self.filled = 0;
        for lane in core::mem::replace(&mut self.lanes, [Lane::EMPTY; Class::COUNT]) {
            let mut next = lane.first;
            while let Some(id) = next {
                let Some(entry) = self.entries.get(id.index()) else { break };
                if !entry.marks.contains(Marks::PUT_OFF) {
                    self.put_off.push(id);
                }
                next = entry.next;
            }
        }
        let (mut turns, mut most) = ([0; Class::COUNT], 0);
        for n in 0..self.put_off.len() {
            let Some(id) = self.put_off.get(n).copied() else { break };
            let Some(entry) = self.entries.get_mut(id.index()) else { break };
            entry.marks = (entry.marks - Marks::PUT_OFF) | Marks::READY;
            entry.next = None;
            let class = entry.class;
            self.line_up(id, class);
            // Lanes have turns alike, so the last in the longest comes last.
            if owing && let Some(turns) = turns.get_mut(Class::lane(class as u8)) {
                *turns += 1;
                if *turns > most {
                    (most, self.owed) = (*turns, Some(id));
                }
            }
        }
        self.put_off.clear();
    }

    /// What is under way is news: all that are ready after it have a turn before more is heard.
    pub fn owe(&mut self) {
        self.owing = true;
    }

    /// Whether somebody has not had its turn since the last news.
    pub fn owes(&self) -> bool {
        self.owed.is_some_and(|id| self.is(id, Marks::READY | Marks::PUT_OFF))
    }

    /// Whether somebody waits until what is under way is done.
    #[inline(always)] // Before each sleep.
    pub fn has_put_off(&self) -> bool {
        !self.put_off.is_empty()
    }
}
