//! The end of a transaction: decide, then apply what cannot fail, step by step.

use crate::path::{Path, PathBuf};
use crate::perms::{Entry, Life};
use crate::quota::Quota;
use crate::slots::{Blob, Claim};
use crate::store::domain::{Delta, DomainId};
use crate::store::intent::{Apply, Removal, Stage};
use crate::store::share::Share;
use crate::store::steps::Next;
use crate::store::transaction::{Mark, Transaction, TransactionId, TxNode, TxNodeId};
use crate::store::view::{View, node_size};
use crate::store::watch::Change;
use crate::store::{NameBuf, Node, NodeId, Store, Value};
use crate::trace::Kind;
use crate::wire::XsError;

/// Owners of what a transaction changes that are listed.
const OWNERS: usize = 16;

/// Copies of which one step finds that nobody watches what they have changed. That takes no more than climbing its levels.
const UNWATCHED: usize = 256;

/// Bytes of a path that are as much work as a slot.
const LONG: usize = 512;

/// What one step finds out about watches of what a transaction has changed.
#[derive(Default)]
struct Known {
    /// A node that has no watches, and none above it.
    unwatched: Option<NodeId>,
    /// A node of which those who watch it, or a node above it, have been gathered.
    gathered: Option<NodeId>,
}

/// How much work it is to read a copy's path, and to do with it what a step does, in slots that a step may free.
fn work_for(copy: &TxNode) -> usize {
    1 + copy.path.len() / LONG
}

/// How many chunks a change of nodes adds.
fn chunks_of(delta: Delta) -> i32 {
    let nodes = delta.nodes.saturating_mul(Node::MEMORY as i32);
    delta.memory.saturating_sub(nodes) / Blob::CHUNK_MEMORY as i32
}

impl Store {
    /// Whether the transaction may take effect now: EAGAIN if something has changed that it has read, or by which it was
    /// let at nodes; ENOMEM if it ran out of room or there is none; what the table of quotas says if a node would be too
    /// large or a domain would hold too much. If it may, who hears of what it changes is noted.
    pub fn may_commit(&mut self, tx: TransactionId, view: &View) -> Result<(), XsError> {
        let open = *self.transactions.open.get(tx);
        if open.failed {
            return Err(XsError::ENOMEM);
        }
        if open.target != Life::NONE && open.target != self.domains.caller(open.domain).target {
            return Err(XsError::EAGAIN);
        }
        let some_died = open.deaths != self.domains.deaths();
        let (mut nodes, mut chunks, mut outdated) = (0, 0, false);
        for (_, copy) in self.copies(tx) {
            let base = self.node_hashed(copy.path_hash());
            if self.is_stale(copy, base)
                || self.is_for_the_dead(copy)
                || (some_died && self.read_of_the_dead(copy, open.deaths).is_some())
            {
                return Err(XsError::EAGAIN);
            }
            if let Some(base) = base {
                self.check_growth(copy, base, view)?;
                outdated |= copy.fires.is_some() && self.acl(base) != copy.seen_acl;
            }
            if copy.mark.contains(Mark::EXISTS | Mark::MADE) {
                nodes += 1;
                chunks += u32::from(copy.name_chunks);
            }
        }
        let room = self.may_take(open.domain, Share::Nodes, nodes)
            && self.may_take(open.domain, Share::Chunks, chunks);
        if !room {
            return Err(XsError::ENOMEM);
        }
        if !view.caller.is_privileged() {
            self.check_owners(tx, view)?;
        }
        if outdated { self.note_present_lists(tx) } else { Ok(()) }
    }

    fn is_stale(&self, copy: &TxNode, base: Option<NodeId>) -> bool {
        let Some(base) = base else { return copy.mark.contains(Mark::EXISTED) };
        let node = self.node(base);
        !copy.mark.contains(Mark::EXISTED)
            || (copy.mark.contains(Mark::READ_VALUE) && !node.has_value_of(copy.seen_value))
            || (copy.mark.contains(Mark::READ_LIST) && !node.has_list_of(copy.seen_list))
            || (copy.mark.contains(Mark::READ_ACL) && self.acl(base) != copy.seen_acl)
    }

