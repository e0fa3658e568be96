//! The boundary between the server and the machine under it: what the server asks of Xen.
//!
//! The image has one implementation, the tests have one, and so has the server on a unix socket. The server never
//! blocks and prints through `log` only. Sleeping, timers and the console are the caller's.

use core::ops::{Deref, Range};

use crate::abi::{DomId, Port, RingPage};
use crate::update::Bounds;
use crate::wire::XsError;

/// Why the hypervisor refused something. Guests see it as EINVAL, the table's entry for errors that
/// xenstore has no name for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

impl From<Refused> for XsError {
    fn from(_: Refused) -> Self {
        XsError::EINVAL
    }
}

/// Nanoseconds of a monotonic clock whose zero is arbitrary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// The moment `seconds` later; saturates.
    pub const fn after_seconds(self, seconds: u64) -> Instant {
        self.after_nanoseconds(seconds.saturating_mul(1_000_000_000))
    }

    /// The moment at which its second began.
    pub const fn start_of_second(self) -> Instant {
        Instant(self.0 - self.0 % 1_000_000_000)
    }

    /// The second that contains the moment.
    pub const fn second(self) -> u32 {
        (self.0 / 1_000_000_000) as u32
    }

    /// The moment `nanoseconds` later; saturates.
    pub const fn after_nanoseconds(self, nanoseconds: u64) -> Instant {
        Instant(self.0.saturating_add(nanoseconds))
    }
}

/// What woke the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A peer notified this local port, or bound it just now.
    Ring(Port),
    /// Some domain was created, shut down, died or vanished (VIRQ_DOM_EXC).
    DomainStates,
}

/// Event channels (event_channel.h).
pub trait EventChannels {
    /// Binds to the port `remote` that `domid` keeps unbound for us. The new local port starts pending.
    fn bind_interdomain(&mut self, domid: DomId, remote: Port) -> Result<Port, Refused>;
    /// The next thing that happened, once: its pending mark is cleared before it is returned.
    fn take_pending(&mut self) -> Option<Event>;
    fn notify(&mut self, local: Port);
    fn close(&mut self, local: Port);
    /// From now on notifications of this port do not wake the server, where the machine knows how.
    fn mask(&mut self, _local: Port) {}
    /// From now on they do. Those that have come meanwhile are forgotten, so the peer's ring is to be looked at.
    fn unmask(&mut self, _local: Port) {}
    /// Lets others run that wait for the processor, if the server shares it: somebody whom others wait for has been notified.
    fn give_way(&mut self) {}
}

/// Access to other domains' ring pages.
pub trait RingMapper {
    /// Unmaps when dropped.
    type Ring: Deref<Target = RingPage>;
    /// Maps the page that `domid` granted under [`crate::abi::GrantRef::XENSTORE`].
    fn map(&mut self, domid: DomId) -> Result<Self::Ring, Refused>;
}

/// What the hypervisor says of one domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DomainState {
    /// It has shut down (any reason) but not died.
    pub shutdown: bool,
    /// It is dead, and Xen waits for its pages: the ring page must be unmapped.
    pub dead: bool,
    /// Differs between any two domains that had the same domid; constant for the life of a domain. 0 where nothing is known
    /// that does and is.
    pub unique_id: u64,
}

impl DomainState {
    /// Whether it can be of the domain that was known by this number.
    pub const fn may_be_of(&self, unique_id: u64) -> bool {
        unique_id == 0 || self.unique_id == 0 || self.unique_id == unique_id
    }
}

/// Domain information (domctl.h).
pub trait DomainInfo {
    /// A domain whose state has changed since it was last reported, if the hypervisor keeps such a list:
    /// `Some((domid, None))` has vanished. `None` once the list is empty, always `None` where there is no
    /// list; the server then asks about each domain it knows.
    fn next_changed(&mut self) -> Option<(DomId, Option<DomainState>)>;
    /// The present state, `None` if there is no such domain. Refused if the hypervisor says neither: a policy may keep a domain
    /// from us that lives.
    fn state(&mut self, domid: DomId) -> Result<Option<DomainState>, Refused>;
}

/// The processor's time stamp counter, or what stands for it. Its zero is arbitrary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cycles(pub u64);

impl Cycles {
    /// Cycles from `earlier` to here, at most 2³²-1; 0 if it is later.
    pub fn since(self, earlier: Cycles) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u32::MAX)
    }

    /// So many cycles before here.
    pub fn before(self, cycles: u32) -> Cycles {
        Cycles(self.0.saturating_sub(cycles.into()))
    }
}

/// Time. What is provided is for a counter of nanoseconds.
pub trait Clock {
    /// Reads the counter. The server does so once per poll and once per request.
    fn cycles(&mut self) -> Cycles;

    /// The moment at which the counter had this value; monotonic from one call to the next.
    fn instant(&mut self, at: Cycles) -> Instant {
        Instant(at.0)
    }

    /// Cycles in a millisecond.
    fn khz(&self) -> u64 {
        1_000_000
    }

    /// When the program was entered.
    fn started(&self) -> Cycles;

    /// For how many cycles the program has had the processor without a break; `u64::MAX` where nobody knows. It may cost as
    /// much as a request.
    fn running_for(&self) -> u64 {
        u64::MAX
    }
}

/// How often the server's machine has been called since the start, by purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// Notifications of peers.
    pub notify: u64,
    /// The vCPU blocked, with nothing to do.
    pub idle: u64,
    /// Sleeps that events ended or kept from beginning.
    pub wake_up: u64,
    /// Settings of the timer.
    pub timer: u64,
    /// Other hypercalls.
    pub other: u64,
}

/// The calls that serving takes. All zero where nobody counts.
pub trait Counters {
    fn calls(&self) -> Calls;

    /// Bytes of RAM that there are for the server and its program; 0 if that is not known.
    fn memory(&self) -> u64 {
        0
    }

    /// What tells this build of the program from others: a hash of its contents. Empty where there is none.
    fn build(&self) -> &[u8] {
        &[]
    }
}

/// Faults that an operator can have on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A panic of the program.
    Panic,
    /// An access to memory that is not there.
    Page,
    /// Work that never ends.
    Loop,
    /// A panic that leaves a sum wrong.
    Damage,
}

/// Another program in this one's place (live update), and memory that the server lends. What is provided is for a machine
/// where neither can be.
pub trait Successor {
    /// What there is for its image; `None` if nothing can take this program's place.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Writes the next bytes to memory that the server lends: a part of its image, or of a state for an operator.
    fn keep(&mut self, _address: usize, _part: &[u8]) {}

    /// What has been written there.
    fn kept(&self, _place: Range<usize>) -> &[u8] {
        &[]
    }
}

/// All that the server needs.
pub trait Platform: EventChannels + RingMapper + DomainInfo + Clock + Counters + Successor {}

impl<T: EventChannels + RingMapper + DomainInfo + Clock + Counters + Successor> Platform for T {}
