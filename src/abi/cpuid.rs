//! Xen's CPUID leaves (arch-x86/cpuid.h).

/// Lowest number of the first leaf. It may be higher by steps of [`LEAF_STEP`].
pub const FIRST_LEAF: u32 = 0x4000_0000;
/// Distance between the numbers that the first leaf may have.
pub const LEAF_STEP: u32 = 0x100;
/// The first leaf has a number below this.
pub const LEAF_END: u32 = 0x4001_0000;

/// `ebx`, `ecx`, `edx` of the first leaf: `XEN_CPUID_SIGNATURE_*`, "XenVMMXenVMM".
pub const SIGNATURE: [u32; 3] = [0x566e_6558, 0x6558_4d4d, 0x4d4d_566e];

/// Leaf +1: `eax` is the version, major in the upper half.
pub const LEAF_VERSION: u32 = 1;
/// Leaf +4: what HVM guests get.
pub const LEAF_HVM: u32 = 4;
/// In `eax` of [`LEAF_HVM`]: `ecx` holds the caller's domid, `XEN_HVM_CPUID_DOMID_PRESENT`.
pub const HVM_DOMID_PRESENT: u32 = 1 << 4;

const _: () = assert!(SIGNATURE[0].to_le_bytes()[0] == b'X' && SIGNATURE[2].to_le_bytes()[3] == b'M');
