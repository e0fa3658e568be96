//! The time for which guests are held while a failed commit is tried again, see `fairness`.

use crate::platform::Instant;
use crate::store::DomainId;

/// A privileged domain whose commit has failed, and none has succeeded since.
#[derive(Clone, Copy)]
pub struct Contest {
    pub loser: DomainId,
    /// Identifier of its latest transaction at that time.
    pub after: u32,
    /// Failures in a row.
    pub losses: u32,
}

pub struct Throttle {
    contest: Option<Contest>,
    /// The second of the clock that `spent` is about.
    second: u32,
    /// Nanoseconds of that second in which guests were held.
    spent: u64,
    /// Since when guests are held.
    since: Option<Instant>,
    /// When waiting guests are looked at again, at the latest.
    release: Option<Instant>,
    /// A transaction of the privileged has ended since guests were held.
    eased: bool,
}

impl Throttle {
    pub const IDLE: Throttle =
        Throttle { contest: None, second: 0, spent: 0, since: None, release: None, eased: false };

    /// A commit of `loser` has failed, whose latest transaction has the identifier `after`.
    pub fn lose(&mut self, loser: DomainId, after: u32) {
        let losses =
            self.contest.filter(|contest| contest.loser == loser).map_or(0, |contest| contest.losses);
        self.contest = Some(Contest { loser, after, losses: losses.saturating_add(1) });
    }

    /// This client goes, and tries nothing again.
    pub fn forget(&mut self, loser: DomainId) {
        self.contest.take_if(|contest| contest.loser == loser);
    }

    /// The commit that is being tried again, if there is one.
    pub fn contest(&self) -> Option<Contest> {
        self.contest
    }

    /// The commit has succeeded.
    pub fn win(&mut self) {
        self.contest = None;
    }

    /// Holds guests, if they have been held for less than `longest` nanoseconds in this second.
    pub fn hold(&mut self, now: Instant, longest: u64) -> bool {
        let left = longest.saturating_sub(self.held(now));
        if left > 0 {
            self.since = self.since.or(Some(now));
            self.look_at(now.after_nanoseconds(left));
        }
        left > 0
    }

    /// Nanoseconds of this second in which guests were held.
    #[cold]
    #[inline(never)] // Twice, and few hold.
    fn held(&mut self, now: Instant) -> u64 {
        if self.second != now.second() {
            (self.second, self.spent) = (now.second(), 0);
        }
        let begin = self.since.map_or(now, |since| since.max(now.start_of_second()));
        self.spent.saturating_add(now.0.saturating_sub(begin.0))
    }

    /// Has all waiting guests looked at by then.
    pub fn look_at(&mut self, then: Instant) {
        self.release = Some(self.release.map_or(then, |first| first.min(then)));
    }

    /// A transaction for which guests may be held has ended.
    pub fn ease(&mut self, now: Instant) {
        if self.since.is_some() {
            self.spent = self.held(now);
            (self.since, self.eased) = (None, true);
        }
    }

    /// Whether such a transaction has ended while guests were held, since the last call of this.
    pub fn has_eased(&mut self) -> bool {
        // Mostly there is nothing to be written.
        self.eased && core::mem::take(&mut self.eased)
    }

    /// All waiting guests are looked at now.
    pub fn release(&mut self) {
        self.release = None;
    }

    /// When waiting guests are looked at.
    pub fn next_release(&self) -> Option<Instant> {
        self.release
    }
}
