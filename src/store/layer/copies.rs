//! A transaction's copies of nodes: taken at first touch, made, unmade, given back.

use crate::path::{Path, PathBuf};
use crate::platform::Instant;
use crate::quota::Quota;
use crate::slots::{Full, Text};
use crate::store::domain::DomainId;
use crate::store::share::Share;
use crate::store::steps::Next;
use crate::store::transaction::{Mark, PATH_INLINE, Transaction, TransactionId, TxNode, TxNodeId};
use crate::store::view::{Start, View};
use crate::store::watch::Change;
use crate::store::{AclId, Answer, NameBuf, NodeId, Store, Value};
use crate::wire::{TxId, XsError};

impl Store {
    /// Opens a transaction for `domain` under the next identifier that is free. In an attempt.
    pub fn open_transaction(&mut self, domain: DomainId, now: Instant) -> Result<TxId, XsError> {
        let mut id = TxId(self.domains.get(domain).last_tx);
        loop {
            id = TxId(id.0.wrapping_add(1));
            if id != TxId::NONE && self.transactions.find(domain, id).is_none() {
                break;
            }
        }
        let tx = self.transactions.open.insert(Transaction::new(id, domain, now, self.domains.deaths()))?;
        self.transactions.of_domain.append(domain, &mut self.transactions.open, tx)?;
        let record = self.domains.arena.modify(domain)?;
        record.last_tx = id.0;
        record.usage.transactions += 1;
        record.usage.memory += Transaction::MEMORY;
        if !record.is_privileged() {
            self.moved(domain, Share::Transactions, 1)?;
        }
        Ok(id)
    }

    /// The open transaction that `domain` calls `id`.
    pub fn find_transaction(&self, domain: DomainId, id: TxId) -> Option<TransactionId> {
        self.transactions.find(domain, id)
    }

    /// The identifier of the domain's youngest open transaction.
    pub fn newest_transaction(&self, domain: DomainId) -> Option<TxId> {
        let newest = self.transactions.of_domain.of(domain).last()?;
        Some(self.transactions.open.get(newest).id)
    }

    /// Forgets a transaction and gives back what it held, until the journals are full; `done` slots have been given
    /// back already. The only way a transaction goes.
    pub(in crate::store) fn forget_more(&mut self, tx: TransactionId, done: usize) -> Result<Next, XsError> {
        let mut done = done;
        let domain = self.transactions.open.get(tx).domain;
        while let Some(id) = self.transactions.open.get(tx).touched.first() {
            if !self.has_room_for_more(done) {
                self.intents.modify()?.end = Some(tx);
                return Ok(Next::Step);
            }
            let copy = *self.transactions.nodes.get(id);
            let TxNode { seen_acl, acl, value, path, borrows_text, .. } = copy;
            if !self.domains.is_privileged(domain) {
                self.give(domain, Share::Copies, 1)?;
                self.move_chunks(domain, copy.spilled(), 0)?;
            }
            for acl in [seen_acl, acl].into_iter().flatten() {
                self.acls.release(acl)?;
            }
            value.free(&mut self.blobs)?;
            if !borrows_text {
                path.free(&mut self.blobs)?;
            }
            let open = self.transactions.open.modify(tx)?;
            open.touched.remove_after(&mut self.transactions.nodes, None)?;
            open.node_count -= 1;
            self.transactions.nodes.remove(id)?;
            done += 1;
        }
        let memory = self.transactions.open.get(tx).memory;
        self.transactions.of_domain.remove(domain, &mut self.transactions.open, tx)?;
        let record = self.domains.arena.modify(domain)?;
        record.usage.transactions -= 1;
        record.usage.memory -= memory;
        if !record.is_privileged() {
            self.moved(domain, Share::Transactions, 1_u32.wrapping_neg())?;
        }
        self.transactions.open.remove(tx)?;
        if self.intents.get().end.is_some() {
            self.intents.modify()?.end = None;
        }
        Ok(Next::Step)
    }

    fn find_copy(&self, tx: TransactionId, path: Path<'_>, path_hash: u64) -> Option<TxNodeId> {
        self.transactions.nodes.find(TxNode::hash_of(tx, path_hash), |node| {
            node.tx == tx && node.path.equals(&self.blobs, path.as_bytes())
        })
    }

