//! The 2-level bitmaps in the shared page: 4096 ports (xen.h, event_channel.h).

use core::sync::atomic::{AtomicU64, Ordering};

use super::PendingPorts;
use crate::abi::Port;
use crate::abi::shared_info::{EVENT_WORDS, SharedInfo};

/// Bit `n` of the selector says that word `n` of the bitmap may have bits set.
pub struct TwoLevel<'a> {
    shared: &'a SharedInfo,
    /// Whether a pass has begun; then `words` and `bits` are what is left of it.
    in_pass: bool,
    words: u64,
    word: usize,
    bits: u64,
}

impl<'a> TwoLevel<'a> {
    /// How many ports there can be, the invalid port 0 included.
    pub const PORTS: usize = EVENT_WORDS * 64;

    pub fn new(shared: &'a SharedInfo) -> Self {
        TwoLevel { shared, in_pass: false, words: 0, word: 0, bits: 0 }
    }

    /// The word that the pass has come to.
    fn pending(&self) -> &'a AtomicU64 {
        &self.shared.evtchn_pending[self.word % EVENT_WORDS]
    }

    fn begin_pass(&mut self) {
        let vcpu = &self.shared.vcpu_info[0];
        // In this order: Xen sets the selector first and raises the upcall only when that was 0.
        vcpu.evtchn_upcall_pending.store(0, Ordering::Relaxed);
        self.words = vcpu.evtchn_pending_sel.swap(0, Ordering::SeqCst);
        self.in_pass = true;
    }
}

impl PendingPorts for TwoLevel<'_> {
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
                self.word = self.words.trailing_zeros() as usize % EVENT_WORDS;
                self.words &= self.words - 1;
                let mask = self.shared.evtchn_mask[self.word].load(Ordering::Relaxed);
                self.bits = self.pending().load(Ordering::Relaxed) & !mask;
            }
            let bit = self.bits & self.bits.wrapping_neg();
            self.bits &= !bit;
            let before = self.pending().fetch_and(!bit, Ordering::SeqCst);
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

    fn mask(&mut self, port: Port) {
        if let Some(word) = self.shared.evtchn_mask.get(port.0 as usize / 64) {
            word.fetch_or(1 << (port.0 % 64), Ordering::SeqCst);
        }
    }

    fn unmask(&mut self, port: Port) {
        let (word, bit) = (port.0 as usize / 64, 1 << (port.0 % 64));
        if let (Some(mask), Some(pending)) =
            (self.shared.evtchn_mask.get(word), self.shared.evtchn_pending.get(word))
        {
            // In this order: Xen tells of an event that comes afterwards.
            if mask.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                pending.fetch_and(!bit, Ordering::SeqCst);
            }
        }
    }
}
