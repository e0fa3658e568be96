//! What the tests' guest has of Xen: its own xenstore page and port, a clock, and its end.

use xen_sys::{
    __HYPERVISOR_event_channel_op, EVTCHNOP_status, VIRQ_TIMER, evtchn_status, evtchn_status__bindgen_ty_1,
    evtchn_status__bindgen_ty_1__bindgen_ty_2,
};
use xenstore::abi::hvm::StartInfo;
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::client;
use xenstore::evtchn::{PendingPorts, TwoLevel};
use xenstore::platform::Instant;
use xenstore::roles;

use crate::image::boot::{self, Identity};
use crate::image::fatal::{self, Reason};
use crate::image::hypercall::{self, Errno};
use crate::image::idle::{self, Alarm};
use crate::image::paging::Kept;
use crate::image::{clock, console, events, symbol};

/// RAM that the page tables need.
const LEAST: u64 = 2 << 20;

/// Called by boot/entry.s with the address of the loader's [`StartInfo`].
pub extern "C" fn start(start_info: *const StartInfo) -> ! {
    let Identity { domid, console, .. } =
        boot::meet_xen("a guest for tests of xenstore, to be started by xl");
    // Port 0xE9 costs a VM exit per byte.
    console::booted();
    // There is no heap, so the command line stays where it is.
    let (line, _) = boot::command_line(start_info);
    boot::claim_memory(LEAST, |ram_end| {
        boot::check_ram(ram_end);
        Kept { low_end: 4096, heap_start: symbol::end() }
    });
    let mut ports = TwoLevel::new(boot::open_events(false));
    if let Some(console) = console {
        ports.mask(console);
    }
    let timer = fatal::unless("the timer interrupt cannot be bound", events::bind_virq(VIRQ_TIMER));
    let (Some(page), Some(port)) = (boot::store_page(), boot::store_port()) else {
        fatal::stop(Reason::Crash, format_args!("Xen tells of no xenstore"));
    };
    let machine = Machine { page, port, timer, ports, alarm: Alarm::default(), life: 0 };
    crate::run(machine, domid, line)
}

/// The domain we are.
pub struct Machine {
    pub page: &'static RingPage,
    port: Port,
    timer: Port,
    ports: TwoLevel<'static>,
    alarm: Alarm,
    /// Notifications left until it dies; 0 is never.
    pub life: u32,
}

impl client::Machine for Machine {
    fn page(&self) -> &RingPage {
        self.page
    }

    /// Nanoseconds since Xen booted.
    fn now(&self) -> u64 {
        clock::system_time()
    }

    /// Notifies the store, or dies.
    fn notify(&mut self) {
        // Fails only for a moment in which the port is closed, where nobody can be notified.
        let _ = events::send(self.port);
        self.life = match self.life {
            0 => 0,
            1 => fatal::stop(Reason::PowerOff, format_args!("dies")),
            life => life - 1,
        };
    }

    fn wait(&mut self, deadline: u64) {
        loop {
            let mut told = false;
            while let Some(port) = self.ports.take() {
                told |= port == self.port;
                if port == self.timer {
                    self.alarm.fired();
                }
            }
            if told || self.now() >= deadline {
                return;
            }
            self.alarm.set(Instant(deadline));
            if !self.ports.any() {
                idle::sleep();
            }
        }
    }
}

impl roles::Domain for Machine {
    fn rebind(&mut self) -> bool {
        self.bind_anew().is_ok()
    }
}

impl Machine {
    /// Closes our end of the store's event channel and binds to the store's end again.
    fn bind_anew(&mut self) -> Result<(), Errno> {
        let (store, remote) = self.other_end()?;
        events::close(self.port)?;
        self.port = events::bind_interdomain(store, remote)?;
        Ok(())
    }

    /// The store's domain and its end of the event channel.
    fn other_end(&self) -> Result<(DomId, Port), Errno> {
        let nothing = evtchn_status__bindgen_ty_1__bindgen_ty_2 { dom: 0, port: 0 };
        let mut op = evtchn_status {
            dom: DomId::SELF.0,
            port: self.port.0,
            status: 0,
            vcpu: 0,
            u: evtchn_status__bindgen_ty_1 { interdomain: nothing },
        };
        // SAFETY: EVTCHNOP_status takes this structure and points nowhere else.
        unsafe {
            hypercall::call_with(__HYPERVISOR_event_channel_op, EVTCHNOP_status.into(), &mut op)?;
        }
        // SAFETY: all bits of the union's members were set above, and any bits are a valid value of each.
        let end = unsafe { op.u.interdomain };
        Ok((DomId(end.dom), Port(end.port)))
    }
}
