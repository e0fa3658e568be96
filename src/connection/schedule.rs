//! Which connections have their turn next, how long it may take, and which peers have to be told of new ring indexes.
//!
//! Connections are served by class. Within one, turns go round by cost (deficit round robin): a turn may take
//! [`Pace::quantum`] cycles, and who took more lets turns pass until that is even.
//!
//! What a turn has cost is only taken off a number. All else is done when a quantum is used up, see `budget`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Arguments;

use super::active::Active;
use super::budget::{Class, Entry, Hindrance, Marks, Pace};
use crate::platform::Cycles;
use crate::ring::Input;
use crate::room::{filled, unfilled};
use crate::store::DomainId;

/// A queue of connections, first come first served.
#[derive(Clone, Copy)]
struct Lane {
    first: Option<DomainId>,
    /// Means something only where there is a first.
    last: DomainId,
}

impl Lane {
    const EMPTY: Lane = Lane { first: None, last: DomainId::FIRST };
}

/// Invariant: a connection is on each list once at most, so no list ever grows beyond its room.
pub struct Schedule {
    /// By the domain record's slot.
    entries: Box<[Entry]>,
    /// By class, connections with something to do.
    lanes: [Lane; Class::COUNT],
    /// The lanes in which somebody is, a bit each.
    filled: u8,
    /// Those that have had a turn since all of them had one.
    had: u8,
    /// All that are ready will have had a turn when this one has.
    round_end: DomainId,
    pace: Pace,
    /// Who had the last turn, and when it was another's.
    last: DomainId,
    company: Cycles,
    /// Connections whose peer has not heard of the latest index moves.
    notify: Vec<DomainId>,
    /// Turns since those were gone through.
    turns: usize,
    /// Connections that cannot go on now and are looked at again when time has passed.
    waiting: Vec<DomainId>,
    /// Connections that were active lately.
    active: Vec<Active>,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
pub struct Turn {
    pub id: DomainId,
    /// It is not an ordinary one, see [`Schedule::hindrance`].
    pub hindered: bool,
}

/// How far a pass over those to be notified has come.
#[derive(Default)]
pub struct Pass {
    seen: usize,
    kept: usize,
}

impl Schedule {
    pub fn new(domains: usize) -> Schedule {
        Schedule {
            entries: filled(&Entry::NEW, domains),
            lanes: [Lane::EMPTY; Class::COUNT],
            filled: 0,
            had: 0,
            round_end: DomainId::FIRST,
            pace: Pace { quantum: 0, second: 0, budget: 0 },
            last: DomainId::FIRST,
            company: Cycles(0),
            notify: unfilled(domains),
            turns: 0,
            waiting: unfilled(domains),
            active: unfilled(domains),
        }
    }

    /// Bytes of memory for so many connections.
    pub const fn bytes(domains: usize) -> usize {
        domains * (size_of::<Entry>() + 2 * size_of::<DomainId>() + size_of::<Active>())
    }

    /// Says what there is to give in this second. All are settled in it.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.entries.iter_mut().for_each(|entry| entry.marks |= Marks::DUE);
    }

    /// Cycles that a turn may take.
    #[inline]
    pub fn quantum(&self) -> u32 {
        self.pace.quantum
    }

    /// Forgets whatever a stop has left in the lists.
    pub fn forget(&mut self) {
        for entry in &mut self.entries {
            let marks = entry.marks & (Marks::OWES | Marks::BEYOND);
            (entry.marks, entry.next) = (marks | Marks::DUE, None);
        }
        (self.lanes, self.filled) = ([Lane::EMPTY; Class::COUNT], 0);
        self.notify.clear();
        self.waiting.clear();
        self.active.clear();
    }

    /// Has the connection looked at.
    #[inline(never)] // In many places.
    pub fn ready(&mut self, id: DomainId) {
        self.wake(id);
    }

    /// The same for one that has been heard of.
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

