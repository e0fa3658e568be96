//! For how long other domains had the processor while we had work.

use core::sync::atomic::Ordering;

use xen_sys::__HYPERVISOR_vcpu_op;
use xenstore::abi::runstate::{REGISTER_AREA, Runstate};

use super::facts::{self, Fact};
use super::{hypercall, low};

const AREA: *mut Runstate = low::RUNSTATE as *mut Runstate;

/// Has Xen tell from now on. If it refuses, nothing is ever told.
///
/// # Safety
/// The page of [`low::RUNSTATE`] must be mapped for writing at its physical address for ever.
pub unsafe fn watch() {
    let mut address = low::RUNSTATE;
    // SAFETY: the place is this area's alone, also while other images take over, and mapped as the caller promises. The
    // operation takes its address.
    let register = || unsafe {
        AREA.write(Runstate::new());
        let args = [REGISTER_AREA, 0, core::ptr::from_mut(&mut address) as u64];
        hypercall::call(__HYPERVISOR_vcpu_op, args).map(drop)
    };
    let _ = facts::establish(Fact::Runstate, low::RUNSTATE, register);
}

/// Nanoseconds since the domain began. Nothing before [`watch`].
pub fn time() -> u64 {
    // SAFETY: `watch` has filled the area before anything is served, and all of its fields are atomic.
    let area = unsafe { &*AREA };
    area.runnable.load(Ordering::Relaxed).wrapping_add(area.offline.load(Ordering::Relaxed))
}
