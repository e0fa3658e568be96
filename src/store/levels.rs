//! How full each kind of storage is: the one list of the store's arenas, for the reports and the consistency check.

use core::ops::Range;

use super::{DomainId, Store};
use crate::config::Capacities;
use crate::platform::Instant;
use crate::slots::Balance;

macro_rules! arenas {
    ($store:ident.$figure:ident) => {
        [
            ("nodes", $store.nodes.arena().$figure()),
            ("chunks", $store.blobs.arena().$figure()),
            ("permission lists", $store.acls.table().arena().$figure()),
            ("domains", $store.domains.table().arena().$figure()),
            ("watches", $store.watches.arena.$figure()),
            ("watched paths", $store.watches.paths.arena().$figure()),
            ("transactions", $store.transactions.open.arena().$figure()),
            ("transaction nodes", $store.transactions.nodes.arena().$figure()),
        ]
    };
}

impl Store {
    /// Of each kind of storage, see [`Arena::level`](crate::slots::Arena::level).
    pub fn levels(&self) -> [(&'static str, [u32; 3]); 8] {
        arenas!(self.level)
    }

    /// The same with the free slots, counted.
    pub fn balances(&self) -> [(&'static str, Balance); 8] {
        arenas!(self.balance)
    }

    /// Memory of slots that were never used, see [`Arena::untouched`](crate::slots::Arena::untouched).
    pub fn untouched(&self) -> [Range<usize>; 8] {
        arenas!(self.untouched).map(|(_, memory)| memory)
    }

    /// Bytes of memory of slots that were never used, of copies and watches.
    pub fn room_beside_nodes(&self) -> usize {
        self.transactions.nodes.arena().untouched().len() + self.watches.arena.untouched().len()
    }

    /// Lends memory for something else than nodes, see [`Arena::lend`](crate::slots::Arena::lend).
    pub fn lend(&mut self, bytes: usize) -> Option<Range<usize>> {
        self.nodes.lend(bytes)
    }

    /// Bytes that can be lent.
    pub fn lendable(&self) -> usize {
        self.nodes.arena().lendable()
    }

    /// What was lent is room for nodes again.
    pub fn take_back(&mut self) {
        self.nodes.take_back();
    }

    /// Whether any transaction is open.
    pub fn has_transactions(&self) -> bool {
        self.transactions.open.iter().any(|(_, open)| !open.has_ended())
    }

    /// When the oldest of a domain's open transactions began.
    pub fn first_transaction_of(&self, domain: DomainId) -> Option<Instant> {
        let open = self.held.of(domain).transactions.iter(&self.transactions.open);
        open.map(|(_, open)| open.started).min()
    }

    /// Slots in use now of each kind that the store has.
    pub fn in_use(&self) -> Capacities {
        let [nodes, chunks, acls, domains, watches, _, transactions, tx_nodes] =
            arenas!(self.used).map(|(_, used)| used as usize);
        Capacities {
            domains,
            nodes,
            chunks,
            acls,
            watches,
            transactions,
            tx_nodes,
            messages: 0,
            trace: 0,
            names: 0,
        }
    }
}
