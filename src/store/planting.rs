//! Nodes of a state on their way into a store that has none: each comes after the one above it and after its elder siblings,
//! so nothing is searched for. And new nodes of a layer.
//!
//! They are made outside of attempts, because a store whose filling stops is given up as a whole. What they come to for
//! their owner is counted for many at once. Invariant: it is on the account when `count_planted` returns.

use super::Store;
use super::acl::AclId;
use super::domain::DomainId;
use super::name::Name;
use super::node::{Node, NodeId, Owned, Siblings, Value};
use super::origin::Origin;
use super::share::Share;
use crate::slots::{Blob, CHUNK, Claim, Full, Links, List, Ring};
use crate::wire::XsError;

/// Nodes with the same permission list that have been made and not counted yet.
#[derive(Clone, Copy)]
pub struct Planted {
    acl: AclId,
    /// A node with all that they have in common.
    node: Node,
    owner: DomainId,
    /// All nodes of the owner.
    owned: List<Node, Owned>,
    /// Nodes and chunks that were in use before.
    before: [u32; 2],
}

/// A node to be made.
pub struct Sapling {
    /// Above it; without one it is the root or a special node.
    pub parent: Option<NodeId>,
    /// Of its path.
    pub hash: u64,
    pub name: Name,
    /// Bytes of it.
    pub len: usize,
    pub value: Value,
}

impl Store {
    /// Begins with nodes that have this permission list, which is held once for them, and come from there. None if it has no
    /// owner.
    pub fn begin_planting(&self, acl: AclId, origin: Origin) -> Option<Planted> {
        let owner = self.domains.owner(self.acls.owner(acl))?;
        let node = Node { acl: Some(acl), ..Node::new(0, 0, origin, false) };
        Some(Planted { acl, node, owner, owned: self.held.of(owner).nodes, before: self.nodes_and_chunks() })
    }

    /// Nodes and chunks in use.
    fn nodes_and_chunks(&self) -> [u32; 2] {
        [self.nodes.arena().used(), self.blobs.arena().used()]
    }

    /// Makes a node with a path that no other has, the youngest child of the one above it.
    #[inline(always)] // For each node; there are two callers.
    pub fn plant(&mut self, planted: &mut Planted, sapling: Sapling) -> Result<NodeId, Full> {
        let Sapling { parent, hash, name, len, value } = sapling;
        let generation = self.next_generation();
        let Planted { node, owned, .. } = planted;
        let nodes = &mut self.nodes;
        let id = nodes.arena().fresh_id()?;
        let mut siblings = Links::NONE;
        if let Some(parent) = parent {
            let parent = nodes.update(parent);
            parent.children_bytes += len as u32 + 1;
            let last = parent.children.replace_last(id);
            siblings = Ring::<Node, Siblings>::follow(nodes, last, id);
        }
        let owned = owned.append_fresh(nodes, id);
        nodes.insert_fresh(id, Node { parent, siblings, owned, name, value, ..node.made(hash, generation) });
        Ok(id)
    }

    /// Has nodes that were made know of the watches on their paths. To be called in the end.
    #[inline(never)]
    pub fn tell_planted_of_watches(&mut self) {
        for path in self.watches.paths.arena().slots() {
            if let Some(node) = self.nodes.find(path.hash, |_| true) {
                self.nodes.update(node).set_watched(true);
            }
        }
    }

    /// Puts what has been made on its owner's account.
    #[inline(never)]
    pub fn count_planted(&mut self, planted: Planted) -> Result<(), XsError> {
        let Planted { acl, owner, owned, before: [nodes, chunks], .. } = planted;
        self.nodes.count_fresh();
        self.blobs.count_fresh();
        let [nodes_now, chunks_now] = self.nodes_and_chunks();
        let nodes = nodes_now.wrapping_sub(nodes);
        let memory =
            (nodes * Node::MEMORY).wrapping_add(chunks_now.wrapping_sub(chunks) * Blob::memory(CHUNK));
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