    /// The entry of a domain that the transaction has read of in permissions, and that has died after so many `deaths`:
    /// it is shown no more and means nobody.
    pub(super) fn read_of_the_dead(&self, copy: &TxNode, deaths: u32) -> Option<Entry> {
        let acl = copy.seen_acl.filter(|_| copy.mark.contains(Mark::READ_ACL))?;
        self.acls.entries(&self.blobs, acl).find(|entry| self.domains.has_died_since(*entry, deaths))
    }

    /// Whether the copy would give a node to a domain that has died meanwhile.
    fn is_for_the_dead(&self, copy: &TxNode) -> bool {
        let given = copy.acl.filter(|_| copy.mark.contains(Mark::EXISTS | Mark::WROTE_ACL));
        given.is_some_and(|acl| self.domains.owner(self.acls.owner(acl)).is_none())
    }

    /// Refuses what this transaction changes of an old node if that would be too large with what others have changed of it
    /// meanwhile.
    fn check_growth(&self, copy: &TxNode, base: NodeId, view: &View) -> Result<(), XsError> {
        let (wrote, kept) = (Mark::WROTE_VALUE | Mark::WROTE_ACL, copy.mark & (Mark::MADE | Mark::EXISTS));
        let added = copy.children_bytes.wrapping_sub(copy.seen_children_bytes) as i32;
        if kept != Mark::EXISTS || !(added > 0 || copy.mark.intersects(wrote)) {
            return Ok(());
        }
        let node = self.node(base);
        let value = if copy.mark.contains(Mark::WROTE_VALUE) { copy.value } else { node.value };
        let entries = copy.acl.map_or(0, |acl| self.acls.count(acl));
        let children = node.children_bytes.saturating_add_signed(added);
        self.check_quota(view, Quota::NODE_SIZE, node_size(entries, value.len(), children as usize))
    }

    /// Refuses a transaction that would give a guest more nodes or more memory than its quotas.
    fn check_owners(&mut self, tx: TransactionId, view: &View) -> Result<(), XsError> {
        let open = *self.transactions.open.get(tx);
        let (mut owners, mut all) = (heapless::Vec::<DomainId, OWNERS>::new(), true);
        let mut next = open.touched.first();
        while let Some(id) = next {
            next = self.transactions.nodes.get(id).next_touched();
            for (owner, change) in self.changes(id).into_iter().flatten() {
                let delta = &mut self.domains.update(owner).delta;
                if *delta == Delta::default() {
                    // What it gains may be what it loses.
                    all &= owners.contains(&owner) || owners.push(owner).is_ok();
                }
                delta.nodes += change.nodes;
                delta.memory = delta.memory.saturating_add(change.memory);
            }
        }
        let mut verdict = Ok(());
        for owner in owners {
            verdict = verdict.and(self.check_owner(owner, &open, view));
        }
        // Of those that are too many to be listed, each is found again.
        let mut next = open.touched.first().filter(|_| !all);
        while let Some(id) = next {
            next = self.transactions.nodes.get(id).next_touched();
            for (owner, _) in self.changes(id).into_iter().flatten() {
                verdict = verdict.and(self.check_owner(owner, &open, view));
            }
        }
        verdict
    }

    /// Whether an owner may have what the transaction would add, which is forgotten.
    fn check_owner(&mut self, owner: DomainId, open: &Transaction, view: &View) -> Result<(), XsError> {
        let mut delta = core::mem::take(&mut self.domains.update(owner).delta);
        let (domain, usage) = (self.domains.get(owner), &self.held.of(owner).usage);
        if domain.is_privileged() {
            return Ok(());
        }
        // The chunks of what goes to others are theirs then.
        let chunks = if owner == open.domain { 0 } else { chunks_of(delta) };
        if owner == open.domain {
            delta.memory = delta.memory.saturating_sub_unsigned(open.memory);
        }
        let check = |quota: Quota, used: u32, delta: i32| match used.saturating_add_signed(delta) {
            after if after > used => self.check_against(view, &domain.quotas, quota, after as usize),
            _ => Ok(()),
        };
        check(Quota::NODES, usage.nodes, delta.nodes)?;
        check(Quota::MEMORY, usage.memory, delta.memory)?;
        if chunks > 0 && !self.may_take(owner, Share::Chunks, chunks.unsigned_abs()) {
            return Err(XsError::ENOMEM);
        }
        Ok(())
    }

