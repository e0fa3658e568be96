//! The timer that ends a wait. It is set once for many waits, as the image's is: the clock is then read by no request.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use xenstore::platform::Instant;

pub struct Alarm {
    timer: OwnedFd,
    armed: Option<Instant>,
}

impl Alarm {
    /// It wakes who waits at this registry by `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Alarm { timer, armed: None })
    }

    /// Ensures a wake-up at `deadline` or before.
    pub fn set(&mut self, deadline: Instant) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        self.armed = Some(deadline);
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec {
            tv_sec: (deadline.0 / 1_000_000_000) as i64,
            // All zero would switch it off.
            tv_nsec: (deadline.0 % 1_000_000_000).max(1) as i64,
        };
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval: zero, it_value },
        )?;
        Ok(())
    }

    /// The timer has fired.
    pub fn fired(&mut self) {
        self.armed = None;
    }
}
