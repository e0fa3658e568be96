//! The server: one value that holds everything, and the loop that serves all connections.
//!
//! `poll` is the way in; from there a request passes `input` (bytes to message), `operations` (the table
//! and its checks), a handler, which decides, and `output` (events and the reply). See the walk-through in `lib.rs`.
//! What is decided on is the [`Core`], which knows no connections; a handler has that only.

mod check;
mod clients;
mod context;
mod core;
mod deeds;
pub mod dump;
mod events;
mod fairness;
mod handlers;
mod input;
mod lifecycle;
mod operations;
mod output;
mod poll;
mod recorder;
mod recovery;
mod scratch;
pub mod sizing;
mod throttle;

pub use clients::Client;

use alloc::boxed::Box;

use self::core::Core;
use scratch::Exchange;

use crate::abi::{DomId, ServerFeatures};
use crate::config::{Capacities, Settings};
use crate::connection::Links;
use crate::platform::{Cycles, Platform};
use crate::trace::{Kind, Trace};

/// Features that every connection is offered unless SET_FEATURE restricts it.
pub const FEATURES: ServerFeatures = ServerFeatures::all();

/// Parts of the store's memory of which a guest may hold one before it counts as greedy.
const SHARES: usize = 64;

/// What a guest may hold in any case: as much as ordinary guests do.
const SHARE_MIN: u32 = 32 << 10;

pub struct Server<P: Platform> {
    core: Core,
    links: Links<P::Ring>,
    exchange: Box<Exchange>,
    /// When the request at hand was begun.
    begun: Cycles,
}

impl<P: Platform> Server<P> {
    /// An empty store for `capacities`; `seed` keys its hashes. All memory is taken here.
    pub fn new(settings: Settings, capacities: &Capacities, seed: u64) -> Self {
        let share = u32::try_from(sizing::memory(capacities) / SHARES).unwrap_or(u32::MAX).max(SHARE_MIN);
        let core = Core::new(settings, capacities, seed, share);
        Server {
            links: Links::new(core.store.present_attempt(), capacities, sizing::ports(capacities)),
            core,
            exchange: Box::new(Exchange::EMPTY),
            begun: Cycles(0),
        }
    }

    /// The flight recorder.
    pub fn trace(&self) -> &Trace {
        &self.core.store.trace
    }

    /// Records that the server ends in this line of its program.
    pub fn note_panic(&mut self, at: Cycles, line: u32) {
        self.core.clock.latest = at;
        self.core.note_of_domain(Kind::Panic, DomId::INVALID, line);
    }

    /// Tells the newest `count` records, a line each, in the order in which they were written. `khz` are the
    /// cycles in a millisecond.
    pub fn tell_trace(&self, count: u64, khz: u64, tell: &mut dyn FnMut(::core::fmt::Arguments<'_>)) {
        self.core.tell_trace(count, khz, tell);
    }
}
