//! Event channels (event_channel.h): the operations, and how pending ports are found.

use core::sync::atomic::Ordering;

use xen_sys::{
    __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, EVTCHNOP_bind_virq, EVTCHNOP_close,
    EVTCHNOP_send, evtchn_bind_interdomain, evtchn_bind_virq, evtchn_close, evtchn_send,
};
use xenstore::abi::shared_info::SharedInfo;
use xenstore::abi::{DomId, Port};

use super::hypercall::{self, Errno};

/// How Xen and we share which ports are pending. Interrupts are off whenever these are called.
pub trait PendingPorts {
    /// The next pending port, its mark cleared. `None` ends a pass: every port that was pending when the
    /// pass began has been told. Peers that keep notifying cannot make a pass endless.
    fn take(&mut self) -> Option<Port>;
    /// Whether a new pass might find something.
    fn any(&self) -> bool;
    /// Makes sure that `port` is told no more in this pass: it is being closed.
    fn forget(&mut self, port: Port);
    /// Never tells `port` from now on.
    fn mask(&mut self, port: Port);
}

/// The 2-level bitmaps in the shared page: 4096 ports (xen.h, event_channel.h).
pub struct TwoLevel {
    shared: &'static SharedInfo,
    /// Whether a pass has begun; then `words` and `bits` are what is left of it.
    in_pass: bool,
    words: u64,
    word: usize,
    bits: u64,
}

impl TwoLevel {
    pub fn new(shared: &'static SharedInfo) -> TwoLevel {
        TwoLevel { shared, in_pass: false, words: 0, word: 0, bits: 0 }
    }

    /// Where a port's bit is; `None` beyond the bitmaps.
    fn position(port: Port) -> Option<(usize, u64)> {
        let word = (port.0 / 64) as usize;
        (word < xenstore::abi::shared_info::EVENT_WORDS).then_some((word, 1 << (port.0 % 64)))
    }

    fn begin_pass(&mut self) {
        let vcpu = &self.shared.vcpu_info[0];
        // In this order: Xen sets the selector first and raises the upcall only when that was 0.
        vcpu.evtchn_upcall_pending.store(0, Ordering::Relaxed);
        self.words = vcpu.evtchn_pending_sel.swap(0, Ordering::SeqCst);
        self.in_pass = true;
    }
}

impl PendingPorts for TwoLevel {
    fn take(&mut self) -> Option<Port> {
        if !self.in_pass {
            self.begin_pass();
        }
        loop {
            while self.bits == 0 {
                if self.words == 0 {
                    self.in_pass = false;
                    return None;
                }
                self.word = self.words.trailing_zeros() as usize;
                self.words &= self.words - 1;
                let pending = self.shared.evtchn_pending[self.word].load(Ordering::Relaxed);
                self.bits = pending & !self.shared.evtchn_mask[self.word].load(Ordering::Relaxed);
            }
            let bit = self.bits & self.bits.wrapping_neg();
            self.bits &= !bit;
            // Cleared before the ring is looked at, so that an event during that look sets it again.
            let before = self.shared.evtchn_pending[self.word].fetch_and(!bit, Ordering::SeqCst);
            if before & bit != 0 {
                return Some(Port(self.word as u32 * 64 + bit.trailing_zeros()));
            }
        }
    }

    fn any(&self) -> bool {
        let vcpu = &self.shared.vcpu_info[0];
        self.in_pass
            || vcpu.evtchn_pending_sel.load(Ordering::Relaxed) != 0
            || vcpu.evtchn_upcall_pending.load(Ordering::Relaxed) != 0
    }

    fn forget(&mut self, port: Port) {
        if let Some((word, bit)) = Self::position(port)
            && word == self.word
        {
            self.bits &= !bit;
        }
    }

    fn mask(&mut self, port: Port) {
        if let Some((word, bit)) = Self::position(port) {
            self.shared.evtchn_mask[word].fetch_or(bit, Ordering::SeqCst);
        }
    }
}

/// Runs one operation.
///
/// # Safety
/// `argument` must be the structure of `command`.
unsafe fn operate<T>(command: u32, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: the structures of event_channel.h contain no addresses; the rest is the caller's promise.
    unsafe { hypercall::call_with(__HYPERVISOR_event_channel_op, command.into(), argument) }.map(drop)
}

/// Binds to a port that `domid` keeps unbound for us. The new port starts pending.
pub fn bind_interdomain(domid: DomId, remote: Port) -> Result<Port, Errno> {
    let mut op = evtchn_bind_interdomain { remote_dom: domid.0, remote_port: remote.0, local_port: 0 };
    // SAFETY: the structure of EVTCHNOP_bind_interdomain.
    unsafe { operate(EVTCHNOP_bind_interdomain, &mut op) }?;
    Ok(Port(op.local_port))
}

/// Binds a `VIRQ_*` to a new port.
pub fn bind_virq(virq: u32) -> Result<Port, Errno> {
    let mut op = evtchn_bind_virq { virq, vcpu: 0, port: 0 };
    // SAFETY: the structure of EVTCHNOP_bind_virq.
    unsafe { operate(EVTCHNOP_bind_virq, &mut op) }?;
    Ok(Port(op.port))
}

/// Notifies the other end. Nothing happens while that is unbound.
pub fn send(port: Port) -> Result<(), Errno> {
    // SAFETY: the structure of EVTCHNOP_send.
    unsafe { operate(EVTCHNOP_send, &mut evtchn_send { port: port.0 }) }
}

/// Gives the port up.
pub fn close(port: Port) -> Result<(), Errno> {
    // SAFETY: the structure of EVTCHNOP_close.
    unsafe { operate(EVTCHNOP_close, &mut evtchn_close { port: port.0 }) }
}
