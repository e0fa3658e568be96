//! Waiting for events, and the timer that ends a wait (vcpu.h).

use xenstore::platform::Instant;

use super::logger::say;
use super::{counters, xen};

unsafe extern "C" {
    /// `sti; hlt; cli` of boot/vectors.s. False if an upcall came before the `hlt`. The watch's timer ends it, too.
    safe fn wait_for_upcall() -> bool;
}

/// The one timer, as it is set in Xen.
#[derive(Default)]
pub struct Alarm {
    armed: Option<Instant>,
}

impl Alarm {
    /// Ensures a wake-up at `deadline` or before. If the timer is set for an earlier time, it stays so: one needless
    /// wake-up is cheaper than setting the timer each time.
    pub fn set(&mut self, deadline: Instant) {
        if self.armed.is_none_or(|armed| deadline < armed) {
            counters::TIMER_SETTINGS.add();
            match xen::set_timer(deadline.0) {
                Ok(()) => self.armed = Some(deadline),
                Err(error) => say!(Error, "the timer cannot be set: {error}"),
            }
        }
    }

    /// The timer has fired.
    pub fn fired(&mut self) {
        self.armed = None;
    }
}

/// Sleeps until Xen has an event. An event that arrived since the last look ends the sleep at once:
/// interrupts are off until the processor sleeps.
pub fn sleep() {
    let before = counters::UPCALLS.get();
    let mut slept = false;
    while counters::UPCALLS.get() == before {
        slept |= wait_for_upcall();
    }
    if slept {
        counters::SLEEPS.add();
    }
}