    /// What applying a guest's copy changes for the owner of the old node and for that of the new one.
    fn changes(&self, id: TxNodeId) -> [Option<(DomainId, Delta)>; 2] {
        let copy = self.transactions.nodes.get(id);
        if !copy.mark.intersects(Mark::WROTE_VALUE | Mark::WROTE_ACL) {
            return [None, None];
        }
        let made = copy.mark.contains(Mark::MADE);
        let goes = made || !copy.mark.contains(Mark::EXISTS);
        let before = self.node_hashed(copy.path_hash()).and_then(|base| {
            let owner = self.owner_of(base)?;
            let node = self.node(base);
            let old = node.value.len();
            let (nodes, memory) = if goes {
                (-1, -(Node::memory(node.name.spilled(), old) as i32))
            } else if copy.mark.contains(Mark::WROTE_VALUE) {
                (0, Value::memory(copy.value.len()) as i32 - Value::memory(old) as i32)
            } else {
                (0, 0)
            };
            Some((owner, Delta { nodes, memory }))
        });
        let after = copy.acl.filter(|_| made).and_then(|acl| {
            let owner = self.domains.owner(self.acls.owner(acl))?;
            let name = u32::from(copy.name_chunks) * Blob::CHUNK_MEMORY;
            let memory = Node::memory(name, copy.value.len());
            Some((owner, Delta { nodes: 1, memory: memory as i32 }))
        });
        [before, after]
    }

    /// Where in its path the name of a node begins that the transaction has made.
    pub(super) fn name_start(&self, copy: &TxNode) -> usize {
        match copy.parent.map_or(0, |parent| self.transactions.nodes.get(parent).path.len()) {
            // The root's path is the slash itself.
            above @ (0 | 1) => above,
            above => above + 1,
        }
    }

    /// Begins to apply what the transaction did. In an attempt, right after `may_commit` has agreed: then nothing of it fails.
    #[inline(always)] // Its only use.
    pub fn begin_apply(&mut self, tx: TransactionId) -> Result<Next, XsError> {
        let first = self.transactions.open.get(tx).touched.first();
        self.apply_more(Apply { tx, stage: Stage::Changes(first) })
    }

    /// Applies some more, until there is something to send or the journals are full. A transaction that has been
    /// applied is forgotten.
    pub(in crate::store) fn apply_more(&mut self, apply: Apply) -> Result<Next, XsError> {
        let Apply { tx, mut stage } = apply;
        let (mut done, mut known) = (0, Known::default());
        if let Stage::Changes(next) = stage {
            stage = self.apply_changes(tx, next, &mut done)?;
        }
        if let Stage::Makes(next) = stage {
            stage = self.apply_creations(tx, next, &mut done)?;
        }
        let Stage::Events(mut next) = stage else { return self.apply_later(tx, stage) };
        let mut unwatched = 0;
        while self.has_room_for_more(done)
            && unwatched < UNWATCHED
            && (self.collected.is_empty() || self.collected.late.is_some())
        {
            let Some(id) = next else { return self.end_apply(tx, done) };
            let mut work = self.collect_for_copy(id, &mut known)?;
            if self.transactions.open.get(tx).waiting > 0 || self.collected.late.is_some() {
                work = work.max(1);
                self.note_lists(id)?;
            }
            done += work;
            unwatched += usize::from(work == 0);
            next = self.transactions.nodes.get(id).next_touched();
        }
        self.apply_later(tx, Stage::Events(next))
    }

    /// Whether what is at `path` may look otherwise once this transaction has been applied as a whole, or has before: it has a
    /// copy of whatever it changes, and of what it adds to or takes from.
    pub fn may_differ(&self, tx: TransactionId, path: Path<'_>) -> bool {
        let hash = path.hash(&self.key);
        self.lookup_hashed(path, hash).is_none() || self.copy_hashed(tx, hash).is_some()
    }

