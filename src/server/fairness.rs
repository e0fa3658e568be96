//! Commits that get through: guests whose changes make the privileged domain's commit fail are held while it tries
//! again.
//!
//! Only what a transaction has read can make it fail, so who never touches what the privileged read is never held. A
//! failed commit holds everyone whose change it met, so however many there are, the next try meets none of them. What
//! they send waits in their rings as long as the loser has a transaction open that it began after the failure: with
//! none open there is nothing to spoil. What guests lose holds nobody, or they could lose on purpose. XSA-206.
//!
//! And calls of the hypervisor: a guest whose requests make the server ask for domains that it does not know is not read
//! for the rest of a second in which it has done so [`QUESTIONS`] times.
//!
//! Invariant: whatever others do, a guest waits for [`LONGEST`] in each [`PERIOD`] at most. A transaction that takes
//! longer than that is not helped.

use super::core::Core;
use crate::store::{DomainId, Hold, Questions, Spoiled, Store, TransactionId};
use crate::trace::{Kind, Record, Stall};

/// Nanoseconds for which a guest is held at most, in a [`PERIOD`].
const LONGEST: u64 = 50_000_000;
/// Nanoseconds from the beginning of one hold to that of the next.
const PERIOD: u64 = 1_000_000_000;

/// How often a guest may make the server ask the hypervisor in a second of the clock.
const QUESTIONS: u16 = 64;

impl Core {
    /// A commit of `loser` has failed: holds the guests whose changes it met. The result is the first change.
    pub fn hold_spoilers(&mut self, tx: TransactionId, loser: DomainId) -> Option<Spoiled> {
        let after = self.store.domains.get(loser).last_tx;
        let (mut first, mut next) = (None, self.store.next_spoiled(tx, None));
        while let Some(found) = next {
            first = first.or(Some(found));
            if !self.is_privileged(loser) {
                break;
            }
            if let Some(guest) = found.by.filter(|by| !self.is_privileged(*by)) {
                self.hold(guest, loser, after);
            }
            next = self.store.next_spoiled(tx, Some(found.copy));
        }
        first
    }

    fn hold(&mut self, guest: DomainId, loser: DomainId, after: u32) {
        let now = self.clock.now;
        let domain = self.store.domains.update(guest);
        let domid = domain.domid;
        if domain.hold.until.after_nanoseconds(PERIOD - LONGEST) <= now {
            domain.hold.until = now.after_nanoseconds(LONGEST);
            let amount = self.store.domains.get(loser).domid.0.into();
            self.note(Record { amount, ..Record::new(Kind::Held, domid) });
        }
        let Hold { retry, .. } = &mut self.store.domains.update(guest).hold;
        *retry = Some((loser, after));
    }

    /// Why this domain is not read now, if so.
    pub fn why_held(&mut self, id: DomainId) -> Option<Stall> {
        if self.is_held(id) {
            return Some(Stall::Held);
        }
        let Questions { second, count } = self.store.domains.get(id).questions;
        let asks = count >= QUESTIONS && self.clock.now.second() == second;
        asks.then_some(Stall::Asks)
    }

    /// A request of this domain has the hypervisor asked for another.
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

    /// Whether it is held. If so, it is looked at again when the hold or that transaction ends.
    fn is_held(&mut self, id: DomainId) -> bool {
        let hold = self.store.domains.get(id).hold;
        if hold.is_over(self.clock.now) {
            return false;
        }
        let retries = hold.retry.is_some_and(|(loser, after)| retries(&self.store, loser, after));
        if retries {
            self.throttle.hold(hold.until);
        }
        retries
    }
}

/// Whether a domain has a transaction open that it began after that with the identifier `after`.
fn retries(store: &Store, domain: DomainId, after: u32) -> bool {
    let newest = store.transactions.of_domain.of(domain).last();
    newest.is_some_and(|tx| store.transactions.open.get(tx).id.0.wrapping_sub(after) as i32 > 0)
}
