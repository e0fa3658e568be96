//! The hypervisor that runs us: its version, our domid, and our domain's parameters.

use xen_sys::{
    __HYPERVISOR_hvm_op, __HYPERVISOR_sched_op, __HYPERVISOR_set_timer_op, __HYPERVISOR_vcpu_op,
    SCHEDOP_shutdown, SCHEDOP_yield, sched_shutdown,
};
use xenstore::abi::DomId;
use xenstore::abi::cpuid::{
    FIRST_LEAF, HVM_DOMID_PRESENT, LEAF_END, LEAF_HVM, LEAF_STEP, LEAF_VERSION, SIGNATURE,
};
use xenstore::abi::hvm::{HVMOP_GET_PARAM, HVMOP_SET_PARAM, HvmParam, HvmParamOp};
use xenstore::abi::runstate::{GET_INFO, Runstate};

use super::cpu;
use super::facts::{self, Fact};
use super::hypercall::{self, Errno};

/// What CPUID says of the hypervisor.
#[derive(Clone, Copy)]
pub struct Xen {
    pub major: u32,
    pub minor: u32,
    /// Our own domid. Xen 4.17 and later always have it.
    pub domid: Option<DomId>,
}

/// `None` if the hypervisor is not Xen, or there is none.
pub fn detect() -> Option<Xen> {
    let known = facts::learn(Fact::Xen, || ask().ok_or(())).ok()?;
    hypercall::choose_instruction(known >> 48 != 0);
    let domid = DomId((known >> 32) as u16);
    let domid = Some(domid).filter(|domid| *domid != DomId::INVALID);
    Some(Xen { major: known as u32 >> 16, minor: known as u32 & 0xffff, domid })
}

/// From the lowest bit on: Xen's version, 32; our domid, 16; whether hypercalls take VMCALL.
fn ask() -> Option<u64> {
    const HYPERVISOR_PRESENT: u32 = 1 << 31;
    if cpu::cpuid(1).ecx & HYPERVISOR_PRESENT == 0 {
        return None;
    }
    let base = (FIRST_LEAF..LEAF_END).step_by(LEAF_STEP as usize).find(|&leaf| {
        let answer = cpu::cpuid(leaf);
        [answer.ebx, answer.ecx, answer.edx] == SIGNATURE
    })?;
    let version = cpu::cpuid(base + LEAF_VERSION).eax;
    let hvm = cpu::cpuid(base + LEAF_HVM);
    let domid = if hvm.eax & HVM_DOMID_PRESENT != 0 { hvm.ecx as u16 } else { DomId::INVALID.0 };
    Some(u64::from(version) | u64::from(domid) << 32 | u64::from(hypercall::is_vmcall()) << 48)
}

/// Reads a parameter of our own domain.
pub fn param(param: HvmParam) -> Result<u64, Errno> {
    let mut op = HvmParamOp { domid: DomId::SELF, pad: 0, index: param as u32, value: 0 };
    // SAFETY: HVMOP_get_param takes this structure and points nowhere else.
    unsafe { hypercall::call_with(__HYPERVISOR_hvm_op, HVMOP_GET_PARAM, &mut op) }?;
    Ok(op.value)
}

/// Since when this vCPU has had the processor without a break, system time.
pub fn runs_since() -> Result<u64, Errno> {
    let mut info = Runstate::default();
    let args = [GET_INFO, 0, (&raw mut info) as u64];
    // SAFETY: VCPUOP_get_runstate_info fills this structure, of the vCPU with the number 0, the only one.
    unsafe { hypercall::call(__HYPERVISOR_vcpu_op, args) }?;
    Ok(info.entered)
}

/// Routes event upcalls to an IDT vector. It cannot be switched off again.
///
/// # Safety
/// The vector's IDT gate must be ready, and we must be in 64-bit mode: Xen derives the shared page's
/// layout from it.
pub unsafe fn deliver_upcalls(vector: u8) -> Result<(), Errno> {
    let value = xenstore::abi::hvm::callback_vector(vector);
    let mut op = HvmParamOp { domid: DomId::SELF, pad: 0, index: HvmParam::CallbackIrq as u32, value };
    // SAFETY: HVMOP_set_param takes this structure and points nowhere else; the vector is the caller's.
    let set = || unsafe { hypercall::call_with(__HYPERVISOR_hvm_op, HVMOP_SET_PARAM, &mut op) }.map(drop);
    facts::establish(Fact::Upcalls, vector.into(), set)
}

/// Raises VIRQ_TIMER at a system time in nanoseconds; at once if it is past. One at a time.
pub fn set_timer(system_time: u64) -> Result<(), Errno> {
    // SAFETY: set_timer_op takes a number and no address.
    unsafe { hypercall::call(__HYPERVISOR_set_timer_op, [system_time, 0, 0]) }.map(drop)
}

/// Lets the scheduler have another domain run, whatever either has used.
pub fn give_way() {
    // SAFETY: SCHEDOP_yield takes no argument. It cannot fail.
    let _ = unsafe { hypercall::call(__HYPERVISOR_sched_op, [SCHEDOP_yield.into(), 0, 0]) };
}

/// Ends the domain with a `SHUTDOWN_*` reason. Returns only if Xen refuses.
pub fn shutdown(reason: u32) {
    let mut op = sched_shutdown { reason };
    // SAFETY: SCHEDOP_shutdown takes this structure and points nowhere else.
    let _ = unsafe { hypercall::call_with(__HYPERVISOR_sched_op, SCHEDOP_shutdown.into(), &mut op) };
}
