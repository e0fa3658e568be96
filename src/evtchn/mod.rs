//! Which event channels are pending: how Xen says so, in either of its two formats (event_channel.h).
//!
//! In both a mark is cleared before the port is told, so that an event which comes while the port's ring is
//! being looked at marks it again; and in both Xen raises an upcall only for the first event after a pass,
//! so whoever wants to sleep must find `any` false with interrupts off.

mod fifo;
mod two_level;

pub use fifo::Fifo;
pub use two_level::TwoLevel;

use crate::abi::Port;

/// The pending ports of our one vCPU. Interrupts are off whenever these are called.
pub trait PendingPorts {
    /// The next pending port, its mark cleared. `None` ends a pass: every port that was pending when the
    /// pass began has been told. Peers that keep notifying cannot make a pass endless. Of a port that is
    /// closed meanwhile Xen itself clears the mark.
    fn take(&mut self) -> Option<Port>;
    /// Whether a new pass might find something.
    fn any(&self) -> bool;
    /// Has `port` never told. Before the first pass.
    fn mask(&mut self, port: Port);
}
