//! Which watches a change concerns. This is decided in the attempt that makes the change, before anything is sent.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;

use super::Store;
use super::acl::AclId;
use super::collected::{Collected, EVENT, Match};
use super::node::NodeId;
use super::view::Place;
use super::watch::Change;
use crate::abi::DomId;
use crate::path::{Path, PathBuf};
use crate::perms::{Access, Caller};
use crate::wire::decimal;

impl Store {
    /// Collects the events of a node that was created or changed outside a transaction; in one, its copy has
    /// taken note already. `old` is the list it had before, if that matters.
    pub fn changed(&mut self, place: Place, path: Path<'_>, old: Option<AclId>) {
        if let Place::Node(id) = place {
            self.collect_for_node(id, path, Change::Subtree, old);
        }
    }

    /// Collects the events of the node at `path` as it is now; `old` is the list it had before, if that matters.
    pub fn collect_for_node(&mut self, id: NodeId, path: Path<'_>, change: Change, old: Option<AclId>) {
        if !self.may_concern(id, path, change) {
            return;
        }
        let [own, above] = self.lists_of(id);
        self.collect(path, Some(id), change, &[old, own, above]);
    }

    /// Whether there may be watches that a change of this node concerns. Mostly there are none.
    fn may_concern(&self, id: NodeId, path: Path<'_>, change: Change) -> bool {
        debug_assert!(self.collected.is_empty() || self.collected.late.is_some(), "one change at a time");
        match change {
            _ if path.is_special() => true,
            Change::Subtree => self.is_below_watch(id, &mut None),
            Change::Exact => self.is_watched(id),
        }
    }

    /// Collects the events of a change of a node that is still to be made, unless they are many. They are not sent before it
    /// is said that none of them has been.
    #[inline(always)] // Mostly there are none.
    pub(super) fn collect_few_before(&mut self, id: NodeId, path: Path<'_>) -> bool {
        !self.may_concern(id, path, Change::Subtree) || self.collect_before(id, path)
    }

    #[inline(never)]
    fn collect_before(&mut self, id: NodeId, path: Path<'_>) -> bool {
        let [own, above] = self.lists_of(id);
        let limit = self.limits().told;
        let few = self.collect_watches(path, Some(id), Change::Subtree, &[own, above], limit);
        self.keep_collected(path, Some(id), Change::Subtree);
        self.collected.sent = self.collected.matches.len();
        few
    }

    /// The permission lists of a node and of the one above it; the root is above itself.
    pub(super) fn lists_of(&self, id: NodeId) -> [Option<AclId>; 2] {
        let above = match self.node(id).parent {
            Some(parent) => self.acl(parent),
            None => self.lookup(Path::ROOT).and_then(|root| self.acl(root)),
        };
        [self.acl(id), above]
    }

    /// Collects the events of a change at `path`: one for each watch that it concerns, of those who may read
    /// by one of `lists`: the node's before and after, and that of the node above. `node` is the node there,
    /// if it is still there.
    pub fn collect(&mut self, path: Path<'_>, node: Option<NodeId>, change: Change, lists: &[Option<AclId>]) {
        if self.collected.late.is_some() {
            return self.gather(path, node, change);
        }
        let done = if self.collected.copy.is_some() { self.collected.work } else { 0 };
        let limit = self.limits().told.saturating_sub(done);
        if !self.collect_watches(path, node, change, lists, limit) {
            if self.gather_instead(path, node, change, lists) {
                return;
            }
            self.collect_watches(path, node, change, lists, u32::MAX);
        }
        self.keep_collected(path, node, change);
    }

    /// Keeps the path of what has been collected.
    fn keep_collected(&mut self, path: Path<'_>, node: Option<NodeId>, change: Change) {
        if !self.collected.matches.is_empty() {
            let hash = match node {
                Some(id) => self.node(id).hash,
                None => self.note_name(path),
            };
            self.collected.keep(path, hash, change);
        }
    }

    /// Collects watches, unless they are more work than `limit`.
    #[inline(always)] // Either caller has it for most events.
    fn collect_watches(
        &mut self,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
        lists: &[Option<AclId>],
        limit: u32,
    ) -> bool {
        let mut matches = core::mem::take(&mut self.collected.matches);
        let work = find(self, &mut matches, path, node, change, lists, limit);
        self.collected.matches = matches;
        self.collected.work = self.collected.work.saturating_add(work);
        work <= limit
    }

    /// Collects the events of a node that is removed. `topmost`: its removal is not due to that of a node above.
    pub fn collect_for_removal(&mut self, id: NodeId, path: Path<'_>, topmost: bool) {
        let change = if topmost { Change::Subtree } else { Change::Exact };
        if !self.may_concern(id, path, change) {
            return;
        }
        let above = self.node(id).parent.and_then(|parent| self.acl(parent));
        self.collect(path, Some(id), change, &[self.acl(id), above]);
    }

