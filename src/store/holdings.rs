//! What each domain holds: its nodes, watches and transactions, and how much that is.
//!
//! It is kept apart from the domain's record, because most attempts change nothing else of a domain: so they save few
//! bytes. Invariant: a slot without a domain holds nothing.

use super::node::{Node, Owned};
use super::transaction::{self, Transaction};
use super::watch::{self, Watch};
use crate::quota::Quotas;
use crate::slots::{List, Slot};

/// What a domain holds, in the units of its [`Quotas`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    pub nodes: u32,
    pub watches: u32,
    pub transactions: u32,
    /// Bytes of the store's memory: nodes, watches, transactions, queued messages.
    pub memory: u32,
    /// Requests taken but not fully answered.
    pub outstanding: u32,
    /// Slots of other kinds, see [`share`](super::share).
    pub chunks: u32,
    pub acls: u32,
    /// Its open transactions, and what it has done that is still told of.
    pub tx_slots: u32,
    pub copies: u32,
    pub messages: u32,
    /// What it lacks of an ordinary guest's need is kept for it: it is introduced.
    pub promised: bool,
}

impl Usage {
    pub const NOTHING: Usage = Usage {
        nodes: 0,
        watches: 0,
        transactions: 0,
        memory: 0,
        outstanding: 0,
        chunks: 0,
        acls: 0,
        tx_slots: 0,
        copies: 0,
        messages: 0,
        promised: false,
    };

    /// The same as amounts by quota. It names each quota, so that a new one does not compile until it is counted here.
    pub fn as_quotas(&self) -> Quotas {
        let Usage { nodes, watches, transactions, memory, outstanding, .. } = *self;
        Quotas {
            nodes,
            watches,
            outstanding,
            memory,
            soft_memory: memory,
            transactions,
            transaction_nodes: 0,
            node_permissions: 0,
            path_max: 0,
            node_size: 0,
        }
    }
}

/// The most that a domain has held at once of what it has quotas for, whoever gave it that. Invariant: it holds no more now, as
/// far as that is counted.
#[derive(Clone, Copy)]
pub(super) struct Most {
    nodes: u32,
    watches: u32,
    memory: u32,
    /// These are counted to 65535.
    transactions: u16,
    outstanding: u16,
}

impl Most {
    pub const NOTHING: Most = Most { nodes: 0, watches: 0, memory: 0, transactions: 0, outstanding: 0 };

    pub fn has_been(&self, now: &Usage) -> bool {
        now.nodes <= self.nodes
            && now.watches <= self.watches
            && now.transactions <= self.transactions.into()
            && now.memory <= self.memory
            && now.outstanding <= self.outstanding.into()
    }

    fn rise(&mut self, now: &Usage) {
        self.nodes = self.nodes.max(now.nodes);
        self.watches = self.watches.max(now.watches);
        self.transactions = self.transactions.max(counted(now.transactions));
        self.memory = self.memory.max(now.memory);
        self.outstanding = self.outstanding.max(counted(now.outstanding));
    }
}

fn counted(number: u32) -> u16 {
    number.min(u16::MAX.into()) as u16
}

#[derive(Clone, Copy)]
pub struct Holdings {
    /// Oldest first.
    pub(super) nodes: List<Node, Owned>,
    /// In order of registration.
    pub(super) watches: List<Watch, watch::OfDomain>,
    /// In order of their start.
    pub(super) transactions: List<Transaction, transaction::OfDomain>,
    pub usage: Usage,
    pub(super) most: Most,
    /// The identifier given to its latest transaction.
    pub last_tx: u32,
}

impl Holdings {
    /// After something has been added to what it holds.
    #[inline(never)] // Inlined, it would be half a KB of the image.
    pub fn note_most(&mut self) {
        if !self.most.has_been(&self.usage) {
            self.most.rise(&self.usage);
        }
    }

    /// It has held so much before the present server.
    pub(super) fn note_before(&mut self, amounts: &Quotas) {
        let Quotas { nodes, watches, memory, transactions, outstanding, .. } = *amounts;
        self.most.rise(&Usage { nodes, watches, memory, transactions, outstanding, ..Usage::NOTHING });
    }

    /// The most that it has held at once.
    pub(super) fn most(&self) -> Quotas {
        let Most { nodes, watches, memory, transactions, outstanding } = self.most;
        let (transactions, outstanding) = (transactions.into(), outstanding.into());
        Usage { nodes, watches, transactions, memory, outstanding, ..Usage::NOTHING }.as_quotas()
    }
}

impl Slot for Holdings {
    const EMPTY: Holdings = Holdings {
        nodes: List::EMPTY,
        watches: List::EMPTY,
        transactions: List::EMPTY,
        usage: Usage::NOTHING,
        most: Most::NOTHING,
        last_tx: 0,
    };
}
