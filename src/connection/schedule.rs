//! Which connection has its turn next, how long that may take, and which peers have to be notified of new ring indexes.
//!
//! Connections are served by class. Within a class, turns go round by cost (deficit round robin): a turn may take
//! [`Pace::quantum`] cycles, and a connection that took more skips turns until it is even.
//!
//! A turn's cost is only subtracted from a number. Everything else happens when a quantum is used up, see `budget`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Arguments;

use super::active::Active;
use super::budget::{Class, Entry, Hindrance, Marks, Pace};
use crate::platform::Cycles;
use crate::ring::Input;
use crate::room::{filled, unfilled};
use crate::store::DomainId;

/// So many turns of the most work that is done in one make a second. What a clock says beyond that is a machine that stood
/// still: firmware's interrupts, or an emulator that was not running.
const LONGEST_TURNS: u64 = 500;

/// A queue of connections, first come first served.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub(super) first: Option<DomainId>,
    /// Meaningless while `first` is none.
    last: DomainId,
}

impl Lane {
    pub(super) const EMPTY: Lane = Lane { first: None, last: DomainId::FIRST };

    #[inline(always)] // Before each request.
    fn append(&mut self, entries: &mut [Entry], id: DomainId) {
        let before = core::mem::replace(&mut self.last, id);
        if self.first.is_none() {
            self.first = Some(id);
        } else if let Some(before) = entries.get_mut(before.index()) {
            before.next = Some(id);
        }
    }
}

/// Invariant: a connection is on each list at most once, so no list outgrows the room it was given.
pub struct Schedule {
    /// By the domain record's slot.
    pub(super) entries: Box<[Entry]>,
    /// By class, connections with something to do.
    pub(super) lanes: [Lane; Class::COUNT],
    /// Connections whose next request waits until what is under way is done, in the order in which they have come. They have
    /// turns for their output.
    pub(super) put_off: Vec<DomainId>,
    /// See [`Schedule::owe`].
    pub(super) owing: bool,
    /// When this connection has had its turn, all have that were ready then.
    pub(super) owed: Option<DomainId>,
    /// The lanes that are not empty, a bit each.
    pub(super) filled: u8,
    /// The lanes that have had a turn since all filled ones had one.
    had: u8,
    /// When this connection has had its turn, all that were ready with it have had theirs.
    round_end: DomainId,
    pace: Pace,
    /// Whose turn was last.
    last: DomainId,
    /// When the turns last went from one connection to another.
    company: Cycles,
    /// Connections whose peer has not been notified of the latest index moves.
    pub(super) notify: Vec<DomainId>,
    /// Turns since the last pass over `notify`.
    pub(super) turns: usize,
    /// What is under way goes on after the next turn, which is of somebody who comes before guests.
    put_back: bool,
    /// Connections that cannot go on now. They are looked at again after a while.
    waiting: Vec<DomainId>,
    /// Connections that were active lately.
    active: Vec<Active>,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
pub struct Turn {
    pub id: DomainId,
    /// [`Schedule::hindrance`] decides what happens in it.
    pub hindered: bool,
}

impl Schedule {
    pub fn new(domains: usize) -> Schedule {
        Schedule {
            entries: filled(&Entry::NEW, domains),
            lanes: [Lane::EMPTY; Class::COUNT],
            put_off: unfilled(domains),
            owing: false,
            owed: None,
            filled: 0,
            had: 0,
            round_end: DomainId::FIRST,
            pace: Pace { quantum: 0, second: 0, budget: 0 },
            last: DomainId::FIRST,
            company: Cycles(0),
            notify: unfilled(domains),
            turns: 0,
            put_back: false,
            waiting: unfilled(domains),
            active: unfilled(domains),
        }
    }

    /// Bytes of memory for so many connections.
    pub const fn bytes(domains: usize) -> usize {
        domains * (size_of::<Entry>() + 3 * size_of::<DomainId>() + size_of::<Active>())
    }

    /// Sets what connections may use from now on. Each is settled once within this second.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.entries.iter_mut().for_each(|entry| entry.marks |= Marks::DUE);
    }

    /// Cycles that a turn may take.
    #[inline]
    pub fn quantum(&self) -> u32 {
        self.pace.quantum
    }

    /// Empties all lists, whatever state a stop has left them in.
    pub fn forget(&mut self) {
        for entry in &mut self.entries {
            let marks = entry.marks & Marks::BEHIND;
            (entry.marks, entry.next) = (marks | Marks::DUE, None);
        }
        (self.lanes, self.filled) = ([Lane::EMPTY; Class::COUNT], 0);
        self.put_off.clear();
        (self.owing, self.owed) = (false, None);
        self.notify.clear();
        self.waiting.clear();
        self.active.clear();
    }

    /// Gives the connection a turn.
    #[inline(never)] // In many places.
    pub fn ready(&mut self, id: DomainId) {
        self.wake(id);
    }

