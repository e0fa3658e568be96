//! How full each kind of storage is: the one list of the store's arenas, for the reports and the consistency check.

use super::Store;
use crate::config::Capacities;
use crate::slots::Balance;

macro_rules! arenas {
    ($store:ident.$figure:ident) => {
        [
            ("nodes", $store.nodes.arena().$figure()),
            ("chunks", $store.blobs.arena().$figure()),
            ("permission lists", $store.acls.table().arena().$figure()),
            ("domains", $store.domains.arena.$figure()),
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
