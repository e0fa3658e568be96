//! The tree itself: lookup, creation, change and removal of nodes.
//!
//! Invariant: each change of a node changes its owner's account in the same attempt.

use super::Store;
use super::acl::AclId;
use super::domain::DomainId;
use super::name::Name;
use super::node::{Node, NodeId, Siblings, Value};
use super::origin::Origin;
use super::share::Share;
use crate::path::{Path, PathBuf};
use crate::slots::{Full, Ring, Text};
use crate::wire::XsError;

/// Nodes that one owner gains or loses in an attempt, and what they take.
#[derive(Default)]
pub struct Lot {
    owner: Option<DomainId>,
    nodes: u32,
    memory: u32,
}

impl Store {
    pub fn lookup(&self, path: Path<'_>) -> Option<NodeId> {
        self.lookup_hashed(path, path.hash(&self.key))
    }

    /// As `lookup`, for a caller that has hashed the path already.
    #[inline(never)] // In many places, with all that it calls.
    pub fn lookup_hashed(&self, path: Path<'_>, hash: u64) -> Option<NodeId> {
        self.path_cache.find(path.as_bytes(), hash).or_else(|| self.lookup_by_names(path, hash))
    }

    /// As `lookup_hashed`, by the index alone.
    #[inline(always)]
    pub fn lookup_by_names(&self, path: Path<'_>, hash: u64) -> Option<NodeId> {
        self.nodes.find(hash, |node| self.is_at(node, path))
    }

    /// As `lookup_hashed`, for a path that will be looked up again.
    #[inline(always)]
    pub fn locate(&mut self, path: Path<'_>, hash: u64) -> Option<NodeId> {
        if let Some(id) = self.path_cache.find(path.as_bytes(), hash) {
            return Some(id);
        }
        self.locate_anew(path, hash)
    }

    #[inline(never)]
    fn locate_anew(&mut self, path: Path<'_>, hash: u64) -> Option<NodeId> {
        // No record has the hash of what a request looks for on the way.
        if hash == self.current.path_hash {
            self.trace.name_for(self.current.writer, hash, path.as_bytes());
        }
        let id = self.lookup_by_names(path, hash)?;
        self.remember(path, id);
        Some(id)
    }

    /// The node whose path has this hash: for hashes that the store has kept, not for those of paths that a client
    /// names. Those of its nodes differ in 64 keyed bits, so no path needs to be read.
    pub fn node_hashed(&self, hash: u64) -> Option<NodeId> {
        self.nodes.find(hash, |_| true)
    }