    /// The same as [`Schedule::ready`], where an event has come from its peer.
    #[inline(always)] // Before each request.
    pub fn wake(&mut self, id: DomainId) {
        match self.entries.get_mut(id.index()) {
            // In most requests it is so.
            Some(entry) if entry.marks & (Marks::READY | Marks::ACTIVE) == Marks::ACTIVE => {
                entry.marks |= Marks::READY;
                entry.next = None;
                let class = entry.class;
                self.line_up(id, class);
            }
            _ => self.awake(id),
        }
    }

    /// Appends a connection to its lane.
    #[inline(always)] // Before each request.
    pub(super) fn line_up(&mut self, id: DomainId, class: Class) {
        self.filled |= class as u8;
        let Some(lane) = self.lanes.get_mut(Class::lane(class as u8)) else { return };
        lane.append(&mut self.entries, id);
    }

    /// The same as [`Schedule::ready`] for one that is ready already, or was not active lately.
    #[inline(never)]
    fn awake(&mut self, id: DomainId) {
        if self.mark(id, Marks::READY)
            && let Some(entry) = self.entries.get_mut(id.index())
        {
            entry.next = None;
            let class = entry.class;
            self.line_up(id, class);
            if self.mark(id, Marks::ACTIVE) {
                self.active.push(Active::new(id));
            }
        }
    }

    /// Whether some connection was active lately.
    pub fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// Whether the last look found a request that nobody was about to serve.
    pub fn suspects(&self) -> bool {
        self.active.iter().any(|active| active.asks)
    }

    /// Looks at the recently active connections from the nth on, and returns the first whose request was already there at
    /// the previous look while nobody is about to serve it. `n` moves on; after `None` all have been looked at. `input`
    /// tells what a connection has in its ring, or `None` if it is not listened to.
    pub fn next_missed(
        &mut self,
        n: &mut usize,
        mut input: impl FnMut(DomainId) -> Option<Input>,
    ) -> Option<DomainId> {
        while let Some(id) = self.active.get(*n).map(|active| active.id) {
            let rests = !self.is(id, Marks::READY | Marks::WAITING | Marks::PUT_OFF);
            let input = input(id);
            let Some(active) = self.active.get_mut(*n) else { break };
            if input.is_none() || active.is_idle() {
                if let (Some(last), Some(place)) = (self.active.pop(), self.active.get_mut(*n)) {
                    *place = last;
                }
                self.unmark(id, Marks::ACTIVE);
                continue;
            }
            *n += 1;
            if input.is_some_and(|input| active.look(input, rests)) {
                return Some(id);
            }
        }
        None
    }

    /// Has the connection looked at again after a while.
    pub fn wait(&mut self, id: DomainId) {
        if self.mark(id, Marks::WAITING) {
            self.waiting.push(id);
        }
    }

    /// Marks that the connection has to wait for something. True only at the first call of each wait.
    pub fn stall(&mut self, id: DomainId) -> bool {
        self.mark(id, Marks::STALLED)
    }

    pub fn unstall(&mut self, id: DomainId) {
        self.unmark(id, Marks::STALLED);
    }

