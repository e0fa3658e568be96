//! Which connections are looked at next, and which peers have to be told of new ring indexes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Arguments;

use bitflags::bitflags;

use super::active::Active;
use crate::ring::Input;
use crate::room::{filled, unfilled};
use crate::store::DomainId;

bitflags! {
    /// Which lists a connection is on. Kept apart from the connection, so that one which goes while it is on a
    /// list, and is followed by another in its slot, is on no list twice.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Listed: u8 {
        const READY = 1;
        const NOTIFY = 2;
        const WAITING = 4;
        /// That it waits has been recorded.
        const STALLED = 8;
        /// It was ready lately, so its ring is looked at as time passes.
        const ACTIVE = 16;
    }
}

/// Invariant: a connection is on each list once at most, so no list ever grows beyond its room.
pub struct Schedule {
    /// By the domain record's slot.
    listed: Box<[Listed]>,
    /// Connections with something to do, first come first served.
    ready: Vec<DomainId>,
    /// Those that have their turn in the present round, the next one last.
    turn: Vec<DomainId>,
    /// Connections whose peer has not heard of the latest index moves.
    notify: Vec<DomainId>,
    /// Connections that cannot go on now and are looked at again when time has passed.
    waiting: Vec<DomainId>,
    /// Connections that were active lately.
    active: Vec<Active>,
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
            listed: filled(&Listed::empty(), domains),
            ready: unfilled(domains),
            turn: unfilled(domains),
            notify: unfilled(domains),
            waiting: unfilled(domains),
            active: unfilled(domains),
        }
    }

    /// Bytes of memory for so many connections.
    pub const fn bytes(domains: usize) -> usize {
        domains * (size_of::<Listed>() + 4 * size_of::<DomainId>() + size_of::<Active>())
    }

    /// Forgets all: whatever a stop has left in the lists.
    pub fn forget(&mut self) {
        self.listed.fill(Listed::empty());
        for list in [&mut self.ready, &mut self.turn, &mut self.notify, &mut self.waiting] {
            list.clear();
        }
        self.active.clear();
    }

    /// Has the connection looked at.
    #[inline]
    pub fn ready(&mut self, id: DomainId) {
        match self.listed.get_mut(id.index()) {
            // In most requests it is so.
            Some(listed) if *listed & (Listed::READY | Listed::ACTIVE) == Listed::ACTIVE => {
                *listed |= Listed::READY;
                self.ready.push(id);
            }
            _ => self.awake(id),
        }
    }

    /// The same for one that is ready already, or was not active lately.
    #[inline(never)]
    fn awake(&mut self, id: DomainId) {
        if self.list(id, Listed::READY) {
            self.ready.push(id);
            if self.list(id, Listed::ACTIVE) {
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
            let rests = !self.is(id, Listed::READY) && !self.is(id, Listed::WAITING);
            let input = input(id);
            let Some(active) = self.active.get_mut(*n) else { break };
            if input.is_none() || active.is_idle() {
                if let (Some(last), Some(place)) = (self.active.pop(), self.active.get_mut(*n)) {
                    *place = last;
                }
                self.unlist(id, Listed::ACTIVE);
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
        if self.list(id, Listed::NOTIFY) {
            self.notify.push(id);
        }
    }

    /// Has the connection looked at again when time has passed.
    pub fn wait(&mut self, id: DomainId) {
        if self.list(id, Listed::WAITING) {
            self.waiting.push(id);
        }
    }

    /// Marks that the connection has to wait for something; true once for each time that it has to.
    pub fn stall(&mut self, id: DomainId) -> bool {
        self.list(id, Listed::STALLED)
    }

    pub fn unstall(&mut self, id: DomainId) {
        self.unlist(id, Listed::STALLED);
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn has_to_notify(&self) -> bool {
        !self.notify.is_empty()
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives all that are ready their turn.
    pub fn begin_round(&mut self) {
        core::mem::swap(&mut self.ready, &mut self.turn);
        self.turn.reverse();
    }

    /// The next one whose turn it is.
    pub fn next_in_round(&mut self) -> Option<DomainId> {
        let id = self.turn.pop()?;
        self.unlist(id, Listed::READY);
        Some(id)
    }

    /// After its turn: a connection that was looked at and does not wait any more is not stalled.
    pub fn end_turn(&mut self, id: DomainId) {
        if self.is(id, Listed::STALLED) && !self.is(id, Listed::WAITING) {
            self.unlist(id, Listed::STALLED);
        }
    }

    /// The next peer to be notified whose connection has nothing more to do. The others stay on the list. None ends
    /// the pass.
    pub fn next_idle(&mut self, pass: &mut Pass) -> Option<DomainId> {
        while let Some(id) = self.notify.get(pass.seen).copied() {
            pass.seen += 1;
            if !self.is(id, Listed::READY) {
                self.unlist(id, Listed::NOTIFY);
                return Some(id);
            }
            if let Some(place) = self.notify.get_mut(pass.kept) {
                *place = id;
            }
            pass.kept += 1;
        }
        self.notify.truncate(pass.kept);
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
        self.unlist(id, Listed::WAITING);
        Some(id)
    }

    fn is(&self, id: DomainId, list: Listed) -> bool {
        self.listed.get(id.index()).is_some_and(|listed| listed.contains(list))
    }

    /// Puts a mark; false if it was there.
    fn list(&mut self, id: DomainId, list: Listed) -> bool {
        match self.listed.get_mut(id.index()) {
            Some(listed) if !listed.contains(list) => {
                *listed |= list;
                true
            }
            _ => false,
        }
    }

    fn unlist(&mut self, id: DomainId, list: Listed) {
        if let Some(listed) = self.listed.get_mut(id.index()) {
            *listed -= list;
        }
    }

    /// Reports where marks and lists do not agree.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        for (what, list, len) in [
            ("ready", Listed::READY, self.ready.len() + self.turn.len()),
            ("to be notified", Listed::NOTIFY, self.notify.len()),
            ("waiting", Listed::WAITING, self.waiting.len()),
            ("active", Listed::ACTIVE, self.active.len()),
        ] {
            let marked = self.listed.iter().filter(|listed| listed.contains(list)).count();
            if marked != len {
                report(format_args!("{marked} connections are marked {what} but {len} are listed"));
            }
        }
    }
}