    #[inline(never)] // Most transactions are small.
    fn apply_later(&mut self, tx: TransactionId, stage: Stage) -> Result<Next, XsError> {
        self.intents.modify()?.apply = Some(Apply { tx, stage });
        let gathers = self.collected.is_empty() || self.collected.late.is_some();
        Ok(if gathers { Next::Step } else { Next::Send })
    }

    /// Changes and removes nodes. The result is where it has stopped: after a removal, because what has been removed is found
    /// until the attempt ends, or because the journals are full.
    #[inline(always)] // Its only use.
    fn apply_changes(
        &mut self,
        tx: TransactionId,
        mut next: Option<TxNodeId>,
        done: &mut usize,
    ) -> Result<Stage, XsError> {
        while let Some(id) = next {
            if !self.has_room_for_more(*done) {
                return Ok(Stage::Changes(next));
            }
            *done += 1;
            let removed = self.apply_change(id, *done)?;
            next = self.transactions.nodes.get(id).next_touched();
            if removed {
                return Ok(Stage::Changes(next));
            }
        }
        Ok(Stage::Makes(self.transactions.open.get(tx).made.first()))
    }

    /// Makes nodes, until the journals are full.
    #[inline(always)] // Its only use.
    fn apply_creations(
        &mut self,
        tx: TransactionId,
        mut next: Option<TxNodeId>,
        done: &mut usize,
    ) -> Result<Stage, XsError> {
        while let Some(id) = next {
            if !self.has_room_for_more(*done) {
                return Ok(Stage::Makes(next));
            }
            *done += work_for(self.transactions.nodes.get(id));
            self.apply_creation(id)?;
            next = self.transactions.nodes.get(id).made.next;
        }
        self.collected.number += 1;
        self.collected.work = 0;
        Ok(Stage::Events(self.transactions.open.get(tx).touched.first()))
    }

    /// A transaction has been applied, and all its events are collected.
    #[inline(always)] // Its only use.
    fn end_apply(&mut self, tx: TransactionId, done: usize) -> Result<Next, XsError> {
        self.collected.copy = None;
        self.note_end(tx, Some(Kind::TransactionCommitted));
        if self.intents.get().apply.is_some() {
            self.intents.modify()?.apply = None;
        }
        if self.collected.late.is_some() {
            self.hold_gathered(tx)?;
            self.keep_to_tell(tx)?;
            return Ok(Next::Send);
        }
        if self.transactions.open.get(tx).waiting > 0 {
            return self.keep_to_tell(tx);
        }
        self.forget_more(tx, done)
    }

    /// What a copy has changed of the node that it is of: it is removed, of which the result
    /// tells, or has another value or permission list.
    fn apply_change(&mut self, id: TxNodeId, done: usize) -> Result<bool, XsError> {
        let copy = self.transactions.nodes.get(id);
        let (mark, acl) = (copy.mark, copy.acl);
        let removed =
            mark.contains(Mark::EXISTED) && (mark.contains(Mark::MADE) || !mark.contains(Mark::EXISTS));
        if !removed && !mark.intersects(Mark::WROTE_VALUE | Mark::WROTE_ACL) {
            return Ok(false);
        }
        let Some(base) = self.node_hashed(copy.path_hash()) else { return Ok(false) };
        if removed {
            return self
                .remove_more(Removal { top: base, at: base, told: false, noted: true }, done)
                .map(|_| true);
        }
        if mark.contains(Mark::WROTE_VALUE) {
            let value = self.take_value(id)?;
            self.set_value(base, value)?;
        }
        if let (true, Some(acl)) = (mark.contains(Mark::WROTE_ACL), acl) {
            let acl = self.acls.retain(acl)?;
            self.set_acl(base, acl)?;
        }
        Ok(false)
    }

