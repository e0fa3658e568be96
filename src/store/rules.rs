//! The rules about nodes, in and out of transactions.
//!
//! Every rule that holds in both stands here once. A [`Place`] is where a path led; what is done there goes to the
//! node, or to the transaction's copy of it.

use heapless::Vec;

use super::Store;
use super::acl::{AclBuf, AclId};
use super::domain::DomainId;
use super::node::{Name, NameBuf, Node, Value};
use super::path_cache::PathCache;
use super::transaction::{Mark, TransactionId};
use super::view::{Place, Start, Subject, View, node_size};
use super::watch::Change;
use crate::abi::DomId;
use crate::config::Capacities;
use crate::path::{Path, PathBuf, Special, canonicalize};
use crate::perms::{Access, Entry, Life};
use crate::quota::Quota;
use crate::slots::{Blob, CHUNK};
use crate::wire::XsError;

/// Nodes that one attempt makes in a transaction: each changes its copy, the first the one above, too.
const STEP: usize = Capacities::JOURNAL / 2;

/// Nodes to be created: that at `path`, and those missing above it.
#[derive(Clone, Copy)]
struct Creation<'a> {
    path: Path<'a>,
    /// The nearest node above that is there, and where it is.
    above: Path<'a>,
    place: Place,
    /// Its permission list.
    acl: AclId,
    /// Bytes of the value of the node at `path`.
    value: usize,
    /// How many nodes there will be more.
    count: usize,
}

