//! Layers that the store begins with: decide whether there is room for one, then apply what cannot fail, node by node.

use crate::path::{Path, PathBuf};
use crate::perms::Entry;
use crate::quota::Quota;
use crate::slots::{Blob, Claim};
use crate::store::domain::Delta;
use crate::store::intent::Removal;
use crate::store::node::AclChanges;
use crate::store::origin::Origin;
use crate::store::steps::Next;
use crate::store::view::{Place, Subject, View, node_size};
use crate::store::{AclId, Acls, Name, Node, NodeId, Store, Value};
use crate::wire::XsError;
use crate::words::{equal, position_of_last_slash};

/// New permission lists that are known to have been counted, the latest. Others are counted again, which is more than they
/// take.
const LISTS: usize = 16;

/// The most that a layer can take.
pub struct Wanted {
    /// Nodes, chunks and lists that there is room for.
    room: [u32; 3],
    nodes: u32,
    chunks: u32,
    lists: u32,
    /// Hashes of the latest of them.
    latest_lists: [u64; LISTS],
    /// The latest list's owner is no guest.
    is_for_privileged: bool,
    /// The latest node, which will be there, and those above it.
    latest: PathBuf,
    /// Those of them whose paths have so many bytes or more are not in the store yet.
    missing: usize,
}

impl Wanted {
    /// Nothing so far, of what there is room for.
    pub fn of(store: &Store) -> Wanted {
        let Store { nodes, blobs, acls, .. } = store;
        let room = [
            nodes.arena().available_to(Claim::Privileged),
            blobs.arena().available_to(Claim::Privileged),
            acls.table().arena().available_to(Claim::Privileged),
        ];
        let latest_lists = [0; LISTS];
        Wanted {
            room,
            nodes: 0,
            chunks: 0,
            lists: 0,
            latest_lists,
            is_for_privileged: false,
            latest: PathBuf::new(),
            missing: usize::MAX,
        }
    }

    /// Whether the latest node is at the path or below it.
    #[inline(never)] // In many places.
    fn covers(&self, path: &[u8]) -> bool {
        let (at, below) = self.latest.split_at_checked(path.len()).unwrap_or_default();
        equal(at, path) && matches!(below.first(), None | Some(b'/'))
    }

    /// Counts a node that is not there.
    fn add(&mut self, name: &[u8]) {
        self.nodes += 1;
        self.chunks += chunks(Name::memory(name));
    }

    /// Counts a node right below one that was counted with the latest, without looking for it: none can be there. Whether it is
    /// such a one.
    fn adds_beside(&mut self, path: &[u8]) -> bool {
        let slash = position_of_last_slash(path).filter(|slash| *slash >= self.missing);
        match slash.and_then(|slash| path.split_at_checked(slash)) {
            Some((above, [_, name @ ..])) if self.covers(above) && !self.covers(path) => {
                self.add(name);
                true
            }
            _ => false,
        }
    }
}

fn chunks(bytes: u32) -> u32 {
    bytes / Blob::CHUNK_MEMORY
}

impl Store {
    /// Adds what a node takes, with these entries if it states any; `again` if the latest that were weighed were the same.
    /// ENOMEM if there is no room, ENOSPC if its owner would hold too much. What removals give back is not looked at: what they
    /// remove was counted when it was made. Whoever weighs calls `end_weighing` in the end.
    #[inline(never)]
    pub fn weigh(
        &mut self,
        wanted: &mut Wanted,
        path: Path<'_>,
        value: usize,
        entries: Option<&[u8]>,
        again: bool,
    ) -> Result<(), XsError> {
        if !wanted.adds_beside(path.as_bytes()) {
            self.weigh_missing(wanted, path);
        }
        wanted.chunks += chunks(Value::memory(value));
        if let Some(entries) = entries {
            if !again {
                self.weigh_list(wanted, entries);
            }
            if !(again && wanted.is_for_privileged) {
                wanted.is_for_privileged = self.weigh_owner(path, value, entries)?;
            }
        }
        wanted.latest.clear();
        // There is room for each path that a layer may have.
        let _fits = wanted.latest.extend_from_slice(path.as_bytes());
        let Wanted { room: [nodes, chunks, lists], .. } = *wanted;
        let fits = wanted.nodes <= nodes && wanted.chunks <= chunks && wanted.lists <= lists;
        if fits { Ok(()) } else { Err(XsError::ENOMEM) }
    }

    /// Adds what is not there of a path, with its names.
    #[inline(never)]
    fn weigh_missing(&self, wanted: &mut Wanted, path: Path<'_>) {
        let mut at = Some(path);
        while let Some(missing) = at.filter(|at| !wanted.covers(at.as_bytes()) && self.is_missing(*at)) {
            at = missing.parent();
            wanted.add(missing.name());
        }
        let there = at.map_or(&[][..], |at| at.as_bytes());
        if there.len() < wanted.missing || !wanted.covers(there) {
            wanted.missing = there.len() + 1;
        }
    }

    fn is_missing(&self, path: Path<'_>) -> bool {
        self.lookup_by_names(path, path.hash(&self.key)).is_none()
    }

