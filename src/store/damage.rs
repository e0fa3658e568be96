//! Damage on purpose, as a fault might leave it: for tests, and for operators who want to see what follows.

use super::{DomainId, Node, Store};
use crate::slots::{Claim, Slot};
use crate::wire::XsError;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A domain is charged for memory that it does not hold.
    Charge,
    /// It counts nodes that it does not have.
    Nodes,
    /// It counts watches that it does not have.
    Watches,
    /// A permission list counts holders that it does not have.
    Holders,
    /// A node is in use that nothing leads to.
    Lost,
}

impl Damage {
    pub const ALL: [Damage; 5] =
        [Damage::Charge, Damage::Nodes, Damage::Watches, Damage::Holders, Damage::Lost];
}

impl Store {
    /// Does so. Of a list or a node it is the first that comes.
    pub fn damage(&mut self, domain: DomainId, what: Damage) {
        let usage = &mut self.held.update(domain).usage;
        match what {
            Damage::Charge => usage.memory += 1000,
            Damage::Nodes => usage.nodes += 3,
            Damage::Watches => usage.watches += 3,
            Damage::Holders => self.acls.damage(),
            Damage::Lost => {
                let taken =
                    self.attempt(Claim::Answer, |store| Ok::<_, XsError>(store.nodes.insert(Node::EMPTY)?));
                debug_assert!(taken.is_ok(), "there is room for a node");
            }
        }
    }
}
