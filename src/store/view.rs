//! How one client sees the store: the tree itself, or the tree as its transaction has it.

use super::domain::DomainId;
use super::node::NodeId;
use super::transaction::{TransactionId, TxNodeId};
use crate::path::Path;
use crate::perms::{Caller, Entry};
use crate::quota::Quotas;
use crate::slots::Claim;

/// Who looks, and through which transaction.
#[derive(Clone, Copy)]
pub struct View {
    pub domain: DomainId,
    pub caller: Caller,
    pub quotas: Quotas,
    pub tx: Option<TransactionId>,
    /// Holds more than its share of the store's memory, so leaves more of it to others.
    pub greedy: bool,
}

impl View {
    pub fn claim(&self) -> Claim {
        Claim::to_keep(self.caller.privileged, self.greedy)
    }

    /// Whether `amount` is above a quota that binds this client. A quota of 0 binds nobody.
    pub fn exceeds(&self, quota: u32, amount: usize) -> bool {
        !self.caller.privileged && quota != 0 && amount > quota as usize
    }
}

/// Where a path led.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Node(NodeId),
    Copy(TxNodeId),
}

/// The path that a request is about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub path: Path<'a>,
    pub hash: u64,
    /// The node there, if it was found lately.
    pub(super) node: Option<NodeId>,
}

/// Where in a list of children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    First,
    /// At this child, which is in the tree.
    Child(NodeId),
    /// At this one, which the transaction has made. Those come last.
    Made(TxNodeId),
}

/// Size of a node as the quota `node-size` counts it.
pub(crate) fn node_size(acl_entries: usize, value: usize, children_bytes: usize) -> usize {
    16 + acl_entries * Entry::SIZE + value + children_bytes
}