    /// The transaction's copy of what is at `path`, taken now if this is the first touch.
    ///
    /// Above a quota or without room for the copy the transaction is failed.
    pub fn touch(
        &mut self,
        view: &View,
        tx: TransactionId,
        path: Path<'_>,
        hash: u64,
    ) -> Result<TxNodeId, XsError> {
        self.touch_on_the_way(view, tx, path, hash, path)
    }

    /// The same on the way down to the node at `end`, so that the copies of all that lie between have one text.
    fn touch_on_the_way(
        &mut self,
        view: &View,
        tx: TransactionId,
        path: Path<'_>,
        hash: u64,
        end: Path<'_>,
    ) -> Result<TxNodeId, XsError> {
        if let Some(id) = self.find_copy(tx, path, hash) {
            return Ok(id);
        }
        let taken = self.take_copy(view, tx, path, hash, end);
        if taken.is_err() {
            self.transactions.open.update(tx).failed = true;
        }
        taken
    }

    fn take_copy(
        &mut self,
        view: &View,
        tx: TransactionId,
        path: Path<'_>,
        hash: u64,
        end: Path<'_>,
    ) -> Result<TxNodeId, XsError> {
        let count = self.transactions.open.get(tx).node_count as usize;
        view.check(Quota::TRANSACTION_NODES, count + 1)?;
        let largest = &mut self.current.largest.transaction_nodes;
        *largest = (*largest).max(count as u32 + 1);
        let base = self.locate(path, hash);
        let value_len = base.map_or(0, |base| self.node(base).value.len());
        let lent = self.lent_path(tx, path);
        let text = if path.as_bytes().len() > PATH_INLINE { end.as_bytes() } else { path.as_bytes() };
        let memory = TxNode::memory(if lent.is_some() { 0 } else { text.len() }, value_len);
        let held = self.domains.get(view.domain).usage.memory;
        view.check(Quota::MEMORY, held as usize + memory as usize)?;
        self.attempt(view.claim(), |store| {
            let mut copy = TxNode::new(tx, hash);
            copy.borrows_text = lent.is_some();
            (copy.path, copy.text_len) = match lent {
                Some(lent) => lent,
                None => {
                    let whole: Text<PATH_INLINE> = store.text(text)?;
                    let own = whole.beginning(&store.blobs, text.len(), path.as_bytes());
                    (own.unwrap_or(whole), text.len() as u16)
                }
            };
            if let Some(base) = base {
                let node = *store.node(base);
                copy.mark = Mark::EXISTED | Mark::EXISTS;
                copy.seen_value = node.value_generation;
                copy.seen_list = node.list_generation;
                copy.generation = node.generation();
                copy.children_bytes = node.children_bytes;
                copy.seen_children_bytes = node.children_bytes;
                copy.value = node.value.duplicate(&mut store.blobs)?;
                if let Some(acl) = store.acl(base) {
                    copy.seen_acl = Some(store.acls.retain(acl)?);
                    copy.acl = Some(store.acls.retain(acl)?);
                }
            }
            let id = store.transactions.nodes.insert(copy)?;
            let open = store.transactions.open.modify(tx)?;
            open.node_count += 1;
            open.touched.append(&mut store.transactions.nodes, id)?;
            open.memory += TxNode::memory(0, 0);
            store.take(view.domain, Share::Copies, 1)?;
            let record = store.domains.modify(view.domain)?;
            record.usage.memory += TxNode::memory(0, 0);
            record.note_peak();
            store.charge_tx(tx, 0, memory - TxNode::memory(0, 0))?;
            Ok(id)
        })
    }

    /// The path in the chunks of that of the copy taken last, if it is the beginning of the text there, and how long that
    /// is. Who looks for a node from its path upwards so has one text for all that is missing.
    fn lent_path(&self, tx: TransactionId, path: Path<'_>) -> Option<(Text<PATH_INLINE>, u16)> {
        let last = self.transactions.nodes.get(self.transactions.open.get(tx).touched.last()?);
        let stored = usize::from(last.text_len);
        Some((last.path.beginning(&self.blobs, stored, path.as_bytes())?, last.text_len))
    }

