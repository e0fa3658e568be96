//! Domains, nodes, watches and transactions, in arenas that one journal covers.
//!
//! Each kind of record has a file with its table: permission lists (`acl`), `node` with its `name`, `domain`, `watch`, `transaction`; what a domain
//! has of the last is its `holdings`.
//! `view` and `current` have what is known of a client and its request. [`Store`] has the tables together. The
//! procedures on all of it are `tree`, `watching`, `account`, the `limits` of quotas, the `counting` of what each guest has its `share` of, the
//! `interning` of permission lists, the changes that a transaction lays over the tree
//! (`layer`), the `rules` about nodes, the events of `changes`, what of layers is `gone`, the `handover` to and from a state with the `order` of what one domain has, and the consistency `check`. It uses `slots`, `trace`
//! and what is below them, and knows neither connections nor the server.
//!
//! The fields of records are open within this module: their invariants join several records, so the procedures keep
//! them and `check` recounts them.
//!
//! Invariant: the store changes in attempts ([`Store::attempt`], [`Store::decide`]), each of which happens completely
//! or not at all, and outside of those one slot at a time. Work of many steps is an `intent`, whose `steps` are
//! attempts.

mod account;
mod acl;
mod changes;
pub mod check;
mod collected;
mod counting;
mod creation;
mod current;
mod damage;
mod domain;
mod gathering;
mod gone;
mod handover;
mod holdings;
mod intent;
mod interning;
mod layer;
mod levels;
mod limits;
mod name;
mod node;
mod order;
mod origin;
mod path_cache;
mod planting;
mod radix;
mod refusal;
mod removal;
mod rules;
mod share;
mod steps;
mod transaction;
mod tree;
mod view;
mod watch;
mod watching;

pub use acl::{Acl, AclBuf, AclId, Acls, ENTRIES_MAX};
pub use collected::{Collected, Match};
pub use current::{Answer, Current};
pub use damage::Damage;
pub use domain::{Domain, DomainId, Domains, Questions};
pub use handover::ToldCopy;
pub use holdings::{Holdings, Usage};
pub use intent::{Announcement, Apply, Burial, Ended, Intent, Intents, Removal, Restart, Stage};
pub use layer::{Laid, Laying, Rest, Room, Spoiled, Telling, Wanted};
pub use name::{NAME_INLINE, Name};
pub use node::{AclChanges, NameBuf, Node, NodeId, Owned, Siblings, Value};
pub use order::Order;
pub use origin::{LAYERS_MAX, Layer, LayerName, NAME_MAX, Origin, Origins};
pub use path_cache::PathCache;
pub use planting::{Planted, Sapling};
pub use refusal::Refusal;
pub use share::{Promises, Share};
pub use steps::Next;
pub use transaction::{Mark, Transaction, TransactionId, Transactions, TxNode, TxNodeId};
pub use view::{Cursor, Place, Start, Subject, View};
pub use watch::{Change, Watch, WatchId, Watches};

use alloc::boxed::Box;

use domain::Delta;
use view::Stop;

use crate::abi::DomId;
use crate::config::{Capacities, Limits};
use crate::hash::Key;
use crate::path::PREFIXES_MAX;
use crate::quota::Quotas;
use crate::room::filled;
use crate::slots::{Attempt, Blobs, Claim, Each, Full, Saved, Slot, Table};
use crate::trace::Trace;
use crate::wire::XsError;

impl From<Full> for XsError {
    /// No slot is left, or a request touches more than the journal holds.
    fn from(_: Full) -> Self {
        XsError::ENOMEM
    }
}

/// Its open fields are parts that keep their own invariants, so forwarding their methods would add nothing. The others
/// change only together, by the procedures of this module.
pub struct Store {
    key: Key,
    pub blobs: Blobs,
    pub acls: Acls,
    /// The list that is put together at the moment.
    pub list: AclBuf,
    pub domains: Domains,
    pub held: Each<Domain, Holdings>,
    nodes: Table<Node>,
    path_cache: PathCache,
    /// The flight recorder, which names the paths that it records.
    pub trace: Trace,
    watches: Watches,
    transactions: Transactions,
    /// Work that has been decided and is not done.
    pub intents: Intents,
    /// The events of the latest change.
    pub collected: Collected,
    /// Whether the attempt at hand collects events.
    collecting: bool,
    /// How a transaction has ended, until that is recorded.
    ended: Option<Ended>,
    /// What is kept for guests that hold less than they need.
    promises: Saved<Promises>,
    /// See [`Store::take_crowded`].
    crowded: bool,
    attempt: Attempt,
    /// Counts every change of a value or of a list of children.
    generation: u64,
    pub current: Current,
    refused: refusal::Refused,
    /// By the domain record's slot.
    stops: Box<[Option<Stop>]>,
    /// The most that any former guest held at once.
    peak_of_gone: Quotas,
    /// Where nodes come from.
    pub origins: Origins,
    /// Hashes of a path's prefixes, the shortest first, while one of them is looked for.
    prefix_hashes: Box<[u64]>,
    /// What the last path that was missing begins with: the longest prefix that exists, by its length, and what is there.
    above: Option<(usize, Place)>,
    /// Not looked at without debug assertions.
    limits: Limits,
}

