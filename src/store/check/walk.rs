//! How far a check has come, and what it has counted.
//!
//! The fields are open to the passes, each of which has its own.

use core::fmt::Arguments;

use crate::store::Store;
use crate::store::domain::DomainId;
use crate::store::node::NodeId;
use crate::store::share::Share;
use crate::store::transaction::{TransactionId, TxNodeId};
use crate::store::watch::WatchId;

/// What one part looks at: nodes, or as much work.
const PART: u32 = 16;

/// Calls for everything that is not as it must be.
pub type Report<'a> = &'a mut dyn FnMut(Arguments<'_>);

/// How far a check has come, and what it has counted. Nothing may change before it is done.
#[derive(Default)]
pub struct Walk {
    /// Passes that are done.
    pub pass: usize,
    /// What this part has looked at.
    pub(super) work: u32,
    /// In the present pass: chains, or slots of the cache, that have been gone through.
    pub(super) at: usize,
    /// The node whose children are gone through, or the last one.
    pub(super) node: Option<NodeId>,
    /// The next of its children, and the one before that.
    pub(super) child: Option<NodeId>,
    pub(super) before: Option<NodeId>,
    /// How many members of a list there have been.
    pub(super) count: u32,
    /// Bytes of their names, or of what a domain holds.
    pub(super) bytes: u32,
    /// The transaction whose copies are gone through, or the last one, and the next copy.
    pub(super) tx: Option<TransactionId>,
    pub(super) last_tx: Option<TransactionId>,
    pub(super) copy: Option<TxNodeId>,
    /// The latest domain or local client that has been gone through.
    pub(super) domain: Option<DomainId>,
    /// What of the next one is gone through, and the next of it.
    pub(super) of_domain: OfDomain,
    pub(super) totals: Totals,
}

#[derive(Clone, Copy, Default)]
pub enum OfDomain {
    #[default]
    None,
    Nodes(Option<NodeId>),
    Watches(Option<WatchId>),
    Transactions(Option<TransactionId>),
}

/// What there is in all.
#[derive(Default)]
pub struct Totals {
    pub(super) nodes: u32,
    pub(super) gone: u32,
    /// Nodes, watches and transactions that belong to domains.
    pub(super) owned: [u32; 3],
    pub(super) paths: u32,
    /// Transactions that have ended.
    pub(super) ended: u32,
    /// Copies that are indexed, and that transactions list.
    pub(super) copies: u32,
    pub(super) listed: u32,
    pub(super) lists: u32,
    /// Who holds permission lists, and what the lists count, as sums that equal collections share, see [`mark`].
    pub(super) holds: u64,
    pub(super) counts: u64,
    /// Bytes of blob memory beside slots.
    pub(super) spilled: u32,
    pub(super) held: Held,
}

impl Walk {
    /// Passes over the store.
    pub const PASSES: usize = 7;

    /// This part has looked at enough.
    pub fn is_full(&mut self, work: u32) -> bool {
        self.work += work;
        self.work >= PART
    }

    /// Bytes of blob memory that all records of the store take beside their slots, once it has been gone through.
    pub fn spilled(&self) -> u32 {
        self.totals.spilled
    }

    /// Of each kind, what has been found that guests have.
    pub fn held(&mut self) -> &mut Held {
        &mut self.totals.held
    }

    /// The next pass begins.
    pub fn go_on(&mut self) {
        *self = Walk { pass: self.pass + 1, totals: core::mem::take(&mut self.totals), ..Walk::default() };
    }
}

/// Of each kind, which guest has how many slots, as sums that equal lists share, see [`mark`].
#[derive(Default)]
pub struct Held(pub(super) [u64; Share::ALL.len()]);

impl Held {
    #[inline(never)]
    pub fn add(&mut self, store: &Store, domain: DomainId, kind: Share, count: u32) {
        let sum = self.0.get_mut(kind as usize).filter(|_| !store.domains.is_privileged(domain));
        if let Some(sum) = sum {
            *sum = mark(*sum, domain.index(), count);
        }
    }
}

/// Adds `times` occurrences of a number to a sum that two equal collections share, and different ones, in
/// all likelihood, do not; so collections are compared without room for either.
pub fn mark(sum: u64, number: usize, times: u32) -> u64 {
    let spread = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let spread = (spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum.wrapping_add((spread ^ (spread >> 32)).wrapping_mul(u64::from(times)))
}