    /// Forgets what is known of a connection that ends. Its places on the lists stay, and find nothing.
    #[cold]
    #[inline(never)]
    pub fn renew(&mut self, id: DomainId) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.renew();
        }
    }

    #[inline]
    pub fn has_ready(&self) -> bool {
        self.filled != 0
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whose turn it is.
    #[inline]
    pub fn next_turn(&mut self, now: Cycles) -> Option<Turn> {
        let filled = self.filled;
        if filled == 0 {
            return None;
        }
        let class = if filled & filled.wrapping_sub(1) == 0 { filled } else { self.next_class() };
        let lane = self.lanes.get_mut(Class::lane(class))?;
        let id = lane.first?;
        let entry = self.entries.get_mut(id.index())?;
        lane.first = entry.next;
        if entry.next.is_none() {
            self.filled = filled & !class;
        }
        if self.last != id {
            (self.last, self.company) = (id, now);
        }
        entry.marks -= Marks::READY;
        Some(Turn { id, hindered: entry.marks.intersects(Marks::HINDERED) })
    }

    /// Where several lanes are filled, each has a turn, in order, before any has another, so no class starves.
    #[cold]
    #[inline(never)]
    fn next_class(&mut self) -> u8 {
        let mut open = self.filled & !self.had;
        if open == 0 {
            (self.had, open) = (0, self.filled);
        }
        let class = open & open.wrapping_neg();
        self.had |= class;
        class
    }

    /// What happens in a hindered turn.
    pub fn hindrance(&mut self, id: DomainId, now: Cycles) -> Hindrance {
        let others_wait = self.has_ready();
        // A counter that has begun anew since is taken to have had company as it did.
        self.company = self.company.min(now);
        let alone = now.0.saturating_sub(self.company.0) > self.pace.second;
        match self.entries.get_mut(id.index()) {
            Some(entry) => entry.hindrance(&self.pace, others_wait, alone, now),
            None => Hindrance::Owes,
        }
    }

    /// Charges a turn's cycles. True if the connection has to be settled.
    #[inline]
    pub fn end_turn(&mut self, id: DomainId, cycles: u64) -> bool {
        let Some(entry) = self.entries.get_mut(id.index()) else { return false };
        entry.left = entry.left.wrapping_sub_unsigned(cycles);
        entry.left < 0
    }

    /// After a turn of so many cycles: sets the connection's class and charges what it has used since it was last settled.
    pub fn settle(&mut self, id: DomainId, class: Class, cycles: u64, now: Cycles) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            let worked = cycles.min(self.pace.second / LONGEST_TURNS);
            entry.left = entry.left.saturating_add_unsigned(cycles.saturating_sub(worked));
            entry.settle(&self.pace, class, worked, now);
        }
    }

    /// After a turn of `id`, while others are ready: notes that it has had it. True if it was the last of its round.
    pub fn ends_round(&mut self, id: DomainId) -> bool {
        if self.owed == Some(id) && !self.is(id, Marks::PUT_OFF) {
            self.owed = None;
        }
        let ends = id == self.round_end || !self.is(self.round_end, Marks::READY);
        if ends && let Some(lane) = self.lanes.iter().rev().find(|lane| lane.first.is_some()) {
            self.round_end = lane.last;
        }
        ends
    }

    /// After a turn, while others are ready: whether what is under way goes on. So it does at a round's end, and as long as
    /// somebody waits for it, but not before one turn of those who come before guests, if one is ready.
    pub fn is_slice_due(&mut self, ends_round: bool) -> bool {
        let due = ends_round || self.put_back || self.has_put_off();
        self.put_back = due && !self.put_back && self.filled & !(Class::Guest as u8) != 0;
        due && !self.put_back
    }

    /// How many connections wait for time to pass.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The nth of the connections that wait for time to pass.
    pub fn nth_waiting(&self, n: usize) -> Option<DomainId> {
        self.waiting.get(n).copied()
    }

    /// Takes a connection off the list of those that wait for time to pass.
    pub fn take_waiting(&mut self) -> Option<DomainId> {
        let id = self.waiting.pop()?;
        self.unmark(id, Marks::WAITING);
        Some(id)
    }

    /// Whether it has one of these marks.
    pub(super) fn is(&self, id: DomainId, marks: Marks) -> bool {
        self.entries.get(id.index()).is_some_and(|entry| entry.marks.intersects(marks))
    }

    /// Puts a mark; false if it was there.
    pub(super) fn mark(&mut self, id: DomainId, mark: Marks) -> bool {
        match self.entries.get_mut(id.index()) {
            Some(entry) if !entry.marks.contains(mark) => {
                entry.marks |= mark;
                true
            }
            _ => false,
        }
    }

    pub(super) fn unmark(&mut self, id: DomainId, mark: Marks) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.marks -= mark;
        }
    }

    /// Reports where marks and lists disagree.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let follower = |id: &DomainId| self.entries.get(id.index()).and_then(|entry| entry.next);
        let ready = self.lanes.iter().map(|lane| core::iter::successors(lane.first, follower).count()).sum();
        for (what, mark, len) in [
            ("ready", Marks::READY, ready),
            ("to be notified", Marks::NOTIFY, self.notify.len()),
            ("waiting", Marks::WAITING, self.waiting.len()),
            ("active", Marks::ACTIVE, self.active.len()),
            ("put off", Marks::PUT_OFF, self.put_off.len()),
        ] {
            let marked = self.entries.iter().filter(|entry| entry.marks.contains(mark)).count();
            if marked != len {
                report(format_args!("{marked} connections are marked {what} but {len} are listed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_the_lane_of_its_former_class_has_one_turn() {
        let (mut schedule, id) = (Schedule::new(1), DomainId::FIRST);
        schedule.ready(id);
        schedule.settle(id, Class::BackEnd, 0, Cycles(1));
        schedule.put_off(id);
        schedule.go_on();
        schedule.check(&mut |what| panic!("{what}"));
        assert!(schedule.next_turn(Cycles(2)).is_some_and(|turn| turn.id == id));
        assert!(!schedule.has_ready() && schedule.next_turn(Cycles(3)).is_none());
    }

    #[test]
    fn what_is_under_way_goes_on_after_one_turn_of_those_who_come_before_guests() {
        let (mut schedule, id) = (Schedule::new(1), DomainId::FIRST);
        schedule.ready(id);
        assert!(schedule.is_slice_due(true), "a guest does not come before it");
        assert!(schedule.next_turn(Cycles(1)).is_some());
        schedule.settle(id, Class::BackEnd, 0, Cycles(1));
        schedule.ready(id);
        assert!(!schedule.is_slice_due(true));
        assert!(schedule.is_slice_due(false), "though one is ready again");
        assert!(!schedule.is_slice_due(false));
    }
}
