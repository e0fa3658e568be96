//! All that the server knows except its connections: what a request is decided on.

use super::session::{Growth, Start, Updates};
use super::throttle::Throttle;
use crate::abi::{DomId, Port, ServerFeatures};
use crate::config::{Capacities, Settings};
use crate::hash::Key;
use crate::platform::{Cycles, DomainInfo, Fault, Instant};
use crate::state::page::What;
use crate::store::{DomainId, Ended, Store};
use crate::trace::{Kind, Recorder};
use crate::wire::{XsError, strict_domid};

/// The time, as last read.
pub struct Clock {
    /// When the clock was last read.
    pub latest: Cycles,
    /// The moment of the wake-up.
    pub now: Instant,
    /// When connections that could not go on, and those that were active lately, are looked at again.
    pub next_retry: Instant,
}

/// Whether the hypervisor has news of domains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    None,
    Some,
    /// And some has been heard of it.
    Heard,
    /// It does not say of whom: domains from this slot on are still asked about, and then all once more if it has had news
    /// since.
    Each {
        slot: usize,
        again: bool,
    },
}

impl News {
    /// Each domain may have changed.
    pub const ALL: News = News::Each { slot: 0, again: false };

    /// There is more of it.
    pub fn and_more(self) -> News {
        match self {
            News::None => News::Some,
            News::Each { slot, .. } => News::Each { slot, again: true },
            News::Some | News::Heard => self,
        }
    }
}

/// Work that a handler leaves to the server, since it takes connections.
#[derive(Clone, Copy)]
pub enum Deed {
    /// Serve this domain, or reset its connection.
    Introduce(DomId, Port),
    /// Forget this domain.
    Release(DomainId),
    /// Answer with what the consistency check finds.
    Check,
    /// Have the image that was sent take over.
    Update(Start),
    /// Begin the transaction after the update.
    PutOff,
    /// Take the state for an operator, or what has changed.
    Take(What),
}

/// Its fields are open to the server's modules, each of which works on several of them. It has no connections, so code
/// that has only this cannot write into a ring.
pub struct Core {
    pub store: Store,
    pub settings: Settings,
    /// The server's own domain, if it is a client of itself.
    pub own: Option<DomId>,
    pub clock: Clock,
    pub recorder: Recorder,
    pub throttle: Throttle,
    /// The number of the first change since the server was woken, see `Collected::number`.
    pub changes: u64,
    pub news: News,
    /// Until then news waits for those who read, if it does.
    pub news_due: Option<Instant>,
    /// Domains from this slot on are still looked at for whether news waits for them.
    pub news_look: usize,
    /// What telling receivers what they have missed has cost in this round.
    pub told: u32,
    /// What the handler of the request at hand has left to the server.
    pub deed: Option<Deed>,
    /// Has a fault on purpose, if that is allowed.
    pub have_fault: Option<fn(Fault)>,
    pub updates: Updates,
    pub growth: Growth,
}

impl Core {
    /// An empty store for `capacities`; `seed` keys its hashes.
    pub fn new(settings: Settings, capacities: &Capacities, seed: u64) -> Core {
        Core {
            store: Store::new(capacities, Key::new(seed)),
            settings,
            own: None,
            clock: Clock { latest: Cycles(0), now: Instant(0), next_retry: Instant(0) },
            recorder: Recorder::new(capacities.domains, settings.log),
            throttle: Throttle::IDLE,
            changes: 0,
            news: News::None,
            news_due: None,
            news_look: 0,
            told: 0,
            deed: None,
            have_fault: None,
            updates: Updates::new(),
            growth: Growth::NEVER,
        }
    }

    pub fn is_privileged(&self, id: DomainId) -> bool {
        self.store.domains.is_privileged(id)
    }

    /// Whether the domain has been offered a feature.
    pub fn offers(&self, id: DomainId, feature: ServerFeatures) -> bool {
        self.store.domains.get(id).features.contains(feature)
    }

    /// Whether a domain is never introduced nor released: the privileged one and the server's own.
    pub fn is_fixed(&self, domid: DomId) -> bool {
        self.own == Some(domid) || self.store.domains.find(domid).is_some_and(|id| self.is_privileged(id))
    }

    /// The record of a living domain. It is made now if only the hypervisor knows the domain.
    pub fn know(&mut self, hypervisor: &mut impl DomainInfo, domid: DomId) -> Option<DomainId> {
        if let Some(id) = self.store.domains.find(domid) {
            return Some(id);
        }
        if domid >= DomId::FIRST_RESERVED {
            return None;
        }
        let state = hypervisor.state(domid).ok().flatten().filter(|state| !state.dead)?;
        self.store.admit(domid, state.unique_id, self.settings.quotas).ok()
    }

    /// The record of the domain with this number; ENOENT if there is none.
    pub fn record_of(&self, string: &[u8]) -> Result<DomainId, XsError> {
        self.store.domains.find(strict_domid(string)?).ok_or(XsError::ENOENT)
    }

    /// Records how a transaction has ended, if one has. Guests that were held for it are looked at.
    #[inline(always)] // Mostly none has.
    pub fn note_ended(&mut self) {
        if self.store.has_ended() {
            self.note_end();
        }
    }

    #[inline(never)]
    fn note_end(&mut self) {
        let Some(Ended { kind, domain, id, nodes }) = self.store.take_ended() else { return };
        if self.is_privileged(domain) {
            self.ease(domain, id, kind == Some(Kind::TransactionCommitted));
        }
        if let Some(kind) = kind {
            let domid = self.store.domains.get(domain).domid;
            let amount = if kind == Kind::TransactionCommitted { nodes } else { 0 };
            self.note_transaction(kind, domid, id, amount);
        }
    }
}
