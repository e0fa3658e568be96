//! Which event channels are pending: how Xen says so, in either of its two formats (event_channel.h).
//!
//! It uses `abi` only. Invariants of both formats: a pending mark is cleared before its port is returned, so an event
//! that comes while the port's ring is looked at marks it again. And Xen raises an upcall only for the first event
//! after a pass, so whoever wants to sleep must find `any` false with interrupts off.

mod fifo;
mod two_level;

pub use fifo::Fifo;
pub use two_level::TwoLevel;

use crate::abi::Port;

/// The pending ports of our one vCPU. An upcall may come at any moment but for [`PendingPorts::any`]: it only clears the mark
/// by which Xen asks for it, and neither format's pass goes by that.
pub trait PendingPorts {
    /// The next pending port, its mark cleared. `None` ends a pass: every port that was pending when the
    /// pass began, and is not masked, has been returned. Peers that keep notifying cannot make a pass endless. Xen
    /// itself clears the mark of a port that is closed meanwhile.
    fn take(&mut self) -> Option<Port>;
    /// Whether a new pass might find something.
    fn any(&self) -> bool;
    /// Masks `port`: it wakes nobody, and is returned by a pass that has begun at most.
    fn mask(&mut self, port: Port);
    /// Ends that, and forgets what came meanwhile: whoever has masked it looks by itself.
    fn unmask(&mut self, port: Port);
}
