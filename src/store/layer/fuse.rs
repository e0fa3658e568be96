//! Layers that the store begins with: decide whether there is room for one, then apply what cannot fail, node by node.

use crate::path::{Path, PathBuf};
use crate::perms::Entry;
use crate::quota::Quota;
use crate::slots::{Blob, CHUNK, Claim};
use crate::store::intent::Removal;
use crate::store::node::AclChanges;
use crate::store::origin::Origin;
use crate::store::steps::Next;
use crate::store::view::{Place, Subject, View, node_size};
use crate::store::{Acls, DomainId, Name, Node, NodeId, Store, Value};
use crate::wire::XsError;

/// New permission lists that are known to have been counted, the latest. Others are counted again, which is more than they
/// take.
const LISTS: usize = 16;

/// The most that a layer can take.
pub struct Wanted {
    nodes: u32,
    chunks: u32,
    lists: u32,
    /// Hashes of the latest of them.
    latest_lists: [u64; LISTS],
    /// What its nodes would be for a guest that they are given to, and for which.
    given: Option<(DomainId, u32, u32)>,
    /// The latest node, which will be there, and those above it.
    latest: PathBuf,
}

impl Wanted {
    pub const NOTHING: Wanted = Wanted {
        nodes: 0,
        chunks: 0,
        lists: 0,
        latest_lists: [0; LISTS],
        given: None,
        latest: PathBuf::new(),
    };

    /// Whether the latest node is at the path or below it.
    fn covers(&self, path: &[u8]) -> bool {
        let below = self.latest.strip_prefix(path);
        below.is_some_and(|below| matches!(below.first(), None | Some(b'/')))
    }
}

fn chunks(bytes: u32) -> u32 {
    bytes / Blob::memory(CHUNK)
}

impl Store {
    /// Adds what a node takes, with these entries if it states any. ENOMEM if there is no room, ENOSPC if its owner would
    /// hold too much. What removals give back is not looked at: what they remove was counted when it was made.
    #[inline(never)]
    pub fn weigh(
        &self,
        wanted: &mut Wanted,
        path: Path<'_>,
        value: usize,
        entries: Option<&[u8]>,
    ) -> Result<(), XsError> {
        let mut at = Some(path);
        while let Some(missing) = at.filter(|at| !wanted.covers(at.as_bytes()) && self.lookup(*at).is_none())
        {
            wanted.nodes += 1;
            wanted.chunks += chunks(Name::memory(missing.name().len()));
            at = missing.parent();
        }
        wanted.chunks += chunks(Value::memory(value));
        if let Some(entries) = entries {
            self.weigh_list(wanted, entries);
            self.weigh_owner(wanted, path, value, entries)?;
        }
        wanted.latest.clear();
        // There is room for each path that a layer may have.
        let _fits = wanted.latest.extend_from_slice(path.as_bytes());
        let left = |available: u32, wanted: u32| available >= wanted;
        let fits = left(self.nodes.arena().available_to(Claim::Privileged), wanted.nodes)
            && left(self.blobs.arena().available_to(Claim::Privileged), wanted.chunks)
            && left(self.acls.table().arena().available_to(Claim::Privileged), wanted.lists);
        if fits { Ok(()) } else { Err(XsError::ENOMEM) }
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

    /// Counts what is given to a guest against its quotas.
    #[cold]
    #[inline(never)]
    fn weigh_owner(
        &self,
        wanted: &mut Wanted,
        path: Path<'_>,
        value: usize,
        entries: &[u8],
    ) -> Result<(), XsError> {
        let first = entries.first_chunk().map(|first| Entry::from_bytes(*first));
        let Some(owner) = first.and_then(|first| self.domains.owner(first)) else { return Ok(()) };
        let domain = self.domains.get(owner);
        if domain.is_privileged() {
            return Ok(());
        }
        let (_, nodes, memory) = wanted.given.filter(|(id, ..)| *id == owner).unwrap_or((owner, 0, 0));
        let (nodes, memory) = (nodes + 1, memory.saturating_add(Node::memory(path.name().len(), value)));
        wanted.given = Some((owner, nodes, memory));
        let entries = entries.len() / Entry::SIZE;
        let usage = self.held.of(owner).usage;
        let amounts = [
            (Quota::NODES, usage.nodes as usize + nodes as usize),
            (Quota::MEMORY, usage.memory as usize + memory as usize),
            (Quota::NODE_PERMISSIONS, entries),
            (Quota::NODE_SIZE, node_size(entries, value, 0)),
        ];
        let exceeds = |(quota, amount): (Quota, usize)| {
            let limit = (quota.get)(&domain.quotas) as usize;
            limit != 0 && amount > limit
        };
        if amounts.into_iter().any(exceeds) { Err(XsError::ENOSPC) } else { Ok(()) }
    }

    /// How the privileged domain sees the store.
    fn privileged_view(&self) -> Result<View, XsError> {
        let domain = self.domains.privileged().ok_or(XsError::EIO)?;
        let quotas = self.domains.get(domain).quotas;
        Ok(View { domain, caller: self.domains.caller(domain), quotas, tx: None, changes_nodes: true })
    }

    /// Lays a node over what is there, for which there is room, as the privileged domain would write it. `entries` are as
    /// stored.
    #[inline(never)]
    pub fn fuse_node(
        &mut self,
        path: Path<'_>,
        value: Option<&[u8]>,
        entries: Option<&[u8]>,
        origin: Origin,
    ) -> Result<(), XsError> {
        let view = self.privileged_view()?;
        let subject = Subject::new(path, path.hash(&self.key));
        let found = self.lookup_by_names(path, subject.hash).map(Place::Node);
        let place = match (found, value) {
            (Some(place), Some(value)) => self.write_at(&view, path, place, value).map(|()| place)?,
            (Some(place), None) => place,
            (None, _) => self.create_at(&view, subject, value.unwrap_or_default())?,
        };
        let Place::Node(id) = place else { return Err(XsError::EIO) };
        if let Some(entries) = entries
            && self.acls.find(self.key.hash(entries), &self.blobs, entries) != self.acl(id)
        {
            self.list.clear();
            entries.as_chunks().0.iter().try_for_each(|entry| self.list.push(Entry::from_bytes(*entry)))?;
            self.set_acl_at(&view, path, place)?;
            self.nodes.update(id).acl_changes = AclChanges::NONE;
        }
        let mut next = Some(id).filter(|_| found.is_none() || value.is_some());
        while let Some(at) = next {
            let node = self.nodes.update(at);
            node.origin = origin;
            // Those above it that were made for it are no layer's yet.
            next = node.parent.filter(|above| self.node(*above).origin.is_client());
        }
        Ok(())
    }

    /// Removes a node with all below it, or only that; if there is none, nothing.
    #[cold]
    #[inline(never)]
    pub fn fuse_removal(&mut self, path: Path<'_>, below_only: bool) -> Result<(), XsError> {
        let Some(top) = self.lookup(path) else { return Ok(()) };
        if !below_only {
            return self.remove_fused(top);
        }
        while let Some(child) = self.node(top).children.first() {
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
        node.value_generation >> u16::BITS > self.origins.fused
    }

    pub fn set_origin(&mut self, id: NodeId, origin: Origin) {
        self.nodes.update(id).origin = origin;
    }

    /// All nodes that are there now are what the store begins with.
    pub fn note_fused(&mut self) {
        self.origins.fused = self.generation;
    }
}
