//! How one client sees the store: the tree itself, or the tree as its transaction has it.

use super::domain::DomainId;
use super::node::NodeId;
use super::transaction::{TransactionId, TxNodeId};
use crate::path::Path;
use crate::perms::{Caller, Entry};
use crate::quota::{Quota, Quotas};
use crate::slots::Claim;
use crate::wire::XsError;

/// Who looks, and through which transaction.
#[derive(Clone, Copy)]
pub struct View {
    pub domain: DomainId,
    pub caller: Caller,
    pub quotas: Quotas,
    pub tx: Option<TransactionId>,
    /// Holds more than its share of the store's memory, so leaves more of it to others.
    pub greedy: bool,
    /// The request is one of those that change nodes: WRITE, MKDIR, RM, SET_PERMS.
    pub changes_nodes: bool,
}

impl View {
    pub fn claim(&self) -> Claim {
        Claim::to_keep(self.caller.is_privileged(), self.greedy)
    }

    /// Refuses an `amount` above a quota that binds this client, as the table of quotas says. A quota of 0 binds nobody.
    #[inline(always)] // Nothing of the table is looked up then.
    pub fn check(&self, quota: Quota, amount: usize) -> Result<(), XsError> {
        self.check_against(&self.quotas, quota, amount)
    }

    /// The same where a domain with these quotas pays for what the client asks.
    #[inline(always)]
    pub fn check_against(&self, quotas: &Quotas, quota: Quota, amount: usize) -> Result<(), XsError> {
        let limit = (quota.get)(quotas);
        let exceeds = !self.caller.is_privileged() && limit != 0 && amount > limit as usize;
        quota.excess.error(self.changes_nodes).filter(|_| exceeds).map_or(Ok(()), Err)
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

/// Where the last DIRECTORY_PART of a domain stopped, so that the next goes on there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The listed node's generation. No other list ever has it but a transaction's copy, and that of a node
    /// made by the same change, which is empty.
    pub generation: u64,
    /// Bytes of names before `start`.
    pub offset: usize,
    pub start: Start,
}

/// Size of a node as the quota `node-size` counts it.
pub(crate) fn node_size(acl_entries: usize, value: usize, children_bytes: usize) -> usize {
    16 + acl_entries * Entry::SIZE + value + children_bytes
}
