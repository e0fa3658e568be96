//! The rules about nodes, in and out of transactions.
//!
//! Every rule that holds in both is here once. A [`Place`] is what a path led to: the node, or the transaction's copy
//! of it.

use heapless::Vec;

use super::Store;
use super::acl::AclId;
use super::current::Answer;
use super::domain::DomainId;
use super::node::{NameBuf, NodeId, Value};
use super::path_cache::PathCache;
use super::transaction::{Mark, TxNodeId};
use super::view::{Place, Start, Subject, View, node_size};
use super::watch::Change;
use crate::abi::DomId;
use crate::path::{Path, PathBuf, Special, canonicalize};
use crate::perms::{Access, Caller, Life};
use crate::quota::Quota;
use crate::wire::XsError;

impl Store {
    /// A path as sent, if its node was found lately. The request is about this path from then on. Otherwise its hash, if it
    /// has been made.
    #[inline(always)] // The beginning of every request.
    pub fn subject_lately<'a>(
        &mut self,
        input: &'a [u8],
        path_max: Option<u32>,
    ) -> Result<Subject<'a>, Option<u64>> {
        // Only canonical paths are found, so one in the cache needs no other check.
        let most = path_max.map_or(PathCache::PATH_MAX, |max| PathCache::PATH_MAX.min(max as usize));
        if input.len() <= most && input.first() == Some(&b'/') {
            let hash = self.key.hash(input);
            if let Some((node, counted)) = self.path_cache.find_counted(input, hash) {
                self.current.path_hash = hash;
                return Ok(Subject { path: Path::from_canonical(input), hash, node: Some(node), counted });
            }
            return Err(Some(hash));
        }
        Err(None)
    }

    /// Checks a path as sent by `domid` and makes it absolute, see [`canonicalize`]. The request is about
    /// this path from then on. `hash` is that of the path as sent: an absolute one stays as it is.
    pub fn subject<'a>(
        &mut self,
        input: &'a [u8],
        domid: DomId,
        path_max: Option<u32>,
        special: Special,
        buf: &'a mut PathBuf,
        hash: Option<u64>,
    ) -> Result<Subject<'a>, XsError> {
        let path = canonicalize(input, domid, path_max, special, buf)?;
        let hash = hash.unwrap_or_else(|| path.hash(&self.key));
        self.current.path_hash = hash;
        Ok(Subject::new(path, hash))
    }

    /// How long the path is, as the quota `path-max` counts it.
    #[inline(always)] // In every request of a guest.
    pub fn length_of(&mut self, subject: Subject<'_>) -> usize {
        match subject.counted {
            Some(len) => len.get().into(),
            None => self.count_length(subject.path, subject.node.map(|_| subject.hash)),
        }
    }

    /// Notes a longer path than the request's sender has named before.
    #[cold]
    #[inline(never)]
    pub fn note_length(&mut self, len: usize) {
        self.note_peak(len, |peaks| &mut peaks.path_max);
    }

    /// `hash` is that of a path that is in the cache.
    #[inline(never)]
    fn count_length(&mut self, path: Path<'_>, hash: Option<u64>) -> usize {
        let len = path.relative_to_home().len();
        if let Some(hash) = hash {
            self.path_cache.count(hash, len);
        }
        len
    }

    /// A path that no request has named.
    pub fn subject_at<'a>(&self, path: Path<'a>) -> Subject<'a> {
        Subject::new(path, path.hash(&self.key))
    }

    /// The node at `path`, if it is there.
    #[inline]
    pub fn find(&mut self, view: &View, path: Path<'_>) -> Result<Option<Place>, XsError> {
        self.find_subject(view, self.subject_at(path), &mut None)
    }

    /// As `find`, for a caller that has hashed the path already.
    #[inline(always)]
    fn find_subject(
        &mut self,
        view: &View,
        subject: Subject<'_>,
        below: &mut Option<TxNodeId>,
    ) -> Result<Option<Place>, XsError> {
        match view.tx {
            None => Ok(self.locate_subject(subject).map(Place::Node)),
            Some(tx) => {
                let id = self.touch(view, tx, subject, *below)?;
                *below = Some(id);
                let exists = self.transactions.nodes.get(id).mark.contains(Mark::EXISTS);
                Ok(exists.then_some(Place::Copy(id)))
            }
        }
    }

    /// The node that a request is about, whatever its transaction has done there.
    #[inline(always)]
    pub(super) fn locate_subject(&mut self, subject: Subject<'_>) -> Option<NodeId> {
        subject.node.or_else(|| self.locate(subject.path, subject.hash))
    }

    /// The longest prefix of `path` that exists, and its place.
    pub fn find_nearest<'a>(&mut self, view: &View, path: Path<'a>) -> Result<(Path<'a>, Place), XsError> {
        // All prefixes are hashed in one pass: a path may have a thousand of them.
        let Store { key, prefix_hashes, .. } = self;
        let mut count = 0;
        let _all = path.each_prefix(key, None, |_, hash| {
            if let Some(place) = prefix_hashes.get_mut(count) {
                *place = hash;
            }
            count += 1;
            Ok::<(), XsError>(())
        });
        let whole = count.checked_sub(1).and_then(|last| self.prefix_hashes.get(last).copied());
        let (mut next, mut below) = (Some(path), None);
        if let Some((copy, len, left)) = self.stopped_above(view, whole) {
            (next, below, count) = (path.cut(len).parent(), Some(copy), left);
        }
        for n in (0..count).rev() {
            let (Some(at), Some(hash)) = (next, self.prefix_hashes.get(n).copied()) else { break };
            let found = self.find_subject(view, Subject::new(at, hash), &mut below);
            if found.is_err() {
                self.stop_above(view, whole, below, n + 1);
            }
            match found? {
                None => next = at.parent(),
                Some(place) => return Ok((at, place)),
            }
        }
        Err(XsError::ENOENT)
    }

    /// The node at `path`, provided the client has all of `needed` there.
    ///
    /// EACCES if not. If there is no node: ENOENT for clients that have any of `needed` on the nearest node above. The
    /// others get EACCES, so that they cannot tell which names exist.
    #[inline(never)] // In several handlers.
    pub fn seek(&mut self, view: &View, subject: Subject<'_>, needed: Access) -> Result<Place, XsError> {
        self.seek_here(view, subject, needed)
    }

    /// The same for the most frequent requests, for which it mostly is some comparisons.
    #[inline(always)]
    pub fn seek_here(&mut self, view: &View, subject: Subject<'_>, needed: Access) -> Result<Place, XsError> {
        match subject.node {
            Some(node) if view.tx.is_none() && self.is_owned(node, &view.caller) => Ok(Place::Node(node)),
            _ => self.seek_anew(view, subject.path, subject.hash, subject.node, needed),
        }
    }

    /// Whether everything there is granted to the caller without a look at more than the first of the permissions.
    #[inline(always)] // In most requests.
    fn is_owned(&self, node: NodeId, caller: &Caller) -> bool {
        caller.is_privileged() || self.acl(node).is_some_and(|acl| caller.owns(self.acls.owner(acl)))
    }

    /// The subject comes in parts, so that the callers need no room for it.
    #[inline(never)]
    fn seek_anew(
        &mut self,
        view: &View,
        path: Path<'_>,
        hash: u64,
        node: Option<NodeId>,
        needed: Access,
    ) -> Result<Place, XsError> {
        let subject = Subject { node, ..Subject::new(path, hash) };
        match self.find_subject(view, subject, &mut None)? {
            Some(place) if self.access(view, place).contains(needed) => Ok(place),
            Some(_) => Err(XsError::EACCES),
            None if view.caller.is_privileged() => Err(XsError::ENOENT),
            None => Err(self.why_missing(view, subject.path, needed)?),
        }
    }

    /// What is known of the longest prefix that exists of the path that was sought last and is missing; once.
    #[inline(always)] // Before each WRITE, so that it is that path's.
    pub fn take_above(&mut self) -> Option<(usize, Place)> {
        self.above.take()
    }

    #[inline(never)]
    fn why_missing(&mut self, view: &View, path: Path<'_>, needed: Access) -> Result<XsError, XsError> {
        // Above special names there is the root.
        let parent = path.parent().unwrap_or(Path::ROOT);
        let (at, above) = self.find_nearest(view, parent)?;
        self.above = Some((at.as_bytes().len(), above));
        let known = self.access(view, above).intersects(needed);
        Ok(if known { XsError::ENOENT } else { XsError::EACCES })
    }

    fn access(&mut self, view: &View, place: Place) -> Access {
        if view.caller.is_privileged() {
            return Access::all();
        }
        if let Some(tx) = view.tx.filter(|_| view.caller.target != Life::NONE) {
            let open = self.transactions.open.update(tx);
            // Of two targets, one is not its target any more. Nobody has the life `ANY`, so the commit finds out.
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

    /// The value there. It belongs to the node: read it, do not keep it.
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
        match place {
            Place::Copy(id) => {
                let mut result = Ok(());
                self.for_each_child_of_copy(id, start, &mut |start, name| {
                    result = each(start, name);
                    result.is_ok()
                });
                result
            }
            Place::Node(id) => {
                let mut long: NameBuf = Vec::new();
                let start = if let Start::Child(child) = start { Some(child) } else { None };
                self.children_from(id, start).try_for_each(|(at, child)| {
                    each(Start::Child(at), child.name.contiguous(&self.blobs, &mut long))
                })
            }
        }
    }

    /// Sets the value of an existing node.
    pub fn write_at(
        &mut self,
        view: &View,
        path: Path<'_>,
        place: Place,
        bytes: &[u8],
    ) -> Result<(), XsError> {
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
        let more = Value::memory(bytes.len()).saturating_sub(old.spilled());
        if more > 0 {
            let payer = match place {
                Place::Node(id) => self.owner_of(id),
                Place::Copy(_) => Some(view.domain),
            };
            self.afford(view, payer, more)?;
        }
        if old.inline().is_some()
            && let Some(value) = Value::inline_of(bytes)
        {
            // Where many watches are concerned, the change is recorded with it.
            let few = match place {
                Place::Node(id) => self.collect_few_before(id, path),
                Place::Copy(_) => true,
            };
            if few {
                self.put_inline(place, value);
                self.collected.sent = 0;
                return Ok(());
            }
        }
        self.decide(Ok(Answer::Ok), view.claim(), |store| {
            store.put_value(place, bytes)?;
            store.changed(place, path, None);
            Ok(())
        })
    }

    /// Replaces a value that needs no chunks by another: a change of this one slot only.
    fn put_inline(&mut self, place: Place, value: Value) {
        let generation = self.next_generation();
        match place {
            Place::Node(id) => {
                let node = self.nodes.update(id);
                node.value = value;
                node.set_value_generation(generation);
            }
            Place::Copy(id) => {
                let node = self.transactions.nodes.update(id);
                node.generation = generation;
                node.value = value;
                node.mark |= Mark::WROTE_VALUE;
                node.fires = Some(Change::Subtree);
            }
        }
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

    /// Bytes of the value there and of the children's names.
    pub(super) fn sizes_at(&self, place: Place) -> (usize, usize) {
        match place {
            Place::Node(id) => (self.node(id).value.len(), self.node(id).children_bytes as usize),
            Place::Copy(id) => {
                let node = self.transactions.nodes.get(id);
                (node.value.len(), node.children_bytes as usize)
            }
        }
    }

    /// Refuses `more` bytes of memory if `payer` would hold more than it may.
    pub(super) fn afford(&self, view: &View, payer: Option<DomainId>, more: u32) -> Result<(), XsError> {
        let Some(payer) = payer.filter(|_| more > 0) else { return Ok(()) };
        let after = self.held.of(payer).usage.memory as usize + more as usize;
        self.check_against(view, &self.domains.get(payer).quotas, Quota::MEMORY, after)
    }

    /// Replaces the permission list there; `entries` as stored.
    pub fn set_acl_at(&mut self, view: &View, path: Path<'_>, place: Place) -> Result<(), XsError> {
        let old = self.acl_at(place);
        self.decide(Ok(Answer::Ok), view.claim(), |store| {
            let acl = store.intern()?;
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
                        store.acls.release(old)?;
                    }
                }
            }
            // Both lists decide who may hear. The old one exists until the attempt ends.
            store.changed(place, path, old);
            Ok(())
        })
    }

    /// Refuses a list of `entries` entries if it would make the node too large.
    pub fn check_acl_size(&mut self, view: &View, place: Place, entries: usize) -> Result<(), XsError> {
        let (value, children) = self.sizes_at(place);
        self.check_size(view, node_size(entries, value, children))?;
        self.note_peak(entries, |peaks| &mut peaks.node_permissions);
        Ok(())
    }

    /// Refuses a node that would be larger than the quota allows.
    pub(super) fn check_size(&mut self, view: &View, size: usize) -> Result<(), XsError> {
        self.check_quota(view, Quota::NODE_SIZE, size)?;
        self.note_peak(size, |peaks| &mut peaks.node_size);
        Ok(())
    }
}
