//! All that the server knows, in arenas that one journal covers.
//!
//! Below are the records and their tables, each for itself: permission lists (`acl`), `node`, `domain`, `watch`,
//! `transaction`, and the values by which a client and its request are known (`view`, `current`). [`Store`] has the
//! tables together. Above it are procedures on the whole: `tree`, `watching`, `account`, the changes that a
//! transaction lays over the tree (`layer`), the `rules` about nodes, and the consistency `check`. Nothing here knows
//! connections or the server.
//!
//! [`Store::attempt`] is the only way to change nodes, transactions' nodes or permissions on a client's
//! word: what it runs happens completely or not at all.

mod account;
mod acl;
pub mod check;
mod current;
mod domain;
mod layer;
mod node;
mod path_cache;
mod rules;
mod transaction;
mod tree;
mod view;
mod watch;
mod watching;

pub use acl::{Acl, AclBuf, AclId, Acls};
pub use current::Current;
pub use domain::{Domain, DomainId, Domains, Questions, Usage};
pub use layer::Spoiled;
pub use node::{Name, NameBuf, Node, NodeId, Owned, Siblings, Value};
pub use path_cache::PathCache;
pub use transaction::{Mark, Transaction, TransactionId, Transactions, TxNode};
pub use view::{Cursor, Place, Start, Subject, View};
pub use watch::{Change, Watch, WatchId, Watches};

use alloc::boxed::Box;
use alloc::vec;

use crate::abi::DomId;
use crate::config::Capacities;
use crate::hash::Key;
use crate::path::PREFIXES_MAX;
use crate::quota::Quotas;
use crate::slots::{Blobs, Claim, Full, Lists, Table};
use crate::trace::Names;
use crate::wire::XsError;

impl From<Full> for XsError {
    /// No slot is left, or a request touches more than the journal holds.
    fn from(_: Full) -> Self {
        XsError::ENOMEM
    }
}

pub struct Store {
    pub key: Key,
    pub blobs: Blobs,
    pub acls: Acls,
    pub domains: Domains,
    pub nodes: Table<Node>,
    /// Each domain's nodes, oldest first.
    pub owned: Lists<Domain, Node, Owned>,
    pub path_cache: PathCache,
    /// Paths that the trace has to name.
    pub names: Names,
    pub watches: Watches,
    pub transactions: Transactions,
    /// Counts every change of a value or of a list of children.
    generation: u64,
    pub current: Current,
    /// By the domain record's slot.
    cursors: Box<[Option<Cursor>]>,
    /// The most that any guest that is gone has held at once.
    peak_of_gone: Quotas,
    /// Hashes of a path's prefixes, the shortest first, while one of them is looked for.
    pub(crate) prefix_hashes: Box<[u64]>,
}

/// Whose change a generation stands for.
pub fn writer_of(generation: u64) -> DomId {
    DomId(generation as u16)
}

impl Store {
    /// An empty store: no node, not even the root.
    pub fn new(capacities: &Capacities, key: Key) -> Self {
        let journal = Capacities::JOURNAL;
        Store {
            key,
            blobs: Blobs::new(capacities.chunks, Capacities::CHUNK_JOURNAL),
            acls: Acls::new(capacities.acls, journal),
            domains: Domains::new(capacities.domains, journal),
            nodes: Table::new(capacities.nodes, journal),
            owned: Lists::new(capacities.domains, journal),
            path_cache: PathCache::new(capacities.nodes),
            names: Names::new(capacities.names),
            watches: Watches::new(capacities),
            transactions: Transactions::new(capacities),
            generation: 0,
            current: Current::NONE,
            cursors: vec![None; capacities.domains].into_boxed_slice(),
            peak_of_gone: Quotas::NOTHING,
            prefix_hashes: vec![0; PREFIXES_MAX].into_boxed_slice(),
        }
    }

    /// Bytes of memory that a store for `capacities` takes.
    pub const fn bytes(capacities: &Capacities) -> usize {
        let journal = Capacities::JOURNAL;
        Blobs::bytes(capacities.chunks, Capacities::CHUNK_JOURNAL)
            + Acls::bytes(capacities.acls, journal)
            + Domains::bytes(capacities.domains, journal)
            + Table::<Node>::bytes(capacities.nodes, journal)
            + Lists::<Domain, Node, Owned>::bytes(capacities.domains, journal)
            + PathCache::bytes(capacities.nodes)
            + Names::bytes(capacities.names)
            + Watches::bytes(capacities)
            + Transactions::bytes(capacities)
            + capacities.domains * size_of::<Option<Cursor>>()
            + PREFIXES_MAX * size_of::<u64>()
    }

    /// A number that no change had before. It ends in the writer's domid, so that a transaction that meets
    /// it can tell whom it lost to.
    pub fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        (self.generation << u16::BITS) | u64::from(self.current.writer.0)
    }

    /// Begins a life of `domid`, which must have no record.
    pub fn admit(&mut self, domid: DomId, unique_id: u64, quotas: Quotas) -> Result<DomainId, Full> {
        let id = self.domains.admit(domid, unique_id, quotas)?;
        self.domains.update(id).since = self.generation as u32;
        Ok(id)
    }

    /// Where the domain's last reading of a list in parts stopped.
    pub fn cursor(&self, id: DomainId) -> Option<Cursor> {
        *self.cursors.get(id.index())?
    }

    pub fn set_cursor(&mut self, id: DomainId, cursor: Option<Cursor>) {
        if let Some(place) = self.cursors.get_mut(id.index()) {
            *place = cursor;
        }
    }

    /// Runs `request`; if it fails, nothing of it remains.
    pub fn attempt<T>(
        &mut self,
        claim: Claim,
        request: impl FnOnce(&mut Store) -> Result<T, XsError>,
    ) -> Result<T, XsError> {
        self.begin(claim);
        let result = request(self);
        match result {
            Ok(_) => self.commit(),
            Err(_) => self.rollback(),
        }
        result
    }

    /// As `attempt`, but without a journal if nothing can be missing: then `request` does not fail.
    pub fn attempt_unless<T>(
        &mut self,
        sure: bool,
        claim: Claim,
        request: impl FnOnce(&mut Store) -> Result<T, XsError>,
    ) -> Result<T, XsError> {
        if !sure {
            return self.attempt(claim, request);
        }
        let result = request(self);
        debug_assert!(result.is_ok(), "nothing is missing");
        result
    }

    fn begin(&mut self, claim: Claim) {
        self.blobs.begin(claim);
        self.acls.begin(claim);
        self.domains.arena.begin(claim);
        self.nodes.begin(claim);
        self.owned.begin(claim);
        self.transactions.begin(claim);
        self.watches.begin(claim);
    }

    fn commit(&mut self) {
        self.blobs.commit();
        self.domains.arena.commit();
        self.nodes.commit();
        self.owned.commit();
        self.transactions.commit();
        self.watches.commit();
        self.acls.commit(&mut self.blobs);
    }

    fn rollback(&mut self) {
        self.blobs.rollback();
        self.acls.rollback();
        self.domains.arena.rollback();
        self.nodes.rollback();
        self.owned.rollback();
        self.transactions.rollback();
        self.watches.rollback();
    }
}