/// How often the generation can be counted up: then it comes round, after four months of 100,000 changes a second.
pub const GENERATION_MAX: u64 = (1 << (Node::GENERATION_BITS - u16::BITS)) - 1;

/// The domain that made the change which a generation counts.
pub fn writer_of(generation: u64) -> DomId {
    DomId(generation as u16)
}

impl Store {
    /// An empty store: no node, not even the root.
    pub fn new(capacities: &Capacities, key: Key) -> Self {
        let journal = Capacities::JOURNAL;
        let attempt = Attempt::new();
        Store {
            key,
            blobs: Blobs::new(&attempt, capacities.chunks, Capacities::CHUNKS_FREED),
            acls: Acls::new(&attempt, capacities.acls, journal),
            list: AclBuf::empty(),
            domains: Domains::new(&attempt, capacities.domains, journal),
            held: Each::new(&attempt, capacities.domains, journal),
            nodes: Table::new(&attempt, capacities.nodes, journal),
            path_cache: PathCache::new(capacities.nodes),
            trace: Trace::new(capacities.trace, capacities.names),
            watches: Watches::new(&attempt, capacities),
            transactions: Transactions::new(&attempt, capacities),
            intents: Intents::new(&attempt),
            collected: Collected::new(capacities.watches),
            collecting: false,
            ended: None,
            promises: Saved::new(&attempt, Promises::default()),
            crowded: false,
            attempt,
            generation: 0,
            current: Current::NONE,
            refused: refusal::Refused::default(),
            stops: filled(&None, capacities.domains),
            peak_of_gone: Quotas::NOTHING,
            origins: Origins::default(),
            prefix_hashes: filled(&0, PREFIXES_MAX),
            above: None,
            limits: Limits::DEFAULT,
        }
    }

    /// Bytes of memory that a store for `capacities` takes.
    pub const fn bytes(capacities: &Capacities) -> usize {
        let journal = Capacities::JOURNAL;
        Blobs::bytes(capacities.chunks, Capacities::CHUNKS_FREED)
            + Acls::bytes(capacities.acls, journal)
            + AclBuf::BYTES
            + Domains::bytes(capacities.domains, journal)
            + Table::<Node>::bytes(capacities.nodes, journal)
            + Each::<Domain, Holdings>::bytes(capacities.domains, journal)
            + PathCache::bytes(capacities.nodes)
            + Trace::bytes(capacities.trace, capacities.names)
            + Watches::bytes(capacities)
            + Transactions::bytes(capacities)
            + capacities.domains * size_of::<Option<Stop>>()
            + Intents::BYTES
            + Collected::bytes(capacities.watches)
            + PREFIXES_MAX * size_of::<u64>()
    }

    /// How much is done in one go. Constant without debug assertions, so it costs nothing there.
    #[inline(always)]
    pub fn limits(&self) -> &Limits {
        if cfg!(debug_assertions) { &self.limits } else { &Limits::DEFAULT }
    }

    /// Sets the limits, where debug assertions are compiled in.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The key of its hashes.
    pub fn key(&self) -> Key {
        self.key
    }

