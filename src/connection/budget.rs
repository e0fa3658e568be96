//! The processor time that a connection has used, and what it may use.
//!
//! Service is by cost: a turn may take [`Pace::quantum`] cycles. A connection that took more skips turns until it is even.
//!
//! Every unprivileged connection has a budget. Once that is used up, its requests wait in their ring until enough time has
//! passed, unless no other connection has had a turn for a second.

use bitflags::bitflags;

use crate::platform::Cycles;
use crate::store::DomainId;

/// Which connections are served first. Each class is a bit, so one number tells the schedule which lanes are filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// The toolstack's domain and the local clients, which act for it.
    Privileged = 1,
    /// Domains that serve other guests.
    BackEnd = 2,
    Guest = 4,
}

impl Class {
    pub const COUNT: usize = 3;

    /// The place of its lane.
    pub const fn lane(bit: u8) -> usize {
        bit as usize >> 1
    }

    /// How many guests' budgets it has. The privileged need none.
    const fn budgets(self) -> u32 {
        match self {
            Class::Privileged => 0,
            Class::BackEnd => 16,
            Class::Guest => 1,
        }
    }
}

/// Seconds of unused budget that a connection can save up, and the longest that it can be throttled.
const KEPT: u64 = 8;

/// A debt is counted in parts of a quantum: so many are one.
const PARTS: u16 = 16;

/// How much processor time connections may use.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Cycles that a turn may take.
    pub quantum: u32,
    /// Cycles of a second.
    pub second: u64,
    /// Microseconds of each second that a guest may use; 0 sets no bound.
    pub budget: u32,
}

impl Pace {
    /// Cycles of unused budget that a connection can save up, and the most for which it can be throttled.
    fn kept(&self) -> i64 {
        KEPT.wrapping_mul(self.second) as i64
    }
}

bitflags! {
    /// Which lists a connection is on, and what its turn has to look at. Marks belong to the slot and not to the connection:
    /// when a connection ends while it is listed and another takes its slot, the slot is still on each list once at most.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Marks: u8 {
        const READY = 1;
        const NOTIFY = 2;
        const WAITING = 4;
        /// That it waits has been recorded.
        const STALLED = 8;
        /// It skips turns, or was beyond its budget when it was last settled.
        const BEHIND = 16;
        /// Its next request waits until what is under way is done.
        const PUT_OFF = 32;
        /// It has not been settled in this second.
        const DUE = 64;
        /// It was ready lately, so its ring is looked at as time passes.
        const ACTIVE = 128;
    }
}

impl Marks {
    /// Any of these makes a turn more than an ordinary one.
    pub const HINDERED: Marks = Marks::STALLED.union(Marks::BEHIND).union(Marks::DUE);
}

/// What happens in the turn of a connection that has one of [`Marks::HINDERED`].
pub enum Hindrance {
    /// The connection skips it.
    Owes,
    /// No requests are served, now and for so many cycles.
    Throttled(u64),
    /// It is an ordinary turn. No requests were served for so many cycles before it.
    Over(u64),
}

/// What is known of the connection of one domain record's slot.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Cycles of a quantum that are left until it is settled.
    pub left: i64,
    /// When its budget will have covered all that it has used, in cycles. Signed, since that may be before the clock's zero.
    due: i64,
    /// Since when it has been throttled; 0 if it is not.
    since: Cycles,
    /// The next in its lane.
    pub next: Option<DomainId>,
    /// What it has taken beyond its quantum: for [`PARTS`] of it, it skips a turn.
    owed: u16,
    pub class: Class,
    pub marks: Marks,
}

impl Entry {
    pub const NEW: Entry = Entry {
        left: 0,
        due: i64::MIN,
        since: Cycles(0),
        next: None,
        owed: 0,
        class: Class::Guest,
        marks: Marks::DUE,
    };

    /// Forgets all but on which lists it is.
    pub fn renew(&mut self) {
        let marks = (self.marks - Marks::HINDERED) | Marks::DUE;
        *self = Entry { marks, next: self.next, ..Entry::NEW };
    }

    /// What happens in its turn, if it has one of [`Marks::HINDERED`].
    pub fn hindrance(&mut self, pace: &Pace, others_wait: bool, alone: bool, now: Cycles) -> Hindrance {
        match self.owed.checked_sub(PARTS) {
            Some(left) if others_wait => {
                self.owed = left;
                return Hindrance::Owes;
            }
            Some(_) => self.owed = 0,
            None => {}
        }
        let clock = now.0 as i64;
        // Nothing is due later than that, unless by a counter that has begun anew since.
        let latest = clock.wrapping_add(pace.kept());
        if alone || self.due > latest {
            self.due = self.due.min(clock);
        }
        let left = self.due.saturating_sub(clock);
        if left > 0 {
            if self.since == Cycles(0) {
                self.since = now;
            }
            return Hindrance::Throttled(left as u64);
        }
        self.marks -= Marks::BEHIND;
        let since = core::mem::replace(&mut self.since, Cycles(0));
        Hindrance::Over(if since == Cycles(0) { 0 } else { now.0.saturating_sub(since.0) })
    }

    /// Whether it was throttled in its last turn.
    pub fn is_throttled(&self) -> bool {
        self.since != Cycles(0)
    }

    /// After a turn of so many cycles: sets the class and charges what has been used. A connection that no longer waits is
    /// no longer stalled.
    pub fn settle(&mut self, pace: &Pace, class: Class, cycles: u64, now: Cycles) {
        let Pace { quantum, budget, .. } = *pace;
        self.marks -= Marks::DUE;
        if !self.marks.contains(Marks::WAITING) {
            self.marks -= Marks::STALLED;
        }
        let used =
            if self.due == i64::MIN { cycles } else { i64::from(quantum).wrapping_sub(self.left) as u64 };
        self.class = class;
        self.left = if class == Class::Privileged { i64::MAX } else { quantum.into() };
        if class == Class::Privileged {
            return;
        }
        let parts = (cycles as i64)
            .max(0)
            .unsigned_abs()
            .wrapping_mul(PARTS.into())
            .checked_div(quantum.into())
            .unwrap_or(0);
        let parts = u16::try_from(parts).unwrap_or(u16::MAX).saturating_sub(PARTS);
        self.owed = self.owed.saturating_add(parts);
        if self.owed >= PARTS {
            self.marks |= Marks::BEHIND;
        }
        let part = u64::from(budget.wrapping_mul(class.budgets()));
        let Some(takes) = used.wrapping_mul(1_000_000).checked_div(part) else { return };
        let (clock, kept) = (now.0 as i64, pace.kept());
        let begin = self.due.max(clock.wrapping_sub(kept));
        self.due = begin.saturating_add_unsigned(takes).min(clock.wrapping_add(kept));
        if self.due > clock {
            self.marks |= Marks::BEHIND;
        }
    }
}
