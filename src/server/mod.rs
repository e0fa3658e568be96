//! The server: one value that holds everything, and the loop that serves all connections.
//!
//! `poll` is the way in; from there a request passes `input` (bytes to message), `operations` (the table
//! and its checks), a handler, and `output` (events and the reply). See the walk-through in `lib.rs`.

mod check;
mod clients;
mod control;
mod domains;
pub mod dump;
mod events;
mod fairness;
mod input;
mod lifecycle;
mod nodes;
mod operations;
mod output;
mod poll;
mod quotas;
mod recorder;
mod scratch;
pub mod sizing;
mod throttle;
mod transactions;
mod watches;

pub use clients::Client;
pub use operations::Operation;

use scratch::Scratch;
use throttle::Throttle;

use crate::abi::{DomId, ServerFeatures};
use crate::config::{Capacities, Settings};
use crate::connection::Links;
use crate::hash::Key;
use crate::perms::{Caller, Life};
use crate::platform::{Cycles, Instant, Platform};
use crate::store::{Domain, DomainId, Store};
use crate::trace::Recorder;

/// Features that every connection is offered unless SET_FEATURE restricts it.
pub const FEATURES: ServerFeatures = ServerFeatures::all();

/// Parts of the store's memory of which a guest may hold one before it counts as greedy.
const SHARES: usize = 64;

/// What a guest may hold in any case: as much as ordinary guests do.
const SHARE_MIN: u32 = 32 << 10;

/// What the clock has shown.
struct Clock {
    /// When it was read last.
    latest: Cycles,
    /// The moment of the wake-up.
    now: Instant,
    /// When connections that could not go on are looked at again.
    next_retry: Instant,
}

pub struct Server<P: Platform> {
    store: Store,
    settings: Settings,
    links: Links<P::Ring>,
    scratch: Scratch,
    /// The server's own domain, if it is a client of itself.
    own: Option<DomId>,
    clock: Clock,
    /// Bytes that a guest may hold before it has to leave more of everything to others.
    share: u32,
    recorder: Recorder,
    throttle: Throttle,
}

impl<P: Platform> Server<P> {
    /// An empty store for `capacities`; `seed` keys its hashes. All memory is taken here.
    pub fn new(settings: Settings, capacities: &Capacities, seed: u64) -> Self {
        let domains = capacities.domains;
        Server {
            store: Store::new(capacities, Key::new(seed)),
            settings,
            links: Links::new(capacities, sizing::ports(capacities)),
            scratch: Scratch::new(capacities.watches),
            own: None,
            clock: Clock { latest: Cycles(0), now: Instant(0), next_retry: Instant(0) },
            share: u32::try_from(sizing::memory(capacities) / SHARES).unwrap_or(u32::MAX).max(SHARE_MIN),
            recorder: Recorder::new(capacities.trace, domains, settings.log),
            throttle: Throttle::IDLE,
        }
    }

    fn caller(&self, id: DomainId) -> Caller {
        let Domain { domid, life, target, privileged, .. } = *self.store.domains.get(id);
        // What a dead target was granted is void for those who acted for it too.
        let lives = target.life != Life::NONE && self.store.domains.owner(target).is_some();
        Caller { domid, life, target: if lives { target.life } else { Life::NONE }, privileged }
    }

    fn is_privileged(&self, id: DomainId) -> bool {
        self.store.domains.is_privileged(id)
    }

    fn is_greedy(&self, id: DomainId) -> bool {
        self.store.domains.get(id).usage.memory > self.share
    }
}
