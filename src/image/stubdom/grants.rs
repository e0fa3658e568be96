//! Ring pages of other domains, mapped by grant (grant_table.h).
//!
//! Each domid has its own guest frame in a hole of the address space, so mapping needs neither memory nor
//! a search.

use core::ops::Deref;
use core::sync::atomic::{AtomicU64, Ordering};

use xen_sys::__HYPERVISOR_grant_table_op;
use xenstore::abi::grant_table::{
    GNTMAP_HOST_MAP, GNTST_OKAY, GNTTABOP_MAP_GRANT_REF, GNTTABOP_UNMAP_GRANT_REF, MapGrantRef, UnmapGrantRef,
};
use xenstore::abi::{DomId, GrantRef, RingPage};
use xenstore::platform::Refused;

use crate::image::hole::{DOMIDS, RING_FRAME};
use crate::image::hypercall;
use crate::image::logger::say;

/// Frames that hold a grant. Xen crashes a domain that maps over one. So this is kept apart from the
/// server's own records: a frame that could not be unmapped stays taken.
static TAKEN: [AtomicU64; (DOMIDS as usize).div_ceil(64)] = [const { AtomicU64::new(0) }; _];

fn mark(domid: DomId) -> (&'static AtomicU64, u64) {
    (&TAKEN[usize::from(domid.0 / 64)], 1 << (domid.0 % 64))
}

/// Whether a page of this domain is mapped.
pub fn is_mapped(domid: DomId) -> bool {
    let (word, bit) = mark(domid);
    word.load(Ordering::Relaxed) & bit != 0
}

/// One domain's ring page. Unmapped when dropped, unless it is our own.
pub struct Ring {
    page: *const RingPage,
    /// The domain; [`DomId::SELF`] for a page of ours, which is not mapped by grant.
    domid: DomId,
    /// Xen's name of the mapping.
    handle: u32,
}

impl Ring {
    /// Maps what `domid` granted under [`GrantRef::XENSTORE`].
    pub fn map(domid: DomId) -> Result<Ring, Refused> {
        if domid >= DomId::FIRST_RESERVED {
            return Err(Refused);
        }
        if is_mapped(domid) {
            say!(Error, "domain {domid}: its ring page is mapped already");
            return Err(Refused);
        }
        let address = (RING_FRAME + u64::from(domid.0)) << 12;
        let mut op = MapGrantRef {
            host_addr: address,
            flags: GNTMAP_HOST_MAP,
            grant: GrantRef::XENSTORE,
            dom: domid,
            status: 0,
            handle: 0,
            dev_bus_addr: 0,
        };
        let argument = (&raw mut op) as u64;
        // SAFETY: one structure of GNTTABOP_map_grant_ref; the address is a hole of the guest's address
        // space, since only this function fills it and `TAKEN` says that it is empty.
        let result =
            unsafe { hypercall::call(__HYPERVISOR_grant_table_op, [GNTTABOP_MAP_GRANT_REF, argument, 1]) };
        match result {
            Ok(_) if op.status == GNTST_OKAY => {
                let (word, bit) = mark(domid);
                word.fetch_or(bit, Ordering::Relaxed);
                Ok(Ring { page: address as *const RingPage, domid, handle: op.handle })
            }
            Ok(_) => {
                say!(Warn, "domain {domid}: its ring page cannot be mapped, grant status {}", op.status);
                Err(Refused)
            }
            Err(error) => {
                say!(Error, "domain {domid}: its ring page cannot be mapped: {error}");
                Err(Refused)
            }
        }
    }

    /// What the image before has mapped for `domid`, under this name.
    pub fn adopt(domid: DomId, handle: u32) -> Ring {
        let (word, bit) = mark(domid);
        word.fetch_or(bit, Ordering::Relaxed);
        Ring { page: ((RING_FRAME + u64::from(domid.0)) << 12) as *const RingPage, domid, handle }
    }

    /// The domain, [`DomId::SELF`] for a page of ours.
    pub fn domid(&self) -> DomId {
        self.domid
    }

    /// Whose page it is and Xen's name of the mapping, if it is mapped by grant.
    pub fn grant(&self) -> Option<(DomId, u32)> {
        (self.domid != DomId::SELF).then_some((self.domid, self.handle))
    }

    /// A page of ours, which is ordinary memory.
    pub fn own(page: &'static RingPage) -> Ring {
        Ring { page, domid: DomId::SELF, handle: 0 }
    }
}

impl Deref for Ring {
    type Target = RingPage;

    fn deref(&self) -> &RingPage {
        // SAFETY: the page is mapped as long as `self` lives and page aligned; others may write to it at
        // any time, which is what its atomic fields are for.
        unsafe { &*self.page }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let Ring { domid, handle, .. } = *self;
        if domid == DomId::SELF {
            return;
        }
        let mut op = UnmapGrantRef { host_addr: self.page as u64, dev_bus_addr: 0, handle, status: 0 };
        let argument = (&raw mut op) as u64;
        // SAFETY: one structure of GNTTABOP_unmap_grant_ref, with the handle that `map` was given; no
        // reference into the page outlives `self`.
        let result =
            unsafe { hypercall::call(__HYPERVISOR_grant_table_op, [GNTTABOP_UNMAP_GRANT_REF, argument, 1]) };
        if result.is_ok() && op.status == GNTST_OKAY {
            let (word, bit) = mark(domid);
            word.fetch_and(!bit, Ordering::Relaxed);
        } else {
            say!(Error, "domain {domid}: its ring page cannot be unmapped, grant status {}", op.status);
        }
    }
}
