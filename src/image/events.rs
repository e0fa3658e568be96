//! Event channels (event_channel.h): the operations.

use xen_sys::{
    __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, EVTCHNOP_bind_interdomain, EVTCHNOP_bind_virq,
    EVTCHNOP_close, EVTCHNOP_expand_array, EVTCHNOP_init_control, EVTCHNOP_send, EVTCHNOP_set_priority,
    evtchn_alloc_unbound, evtchn_bind_interdomain, evtchn_bind_virq, evtchn_close, evtchn_expand_array,
    evtchn_init_control, evtchn_send, evtchn_set_priority,
};
use xenstore::abi::{DomId, Port};

use super::hypercall::{self, Errno};

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

/// A new port whose other end is for us to bind, too.
pub fn alloc_loopback() -> Result<Port, Errno> {
    let mut op = evtchn_alloc_unbound { dom: DomId::SELF.0, remote_dom: DomId::SELF.0, port: 0 };
    // SAFETY: the structure of EVTCHNOP_alloc_unbound.
    unsafe { operate(EVTCHNOP_alloc_unbound, &mut op) }?;
    Ok(Port(op.port))
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

/// Has FIFO events of this port come in a queue of their own kind, 0 before all others to 15.
pub fn set_priority(port: Port, priority: u32) -> Result<(), Errno> {
    // SAFETY: the structure of EVTCHNOP_set_priority.
    unsafe { operate(EVTCHNOP_set_priority, &mut evtchn_set_priority { port: port.0, priority }) }
}

/// Gives the port up.
pub fn close(port: Port) -> Result<(), Errno> {
    // SAFETY: the structure of EVTCHNOP_close.
    unsafe { operate(EVTCHNOP_close, &mut evtchn_close { port: port.0 }) }
}

/// Switches to FIFO event channels, whose control block lies at this offset, in bytes, of a guest frame. Ports
/// that are bound stay so. Nothing has changed when Xen refuses.
///
/// # Safety
/// The frame must be ours and hold nothing else there: Xen writes to it from now on.
pub unsafe fn init_control(control_gfn: u64, offset: u32) -> Result<(), Errno> {
    let mut op = evtchn_init_control { control_gfn, offset, vcpu: 0, link_bits: 0, _pad: [0; 7] };
    // SAFETY: the structure of EVTCHNOP_init_control; what it names is the caller's promise.
    unsafe { operate(EVTCHNOP_init_control, &mut op) }
}

/// Gives Xen the words of the next 1024 ports. It then delivers events that have come for these ports.
///
/// # Safety
/// As for [`init_control`], the whole frame.
pub unsafe fn expand_array(array_gfn: u64) -> Result<(), Errno> {
    // SAFETY: the structure of EVTCHNOP_expand_array; what it names is the caller's promise.
    unsafe { operate(EVTCHNOP_expand_array, &mut evtchn_expand_array { array_gfn }) }
}
