//! Fairness, first for commits: if guests' changes make a commit of the privileged domain fail, these guests are held
//! while it tries again.
//!
//! A failed commit makes suspects of all guests whose changes it met, for [`SUSPICION`]. While the loser has a
//! transaction open that it began after the failure, requests of suspects wait in their rings. Guests may take turns,
//! or use each other's names; that gains little, since after [`LOSSES`] failures in a row all guests are suspects.
//! Nobody is held for a guest's failed commit, or guests could fail on purpose. XSA-206.
//!
//! Second for calls of the hypervisor: some requests make the server ask for a domain that it does not know. A guest
//! that has caused [`QUESTIONS`] of these in a second is not read for the rest of that second.
//!
//! Invariant: whatever others do, a guest is held for [`LONGEST`] in each second of the clock at most, so for twice
//! that in any second. Tries that take longer are not helped, nor those that come when that time is used up.

use super::core::Core;
use crate::store::{DomainId, Questions, Spoiled, Store, TransactionId};
use crate::trace::{Kind, Record, Stall};
use crate::wire::TxId;

/// Nanoseconds for which guests are held at most, in a second of the clock.
const LONGEST: u64 = 25_000_000;
/// Seconds for which a guest is a suspect.
const SUSPICION: u64 = 10;
/// Failures in a row after which all guests are suspects.
const LOSSES: u32 = 4;
/// How often a guest may make the server ask the hypervisor in a second of the clock.
const QUESTIONS: u16 = 64;

impl Core {
    /// A commit of `loser` has failed: finds out whose changes it met. Returns the first change.
    pub fn find_suspects(&mut self, tx: TransactionId, loser: DomainId) -> Option<Spoiled> {
        let first = self.store.next_spoiled(tx, None);
        if !self.is_privileged(loser) {
            return first;
        }
        let mut next = first;
        while let Some(found) = next {
            if let Some(guest) = found.by.filter(|by| !self.is_privileged(*by)) {
                let until = self.clock.now.after_seconds(SUSPICION);
                let domain = self.store.domains.update(guest);
                domain.suspect_until = until;
                let domid = domain.domid;
                let amount = self.store.domains.get(loser).domid.0.into();
                self.note(Record { amount, ..Record::new(Kind::Held, domid) });
            }
            next = self.store.next_spoiled(tx, Some(found.copy));
        }
        self.throttle.lose(loser, self.store.held.of(loser).last_tx);
        first
    }

    /// Whether there may be a reason for [`Core::why_held`].
    #[inline(always)] // Before every request.
    pub fn may_be_held(&self, id: DomainId) -> bool {
        self.throttle.contest().is_some() || self.store.domains.get(id).questions.count >= QUESTIONS
    }

    /// Why this domain is not read now, if it is not. It is looked at again when the reason ends.
    pub fn why_held(&mut self, id: DomainId) -> Option<Stall> {
        if self.throttle.contest().is_some() && self.is_held(id) {
            return Some(Stall::Held);
        }
        let Questions { second, count } = self.store.domains.get(id).questions;
        if count < QUESTIONS || self.clock.now.second() != second {
            return None;
        }
        self.throttle.look_at(self.clock.now.start_of_second().after_seconds(1));
        Some(Stall::Asks)
    }

    #[inline(never)]
    fn is_held(&mut self, id: DomainId) -> bool {
        let Some(contest) = self.throttle.contest() else { return false };
        let domain = self.store.domains.get(id);
        let now = self.clock.now;
        !domain.is_privileged()
            && (contest.losses >= LOSSES || { domain.suspect_until } > now)
            && retries(&self.store, contest.loser, contest.after)
            && self.throttle.hold(now, LONGEST)
    }

    /// A transaction of a privileged domain has ended. If it has `committed`, its contest is over.
    pub fn ease(&mut self, domain: DomainId, tx: TxId, committed: bool) {
        let retried = |loser: DomainId, after: u32| loser == domain && is_later(tx.0, after);
        if committed && self.throttle.contest().is_some_and(|contest| retried(contest.loser, contest.after)) {
            self.throttle.win();
        }
        self.throttle.ease(self.clock.now);
    }

    /// Counts a request of this domain that makes the server ask the hypervisor for another.
    pub fn count_question(&mut self, id: DomainId) {
        if self.is_privileged(id) {
            return;
        }
        let second = self.clock.now.second();
        let questions = &mut self.store.domains.update(id).questions;
        if questions.second != second {
            *questions = Questions { second, count: 0 };
        }
        questions.count = questions.count.saturating_add(1);
    }
}

/// Whether a domain has a transaction open that it began after the one with the identifier `after`.
fn retries(store: &Store, domain: DomainId, after: u32) -> bool {
    store.newest_transaction(domain).is_some_and(|id| is_later(id.0, after))
}

/// Whether an identifier was given later. They are given in turn, and start over.
fn is_later(id: u32, after: u32) -> bool {
    id.wrapping_sub(after) as i32 > 0
}