impl Store {
    /// Checks a path as sent by `domid` and makes it absolute, see [`canonicalize`]. From then on it is what
    /// the request is about.
    #[inline(always)] // The beginning of every request.
    pub fn subject<'a>(
        &mut self,
        input: &'a [u8],
        domid: DomId,
        path_max: Option<u32>,
        special: Special,
        buf: &'a mut PathBuf,
    ) -> Result<Subject<'a>, XsError> {
        // Only what is canonical was ever found, so what was found lately needs no other check.
        if input.len() <= PathCache::PATH_MAX
            && input.first() == Some(&b'/')
            && path_max.is_none_or(|max| input.len() <= max as usize)
        {
            let hash = self.key.hash(input);
            if let Some(node) = self.path_cache.find(input, hash) {
                self.current.named = hash;
                return Ok(Subject { path: Path::from_canonical(input), hash, node: Some(node) });
            }
        }
        self.subject_anew(input, domid, path_max, special, buf)
    }

    #[inline(never)]
    fn subject_anew<'a>(
        &mut self,
        input: &'a [u8],
        domid: DomId,
        path_max: Option<u32>,
        special: Special,
        buf: &'a mut PathBuf,
    ) -> Result<Subject<'a>, XsError> {
        let path = canonicalize(input, domid, path_max, special, buf)?;
        let hash = path.hash(&self.key);
        self.current.named = hash;
        Ok(Subject { path, hash, node: None })
    }

    /// The node at `path`, if it is there.
    #[inline]
    pub fn find(&mut self, view: &View, path: Path<'_>) -> Result<Option<Place>, XsError> {
        self.find_hashed(view, path, path.hash(&self.key))
    }

    /// As `find`, for a caller that has hashed the path already.
    #[inline(always)]
    fn find_hashed(&mut self, view: &View, path: Path<'_>, hash: u64) -> Result<Option<Place>, XsError> {
        match view.tx {
            None => Ok(self.locate(path, hash).map(Place::Node)),
            Some(tx) => {
                let id = self.touch(view, tx, path, hash)?;
                let exists = self.transactions.nodes.get(id).mark.contains(Mark::EXISTS);
                Ok(exists.then_some(Place::Copy(id)))
            }
        }
    }

    /// The longest prefix of `path` that is there, and where it is.
    pub fn find_nearest<'a>(&mut self, view: &View, path: Path<'a>) -> Result<(Path<'a>, Place), XsError> {
        // All prefixes are hashed in one pass: a path may have a thousand of them.
        let mut hashes = core::mem::take(&mut self.prefix_hashes);
        let mut count = 0;
        let _all = path.each_prefix(&self.key, None, |_, hash| {
            if let Some(place) = hashes.get_mut(count) {
                *place = hash;
            }
            count += 1;
            Ok::<(), XsError>(())
        });
        let mut longest_first = hashes.iter().take(count).rev();
        let mut found = Err(XsError::ENOENT);
        let mut next = Some(path);
        while let (Some(at), Some(hash)) = (next, longest_first.next()) {
            match self.find_hashed(view, at, *hash) {
                Ok(None) => next = at.parent(),
                end => {
                    found = end.and_then(|place| place.map(|place| (at, place)).ok_or(XsError::ENOENT));
                    break;
                }
            }
        }
        self.prefix_hashes = hashes;
        found
    }

    /// The node at `path`, provided the client has all of `needed` there.
    ///
    /// EACCES without. If there is no node: ENOENT for those who have any of `needed` on the nearest node
    /// above, EACCES for the others, who so cannot tell which names exist.
    pub fn seek(&mut self, view: &View, subject: Subject<'_>, needed: Access) -> Result<Place, XsError> {
        let Subject { path, hash, node } = subject;
        let found = match node.filter(|_| view.tx.is_none()) {
            Some(node) => Some(Place::Node(node)),
            None => self.find_hashed(view, path, hash)?,
        };
        match found {
            Some(place) if self.access(view, place).contains(needed) => Ok(place),
            Some(_) => Err(XsError::EACCES),
            None if view.caller.privileged => Err(XsError::ENOENT),
            None => Err(self.why_missing(view, path, needed)?),
        }
    }

    #[inline(never)]
    fn why_missing(&mut self, view: &View, path: Path<'_>, needed: Access) -> Result<XsError, XsError> {
        let Some(parent) = path.parent() else { return Ok(XsError::ENOENT) };
        let (_, above) = self.find_nearest(view, parent)?;
        let known = self.access(view, above).intersects(needed);
        Ok(if known { XsError::ENOENT } else { XsError::EACCES })
    }

    fn access(&mut self, view: &View, place: Place) -> Access {
        if view.caller.privileged {
            return Access::all();
        }
        if let Some(tx) = view.tx.filter(|_| view.caller.target != Life::NONE) {
            let open = self.transactions.open.update(tx);
            // Of two targets, one is not the domain's any more, and nobody is everybody's.
            open.target = if matches!(open.target, Life::NONE) || open.target == view.caller.target {
                view.caller.target
            } else {
                Life::ANY
            };
        }
        match self.acl_at(place) {
            Some(acl) => self.acls.access(&self.blobs, acl, &view.caller),
            None => Access::empty(),
        }
    }

    /// The permission list there.
    pub fn acl_at(&mut self, place: Place) -> Option<AclId> {
        match place {
            Place::Node(id) => self.acl(id),
            Place::Copy(id) => {
                let node = self.transactions.nodes.update(id);
                if !node.mark.contains(Mark::WROTE_ACL) {
                    node.mark |= Mark::READ_ACL;
                }
                node.acl
            }
        }
    }

    /// The value there. Still the node's own: to be read, not kept.
    pub fn value_at(&mut self, place: Place) -> Value {
        match place {
            Place::Node(id) => self.node(id).value,
            Place::Copy(id) => {
                let node = self.transactions.nodes.update(id);
                if !node.mark.contains(Mark::WROTE_VALUE) {
                    node.mark |= Mark::READ_VALUE;
                }
                node.value
            }
        }
    }

    /// The generation of the node, which its list of children shares, and the bytes of the children's names with
    /// NULs.
    pub fn list_at(&mut self, place: Place) -> (u64, usize) {
        match place {
            Place::Node(id) => {
                let node = self.node(id);
                (node.generation(), node.children_bytes as usize)
            }
            Place::Copy(id) => {
                let node = self.transactions.nodes.update(id);
                node.mark |= Mark::READ_LIST;
                (node.generation, node.children_bytes as usize)
            }
        }
    }

    /// Calls `each` with the names of the children from `start` on, oldest first, until it fails; and with where
    /// to start for the same name again.
    pub fn for_each_child<E>(
        &self,
        place: Place,
        start: Start,
        mut each: impl FnMut(Start, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut long: NameBuf = Vec::new();
        match place {
            Place::Copy(id) => self.for_each_child_of_copy(id, start, each),
            Place::Node(id) => {
                let first = if let Start::Child(child) = start {
                    Some(child)
                } else {
                    self.node(id).children.first()
                };
                self.siblings(first).try_for_each(|(at, child)| {
                    each(Start::Child(at), child.name.contiguous(&self.blobs, &mut long))
                })
            }
        }
    }

    /// Sets the value of an existing node.
    pub fn write_at(&mut self, view: &View, place: Place, bytes: &[u8]) -> Result<(), XsError> {
        let (acl, old, children) = match place {
            Place::Node(id) => {
                let node = self.node(id);
                (self.acl(id), node.value, node.children_bytes)
            }
            Place::Copy(id) => {
                let node = self.transactions.nodes.get(id);
                (node.acl, node.value, node.children_bytes)
            }
        };
        let entries = acl.map_or(0, |acl| self.acls.count(acl));
        self.check_size(view, node_size(entries, bytes.len(), children as usize))?;
        let more = Value::memory(bytes.len()).saturating_sub(Value::memory(old.len()));
        if more > 0 {
            let payer = match place {
                Place::Node(id) => self.owner_of(id),
                Place::Copy(_) => Some(view.domain),
            };
            self.afford(view, payer, more)?;
        }
        let sure = Value::memory(bytes.len()) == 0 && old.inline().is_some();
        self.attempt_unless(sure, view.claim(), |store| store.put_value(place, bytes))
    }

    fn put_value(&mut self, place: Place, bytes: &[u8]) -> Result<(), XsError> {
        let value: Value = self.text(bytes)?;
        match place {
            Place::Node(id) => self.set_value(id, value)?,
            Place::Copy(id) => {
                let generation = self.next_generation();
                let node = self.transactions.nodes.modify(id)?;
                node.generation = generation;
                let old = core::mem::replace(&mut node.value, value);
                node.mark |= Mark::WROTE_VALUE;
                node.fires = Some(Change::Subtree);
                let tx = node.tx;
                old.free(&mut self.blobs)?;
                self.charge_tx(tx, Value::memory(old.len()), Value::memory(value.len()))?;
            }
        }
        Ok(())
    }

    /// Creates the node at `path`, which is not there, and those missing above it.
    pub fn create_at(&mut self, view: &View, path: Path<'_>, bytes: &[u8]) -> Result<Place, XsError> {
        let parent = path.parent().ok_or(XsError::EINVAL)?;
        let (above, place) = match self.find(view, parent)? {
            Some(place) => (parent, place),
            None => self.find_nearest(view, parent)?,
        };
        let inherited = self.acl_at(place).ok_or(XsError::EIO)?;
        let count = path.depth_below(above).unwrap_or(1);
        let creation = Creation { path, above, place, acl: inherited, value: bytes.len(), count };
        self.check_creation(view, &creation)?;
        match view.tx {
            Some(tx) if count > STEP => self.make_in_steps(view, tx, &creation, bytes),
            _ => self.make_below(view, &creation, Some(bytes)),
        }
    }

    /// Makes more nodes in a transaction than the journal holds at once. Nothing can be missing after the first step; a
    /// transaction that stops before the last is lost.
    fn make_in_steps(
        &mut self,
        view: &View,
        tx: TransactionId,
        creation: &Creation<'_>,
        bytes: &[u8],
    ) -> Result<Place, XsError> {
        let wanted = Value::memory(bytes.len()) + self.acls.table().get(creation.acl).spilled();
        if self.blobs.arena().available_to(view.claim()) < wanted / Blob::memory(CHUNK) {
            return Err(XsError::ENOMEM);
        }
        let failed = self.transactions.open.get(tx).failed;
        let mut step = Creation { count: STEP, ..*creation };
        loop {
            step.path = creation.path.cut_below(step.above, STEP);
            let last = step.path == creation.path;
            step.place = self.make_below(view, &step, last.then_some(bytes))?;
            self.transactions.open.update(tx).failed = failed || !last;
            if last {
                return Ok(step.place);
            }
            step.above = step.path;
            step.acl = self.acl_at(step.place).ok_or(XsError::EIO)?;
        }
    }

    /// Creates nodes in one attempt. Without a value the last of them is on the way to another.
    fn make_below(
        &mut self,
        view: &View,
        creation: &Creation<'_>,
        value: Option<&[u8]>,
    ) -> Result<Place, XsError> {
        let Creation { path, above, place, acl: inherited, count, .. } = *creation;
        let bytes = value.unwrap_or_default();
        let sure = matches!(place, Place::Node(_))
            && count == 1
            && Name::memory(path.name().len()) + Value::memory(bytes.len()) == 0
            && self.nodes.arena().available_to(view.claim()) > 0
            && self.inherits(view, inherited);
        let made = self.attempt_unless(sure, view.claim(), |store| {
            let acl = store.inherit(view, inherited)?;
            let key = store.key;
            let mut parent = place;
            path.each_prefix(&key, Some(above), |at, hash| -> Result<(), XsError> {
                let last = at.as_bytes().len() == path.as_bytes().len();
                let text: Value = store.text(if last { bytes } else { &[] })?;
                let acl = store.acls.retain(acl)?;
                let fires = last && value.is_some();
                parent = match parent {
                    Place::Node(id) => Place::Node(store.create(Some(id), at, hash, text, acl)?),
                    Place::Copy(id) => Place::Copy(store.make(id, at, hash, text, acl, fires)?),
                };
                Ok(())
            })?;
            store.acls.release(&mut store.blobs, acl)?;
            Ok(parent)
        })?;
        if let Place::Node(id) = made {
            self.remember(path, id);
        }
        Ok(made)
    }

    fn check_creation(&mut self, view: &View, creation: &Creation<'_>) -> Result<(), XsError> {
        if view.caller.privileged {
            return Ok(());
        }
        let Creation { path, above, place, acl, value, count } = *creation;
        let usage = self.domains.get(view.domain).usage;
        if view.tx.is_none() {
            view.check(Quota::NODES, usage.nodes as usize + count)?;
        }
        let entries = self.acls.count(acl);
        let (above_value, above_children) = self.sizes_at(place);
        let mut memory = 0;
        let mut size = above_value + above_children;
        let below = path.as_bytes().get(above.as_bytes().len()..).unwrap_or_default();
        for name in below.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            self.check_size(view, node_size(entries, 0, size + name.len() + 1))?;
            size = 0;
            memory += Node::memory(name.len(), 0);
        }
        self.check_size(view, node_size(entries, value, 0))?;
        self.afford(view, Some(view.domain), memory + Value::memory(value))
    }

    /// Bytes of the value there and of the children's names.
    fn sizes_at(&self, place: Place) -> (usize, usize) {
        match place {
            Place::Node(id) => (self.node(id).value.len(), self.node(id).children_bytes as usize),
            Place::Copy(id) => {
                let node = self.transactions.nodes.get(id);
                (node.value.len(), node.children_bytes as usize)
            }
        }
    }

    /// Refuses `more` bytes of memory above what `payer` may hold.
    fn afford(&self, view: &View, payer: Option<DomainId>, more: u32) -> Result<(), XsError> {
        let Some(payer) = payer.map(|payer| self.domains.get(payer)) else { return Ok(()) };
        let after = payer.usage.memory as usize + more as usize;
        if more > 0 { view.check_against(&payer.quotas, Quota::MEMORY, after) } else { Ok(()) }
    }

    /// Whether a node created below one with `acl` gets that very list.
    fn inherits(&self, view: &View, acl: AclId) -> bool {
        view.caller.privileged || self.acls.owner(acl).life == view.caller.life
    }

    /// The list that a node created below one with `acl` gets: the same, but a guest owns what it makes.
    fn inherit(&mut self, view: &View, acl: AclId) -> Result<AclId, XsError> {
        if self.inherits(view, acl) {
            return Ok(self.acls.retain(acl)?);
        }
        let owner = self.acls.owner(acl);
        let mut entries = AclBuf::new();
        let own = Entry { domid: view.caller.domid, life: view.caller.life, ..owner };
        let rest = self.acls.entries(&self.blobs, acl).skip(1);
        for entry in core::iter::once(own).chain(rest) {
            entries.extend_from_slice(&entry.to_bytes()).map_err(|_| XsError::ENOSPC)?;
        }
        Ok(self.acls.intern(&self.key, &mut self.blobs, &entries)?)
    }

    /// Replaces the permission list there; `entries` as stored.
    pub fn set_acl_at(&mut self, view: &View, place: Place, entries: &[u8]) -> Result<(), XsError> {
        self.attempt(view.claim(), |store| {
            let acl = store.acls.intern(&store.key, &mut store.blobs, entries)?;
            match place {
                Place::Node(id) => store.set_acl(id, acl)?,
                Place::Copy(id) => {
                    let generation = store.next_generation();
                    let node = store.transactions.nodes.modify(id)?;
                    node.generation = generation;
                    let old = node.acl.replace(acl);
                    node.mark |= Mark::WROTE_ACL;
                    node.fires = Some(Change::Subtree);
                    if let Some(old) = old {
                        store.acls.release(&mut store.blobs, old)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Refuses `entries` permission entries with which a node would be too large.
    pub fn check_acl_size(&mut self, view: &View, place: Place, entries: usize) -> Result<(), XsError> {
        let (value, children) = self.sizes_at(place);
        self.check_size(view, node_size(entries, value, children))?;
        self.current.largest.node_permissions = self.current.largest.node_permissions.max(entries as u32);
        Ok(())
    }

    /// Refuses a node that would be larger than the quota allows.
    fn check_size(&mut self, view: &View, size: usize) -> Result<(), XsError> {
        view.check(Quota::NODE_SIZE, size)?;
        self.current.largest.node_size = self.current.largest.node_size.max(size as u32);
        Ok(())
    }
}