    /// The path of the node with this hash.
    pub fn path_hashed<'a>(&self, hash: u64, buf: &'a mut PathBuf) -> Option<Path<'a>> {
        let id = self.node_hashed(hash)?;
        self.path_of(id, buf).ok()
    }

    /// Keeps a path for the trace, whether there is a node or not. Returns its hash.
    #[inline(never)]
    pub fn note_name(&mut self, path: Path<'_>) -> u64 {
        let hash = path.hash(&self.key);
        self.trace.name(hash, path.as_bytes());
        hash
    }

    /// Caches that `path` leads to this node, whose creation no attempt can undo any more.
    pub fn remember(&mut self, path: Path<'_>, id: NodeId) {
        debug_assert!(!self.attempt.is_open(), "what is found may be undone");
        self.path_cache.remember(path.as_bytes(), self.nodes.get(id).hash, id);
    }

    /// The longest prefix that exists of a path, itself included, by hashes alone. A path that the store has not kept may be
    /// taken for another one by a chance of 1 to 2^64.
    pub fn nearest(&self, path: Path<'_>) -> Option<NodeId> {
        let mut nearest = None;
        let _missing: Result<(), ()> = path.each_prefix(&self.key, None, |_, hash| {
            nearest = Some(self.node_hashed(hash).ok_or(())?);
            Ok(())
        });
        nearest
    }

    pub(super) fn is_at(&self, node: &Node, path: Path<'_>) -> bool {
        let mut node = node;
        let mut rest = path.as_bytes();
        while let Some(parent) = node.parent {
            let Some(above) = node.name.strip_from(&self.blobs, rest) else { return false };
            rest = above;
            node = self.nodes.get(parent);
        }
        // A special node's name is its whole path. The root has no name, and nothing of the path may be left.
        if node.name.is_empty() {
            rest.is_empty() || path.is_root()
        } else {
            node.name.equals(&self.blobs, rest)
        }
    }

    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id)
    }

    /// The node's permission list. Invariant: every node has one.
    pub fn acl(&self, id: NodeId) -> Option<AclId> {
        self.nodes.get(id).acl
    }

    /// Writes the node's path.
    pub fn path_of<'a>(&self, id: NodeId, buf: &'a mut PathBuf) -> Result<Path<'a>, XsError> {
        // Components come last first, so each is written in reverse and the whole is reversed at the end.
        buf.clear();
        let mut at = id;
        loop {
            let node = self.nodes.get(at);
            let start = buf.len();
            if node.parent.is_some() {
                buf.push(b'/').map_err(|_| XsError::EIO)?;
            }
            node.name.append(&self.blobs, buf)?;
            if let Some(written) = buf.get_mut(start..) {
                written.reverse();
            }
            match node.parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        buf.reverse();
        if buf.is_empty() {
            buf.push(b'/').map_err(|_| XsError::EIO)?;
        }
        Ok(Path::from_canonical(buf))
    }

    /// Adds a node below `parent`, at the end of its children; without parent, the root or a special node.
    /// `hash` is that of its path. Takes over `value` and one hold on `acl`.
    pub fn create(
        &mut self,
        parent: Option<NodeId>,
        name: &[u8],
        hash: u64,
        value: Value,
        acl: AclId,
    ) -> Result<NodeId, Full> {
        self.create_one(parent, name, hash, value, acl, None)
    }

    /// The same, where it may be one of several, which their owner counts together.
    pub fn create_one(
        &mut self,
        parent: Option<NodeId>,
        name: &[u8],
        hash: u64,
        value: Value,
        acl: AclId,
        gained: Option<&mut Lot>,
    ) -> Result<NodeId, Full> {
        let generation = self.next_generation();
        let mut children = parent.map_or(Ring::EMPTY, |parent| self.nodes.get(parent).children);
        let id = self.nodes.insert(Node {
            parent,
            siblings: children.links_of_next(&self.nodes),
            acl: Some(acl),
            name: Name::store(&mut self.blobs, name)?,
            value,
            ..Node::new(hash, generation, Origin::CLIENT, self.watches.paths.may_have(hash))
        })?;
        if let Some(parent) = parent {
            children.append(&mut self.nodes, id)?;
            let parent = self.nodes.modify(parent)?;
            parent.children = children;
            parent.children_bytes += name.len() as u32 + 1;
            parent.set_list_generation(generation);
        }
        match gained {
            None => self.own(id)?,
            Some(gained) => self.give_to_owner(id, gained)?,
        }
        Ok(id)
    }

    /// Replaces the value, taking over `value`.
    pub fn set_value(&mut self, id: NodeId, value: Value) -> Result<(), Full> {
        let generation = self.next_generation();
        let node = self.nodes.modify(id)?;
        let old = core::mem::replace(&mut node.value, value);
        node.set_value_generation(generation);
        old.free(&mut self.blobs)?;
        let (before, after) = (Value::memory(old.len()), Value::memory(value.len()));
        if before == after { Ok(()) } else { self.charge(self.owner_of(id), before, after) }
    }

    /// Replaces the permission list, taking over one hold on `acl`.
    pub fn set_acl(&mut self, id: NodeId, acl: AclId) -> Result<(), Full> {
        let Some(old) = self.acl(id) else { return Ok(()) };
        let same_owner = self.acls.owner(old) == self.acls.owner(acl);
        if !same_owner {
            self.disown(id)?;
        }
        let privileged =
            self.domains.find(self.current.writer).is_some_and(|by| self.domains.is_privileged(by));
        let node = self.nodes.modify(id)?;
        node.acl = Some(acl);
        let mut changes = node.acl_changes();
        let starts_over = changes.count(privileged);
        node.set_acl_changes(changes);
        if starts_over {
            let generation = self.next_generation();
            self.nodes.modify(id)?.set_list_generation(generation);
        }
        if !same_owner {
            self.own(id)?;
        }
        self.acls.release(old)
    }

    /// Removes a node that has no children.
    pub fn remove_leaf(&mut self, id: NodeId) -> Result<(), Full> {
        let mut lost = Lot::default();
        self.remove_one(id, true, &mut lost)?;
        self.count_lost(&mut lost)
    }

    /// The same for one of several, which their owner counts together. `noted`: if a layer has it, it is remembered that it
    /// is gone.
    pub fn remove_one(&mut self, id: NodeId, noted: bool, lost: &mut Lot) -> Result<(), Full> {
        self.take_from_owner(id, lost)?;
        let generation = self.next_generation();
        let node = *self.nodes.get(id);
        debug_assert!(node.children.is_empty(), "children go first");
        if let Some(parent) = node.parent {
            let mut children = self.nodes.get(parent).children;
            children.remove(&mut self.nodes, id)?;
            let parent = self.nodes.modify(parent)?;
            parent.children = children;
            parent.children_bytes -= node.name.len() as u32 + 1;
            parent.set_list_generation(generation);
        }
        node.value.free(&mut self.blobs)?;
        if let Some(acl) = node.acl {
            self.acls.release(acl)?;
        }
        self.path_cache.forget(node.hash);
        if !node.origin().is_client() && (noted || node.origin().has_gone_below()) {
            return self.leave_gone(id);
        }
        node.name.free(&mut self.blobs)?;
        self.nodes.remove(id)
    }

    /// The first node in post-order of the subtree of `id`.
    pub fn first_leaf(&self, id: NodeId) -> NodeId {
        let mut at = id;
        while let Some(child) = self.first_child(at) {
            at = child;
        }
        at
    }

    /// Appends the name of a node and those of the nodes on the way down to the first leaf.
    pub fn append_first_leaf(&self, id: NodeId, path: &mut PathBuf) -> Result<(), XsError> {
        self.node(id).name.append(&self.blobs, path)?;
        let mut at = id;
        while let Some(child) = self.first_child(at) {
            path.push(b'/').map_err(|_| XsError::EIO)?;
            self.node(child).name.append(&self.blobs, path)?;
            at = child;
        }
        Ok(())
    }

    /// The node after `id` in post-order within the subtree of `top`. It does not depend on `id` afterwards, so `id`
    /// may be removed.
    pub fn next_in_postorder(&self, top: NodeId, id: NodeId) -> Option<NodeId> {
        let node = self.nodes.get(id);
        match self.sibling_after(node) {
            _ if id == top => None,
            Some(sibling) => Some(self.first_leaf(sibling)),
            None => node.parent,
        }
    }

    /// The children, oldest first.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.get(id).children.iter(&self.nodes)
    }

    /// A child of a node and the children after it; all children if it is none.
    #[inline(always)] // Twice.
    pub fn children_from(&self, id: NodeId, child: Option<NodeId>) -> impl Iterator<Item = (NodeId, &Node)> {
        let children = self.node(id).children;
        children.iter_from(&self.nodes, child.or_else(|| children.first(&self.nodes)))
    }

    /// The oldest child.
    #[inline(always)]
    pub fn first_child(&self, id: NodeId) -> Option<NodeId> {
        self.first_child_of(self.node(id))
    }

    #[inline(always)]
    pub fn first_child_of(&self, node: &Node) -> Option<NodeId> {
        node.children.first(&self.nodes)
    }

    /// The child after this one of the same node.
    #[inline(always)]
    pub fn sibling_after(&self, node: &Node) -> Option<NodeId> {
        Ring::<Node, Siblings>::after(&self.nodes, node)
    }

    /// The node after `id` in pre-order within the subtree of `top`, and how many bytes its path has. That of `id`
    /// has `len`; the root is neither.
    pub fn next_in_preorder(&self, top: NodeId, id: NodeId, len: usize) -> Option<(NodeId, usize)> {
        let (mut at, mut len, mut next) = (id, len + 1, self.first_child(id));
        while next.is_none() && at != top {
            let node = self.nodes.get(at);
            len = len.saturating_sub(node.name.len() + 1);
            next = self.sibling_after(node);
            at = node.parent?;
        }
        next.map(|next| (next, len + self.nodes.get(next).name.len()))
    }

    /// The record of the node's owner.
    pub fn owner_of(&self, id: NodeId) -> Option<DomainId> {
        let acl = self.acl(id)?;
        self.domains.owner(self.acls.owner(acl))
    }

    /// Moves a domain's memory charge from `old` to `new` bytes, all of chunks.
    pub fn charge(&mut self, domain: Option<DomainId>, old: u32, new: u32) -> Result<(), Full> {
        if let (Some(domain), true) = (domain, old != new) {
            let held = self.held.modify(domain)?;
            held.usage.memory = held.usage.memory.wrapping_sub(old).wrapping_add(new);
            held.note_most();
            self.move_chunks(domain, old, new)?;
        }
        Ok(())
    }

    fn own(&mut self, id: NodeId) -> Result<(), Full> {
        let Some(domain) = self.owner_of(id) else { return Ok(()) };
        let node = self.nodes.get(id);
        let memory = Node::memory(node.name.spilled(), node.value.len());
        self.count_more(domain, Some(id), 1, memory)
    }

    #[inline(never)] // Where many are made.
    fn give_to_owner(&mut self, id: NodeId, gained: &mut Lot) -> Result<(), Full> {
        let Some(domain) = self.owner_of(id) else { return Ok(()) };
        if gained.owner != Some(domain) {
            self.count_gained(gained)?;
            gained.owner = Some(domain);
        }
        let node = self.nodes.get(id);
        gained.nodes += 1;
        gained.memory = gained.memory.wrapping_add(Node::memory(node.name.spilled(), node.value.len()));
        self.held.modify(domain)?.nodes.append(&mut self.nodes, id)
    }

    /// Counts what an owner has gained for it, which is what checks its share. In the attempt in which it has gained it.
    pub fn count_gained(&mut self, gained: &mut Lot) -> Result<(), Full> {
        let Lot { owner: Some(domain), nodes, memory } = core::mem::take(gained) else { return Ok(()) };
        self.count_more(domain, None, nodes, memory)
    }

    /// Counts so many nodes more for a domain, of which it may be to have one yet.
    #[inline(never)] // In several places.
    fn count_more(
        &mut self,
        domain: DomainId,
        one: Option<NodeId>,
        nodes: u32,
        memory: u32,
    ) -> Result<(), Full> {
        let held = self.held.modify(domain)?;
        if let Some(id) = one {
            held.nodes.append(&mut self.nodes, id)?;
        }
        held.usage.nodes += nodes;
        held.usage.memory = held.usage.memory.wrapping_add(memory);
        held.note_most();
        if !self.domains.is_privileged(domain) {
            self.moved(domain, Share::Nodes, nodes)?;
            self.move_chunks(domain, nodes * Node::MEMORY, memory)?;
        }
        Ok(())
    }

    fn disown(&mut self, id: NodeId) -> Result<(), Full> {
        let mut lost = Lot::default();
        self.take_from_owner(id, &mut lost)?;
        self.count_lost(&mut lost)
    }

    fn take_from_owner(&mut self, id: NodeId, lost: &mut Lot) -> Result<(), Full> {
        let Some(domain) = self.owner_of(id) else { return Ok(()) };
        if lost.owner != Some(domain) {
            self.count_lost(lost)?;
            lost.owner = Some(domain);
        }
        let node = self.nodes.get(id);
        lost.nodes += 1;
        lost.memory = lost.memory.wrapping_add(Node::memory(node.name.spilled(), node.value.len()));
        self.held.modify(domain)?.nodes.remove(&mut self.nodes, id)
    }

    /// Takes what an owner has lost off its account. In the attempt in which it has lost it.
    pub fn count_lost(&mut self, lost: &mut Lot) -> Result<(), Full> {
        let Lot { owner: Some(domain), nodes, memory } = core::mem::take(lost) else { return Ok(()) };
        let usage = &mut self.held.modify(domain)?.usage;
        usage.nodes -= nodes;
        usage.memory = usage.memory.wrapping_sub(memory);
        if !self.domains.is_privileged(domain) {
            self.moved(domain, Share::Nodes, nodes.wrapping_neg())?;
            self.move_chunks(domain, memory, nodes * Node::MEMORY)?;
        }
        Ok(())
    }

    /// The bytes of a value or name on their way into a node.
    pub fn text<const N: usize>(&mut self, bytes: &[u8]) -> Result<Text<N>, Full> {
        Text::store(&mut self.blobs, bytes)
    }
}
