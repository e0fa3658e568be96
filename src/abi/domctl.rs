//! Asking about domains (domctl.h): the two operations that a xenstore domain may use.

use core::mem::{offset_of, size_of};

use super::DomId;

/// `XEN_DOMCTL_getdomaininfo`: needs the hypervisor's own interface version.
pub const XEN_DOMCTL_GETDOMAININFO: u32 = 5;
/// `XEN_DOMCTL_get_domain_state` (Xen 4.21): interface version 0.
pub const XEN_DOMCTL_GET_DOMAIN_STATE: u32 = 90;

const EPERM: i64 = 1;
const ESRCH: i64 = 3;

/// Whether either operation says by this error, positive, that there is no such domain. From 4.22 on it is EPERM, which whoever
/// may ask about itself gets for no other reason. A Flask policy keeps a domain that lives from us by EACCES.
pub const fn says_no_domain(error: i64) -> bool {
    matches!(error, ESRCH | EPERM)
}

/// `struct xen_domctl` with the bytes of its union as they are.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Domctl {
    /// `XEN_DOMCTL_*`.
    pub cmd: u32,
    pub interface_version: u32,
    /// In: whom it is about; out: the domain that the answer is about.
    pub domain: DomId,
    pub pad: [u16; 3],
    pub u: [u64; 16],
}

const _: () = assert!(size_of::<Domctl>() == 144);
const _: () = assert!(offset_of!(Domctl, interface_version) == 4);
const _: () = assert!(offset_of!(Domctl, domain) == 8);
const _: () = assert!(offset_of!(Domctl, u) == 16);

/// `struct xen_domctl_getdomaininfo`, read from the words of [`Domctl::u`]. The layout of what is used
/// is the same for interface versions 0x12 to 0x18.
#[derive(Clone, Copy, Debug)]
pub struct DomainInfoWords<'a>(pub &'a [u64; 16]);

impl DomainInfoWords<'_> {
    /// Bit of [`Self::flags`], `XEN_DOMINF_dying`: set once the domain's resources are released.
    pub const DYING: u32 = 1 << 0;
    /// Bit of [`Self::flags`], `XEN_DOMINF_shutdown`.
    pub const SHUTDOWN: u32 = 1 << 2;
    /// Bit of [`Self::flags`], `XEN_DOMINF_xs_domain`.
    pub const XS_DOMAIN: u32 = 1 << 7;

    /// `domain` at offset 0: may differ from the domain that was asked about.
    pub fn domain(self) -> DomId {
        DomId(self.0[0] as u16)
    }

    /// `flags` at offset 4.
    pub fn flags(self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// A number for this life of the domain, by `handle` at offset 76, its UUID. Never 0, also where whoever made the domain has
    /// given it none: a domain without a UUID is another than one with it.
    pub fn number(self) -> u64 {
        let word = |first: usize| self.0[first] >> 32 | self.0[first + 1] << 32;
        // Half of a random UUID is as good as all of it; one half holds fixed bits, so both are used.
        (word(9) ^ word(10).rotate_left(32)).max(1)
    }
}

bitflags::bitflags! {
    /// `XEN_DOMCTL_GETDOMSTATE_STATE_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct StateBits: u16 {
        const EXIST = 1;
        const SHUTDOWN = 2;
        const DYING = 4;
        const DEAD = 8;
    }
}

/// `struct xen_domctl_get_domain_state`, read from the words of [`Domctl::u`].
#[derive(Clone, Copy, Debug)]
pub struct DomainStateWords<'a>(pub &'a [u64; 16]);

impl DomainStateWords<'_> {
    /// `state` at offset 0; empty for a domain that is gone.
    pub fn state(self) -> StateBits {
        StateBits::from_bits_truncate(self.0[0] as u16)
    }

    /// `unique_id` at offset 8, not used for another domain until the host reboots.
    pub fn unique_id(self) -> u64 {
        self.0[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_info_fields_lie_where_the_header_puts_them() {
        let mut bytes = [0u8; 128];
        bytes[0..2].copy_from_slice(&7u16.to_le_bytes());
        bytes[4..8].copy_from_slice(&0xffff_01a2u32.to_le_bytes());
        for (i, byte) in bytes[76..92].iter_mut().enumerate() {
            *byte = i as u8 + 1;
        }
        let mut words = [0u64; 16];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        let info = DomainInfoWords(&words);
        assert_eq!(info.domain(), DomId(7));
        assert_eq!(info.flags(), 0xffff_01a2);
        assert_eq!(info.number(), 0x0807_0605_0403_0201 ^ 0x0c0b_0a09_100f_0e0d);
    }

    #[test]
    fn a_domain_without_a_uuid_has_a_number_too() {
        assert_eq!(DomainInfoWords(&[0; 16]).number(), 1);
    }

    #[test]
    fn only_two_errors_say_that_there_is_no_domain() {
        assert!((0..=4095).filter(|error| says_no_domain(*error)).eq([1, 3]));
    }

    #[test]
    fn domain_state_of_a_vanished_domain_is_empty() {
        let gone = [0u64; 16];
        assert!(DomainStateWords(&gone).state().is_empty());
        let mut shut = [0u64; 16];
        shut[0] = 0x3;
        shut[1] = 0x1234_5678_9abc_def0;
        assert_eq!(DomainStateWords(&shut).state(), StateBits::EXIST | StateBits::SHUTDOWN);
        assert_eq!(DomainStateWords(&shut).unique_id(), 0x1234_5678_9abc_def0);
    }
}