    /// Moves a transaction's memory charge, and so its domain's, from `old` to `new` bytes, all of chunks.
    pub(crate) fn charge_tx(&mut self, tx: TransactionId, old: u32, new: u32) -> Result<(), Full> {
        let open = self.transactions.open.modify(tx)?;
        open.memory = open.memory.wrapping_sub(old).wrapping_add(new);
        let domain = open.domain;
        self.charge(Some(domain), old, new)
    }

    /// Makes the node at `path` exist in the transaction, below the copy `parent`. Takes over `value` and
    /// one hold on `acl`. Its copy was taken when the path was found missing, or is taken now.
    pub(crate) fn make(
        &mut self,
        parent: TxNodeId,
        path: Path<'_>,
        hash: u64,
        value: Value,
        acl: AclId,
        fires: bool,
    ) -> Result<TxNodeId, XsError> {
        let generation = self.next_generation();
        let tx = self.transactions.nodes.get(parent).tx;
        let id = self.find_copy(tx, path, hash).ok_or(XsError::EIO)?;
        let copy = self.transactions.nodes.modify(id)?;
        copy.mark |= Mark::EXISTS | Mark::MADE | Mark::WROTE_VALUE | Mark::WROTE_ACL;
        copy.parent = Some(parent);
        copy.acl = Some(acl);
        copy.children_bytes = 0;
        copy.generation = generation;
        if fires {
            copy.fires = Some(Change::Subtree);
        }
        let old = core::mem::replace(&mut copy.value, value);
        self.transactions.open.modify(tx)?.made.append(&mut self.transactions.nodes, id)?;
        let above = self.transactions.nodes.modify(parent)?;
        above.children_bytes += path.name().len() as u32 + 1;
        above.generation = generation;
        old.free(&mut self.blobs)?;
        self.charge_tx(tx, Value::memory(old.len()), Value::memory(value.len()))?;
        Ok(id)
    }

    /// Removes a node and all below it in the transaction, and so decides the request.
    pub(crate) fn remove_copies(
        &mut self,
        view: &View,
        top: TxNodeId,
        path: Path<'_>,
    ) -> Result<(), XsError> {
        let tx = self.transactions.nodes.get(top).tx;
        // All that can fail comes first: copies of everything that goes.
        let parent = path.parent().map(|parent| self.touch(view, tx, parent, parent.hash(&self.key)));
        let parent = parent.transpose()?;
        let base = self.lookup(path);
        let mut next = base;
        let (mut buf, mut leaf) = (PathBuf::new(), PathBuf::new());
        while let (Some(id), Some(base)) = (next, base) {
            let below = self.path_of(id, &mut buf)?;
            if !leaf.starts_with(below.as_bytes()) {
                self.path_of(self.first_leaf(id), &mut leaf)?;
            }
            let end = Path::from_canonical(&leaf);
            let copy = self.touch_on_the_way(view, tx, below, self.node(id).hash, end)?;
            self.transactions.nodes.update(copy).mark |= Mark::READ_LIST;
            next = self.next_in_preorder(base, id);
        }
        let generation = self.next_generation();
        self.decide(Ok(Answer::Ok), view.claim(), |store| {
            if let Some(parent) = parent {
                let above = store.transactions.nodes.modify(parent)?;
                above.children_bytes = above.children_bytes.saturating_sub(path.name().len() as u32 + 1);
                above.generation = generation;
            }
            match store.transactions.open.get(tx).touched.first() {
                Some(first) => store.unmake_more(top, first).map(|_| ()),
                None => Ok(()),
            }
        })
    }

    /// Removes some more of the copies at or below `top`, from `at` on in order of first touch, until the journals are
    /// full.
    pub(in crate::store) fn unmake_more(&mut self, top: TxNodeId, at: TxNodeId) -> Result<Next, XsError> {
        let (mut path, mut buf) = (PathBuf::new(), PathBuf::new());
        self.transactions.nodes.get(top).path.append(&self.blobs, &mut path)?;
        let path = Path::from_canonical(&path);
        let (mut next, mut done) = (Some(at), 0);
        while let Some(id) = next {
            if !self.has_room_for_more(done) {
                break;
            }
            let node = self.transactions.nodes.get(id);
            next = node.next_touched();
            let goes = node.mark.contains(Mark::EXISTS) && {
                node.path.append_cleared(&self.blobs, &mut buf)?;
                Path::from_canonical(&buf).depth_below(path).is_some()
            };
            if goes {
                self.unmake(id, if id == top { Change::Subtree } else { Change::Exact })?;
                done += 1;
            }
        }
        if next.is_some() || self.intents.get().unmake.is_some() {
            self.intents.modify()?.unmake = next.map(|next| (top, next));
        }
        Ok(Next::Step)
    }

