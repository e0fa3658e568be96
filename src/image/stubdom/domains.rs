//! The state of domains, from the newest interface that Xen has (domctl.h).

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use xen_sys::__HYPERVISOR_domctl;
use xenstore::abi::DomId;
use xenstore::abi::domctl::{
    DomainInfoWords, DomainStateWords, Domctl, StateBits, XEN_DOMCTL_GET_DOMAIN_STATE,
    XEN_DOMCTL_GETDOMAININFO, says_no_domain,
};
use xenstore::platform::{DomainState, Refused};

use super::grants;
use crate::image::facts::{self, Fact};
use crate::image::hypercall::{self, Errno};
use crate::image::logger::say;

/// Interface versions whose getdomaininfo is laid out as we know it.
const KNOWN_VERSIONS: core::ops::RangeInclusive<u32> = 0x14..=0x40;

/// That Xen does not say of some domain whether it lives has been said.
static SAID: AtomicBool = AtomicBool::new(false);

/// Which interface is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domains {
    /// get_domain_state (Xen 4.21): stable, and keeps a list of what has changed.
    Stable,
    /// getdomaininfo with this interface version.
    Legacy(u32),
    /// None, as we are no xenstore domain: every domain counts as alive.
    Unprivileged,
}

impl Domains {
    /// Finds out. VIRQ_DOM_EXC must be bound already: Xen keeps its list of changes only from then on.
    pub fn probe(own: DomId, version: (u32, u32)) -> Result<Domains, Errno> {
        let known = facts::learn(Fact::Domains, || {
            Domains::ask(own, version).map(|domains| match domains {
                Domains::Stable => {
                    say!(Info, "domain information: get_domain_state");
                    0
                }
                Domains::Unprivileged => {
                    say!(Warn, "not a xenstore domain: dead domains go unnoticed");
                    1
                }
                Domains::Legacy(version) => {
                    say!(Info, "domain information: getdomaininfo, interface {version:#x}");
                    version.into()
                }
            })
        })?;
        Ok(match known {
            0 => Domains::Stable,
            1 => Domains::Unprivileged,
            version => Domains::Legacy(version as u32),
        })
    }

    fn ask(own: DomId, version: (u32, u32)) -> Result<Domains, Errno> {
        match query_state(own) {
            Ok(_) => return Ok(Domains::Stable),
            Err(Errno::EPERM) => return Ok(Domains::Unprivileged),
            Err(_) => {}
        }
        let likely = match version {
            (4, 17) => 0x15,
            (4, 18) => 0x16,
            _ => 0x17,
        };
        for candidate in core::iter::once(likely).chain(KNOWN_VERSIONS) {
            match query_info(own, candidate) {
                Ok(answer) => {
                    let info = DomainInfoWords(&answer.u);
                    let ours = info.domain() == own && info.flags() & DomainInfoWords::XS_DOMAIN != 0;
                    return Ok(if ours { Domains::Legacy(candidate) } else { Domains::Unprivileged });
                }
                Err(Errno::EACCES) => {}
                Err(Errno::EPERM) => return Ok(Domains::Unprivileged),
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EACCES)
    }

    /// The state of one domain, `None` if there is no domain with this number. Refused if Xen says neither.
    pub fn state(self, domid: DomId) -> Result<Option<DomainState>, Refused> {
        if domid >= DomId::FIRST_RESERVED {
            return Ok(None);
        }
        let answer = match self {
            Domains::Stable => query_state(domid),
            Domains::Legacy(version) => query_info(domid, version),
            Domains::Unprivileged => {
                return Ok(Some(DomainState { shutdown: false, dead: false, unique_id: 0 }));
            }
        };
        match answer {
            Ok(answer) if self == Domains::Stable => Ok(decode_state(&DomainStateWords(&answer.u))),
            Ok(answer) => {
                let info = DomainInfoWords(&answer.u);
                // Xen 4.17 answers for the next domain instead.
                Ok((info.domain() == domid).then(|| decode_info(&info)))
            }
            Err(error) if says_no_domain(error.0) => Ok(None),
            Err(error) => {
                if !SAID.swap(true, Relaxed) {
                    say!(Warn, "domain {domid}: Xen does not say whether it lives: {error}");
                }
                Err(Refused)
            }
        }
    }

    /// One domain whose state has changed, where Xen keeps a list of them.
    pub fn next_changed(self) -> Option<(DomId, Option<DomainState>)> {
        if self != Domains::Stable {
            return None;
        }
        let answer = query_state(DomId::INVALID).ok()?;
        Some((answer.domain, decode_state(&DomainStateWords(&answer.u))))
    }
}

fn decode_state(words: &DomainStateWords<'_>) -> Option<DomainState> {
    let state = words.state();
    state.contains(StateBits::EXIST).then(|| DomainState {
        shutdown: state.contains(StateBits::SHUTDOWN),
        dead: state.contains(StateBits::DEAD),
        unique_id: words.unique_id(),
    })
}

fn decode_info(info: &DomainInfoWords<'_>) -> DomainState {
    // Toolstacks may give a domain that lives another handle; XAPI's does before it destroys one. But no other domain can have
    // its number while a page of it is mapped.
    let is_pinned = grants::is_mapped(info.domain());
    DomainState {
        shutdown: info.flags() & DomainInfoWords::SHUTDOWN != 0,
        dead: info.flags() & DomainInfoWords::DYING != 0,
        unique_id: if is_pinned { 0 } else { info.number() },
    }
}

fn query_state(domid: DomId) -> Result<Domctl, Errno> {
    query(XEN_DOMCTL_GET_DOMAIN_STATE, 0, domid)
}

fn query_info(domid: DomId, version: u32) -> Result<Domctl, Errno> {
    query(XEN_DOMCTL_GETDOMAININFO, version, domid)
}

fn query(cmd: u32, interface_version: u32, domain: DomId) -> Result<Domctl, Errno> {
    let mut op = Domctl { cmd, interface_version, domain, pad: [0; 3], u: [0; 16] };
    let argument = (&raw mut op) as u64;
    // SAFETY: both operations take this structure, and neither has an address in it.
    unsafe { hypercall::call(__HYPERVISOR_domctl, [argument, 0, 0]) }?;
    Ok(op)
}