    #[cold]
    #[inline(never)]
    fn weigh_list(&self, wanted: &mut Wanted, entries: &[u8]) {
        let hash = self.key.hash(entries);
        if !wanted.latest_lists.contains(&hash) && self.acls.find(hash, &self.blobs, entries).is_none() {
            if let Some(place) = wanted.latest_lists.get_mut(wanted.lists as usize % LISTS) {
                *place = hash;
            }
            wanted.lists += 1;
            wanted.chunks += chunks(Acls::memory(entries.len()));
        }
    }

    /// Counts what is given to a guest against its quotas. Whether it is none.
    #[cold]
    #[inline(never)]
    fn weigh_owner(&mut self, path: Path<'_>, value: usize, entries: &[u8]) -> Result<bool, XsError> {
        let first = entries.first_chunk().map(|first| Entry::from_bytes(*first));
        let Some(owner) = first.and_then(|first| self.domains.owner(first)) else { return Ok(true) };
        if self.domains.is_privileged(owner) {
            return Ok(true);
        }
        let domain = self.domains.update(owner);
        domain.delta.nodes += 1;
        let memory = Node::memory(Name::memory(path.name()), value) as i32;
        domain.delta.memory = domain.delta.memory.saturating_add(memory);
        let (delta, quotas) = (domain.delta, domain.quotas);
        let entries = entries.len() / Entry::SIZE;
        let usage = self.held.of(owner).usage;
        let amounts = [
            (Quota::NODES, usage.nodes.saturating_add_signed(delta.nodes) as usize),
            (Quota::MEMORY, usage.memory.saturating_add_signed(delta.memory) as usize),
            (Quota::NODE_PERMISSIONS, entries),
            (Quota::NODE_SIZE, node_size(entries, value, 0)),
        ];
        let exceeds = |(quota, amount): (Quota, usize)| {
            let limit = (quota.get)(&quotas) as usize;
            limit != 0 && amount > limit
        };
        if amounts.into_iter().any(exceeds) { Err(XsError::ENOSPC) } else { Ok(false) }
    }

    /// Forgets what has been weighed of guests.
    #[cold]
    #[inline(never)]
    pub fn end_weighing(&mut self) {
        for slot in self.domains.slots() {
            if let Some(id) = self.domains.at(slot) {
                self.domains.update(id).delta = Delta::default();
            }
        }
    }

    /// How the privileged domain sees the store.
    fn privileged_view(&self) -> Result<View, XsError> {
        let domain = self.domains.privileged().ok_or(XsError::EIO)?;
        Ok(View { domain, caller: self.domains.caller(domain), tx: None, changes_nodes: true })
    }

    /// Lays a node over what is there, for which there is room, as the privileged domain would write it. `entries` are as
    /// stored. The result is its list; `again` is that if the node before had the same entries.
    #[inline(never)]
    pub(super) fn fuse_node(
        &mut self,
        path: Path<'_>,
        value: Option<&[u8]>,
        entries: Option<&[u8]>,
        again: Option<AclId>,
        origin: Origin,
    ) -> Result<Option<AclId>, XsError> {
        let view = self.privileged_view()?;
        let subject = Subject::new(path, path.hash(&self.key));
        let found = self.lookup_by_names(path, subject.hash).map(Place::Node);
        let place = match (found, value) {
            (Some(place), Some(value)) => self.write_at(&view, path, place, value).map(|()| place)?,
            (Some(place), None) => place,
            (None, _) => self.create_at(&view, subject, value.unwrap_or_default(), None)?,
        };
        let Place::Node(id) = place else { return Err(XsError::EIO) };
        if let Some(entries) = entries
            && (again.is_none() || again != self.acl(id))
            && self.acls.find(self.key.hash(entries), &self.blobs, entries) != self.acl(id)
        {
            self.list.clear();
            entries.as_chunks().0.iter().try_for_each(|entry| self.list.push(Entry::from_bytes(*entry)))?;
            self.set_acl_at(&view, path, place)?;
            self.nodes.update(id).set_acl_changes(AclChanges::NONE);
        }
        let mut next = Some(id).filter(|_| found.is_none() || value.is_some());
        while let Some(at) = next {
            let node = self.nodes.update(at);
            node.set_origin(origin);
            // Those above it that were made for it are no layer's yet.
            next = node.parent.filter(|above| self.node(*above).origin().is_client());
        }
        Ok(self.acl(id))
    }

    /// Removes a node with all below it, or only that; if there is none, nothing.
    #[cold]
    #[inline(never)]
    pub fn fuse_removal(&mut self, path: Path<'_>, below_only: bool) -> Result<(), XsError> {
        let Some(top) = self.lookup(path) else { return Ok(()) };
        if !below_only {
            return self.remove_fused(top);
        }
        while let Some(child) = self.first_child(top) {
            self.remove_fused(child)?;
        }
        Ok(())
    }

    fn remove_fused(&mut self, top: NodeId) -> Result<(), XsError> {
        self.begin(None, |intent| intent.remove = Some(Removal { top, at: top, told: false, noted: false }))?;
        while self.step(|_| false)? != Next::Nothing {}
        Ok(())
    }

    /// Whether a client has changed a node's value since the layers were fused, or made it.
    pub fn is_value_changed(&self, node: &Node) -> bool {
        node.value_generation() >> u16::BITS > self.origins.fused
    }

    pub fn set_origin(&mut self, id: NodeId, origin: Origin) {
        self.nodes.update(id).set_origin(origin);
    }

    /// All nodes that are there now are what the store begins with.
    pub fn note_fused(&mut self) {
        self.origins.fused = self.generation;
    }
}
