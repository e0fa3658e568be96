//! How one client sees the store: the tree itself, or the tree as its transaction has it.
//!
//! Plain values, so their fields are open.

use core::num::NonZeroU16;

use super::domain::DomainId;
use super::node::NodeId;
use super::transaction::{TransactionId, TxNodeId};
use crate::path::Path;
use crate::perms::{Caller, Entry};
use crate::slots::Claim;
use crate::wire::TxId;

/// The client, its rights, and its transaction.
#[derive(Clone, Copy)]
pub struct View {
    pub domain: DomainId,
    pub caller: Caller,
    pub tx: Option<TransactionId>,
    /// The request is one of those that change nodes: WRITE, MKDIR, RM, SET_PERMS.
    pub changes_nodes: bool,
}

impl View {
    pub fn claim(&self) -> Claim {
        Claim::to_keep(self.caller.is_privileged())
    }
}

/// What a path led to.
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
    /// The node there, if the cache knew it.
    pub(super) node: Option<NodeId>,
    /// Length of the path relative to its home, if the cache knew that.
    pub(super) counted: Option<NonZeroU16>,
}

impl<'a> Subject<'a> {
    /// A path with its hash, of which no more is known.
    pub(super) fn new(path: Path<'a>, hash: u64) -> Self {
        Subject { path, hash, node: None, counted: None }
    }
}

/// A position in a list of children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    First,
    /// At this child, which is in the tree.
    Child(NodeId),
    /// At this child, which the transaction has created. These come last.
    Made(TxNodeId),
}

/// Where a domain's request stopped, so that the next turn of it can go on, or the next part of a list.
#[derive(Clone, Copy)]
pub(super) enum Stop {
    List(Cursor),
    /// In a transaction, before the copy of what is right above this one: all from the path with this hash up to here is
    /// missing and has its copy. There are so many levels above.
    Above {
        tx: TxId,
        path: u64,
        copy: TxNodeId,
        left: usize,
    },
    /// In a transaction, before the copy of this node, whose path has this hash, while a copy is removed with all below it.
    Below {
        tx: TxId,
        top: TxNodeId,
        node: NodeId,
        path: u64,
    },
}

/// Where the last DIRECTORY_PART of a domain stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The listed node's generation. Only two other lists can have the same: a transaction's copy of this one, and the
    /// empty list of a node that the same change has made.
    pub generation: u64,
    /// Bytes of names before `start`.
    pub offset: usize,
    pub start: Start,
}

/// Size of a node as the quota `node-size` counts it.
pub(crate) fn node_size(acl_entries: usize, value: usize, children_bytes: usize) -> usize {
    16 + acl_entries * Entry::SIZE + value + children_bytes
}
