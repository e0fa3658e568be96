//! What Xen and the processor have answered, and always will; and what has been asked of them for as long as the domain lives. An
//! image hands it on to the one that takes over: each question is an exit to Xen, for which all clients would wait.

use super::boot_cell::BootCell;

#[derive(Clone, Copy)]
pub enum Fact {
    /// See `Xen`.
    Xen,
    StorePage,
    StorePort,
    ConsolePage,
    ConsolePort,
    RamEnd,
    /// Pages can be marked as not executable.
    NoExecute,
    /// Which interface tells of domains.
    Domains,
    /// The vector of upcalls.
    Upcalls,
    /// The vector of the watch's timer, which is ready.
    Watch,
}

/// Of each its number and 1, or 0 if it is not known.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Facts([u64; Fact::Watch as usize + 1]);

impl Facts {
    pub const NONE: Facts = Facts([0; _]);

    /// With this fact being so.
    pub fn with(mut self, fact: Fact, number: u64) -> Facts {
        self.0[fact as usize] = number.wrapping_add(1);
        self
    }

    /// What is known of it.
    pub fn get(&self, fact: Fact) -> Option<u64> {
        self.0[fact as usize].checked_sub(1)
    }
}

static FACTS: BootCell<Facts> = BootCell::new(Facts::NONE);

/// All that is known.
pub fn all() -> Facts {
    // SAFETY: there is one vCPU, and no interrupt's handler comes here.
    unsafe { *FACTS.get() }
}

/// What the image before has known.
pub fn set_all(facts: Facts) {
    // SAFETY: as above.
    unsafe { *FACTS.get() = facts }
}

/// Asks for a fact that is not known yet.
pub fn learn<E>(fact: Fact, ask: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
    match all().get(fact) {
        Some(known) => Ok(known),
        None => ask().inspect(|answer| note(fact, *answer)),
    }
}

/// Has something be so for as long as the domain lives.
pub fn establish<E>(fact: Fact, wanted: u64, act: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    if all().get(fact) != Some(wanted) {
        act()?;
        note(fact, wanted);
    }
    Ok(())
}

fn note(fact: Fact, number: u64) {
    set_all(all().with(fact, number));
}
