//! How often Xen has been called, and how often it has woken us.

use core::sync::atomic::{AtomicU64, Ordering};

use xenstore::platform::Calls;

/// Counts up; there is one vCPU, so an addition needs no lock.
#[repr(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    pub fn add(&self) {
        self.0.store(self.get() + 1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All hypercalls, also those that have a counter of their own.
pub static HYPERCALLS: Counter = Counter::new();
pub static NOTIFICATIONS: Counter = Counter::new();
pub static TIMER_SETTINGS: Counter = Counter::new();
/// Sleeps that the processor began.
pub static SLEEPS: Counter = Counter::new();
/// Counted by boot/vectors.s.
pub static UPCALLS: Counter = Counter::new();

/// All counters, for an image that goes on counting.
pub fn all() -> [u64; 5] {
    [&HYPERCALLS, &NOTIFICATIONS, &TIMER_SETTINGS, &SLEEPS, &UPCALLS].map(Counter::get)
}

/// Goes on from these.
pub fn go_on_from(counts: [u64; 5]) {
    let counters = [&HYPERCALLS, &NOTIFICATIONS, &TIMER_SETTINGS, &SLEEPS, &UPCALLS];
    for (counter, before) in counters.into_iter().zip(counts) {
        counter.0.fetch_add(before, Ordering::Relaxed);
    }
}

pub fn calls() -> Calls {
    let (notify, timer) = (NOTIFICATIONS.get(), TIMER_SETTINGS.get());
    Calls {
        notify,
        idle: SLEEPS.get(),
        wake_up: UPCALLS.get(),
        timer,
        other: HYPERCALLS.get() - notify - timer,
    }
}
