//! PVH start-of-day structures and HVM parameters (arch-x86/hvm/start_info.h, hvm/hvm_op.h, hvm/params.h).

use core::mem::{offset_of, size_of};

use super::DomId;

/// What the loader leaves at the address in `ebx`, `struct hvm_start_info`
/// (arch-x86/hvm/start_info.h). Version 0 ends before `memmap_paddr`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StartInfo {
    /// [`StartInfo::MAGIC`].
    pub magic: u32,
    pub version: u32,
    pub flags: u32,
    pub nr_modules: u32,
    /// Physical address, 0 if there are none.
    pub modlist_paddr: u64,
    /// Physical address of the NUL-terminated command line, 0 if there is none.
    pub cmdline_paddr: u64,
    /// Physical address of the ACPI root pointer, 0 if there is none.
    pub rsdp_paddr: u64,
    pub memmap_paddr: u64,
    pub memmap_entries: u32,
    pub reserved: u32,
}

impl StartInfo {
    /// `XEN_HVM_START_MAGIC_VALUE`.
    pub const MAGIC: u32 = 0x336e_c578;
}

/// An entry of the loader's list of modules, `struct hvm_modlist_entry` (arch-x86/hvm/start_info.h).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Physical address.
    pub address: u64,
    pub bytes: u64,
    /// Physical address of its NUL-terminated command line, 0 if there is none.
    pub cmdline_paddr: u64,
    pub reserved: u64,
}

const _: () = assert!(size_of::<Module>() == 32);
const _: () = assert!(size_of::<StartInfo>() == 56);
const _: () = assert!(offset_of!(StartInfo, modlist_paddr) == 16);
const _: () = assert!(offset_of!(StartInfo, cmdline_paddr) == 24);
const _: () = assert!(offset_of!(StartInfo, rsdp_paddr) == 32);
const _: () = assert!(offset_of!(StartInfo, memmap_paddr) == 40);

/// `HVMOP_set_param` (hvm/hvm_op.h).
pub const HVMOP_SET_PARAM: u64 = 0;
/// `HVMOP_get_param` (hvm/hvm_op.h).
pub const HVMOP_GET_PARAM: u64 = 1;

/// `struct xen_hvm_param` (hvm/hvm_op.h).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HvmParamOp {
    pub domid: DomId,
    pub pad: u16,
    pub index: u32,
    pub value: u64,
}

const _: () = assert!(size_of::<HvmParamOp>() == 16);
const _: () = assert!(offset_of!(HvmParamOp, index) == 4);
const _: () = assert!(offset_of!(HvmParamOp, value) == 8);

/// `HVM_PARAM_*` (hvm/params.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum HvmParam {
    /// How event channels interrupt the vCPU, see [`callback_vector`].
    CallbackIrq = 0,
    /// Guest frame of our own xenstore page.
    StorePfn = 1,
    /// Our end of our own xenstore port, 0 before Xen 4.19.
    StoreEvtchn = 2,
    /// Guest frame of the console page.
    ConsolePfn = 17,
    /// Our end of the console port.
    ConsoleEvtchn = 18,
}

/// Value of [`HvmParam::CallbackIrq`] for delivery through an IDT vector,
/// `HVM_PARAM_CALLBACK_TYPE_VECTOR` (hvm/params.h). `vector` is at least 32.
pub const fn callback_vector(vector: u8) -> u64 {
    2 << 56 | vector as u64
}

const _: () = assert!(callback_vector(0xf3) == 0x0200_0000_0000_00f3);