    /// Collects the events of what happens to domains, `@introduceDomain` or `@releaseDomain`, or of its case for one
    /// domain.
    pub fn collect_special(&mut self, general: Path<'_>, domid: Option<DomId>) {
        let mut buf = PathBuf::new();
        let path = match domid {
            None => general,
            Some(domid) => {
                let mut digits = [0; 10];
                for part in [general.as_bytes(), b"/", decimal(domid.0.into(), &mut digits)] {
                    // They fit: a name and a number are shorter than the longest path.
                    let _fits = buf.extend_from_slice(part);
                }
                Path::from_canonical(&buf)
            }
        };
        // Mostly nobody watches it, and nothing has to be found out of who may hear.
        let case = domid.is_some() && self.may_be_watched(path);
        if self.collected.late.is_none() && !case && !self.may_be_watched(general) {
            return;
        }
        let node = self.lookup(general).and_then(|id| self.acl(id));
        let root = self.lookup(Path::ROOT).and_then(|id| self.acl(id));
        self.collect(path, None, Change::Exact, &[node, root]);
    }

    fn may_be_watched(&self, path: Path<'_>) -> bool {
        self.watches.paths.may_have(path.hash(&self.key))
    }
}

/// Finds the watches that a change concerns, in the order of their events. Returns how much work they are: if that is more
/// than `limit`, they are none.
fn find(
    store: &Store,
    matches: &mut Vec<Match>,
    path: Path<'_>,
    node: Option<NodeId>,
    change: Change,
    lists: &[Option<AclId>],
    limit: u32,
) -> u32 {
    matches.clear();
    let (mut last, mut work) = (None, 0);
    let Collected { copy, number, .. } = store.collected;
    store.matching_watches(path, node, change, &mut |id, watch, sees| {
        work += 1;
        if !sees {
            return work <= limit;
        }
        // One client's watches often follow one another.
        let may_hear = match last {
            Some((domain, may_hear)) if domain == watch.domain => may_hear,
            // Who has not heard what the transaction did before hears of this after that.
            _ if copy.is_some() && store.domains.get(watch.domain).behind == number => false,
            _ => may_hear(store, &store.domains.caller(watch.domain), lists),
        };
        last = Some((watch.domain, may_hear));
        if may_hear {
            work += EVENT;
            if matches.len() < matches.capacity() {
                matches.push(Match { domain: watch.domain, rank: watch.sequence, id });
            }
        }
        work <= limit
    });
    if work > limit {
        matches.clear();
    }
    put_in_order(store, matches, path);
    work
}

/// Puts the watches that a change at `path` concerns in the order of their events, one for each.
#[inline(always)] // Mostly there is one, or none.
fn put_in_order(store: &Store, matches: &mut Vec<Match>, path: Path<'_>) {
    if matches.len() > 1 {
        // Each event about domains is news.
        if !path.is_special() {
            merge_equal(store, matches);
        }
        sort(matches);
    }
}

/// Where several watches would send one client the same event, keeps the one that was registered first.
///
/// Their paths differ, and their tokens do not.
#[inline(never)]
fn merge_equal(store: &Store, matches: &mut Vec<Match>) {
    let watch = |found: &Match| store.watch(found.id);
    for found in matches.iter_mut() {
        let watch = watch(found);
        found.rank = watch.token_hash ^ u64::from(watch.relative);
    }
    sort(matches);
    // Now equal ones are neighbours.
    let mut kept = 0;
    for n in 0..matches.len() {
        let Some(found) = matches.get(n).copied() else { break };
        let last = matches.get_mut(..kept).and_then(<[Match]>::last_mut);
        match last.filter(|last| (last.domain, last.rank) == (found.domain, found.rank)) {
            Some(last) if watch(last).has_token_of(watch(&found), &store.blobs) => {
                if watch(&found).sequence < watch(last).sequence {
                    *last = found;
                }
            }
            _ => {
                if let Some(place) = matches.get_mut(kept) {
                    *place = found;
                }
                kept += 1;
            }
        }
    }
    matches.truncate(kept);
    for found in matches {
        found.rank = watch(found).sequence;
    }
}

/// In place, as the slices' own sorts are, in an eighth of their code.
#[inline(never)]
fn sort(matches: &mut Vec<Match>) {
    *matches = BinaryHeap::from(core::mem::take(matches)).into_sorted_vec();
}

/// Whether one of the permission lists lets the domain read.
pub fn may_hear(store: &Store, caller: &Caller, lists: &[Option<AclId>]) -> bool {
    let Store { acls, blobs, .. } = store;
    lists.iter().flatten().any(|acl| acls.access(blobs, *acl, caller).contains(Access::READ))
}