    fn unmake(&mut self, id: TxNodeId, change: Change) -> Result<(), XsError> {
        let node = self.transactions.nodes.modify(id)?;
        let old = core::mem::replace(&mut node.value, Value::EMPTY);
        let acl = node.acl.take();
        let made = node.mark.contains(Mark::MADE);
        let tx = node.tx;
        node.mark -= Mark::EXISTS | Mark::MADE;
        node.mark |= Mark::WROTE_VALUE | Mark::WROTE_ACL;
        if node.fires != Some(Change::Subtree) {
            node.fires = Some(change);
        }
        node.children_bytes = 0;
        if made {
            self.transactions.open.modify(tx)?.made.remove(&mut self.transactions.nodes, id)?;
        }
        old.free(&mut self.blobs)?;
        self.charge_tx(tx, Value::memory(old.len()), 0)?;
        if let Some(acl) = acl {
            self.acls.release(acl)?;
        }
        Ok(())
    }

    /// The node that a copy is of, as it is now. What others have put since where nothing was at first touch is
    /// not in the transaction's view.
    fn base_of(&self, copy: &TxNode) -> Option<NodeId> {
        let mut path = PathBuf::new();
        // A path that is in the store fits its buffer.
        let read = copy.mark.contains(Mark::EXISTED) && copy.path.append(&self.blobs, &mut path).is_ok();
        if read { self.lookup_hashed(Path::from_canonical(&path), copy.path_hash()) } else { None }
    }

    /// Whether nobody but the transaction has changed the list of children since the first touch, or removed it
    /// with its node: only then a place in it is still one.
    pub(crate) fn has_seen_list(&self, id: TxNodeId) -> bool {
        let copy = self.transactions.nodes.get(id);
        match self.base_of(copy) {
            Some(base) => self.node(base).list_generation == copy.seen_list,
            None => !copy.mark.contains(Mark::EXISTED),
        }
    }

    /// Calls `each` with the names of a copy's children: those of the tree that the transaction has not
    /// removed, then those that it has made.
    pub(crate) fn for_each_child_of_copy<E>(
        &self,
        id: TxNodeId,
        start: Start,
        mut each: impl FnMut(Start, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let copy = self.transactions.nodes.get(id);
        let (mut path, mut own, mut long) = (PathBuf::new(), PathBuf::new(), NameBuf::new());
        if copy.path.append(&self.blobs, &mut path).is_err() {
            return Ok(());
        }
        let above: &[u8] = if path == b"/" { b"" } else { &path };
        let first = match start {
            Start::First => self.base_of(copy).and_then(|base| self.node(base).children.first()),
            Start::Child(child) => Some(child),
            Start::Made(_) => None,
        };
        for (at, child) in self.siblings(first) {
            let hash = TxNode::hash_of(copy.tx, child.hash);
            let known = self.transactions.nodes.find(hash, |node| {
                let path = node.path.contiguous(&self.blobs, &mut own);
                node.tx == copy.tx && child.name.strip_from(&self.blobs, path) == Some(above)
            });
            let hidden = known.is_some_and(|known| {
                let mark = self.transactions.nodes.get(known).mark;
                !mark.contains(Mark::EXISTS) || mark.contains(Mark::MADE)
            });
            if !hidden {
                each(Start::Child(at), child.name.contiguous(&self.blobs, &mut long))?;
            }
        }
        let mut next = match start {
            Start::Made(made) => Some(made),
            _ => self.transactions.open.get(copy.tx).made.first(),
        };
        while let Some(at) = next {
            let made = self.transactions.nodes.get(at);
            next = made.made.next;
            if made.parent == Some(id) && made.path.append_cleared(&self.blobs, &mut own).is_ok() {
                each(Start::Made(at), Path::from_canonical(&own).name())?;
            }
        }
        Ok(())
    }

    /// The transaction's copies, in order of first touch.
    pub fn copies(&self, tx: TransactionId) -> impl Iterator<Item = (TxNodeId, &TxNode)> {
        self.transactions.open.get(tx).touched.iter(&self.transactions.nodes)
    }
}