    /// A number that no change had before. It ends in the writer's domid, so that a transaction that meets
    /// it can tell whom it lost to.
    pub fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        if self.generation > GENERATION_MAX {
            // What the layers made stays older than all that clients change.
            self.generation = self.origins.fused + 1;
        }
        (self.generation << u16::BITS) | u64::from(self.current.writer.0)
    }

    /// Begins a life of `domid`, which must have no record.
    #[inline(never)] // It happens in several places, and seldom.
    pub fn admit(&mut self, domid: DomId, unique_id: u64, quotas: Quotas) -> Result<DomainId, Full> {
        self.domains.admit(domid, unique_id, quotas, self.generation as u32)
    }

    /// Ends what [`Domains::admit_client`] began. Whatever it held must be gone. In an attempt.
    pub fn dismiss_client(&mut self, id: DomainId) -> Result<(), XsError> {
        self.domains.dismiss_client(id)?;
        *self.held.modify(id)? = Holdings::EMPTY;
        Ok(())
    }

    /// Where the domain's last DIRECTORY_PART stopped.
    pub fn cursor(&self, id: DomainId) -> Option<Cursor> {
        match self.stops.get(id.index())? {
            Some(Stop::List(cursor)) => Some(*cursor),
            _ => None,
        }
    }

    pub fn set_cursor(&mut self, id: DomainId, cursor: Cursor) {
        self.set_stop(id, Some(Stop::List(cursor)));
    }

    /// Forgets where the domain's last request stopped.
    pub fn forget_stop(&mut self, id: DomainId) {
        self.set_stop(id, None);
    }

    fn set_stop(&mut self, id: DomainId, stop: Option<Stop>) {
        if let Some(place) = self.stops.get_mut(id.index()) {
            *place = stop;
        }
    }

    /// Runs one step; if it fails or is stopped, nothing of it remains.
    pub fn attempt<T>(
        &mut self,
        claim: Claim,
        step: impl FnOnce(&mut Store) -> Result<T, XsError>,
    ) -> Result<T, XsError> {
        self.attempt_for(None, claim, step)
    }

    /// As `attempt`, for the step that decides the request at hand: with it the request has happened, and `answer` is
    /// its answer.
    pub fn decide<T>(
        &mut self,
        answer: Result<Answer, XsError>,
        claim: Claim,
        step: impl FnOnce(&mut Store) -> Result<T, XsError>,
    ) -> Result<T, XsError> {
        self.attempt_for(Some(answer), claim, step)
    }

    /// After a stop, once the attempt at hand has ended: resets what no attempt covers to its state between requests.
    pub fn recover(&mut self) {
        for slot in self.domains.slots() {
            if let Some(id) = self.domains.at(slot) {
                self.domains.update(id).delta = Delta::default();
            }
        }
    }

    #[inline(always)]
    fn attempt_for<T>(
        &mut self,
        answer: Option<Result<Answer, XsError>>,
        claim: Claim,
        step: impl FnOnce(&mut Store) -> Result<T, XsError>,
    ) -> Result<T, XsError> {
        self.attempt.begin(claim);
        self.collecting = true;
        let result = step(self);
        let ended = self.end_attempt(result.is_ok(), answer);
        result.and_then(|done| ended.map(|()| done))
    }

    #[inline(never)] // Attempts are many, and each kind has its own.
    fn end_attempt(&mut self, done: bool, answer: Option<Result<Answer, XsError>>) -> Result<(), XsError> {
        if done && !self.acls.has_unheld() && !self.attempt.has_freed() {
            self.succeed(answer);
            return Ok(());
        }
        self.end_at_length(done, answer)
    }

    /// As `end_attempt`, also of one that has failed or that gives something back.
    #[inline(never)]
    fn end_at_length(&mut self, done: bool, answer: Option<Result<Answer, XsError>>) -> Result<(), XsError> {
        let removed = self.remove_unheld();
        if !done || removed.is_err() {
            self.rollback();
            self.current.short = true;
            return Ok(removed?);
        }
        self.succeed(answer);
        Ok(())
    }

    #[inline(always)]
    fn succeed(&mut self, answer: Option<Result<Answer, XsError>>) {
        if answer.is_some() {
            self.current.answer = answer;
        }
        self.attempt.decide();
        self.commit();
    }

    /// The attempt at hand. Other arenas that change together with the store join it.
    pub fn present_attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Ends the attempt, which has been decided. Stopped at any point and called again, it does the rest.
    #[inline(always)] // Most attempts free nothing.
    pub fn commit(&mut self) {
        if self.attempt.has_freed() {
            self.settle();
        }
        self.collecting = false;
        self.attempt.end();
    }

    #[inline(never)]
    fn settle(&mut self) {
        self.blobs.commit();
        self.domains.commit();
        self.nodes.commit();
        self.transactions.commit();
        self.watches.commit();
        self.acls.commit();
    }

    /// Gives the attempt up. Stopped at any point and called again, it does the rest.
    #[inline(never)]
    pub fn rollback(&mut self) {
        self.blobs.rollback();
        self.acls.rollback();
        self.domains.rollback();
        self.nodes.rollback();
        self.held.rollback();
        self.transactions.rollback();
        self.watches.rollback();
        self.intents.rollback();
        self.promises.rollback();
        if core::mem::take(&mut self.collecting) {
            self.drop_collected();
            self.ended = None;
        }
        self.attempt.end();
    }
}