    /// Puts one at the end of its lane.
    #[inline(always)] // Before each request.
    fn line_up(&mut self, id: DomainId, class: Class) {
        self.filled |= class as u8;
        let Some(lane) = self.lanes.get_mut(Class::lane(class as u8)) else { return };
        let before = core::mem::replace(&mut lane.last, id);
        if lane.first.is_none() {
            lane.first = Some(id);
        } else if let Some(before) = self.entries.get_mut(before.index()) {
            before.next = Some(id);
        }
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

    /// Whether the last look found requests that nobody was about to serve.
    pub fn suspects(&self) -> bool {
        self.active.iter().any(|active| active.asks)
    }

    /// Looks at the nth of the connections that were active lately, and at those behind it. The result has a request that
    /// was there at the look before, too, and nobody is about to serve it. `n` goes on; with `None` all have been looked
    /// at. `input` says what a connection has in its ring, and nothing of one that is not heard.
    pub fn next_missed(
        &mut self,
        n: &mut usize,
        mut input: impl FnMut(DomainId) -> Option<Input>,
    ) -> Option<DomainId> {
        while let Some(id) = self.active.get(*n).map(|active| active.id) {
            let rests = !self.is(id, Marks::READY) && !self.is(id, Marks::WAITING);
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

    /// Has the connection's peer notified when there is nothing more to do for it.
    #[inline]
    pub fn notify(&mut self, id: DomainId) {
        if self.mark(id, Marks::NOTIFY) {
            self.notify.push(id);
        }
    }

    /// Has the connection looked at again when time has passed.
    pub fn wait(&mut self, id: DomainId) {
        if self.mark(id, Marks::WAITING) {
            self.waiting.push(id);
        }
    }

    /// Marks that the connection has to wait for something; true once for each time that it has to.
    pub fn stall(&mut self, id: DomainId) -> bool {
        self.mark(id, Marks::STALLED)
    }

    pub fn unstall(&mut self, id: DomainId) {
        self.unmark(id, Marks::STALLED);
    }

    /// Forgets what was known of a connection that goes. What it is listed for finds nothing there.
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

    pub fn has_to_notify(&self) -> bool {
        !self.notify.is_empty()
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

    /// Of several lanes that are filled each has one turn, in their order, before one has another: so nobody starves.
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

    /// What becomes of a turn that is not an ordinary one.
    pub fn hindrance(&mut self, id: DomainId, now: Cycles) -> Hindrance {
        let others_wait = self.has_ready();
        let alone = now.0.saturating_sub(self.company.0) > self.pace.second;
        match self.entries.get_mut(id.index()) {
            Some(entry) => entry.hindrance(others_wait, alone, now),
            None => Hindrance::Owes,
        }
    }

    /// After its turn: the connection has used so many cycles. True if it is to be settled.
    #[inline]
    pub fn end_turn(&mut self, id: DomainId, cycles: u64) -> bool {
        let Some(entry) = self.entries.get_mut(id.index()) else { return false };
        entry.left = entry.left.wrapping_sub_unsigned(cycles);
        entry.left < 0
    }

    /// After a turn of so many cycles, a connection is of this class from now on, and pays for what it has used.
    pub fn settle(&mut self, id: DomainId, class: Class, cycles: u64, now: Cycles) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.settle(&self.pace, class, cycles, now);
        }
    }

    /// After a turn of `id`, while others are ready: whether all that were ready some time ago have had one since.
    pub fn ends_round(&mut self, id: DomainId) -> bool {
        let ends = id == self.round_end || !self.is(self.round_end, Marks::READY);
        if ends && let Some(lane) = self.lanes.iter().rev().find(|lane| lane.first.is_some()) {
            self.round_end = lane.last;
        }
        ends
    }

    /// After a turn of `id`, while others are ready: whether it is urgent, since others wait for what its peer does and there
    /// is nothing more to do for it.
    pub fn is_urgent(&self, id: DomainId) -> bool {
        let entry = self.entries.get(id.index());
        entry.is_some_and(|entry| entry.class != Class::Guest && !entry.marks.contains(Marks::READY))
    }

    /// After a turn, while others are ready: whether peers are notified now. As many turns lie between as there are of them,
    /// so that a turn pays for looking at one.
    pub fn is_pass_due(&mut self) -> bool {
        self.turns += 1;
        self.turns >= self.notify.len()
    }

    /// The next peer to be notified whose connection has nothing more to do. The others stay on the list. None ends
    /// the pass.
    pub fn next_idle(&mut self, pass: &mut Pass) -> Option<DomainId> {
        while let Some(id) = self.notify.get(pass.seen).copied() {
            pass.seen += 1;
            if !self.is(id, Marks::READY) {
                self.unmark(id, Marks::NOTIFY);
                return Some(id);
            }
            if let Some(place) = self.notify.get_mut(pass.kept) {
                *place = id;
            }
            pass.kept += 1;
        }
        self.notify.truncate(pass.kept);
        self.turns = 0;
        None
    }

    /// How many wait for time to pass.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The nth of those that wait.
    pub fn nth_waiting(&self, n: usize) -> Option<DomainId> {
        self.waiting.get(n).copied()
    }

    /// Takes one that waits off its list.
    pub fn take_waiting(&mut self) -> Option<DomainId> {
        let id = self.waiting.pop()?;
        self.unmark(id, Marks::WAITING);
        Some(id)
    }

    fn is(&self, id: DomainId, mark: Marks) -> bool {
        self.entries.get(id.index()).is_some_and(|entry| entry.marks.contains(mark))
    }

    /// Puts a mark; false if it was there.
    fn mark(&mut self, id: DomainId, mark: Marks) -> bool {
        match self.entries.get_mut(id.index()) {
            Some(entry) if !entry.marks.contains(mark) => {
                entry.marks |= mark;
                true
            }
            _ => false,
        }
    }

    fn unmark(&mut self, id: DomainId, mark: Marks) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.marks -= mark;
        }
    }

    /// Reports where marks and lists do not agree.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let follower = |id: &DomainId| self.entries.get(id.index()).and_then(|entry| entry.next);
        let ready = self.lanes.iter().map(|lane| core::iter::successors(lane.first, follower).count()).sum();
        for (what, mark, len) in [
            ("ready", Marks::READY, ready),
            ("to be notified", Marks::NOTIFY, self.notify.len()),
            ("waiting", Marks::WAITING, self.waiting.len()),
            ("active", Marks::ACTIVE, self.active.len()),
        ] {
            let marked = self.entries.iter().filter(|entry| entry.marks.contains(mark)).count();
            if marked != len {
                report(format_args!("{marked} connections are marked {what} but {len} are listed"));
            }
        }
    }
}
