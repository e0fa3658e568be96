//! The console: the ring that dom0's console daemon reads, and port 0xE9, which is the hypervisor's own log.
//!
//! Invariant: nothing here ever waits, since the console daemon depends on this domain. A line for which the ring has
//! no room is dropped and counted. Port 0xE9 costs a VM exit per byte, so it gets only the lines of the boot and of the
//! end, and at log level `trace` all others. Nothing is lost there.

use core::fmt;
use core::sync::atomic::Ordering;

use xen_sys::XEN_HVM_DEBUGCONS_IOPORT;
use xenstore::abi::Port;
use xenstore::abi::console::{CONSOLE_OUT_SIZE, ConsolePage};

use super::{cpu, events};

/// Longest line, without its end.
const LINE: usize = 240;

/// COM1, for those who try the image without Xen.
const SERIAL: u16 = 0x3f8;

static CONSOLE: spin::Mutex<Console> =
    spin::Mutex::new(Console { ring: None, on_xen: false, on_serial: false, booting: true, held: false });

struct Console {
    ring: Option<Ring>,
    on_xen: bool,
    on_serial: bool,
    booting: bool,
    /// The daemon is not told of lines, so that nobody runs because of them.
    held: bool,
}

struct Ring {
    page: &'static ConsolePage,
    port: Port,
    /// Our own copy: the daemon must not be able to move it.
    out_prod: u32,
    lost: u32,
}

/// Xen runs us: hypercalls are possible.
pub fn on_xen() {
    CONSOLE.lock().on_xen = true;
}

/// Whether hypercalls are possible.
pub fn runs_on_xen() -> bool {
    // If the lock is held, its holder has stopped while it printed to the ring, so Xen runs us.
    CONSOLE.try_lock().is_none_or(|console| console.on_xen)
}

/// There is nothing else to print to.
pub fn add_serial() {
    CONSOLE.lock().on_serial = true;
}

/// Adds the console ring; `port` is our end of its event channel.
pub fn add_ring(page: &'static ConsolePage, port: Port) {
    let out_prod = page.out_prod.load(Ordering::Relaxed);
    CONSOLE.lock().ring = Some(Ring { page, port, out_prod, lost: 0 });
}

/// Ends the time in which every line also goes to port 0xE9.
pub fn booted() {
    CONSOLE.lock().booting = false;
}

/// From now on the console daemon is not told of lines, until [`tell`].
pub fn hold() {
    CONSOLE.lock().held = true;
}

/// Tells the console daemon of lines that it has not been told of, and again of each one.
pub fn tell() {
    let mut console = CONSOLE.lock();
    if core::mem::take(&mut console.held)
        && let Some(ring) = &console.ring
    {
        ring.tell();
    }
}

/// Whether there is room for a line of any length. True if there is no ring.
pub fn has_room() -> bool {
    CONSOLE.lock().ring.as_ref().is_none_or(|ring| ring.room() > LINE)
}

/// Whether all has been read. True if there is no ring.
pub fn is_read() -> bool {
    CONSOLE.lock().ring.as_ref().is_none_or(|ring| ring.room() == CONSOLE_OUT_SIZE as usize)
}

/// Prints one line.
pub fn line(text: fmt::Arguments<'_>) {
    let line = Line::new(text);
    let mut console = CONSOLE.lock();
    if console.booting {
        write_debug_port(&line);
    }
    console.print(&line);
}

/// Prints one line about a fault, after which the program may go on: not to port 0xE9, which takes long.
pub fn fault_line(text: fmt::Arguments<'_>) {
    if let Some(mut console) = CONSOLE.try_lock() {
        console.print(&Line::new(text));
    }
}

/// Whoever was printing never goes on.
pub fn release() {
    // SAFETY: there is one vCPU, and the caller says that the stack on which a guard may lie is given up. A line that was half
    // printed is one that is cut off.
    unsafe { CONSOLE.force_unlock() };
}

/// The first of the last lines.
static FIRST: spin::Mutex<heapless::Vec<u8, LINE>> = spin::Mutex::new(heapless::Vec::new());

/// The first of the lines that [`fatal_line`] has printed.
pub fn first_fatal_line() -> heapless::Vec<u8, LINE> {
    FIRST.try_lock().map(|first| first.clone()).unwrap_or_default()
}

/// Prints one of the last lines, in whatever state the rest is.
pub fn fatal_line(text: fmt::Arguments<'_>) {
    let line = Line::new(text);
    if let Some(mut first) = FIRST.try_lock().filter(|first| first.is_empty()) {
        first.clone_from(&line.text);
    }
    write_debug_port(&line);
    if let Some(mut console) = CONSOLE.try_lock() {
        console.held = false;
        console.print(&line);
    }
}

impl Console {
    fn print(&mut self, line: &Line) {
        if self.on_serial {
            write_serial(line);
        }
        if let Some(ring) = &mut self.ring {
            ring.print(line);
            if !self.held {
                ring.tell();
            }
        }
    }
}

impl Ring {
    fn print(&mut self, line: &Line) {
        if self.lost > 0 && self.put(&Line::new(format_args!("({} lines lost)", self.lost))) {
            self.lost = 0;
        }
        if self.lost > 0 || !self.put(line) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Bytes.
    fn room(&self) -> usize {
        let used = self.out_prod.wrapping_sub(self.page.out_cons.load(Ordering::Acquire));
        CONSOLE_OUT_SIZE.saturating_sub(used) as usize
    }

    /// Writes all of the line or nothing.
    fn put(&mut self, line: &Line) -> bool {
        if line.bytes().count() > self.room() {
            return false;
        }
        for byte in line.bytes() {
            self.page.output[(self.out_prod % CONSOLE_OUT_SIZE) as usize].store(byte, Ordering::Relaxed);
            self.out_prod = self.out_prod.wrapping_add(1);
        }
        self.page.out_prod.store(self.out_prod, Ordering::Release);
        true
    }

    #[inline(never)] // In two places.
    fn tell(&self) {
        // A daemon that is not there yet finds the text when it comes.
        let _ = events::send(self.port);
    }
}

fn write_debug_port(line: &Line) {
    for byte in line.bytes() {
        // SAFETY: a byte-wide output port of Xen and QEMU that prints; without them nothing listens.
        unsafe { cpu::out(XEN_HVM_DEBUGCONS_IOPORT as u16, byte) };
    }
}

fn write_serial(line: &Line) {
    const STATUS: u16 = SERIAL + 5;
    const CAN_SEND: u8 = 1 << 5;
    for byte in line.bytes() {
        for _ in 0..100_000 {
            // SAFETY: the status register of COM1; a missing port reads as all ones.
            if unsafe { cpu::inp(STATUS) } & CAN_SEND != 0 {
                break;
            }
        }
        // SAFETY: the data register of COM1, which sends the byte.
        unsafe { cpu::out(SERIAL, byte) };
    }
}

/// One line in printable ASCII, since guests choose some of the bytes that are logged.
struct Line {
    text: heapless::Vec<u8, LINE>,
}

impl Line {
    fn new(text: fmt::Arguments<'_>) -> Line {
        let mut line = Line { text: heapless::Vec::new() };
        // Fails when the line is full; the beginning is kept.
        let _ = fmt::write(&mut line, text);
        line
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.text.iter().copied().chain([b'\n'])
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            let printable = if matches!(byte, b' '..=b'~') { byte } else { b'?' };
            self.text.push(printable).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}
