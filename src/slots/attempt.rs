//! The attempt at hand, which all arenas of a store share: what is changed in it lasts as a whole or not at all.
//!
//! An attempt begins by taking a number. Each arena joins it at its first change, so that one of few changes costs
//! little, however many arenas there are. It is decided in one moment, before the first arena makes its changes last:
//! stopped before that moment it is undone, after it the rest is done.

use alloc::rc::Rc;
use core::cell::Cell;

use super::claim::Claim;

struct State {
    /// Of the attempt at hand, 0 if there is none. No two attempts have the same; the low half is below
    /// [`Attempt::NUMBERS`], and never 0.
    number: Cell<u64>,
    /// Of the latest attempt.
    last: Cell<u64>,
    claim: Cell<Claim>,
    /// Its changes are to last.
    decided: Cell<bool>,
    /// Some arena has freed slots in it.
    freed: Cell<bool>,
    /// Operations of arenas until the one that stops the program, 0 if none does. For tests.
    stop: Cell<u32>,
    /// Operations of arenas so far, and slots that were looked at. For tests.
    operations: Cell<u64>,
}

/// Shared by whoever has a copy.
#[derive(Clone)]
pub struct Attempt(Rc<State>);

impl Attempt {
    /// What the low half of a number is below.
    pub const NUMBERS: u32 = 1 << 31;

    #[expect(clippy::new_without_default, reason = "each store has one of its own")]
    pub fn new() -> Attempt {
        Attempt(Rc::new(State {
            number: Cell::new(0),
            last: Cell::new(0),
            claim: Cell::new(Claim::Answer),
            decided: Cell::new(false),
            freed: Cell::new(false),
            stop: Cell::new(0),
            operations: Cell::new(0),
        }))
    }

    /// Begins an attempt, which takes slots for `claim`.
    pub fn begin(&self, claim: Claim) {
        let state = &*self.0;
        debug_assert!(!self.is_open(), "an attempt within another");
        let mut number = state.last.get() + 1;
        if number as u32 >= Attempt::NUMBERS {
            number += u64::from(Attempt::NUMBERS) + 1;
        }
        state.last.set(number);
        state.claim.set(claim);
        state.decided.set(false);
        state.freed.set(false);
        state.number.set(number);
    }

    /// Number of the latest attempt. Each has a higher one than those before: by one, but once in two billion by as many more.
    #[inline(always)] // Before each request and after it.
    pub fn latest(&self) -> u64 {
        self.0.last.get()
    }

    /// From now on the attempt's changes are to last.
    pub fn decide(&self) {
        self.0.decided.set(true);
    }

    pub fn is_decided(&self) -> bool {
        self.0.decided.get()
    }

    /// A slot has been freed.
    #[inline(always)]
    pub fn note_freed(&self) {
        self.0.freed.set(true);
    }

    /// Whether arenas have to make their changes last: those which have freed slots.
    #[inline(always)]
    pub fn has_freed(&self) -> bool {
        self.0.freed.get()
    }

    /// The attempt is over: every arena has made its changes last, or undone them.
    pub fn end(&self) {
        self.0.number.set(0);
        self.0.claim.set(Claim::Answer);
    }

    #[inline(always)]
    pub fn number(&self) -> u64 {
        self.0.number.get()
    }

    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.number() != 0
    }

    /// For what slots are taken.
    #[inline(always)]
    pub fn claim(&self) -> Claim {
        self.0.claim.get()
    }

    /// As if there had been so many more attempts.
    #[cfg(test)]
    pub fn skip(&self, attempts: u64) {
        self.0.last.set(self.0.last.get() + attempts);
    }

    /// Has the program stop, by a panic, in the nth operation from now on; with 0 in none. Only where debug assertions
    /// are compiled in, so it costs nothing elsewhere.
    pub fn stop_in(&self, n: u32) {
        self.0.stop.set(n);
    }

    /// How many operations are left until the stop.
    pub fn until_stop(&self) -> u32 {
        self.0.stop.get()
    }

    /// How many operations of arenas there have been, looks at slots among them. Only counted where debug assertions
    /// are compiled in.
    pub fn operations(&self) -> u64 {
        self.0.operations.get()
    }

    /// Counts a look at a slot.
    #[inline(always)]
    pub fn look(&self) {
        if cfg!(debug_assertions) {
            self.0.operations.set(self.0.operations.get() + 1);
        }
    }

    /// Counts an operation of an arena, which has not begun yet.
    #[inline(always)]
    pub fn tick(&self) {
        self.look();
        if cfg!(debug_assertions) && self.0.stop.get() > 0 {
            let left = self.0.stop.get() - 1;
            self.0.stop.set(left);
            assert!(left > 0, "stopped");
        }
    }
}
