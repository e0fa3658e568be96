//! The server: one value that has everything, and the loop that serves all connections.
//!
//! `poll` is the entry. From there a request passes `input` (from bytes to a message), `operations` (the table and its
//! checks), a handler, which decides it, and `output` (events and the reply); `lib.rs` has the whole walk. It uses all
//! layers above it in the table there. Invariant: handlers decide with the [`Core`] alone, which knows no connections,
//! so nothing is sent before the decision.

mod check;
mod clients;
mod context;
mod core;
mod deeds;
pub mod dump;
mod events;
mod fairness;
mod growth;
mod handlers;
mod input;
mod layers;
mod lifecycle;
mod operations;
mod output;
mod poll;
mod recorder;
mod recovery;
mod restart;
mod saving;
mod scratch;
mod service;
mod session;
pub mod sizing;
mod state;
mod throttle;
mod update;

pub use clients::Client;
pub use session::{Prepared, PreparedNodes};
pub use update::{Handed, Order, Way};

use alloc::boxed::Box;

use self::core::Core;
use scratch::{Aside, Exchange, Suspects};

use crate::abi::{DomId, ServerFeatures};
use crate::config::{Capacities, Settings};
use crate::connection::Links;
use crate::platform::{Cycles, Fault, Platform};
use crate::trace::{Kind, Trace};

/// Features that every connection is offered unless SET_FEATURE restricts it.
pub const FEATURES: ServerFeatures = ServerFeatures::all();

pub struct Server<P: Platform> {
    core: Core,
    links: Links<P::Ring>,
    exchange: Box<Exchange>,
    aside: Aside,
    /// When the request at hand would have been begun, had nothing else been done since.
    begun: Cycles,
    /// The latest requests in which the server was stopped.
    suspects: Suspects,
}

impl<P: Platform> Server<P> {
    /// An empty store for `capacities`; `seed` keys its hashes. All memory is taken here.
    pub fn new(settings: Settings, capacities: &Capacities, seed: u64) -> Self {
        let core = Core::new(settings, capacities, seed);
        Server {
            links: Links::new(core.store.present_attempt(), capacities, sizing::ports(capacities)),
            core,
            exchange: Box::new(Exchange::EMPTY),
            aside: Aside::new(),
            begun: Cycles(0),
            suspects: Suspects::new(),
        }
    }

    /// Lets operators have faults on purpose, by CONTROL `fault`.
    pub fn allow_faults(&mut self, have: fn(Fault)) {
        self.core.have_fault = Some(have);
    }

    /// The flight recorder.
    pub fn trace(&self) -> &Trace {
        &self.core.store.trace
    }

    /// Records a panic in this line of the source.
    pub fn note_panic(&mut self, at: Cycles, line: u32) {
        self.core.clock.latest = at;
        self.core.note_of_domain(Kind::Panic, DomId::INVALID, line);
    }

    /// Prints the newest `count` records by `tell`, a line each, oldest first. `khz` are the cycles in a millisecond.
    pub fn tell_trace(&self, count: u64, khz: u64, tell: &mut dyn FnMut(::core::fmt::Arguments<'_>)) {
        self.core.tell_trace(count, khz, tell);
    }
}