    /// Makes a node that the transaction has made.
    fn apply_creation(&mut self, id: TxNodeId) -> Result<(), XsError> {
        let copy = self.transactions.nodes.get(id);
        let (acl, hash) = (copy.acl, copy.path_hash());
        let mut name = NameBuf::new();
        copy.path.append_from(&self.blobs, self.name_start(copy), &mut name)?;
        let parent = copy.parent.map(|parent| self.transactions.nodes.get(parent).path_hash());
        let parent = parent.and_then(|parent| self.node_hashed(parent));
        let (Some(parent), Some(acl)) = (parent, acl) else { return Ok(()) };
        let value = self.take_value(id)?;
        let acl = self.acls.retain(acl)?;
        self.create(Some(parent), &name, hash, value, acl)?;
        Ok(())
    }

    /// Collects the events of what a copy has changed. Returns how much work that was, in slots that a step may free: 0 if
    /// nobody watches it, or those who do have been gathered.
    fn collect_for_copy(&mut self, id: TxNodeId, known: &mut Known) -> Result<usize, XsError> {
        let copy = self.transactions.nodes.get(id);
        let Some(change) = copy.tells() else { return Ok(0) };
        let exists = copy.mark.contains(Mark::EXISTS);
        let node = self.node_hashed(copy.path_hash()).filter(|_| exists);
        // Most nodes have no watches, and reading their path takes longer than all else.
        let watched = match (change, node) {
            (Change::Subtree, None) => true,
            (Change::Subtree, Some(id)) => {
                let lowest = self.lowest_watched(id, &mut known.unwatched);
                if self.collected.late.is_some() {
                    if lowest == known.gathered {
                        return Ok(0);
                    }
                    known.gathered = lowest;
                }
                lowest.is_some()
            }
            (Change::Exact, _) => self.watches.paths.may_have(copy.path_hash()),
        };
        if !watched {
            return Ok(0);
        }
        let work = work_for(copy);
        self.collect_for_watched(id, node, change)?;
        Ok(work)
    }

    #[inline(never)] // Its stack is large.
    fn collect_for_watched(
        &mut self,
        id: TxNodeId,
        node: Option<NodeId>,
        change: Change,
    ) -> Result<(), XsError> {
        let copy = self.transactions.nodes.get(id);
        let exists = copy.mark.contains(Mark::EXISTS);
        self.collected.copy = Some(id);
        let mut path = PathBuf::new();
        copy.path.append(&self.blobs, &mut path)?;
        let path = Path::from_canonical(&path);
        let old = copy.seen_acl.filter(|_| copy.mark.contains(Mark::EXISTED));
        match node {
            Some(id) => self.collect_for_node(id, path, change, old),
            None if !exists => self.collect(path, None, change, &[old]),
            None => {}
        }
        Ok(())
    }

    /// Notes the permission lists that the nodes have now of which there will be events: those decide who hears of it, also if
    /// they have changed since the first touch. Nobody sees that, so it is done before the decision, copy by copy.
    #[cold]
    #[inline(never)] // Permissions seldom change amid a transaction.
    fn note_present_lists(&mut self, tx: TransactionId) -> Result<(), XsError> {
        let mut next = self.transactions.open.get(tx).touched.first();
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            next = copy.next_touched();
            if copy.fires.is_none() {
                continue;
            }
            let now = self.node_hashed(copy.path_hash()).and_then(|base| self.acl(base));
            if let (Some(now), Some(seen)) = (now, copy.seen_acl)
                && now != seen
            {
                self.attempt(Claim::Answer, |store| {
                    store.acls.retain(now)?;
                    store.transactions.nodes.modify(id)?.seen_acl = Some(now);
                    Ok(store.acls.release(seen)?)
                })?;
            }
        }
        Ok(())
    }

    /// Moves the value out of a copy, with its charge. One that needs no chunks needs no moving.
    #[inline(always)] // Mostly it needs none.
    fn take_value(&mut self, id: TxNodeId) -> Result<Value, XsError> {
        let copy = self.transactions.nodes.get(id);
        let value = copy.value;
        if copy.value.has_chunks() {
            self.leave_value(id)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn leave_value(&mut self, id: TxNodeId) -> Result<(), XsError> {
        let copy = self.transactions.nodes.modify(id)?;
        let value = core::mem::replace(&mut copy.value, Value::EMPTY);
        let tx = copy.tx;
        Ok(self.charge_tx(tx, value.spilled(), 0)?)
    }
}
