//! Work of many steps that has been decided: a record of what is left of it, so that it can be resumed between any two
//! steps.
//!
//! Invariant: the record changes in the same attempts as the store. Some work needs other work done first: before a
//! domain is buried, its transactions are dropped and its nodes removed.

use super::domain::DomainId;
use super::node::NodeId;
use super::transaction::{OfDomain, Transaction, TransactionId, TxNodeId};
use crate::abi::{DomId, Port};
use crate::slots::{Arena, Attempt, Full, Id, List, Slot};
use crate::trace::Kind;
use crate::wire::TxId;

/// A node that is removed with all below it.
#[derive(Clone, Copy)]
pub struct Removal {
    pub top: NodeId,
    /// Next, after what is below it; at first the same.
    pub at: NodeId,
    /// Each removal collects its event. In a commit the transaction's copies do that.
    pub told: bool,
    /// If a layer has the node at the top, it is remembered that it is gone.
    pub noted: bool,
}

/// The progress of a commit.
#[derive(Clone, Copy)]
pub enum Stage {
    /// This copy's removal or change is next, in order of first touch.
    Changes(Option<TxNodeId>),
    /// This node is to be made next, in order of creation.
    Makes(Option<TxNodeId>),
    /// The event of this copy is next, in order of first touch.
    Events(Option<TxNodeId>),
}

/// A transaction that is being applied.
#[derive(Clone, Copy)]
pub struct Apply {
    pub tx: TransactionId,
    pub stage: Stage,
}

/// A special event whose form for one domain, `@x/<domid>`, is still to be sent.
#[derive(Clone, Copy)]
pub enum Announcement {
    Introduced(DomId),
    Released(DomId),
}

/// A domain whose ring is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    pub id: DomainId,
    /// It was in use before.
    pub again: bool,
    /// The port that replaces its present one.
    pub port: Option<Port>,
}

/// A domain whose life has ended.
#[derive(Clone, Copy)]
pub struct Burial {
    pub id: DomainId,
    /// It was introduced, so its end is announced.
    pub introduced: bool,
    /// Its nodes go to the privileged domain.
    pub keep_nodes: bool,
}

/// What is to be done, in the order of the fields.
#[derive(Clone, Copy)]
pub struct Intent {
    pub announce: Option<Announcement>,
    pub remove: Option<Removal>,
    /// A node that is removed in a transaction, and the copy that is looked at next.
    pub unmake: Option<(TxNodeId, TxNodeId)>,
    pub apply: Option<Apply>,
    /// Transactions that are still told of, in the order in which they took effect.
    pub told: List<Transaction, OfDomain>,
    /// One of them that is kept because not all who hear of it have their places.
    pub gathered: Option<TransactionId>,
    /// Those that have ended otherwise, and those of which all has been told, or will not be: they are forgotten.
    pub over: List<Transaction, OfDomain>,
    /// A domain that loses its watches and transactions.
    pub reset: Option<DomainId>,
    /// A domain whose ring is reset then.
    pub restart: Option<Restart>,
    pub bury: Option<Burial>,
    /// Domains have shut down, and the general `@releaseDomain` for that is still to be sent.
    pub shut_down: bool,
    /// The store is gone through, for the consistency check, for a state or for a layer of what has changed, amid which it must
    /// not change.
    pub check: bool,
}

impl Slot for Intent {
    const EMPTY: Intent = Intent {
        announce: None,
        remove: None,
        unmake: None,
        apply: None,
        told: List::EMPTY,
        gathered: None,
        over: List::EMPTY,
        reset: None,
        restart: None,
        bury: None,
        shut_down: false,
        check: false,
    };
}

impl Intent {
    /// Whether the next step may be about a connection.
    pub fn is_for_connections(&self) -> bool {
        self.announce.is_none()
            && self.remove.is_none()
            && self.unmake.is_none()
            && self.apply.is_none()
            && self.reset.is_none()
    }

    /// Whether events of a transaction are still to be collected, and nothing else of it.
    pub fn has_events(&self) -> bool {
        matches!(self.apply, Some(Apply { stage: Stage::Events(_), .. }))
    }

    /// Whose ring is to be reset, or whose life has ended.
    pub fn ends_session_of(&self) -> Option<DomainId> {
        self.restart.map(|restart| restart.id).or(self.bury.map(|burial| burial.id))
    }

    /// Whether no step is left. The announcement of shutdowns is none: it waits until Xen has reported all changes.
    pub fn is_empty(&self) -> bool {
        self.is_for_connections() && self.restart.is_none() && self.bury.is_none() && !self.check
    }
}

/// The one record of what is to be done.
pub struct Intents {
    record: Arena<Intent>,
    /// False only if there is nothing to do.
    some: bool,
}

impl Intents {
    /// Bytes of memory that the record takes.
    pub const BYTES: usize = Arena::<Intent>::bytes(1, 1, 0);

    pub fn new(attempt: &Attempt) -> Intents {
        Intents { record: Arena::new_in_use(attempt, 1, 1), some: false }
    }

    pub fn get(&self) -> &Intent {
        self.record.get(Id::FIRST)
    }

    /// The record for changing, in an attempt.
    pub fn modify(&mut self) -> Result<&mut Intent, Full> {
        self.some = true;
        self.record.modify(Id::FIRST)
    }

    /// Whether there is nothing to do.
    #[inline(always)]
    pub fn is_empty(&mut self) -> bool {
        !self.some || self.look()
    }

    /// Whether there may be something to do, or to give places for, or to forget.
    #[inline(always)]
    pub fn may_have_some(&self) -> bool {
        self.some
    }

    #[inline(never)]
    fn look(&mut self) -> bool {
        let intent = self.get();
        let empty = intent.is_empty();
        self.some = !empty || intent.gathered.is_some() || intent.over.first().is_some();
        empty
    }

    pub fn rollback(&mut self) {
        self.record.rollback();
    }
}

/// How a transaction has ended.
#[derive(Clone, Copy)]
pub struct Ended {
    /// The record to write of it, if any.
    pub kind: Option<Kind>,
    pub domain: DomainId,
    pub id: TxId,
    /// Nodes that it had touched.
    pub nodes: u32,
}
