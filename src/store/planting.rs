//! Nodes of a state on their way into a store that has none: each comes after the one above it and after its elder siblings,
//! so nothing is searched for. And new nodes of a layer.
//!
//! They are made outside of attempts, because a store whose filling stops is given up as a whole. What they come to for
//! their owner is counted for many at once. Invariant: it is on the account when `count_planted` returns.

use super::Store;
use super::acl::AclId;
use super::domain::DomainId;
use super::name::Name;
use super::node::{Node, NodeId, Owned, Value};
use super::origin::Origin;
use super::share::Share;
use crate::path::Path;
use crate::slots::{Claim, Full, List, Ring};
use crate::wire::XsError;

/// Nodes with the same permission list that have been made and not counted yet.
#[derive(Clone, Copy)]
pub struct Planted {
    acl: AclId,
    origin: Origin,
    owner: DomainId,
    /// All nodes of the owner.
    owned: List<Node, Owned>,
    nodes: u32,
    memory: u32,
}

impl Store {
    /// Begins with nodes that have this permission list, which is held once for them, and come from there. None if it has no
    /// owner.
    pub fn begin_planting(&self, acl: AclId, origin: Origin) -> Option<Planted> {
        let owner = self.domains.owner(self.acls.owner(acl))?;
        Some(Planted { acl, origin, owner, owned: self.held.of(owner).nodes, nodes: 0, memory: 0 })
    }

    /// Makes a node, the youngest child of `parent`; without one, the root or a special node. `hash` is that of its path.
    /// None if there is one with this path.
    #[inline(always)] // For each node; there are two callers.
    pub fn plant(
        &mut self,
        planted: &mut Planted,
        parent: Option<NodeId>,
        path: Path<'_>,
        name: &[u8],
        hash: u64,
        value: &[u8],
    ) -> Result<Option<NodeId>, Full> {
        if self.lookup_by_names(path, hash).is_some() {
            return Ok(None);
        }
        let generation = self.next_generation();
        let Planted { acl, origin, owned, nodes, memory, .. } = planted;
        let name = Name::store(&mut self.blobs, name)?;
        let mut children = parent.map_or(Ring::EMPTY, |parent| self.nodes.get(parent).children);
        let id = self.nodes.insert_fresh(Node {
            parent,
            siblings: children.links_of_next(&self.nodes),
            acl: Some(*acl),
            name,
            value: Value::store(&mut self.blobs, value)?,
            ..Node::new(hash, generation, *origin, self.watches.paths.may_have(hash))
        })?;
        if let Some(parent) = parent {
            children.append_unsaved(&mut self.nodes, id);
            let parent = self.nodes.update(parent);
            parent.children = children;
            parent.children_bytes += name.len() as u32 + 1;
        }
        owned.append_unsaved(&mut self.nodes, id);
        *nodes += 1;
        *memory = memory.wrapping_add(Node::memory(name.spilled(), value.len()));
        Ok(Some(id))
    }

    /// Puts what has been made on its owner's account.
    #[inline(never)]
    pub fn count_planted(&mut self, planted: Planted) -> Result<(), XsError> {
        let Planted { acl, owner, owned, nodes, memory, .. } = planted;
        self.attempt(Claim::Answer, |store| {
            // It has been held once already.
            match nodes.checked_sub(1) {
                Some(more) => store.acls.retain_times(more, acl)?,
                None => return Ok(store.acls.release(acl)?),
            };
            let held = store.held.modify(owner)?;
            held.nodes = owned;
            held.usage.nodes += nodes;
            held.usage.memory = held.usage.memory.wrapping_add(memory);
            held.note_most();
            if !store.domains.is_privileged(owner) {
                store.moved(owner, Share::Nodes, nodes)?;
                store.move_chunks(owner, nodes * Node::MEMORY, memory)?;
            }
            Ok(())
        })
    }
}
