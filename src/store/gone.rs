//! Nodes that the store began with and that are gone: a layer that makes up for what has changed names them.
//!
//! Such a node keeps its slot and its name, is in no list, belongs to nobody, and is found by no path: its hash is turned
//! round. Only the topmost of what is removed at once stays, and what has such a node below it. So all above it are either
//! in the tree or gone in the same way, and there are never more of them than layers have nodes.

use super::Store;
use super::name::Name;
use super::node::{Node, NodeId, Value};
use crate::path::Path;
use crate::slots::{Claim, Full, Links};
use crate::wire::XsError;

impl Store {
    /// Has a node that is out of all lists be one that is gone. In an attempt.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_gone(&mut self, id: NodeId) -> Result<(), Full> {
        if let Some(parent) = self.node(id).parent {
            self.nodes.modify(parent)?.note_gone_below();
        }
        let node = self.nodes.modify(id)?;
        node.hash = !node.hash;
        (node.acl, node.value) = (None, Value::EMPTY);
        node.set_watched(false);
        (node.siblings, node.owned) = (Links::NONE, Links::NONE);
        Ok(())
    }

    /// Whether a node is gone and the one above it is not.
    pub fn is_gone(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.is_gone() && node.parent.is_some_and(|parent| !self.node(parent).is_gone())
    }

    /// Says that a node was there and is gone. EINVAL if the one above it is missing or a client has made that. EEXIST if it
    /// is there, unless a client has made it anew, or if it has been said already.
    pub fn restore_gone(&mut self, path: Path<'_>) -> Result<(), XsError> {
        let parent = path.parent().and_then(|above| self.lookup(above));
        let parent = parent.filter(|above| !self.node(*above).origin().is_client()).ok_or(XsError::EINVAL)?;
        let hash = !path.hash(&self.key);
        let is_there = self.lookup(path).is_some_and(|node| !self.node(node).origin().is_client());
        if is_there || self.lookup_by_names(path, hash).is_some() {
            return Err(XsError::EEXIST);
        }
        self.attempt(Claim::Answer, |store| {
            let origin = store.node(parent).origin();
            let name = Name::store(&mut store.blobs, path.name())?;
            store.nodes.insert(Node { parent: Some(parent), name, ..Node::new(hash, 0, origin, false) })?;
            store.nodes.modify(parent)?.note_gone_below();
            Ok(())
        })
    }
}
