//! Commits that get through: a guest whose changes make others' transactions fail is held for a while.
//!
//! Only what a transaction has read can make it fail, so who never touches what others read is never held.
//! Each generation ends in its writer, so a failed commit names the one to hold: not the loser itself, not
//! the privileged. A held guest is not read as long as *others have transactions open*, which gives the next
//! try the store to itself; with no transaction open nobody is slowed. Nothing is dropped: what the guest
//! sends waits in its ring.
//!
//! A hold ends after a moment, so that a transaction left open silences nobody: then the held guest has a
//! turn at least. After a guest's failed commit the moment is short. For the privileged domain it is longer,
//! and doubles with each commit that fails after the last hold was over, so that a slow toolstack gets
//! through within a few tries too. So each guest spoils one quick try at most, and n of them n. XSA-206.

use super::core::Core;
use crate::abi::DomId;
use crate::platform::Instant;
use crate::store::{DomainId, Hold};
use crate::trace::Kind;

/// Nanoseconds of a hold after a guest's failed commit.
const FOR_GUESTS: u64 = 100_000_000;
/// Nanoseconds of the first hold after a failed commit of the privileged domain.
const FOR_PRIVILEGED: u64 = 1_000_000_000;
/// How often that doubles, to 16 seconds.
const DOUBLINGS: u32 = 4;
/// Seconds after a hold in which the next counts as its sequel.
const SEQUEL: u64 = 60;

impl Core {
    /// A commit of `loser` has failed because of a change by `writer`.
    pub fn hold(&mut self, writer: DomId, loser: DomainId) {
        let Some(id) = self.store.domains.find(writer) else { return };
        if id == loser || self.is_privileged(id) {
            return;
        }
        let now = self.clock.now;
        let for_privileged = self.is_privileged(loser);
        let domain = self.store.domains.update(id);
        let Hold { until, times } = domain.hold;
        let over = domain.hold.is_over(now);
        let times = match until {
            Some(until) if until.after_seconds(SEQUEL) > now => {
                if over && for_privileged {
                    (times + 1).min(DOUBLINGS)
                } else {
                    times
                }
            }
            _ => 0,
        };
        let length = match for_privileged {
            true => FOR_PRIVILEGED << times,
            false if over => FOR_GUESTS,
            false => return,
        };
        domain.hold = Hold { until: until.max(Some(now.after_nanoseconds(length))), times };
        self.note_of_domain(Kind::Held, writer, times);
    }

    /// Until when this domain is not read, if so.
    fn held_until(&self, id: DomainId) -> Option<Instant> {
        let domain = self.store.domains.get(id);
        let until = domain.hold.until.filter(|until| *until > self.clock.now)?;
        (self.store.transactions.open.arena().used() > domain.usage.transactions).then_some(until)
    }

    /// Whether this domain is not read now. The end of its hold is noted.
    pub fn is_held(&mut self, id: DomainId) -> bool {
        let Some(until) = self.held_until(id) else { return false };
        let open = self.store.transactions.open.arena().used();
        self.throttle.hold(until, open);
        true
    }
}
