//! A transaction's copies of nodes: taken at first touch, made, unmade.

use crate::path::{Path, PathBuf};
use crate::quota::Quota;
use crate::slots::{Full, Text};
use crate::store::share::Share;
use crate::store::steps::Next;
use crate::store::transaction::{Mark, PATH_INLINE, TransactionId, TxNode, TxNodeId};
use crate::store::view::{Start, Subject, View};
use crate::store::watch::Change;
use crate::store::{AclId, Answer, Name, NameBuf, NodeId, Store, Value};
use crate::wire::XsError;

/// What a copy is to be taken of.
struct Original<'a> {
    /// Of its path, which has `len` bytes.
    hash: u64,
    len: usize,
    /// The node, if there is one.
    node: Option<NodeId>,
    /// Another copy, whose path begins with this one and needs chunks.
    lender: Option<TxNodeId>,
    /// What is stored if there is none: the path, or one that begins with it and needs chunks anyway.
    text: &'a [u8],
}

impl Store {
    fn find_copy(
        &self,
        tx: TransactionId,
        path: Path<'_>,
        path_hash: u64,
        below: Option<TxNodeId>,
    ) -> Option<TxNodeId> {
        let hash = TxNode::hash_of(tx, path_hash);
        if let Some(below) = below
            && let Some(copy) = self.find_lent(tx, path, hash, below)
        {
            return Some(copy);
        }
        let is_at = |node: &TxNode| node.tx == tx && node.path.equals(&self.blobs, path.as_bytes());
        self.transactions.nodes.find(hash, is_at)
    }

    /// The copy whose path lies in the chunks of that of the copy `below`.
    #[inline(never)] // Most paths need no chunks.
    fn find_lent(&self, tx: TransactionId, path: Path<'_>, hash: u64, below: TxNodeId) -> Option<TxNodeId> {
        let (known, _) = self.beginning_of(below, path.as_bytes().len())?;
        self.transactions.nodes.find(hash, |node| node.tx == tx && node.path.is_same(known))
    }

    /// The copy of what has the path with this hash: for paths that the store or the transaction has kept, as
    /// [`Store::node_hashed`].
    pub(super) fn copy_hashed(&self, tx: TransactionId, path_hash: u64) -> Option<TxNodeId> {
        self.transactions.nodes.find(TxNode::hash_of(tx, path_hash), |node| node.tx == tx)
    }

    /// The transaction's copy of what is at a path, taken now if this is the first touch.
    ///
    /// Above a quota or without room for the copy the transaction is failed. With `below`, the copy of a path that
    /// begins with this one, nothing of what they share is compared.
    pub fn touch(
        &mut self,
        view: &View,
        tx: TransactionId,
        subject: Subject<'_>,
        below: Option<TxNodeId>,
    ) -> Result<TxNodeId, XsError> {
        match self.find_copy(tx, subject.path, subject.hash, below) {
            Some(id) => Ok(id),
            None => self.touch_first(view, tx, subject, below),
        }
    }

    #[inline(never)]
    fn touch_first(
        &mut self,
        view: &View,
        tx: TransactionId,
        subject: Subject<'_>,
        below: Option<TxNodeId>,
    ) -> Result<TxNodeId, XsError> {
        let Subject { path, hash, .. } = subject;
        let node = self.locate_subject(subject);
        let text = path.as_bytes();
        let lender = if text.len() > PATH_INLINE { self.lender(tx, path, below) } else { None };
        self.take_copy(view, tx, &Original { hash, node, len: text.len(), lender, text })
    }

    fn take_copy(
        &mut self,
        view: &View,
        tx: TransactionId,
        original: &Original<'_>,
    ) -> Result<TxNodeId, XsError> {
        if self.current.copies >= self.limits().copies {
            self.current.pauses = true;
            return Err(XsError::EAGAIN);
        }
        self.current.copies += 1;
        let taken = self.try_to_take(view, tx, original);
        if taken.is_err() {
            let failed = &mut self.transactions.open.update(tx).failed;
            self.current.fails |= !*failed;
            *failed = true;
        }
        taken
    }

    #[inline(always)] // Its only use.
    fn try_to_take(
        &mut self,
        view: &View,
        tx: TransactionId,
        original: &Original<'_>,
    ) -> Result<TxNodeId, XsError> {
        let Original { hash, node: base, len, lender, text } = *original;
        let lent = lender.and_then(|lender| self.beginning_of(lender, len));
        let count = self.transactions.open.get(tx).node_count as usize;
        self.check_quota(view, Quota::TRANSACTION_NODES, count + 1)?;
        self.note_peak(count + 1, |peaks| &mut peaks.transaction_nodes);
        let value_len = base.map_or(0, |base| self.node(base).value.len());
        let memory = TxNode::memory(if lent.is_some() { 0 } else { text.len() }, value_len);
        let held = self.held.of(view.domain).usage.memory;
        self.check_quota(view, Quota::MEMORY, held as usize + memory as usize)?;
        self.attempt(view.claim(), |store| {
            let mut copy = TxNode::new(tx, hash);
            copy.borrows_text = lent.is_some();
            (copy.path, copy.text_len) = match lent {
                Some(lent) => lent,
                None => {
                    let whole: Text<PATH_INLINE> = store.text(text)?;
                    let own = whole.first_bytes(text.len(), len);
                    (own.unwrap_or(whole), text.len() as u16)
                }
            };
            if let Some(base) = base {
                let node = store.nodes.get(base);
                copy.mark = Mark::EXISTED | Mark::EXISTS;
                copy.seen_value = node.value_generation();
                copy.seen_list = node.list_generation();
                copy.generation = node.generation();
                copy.children_bytes = node.children_bytes;
                copy.seen_children_bytes = node.children_bytes;
                copy.value = node.value.duplicate(&mut store.blobs)?;
                (copy.seen_acl, copy.acl) = (node.acl, node.acl);
                if let Some(acl) = node.acl {
                    store.acls.retain_times(2, acl)?;
                }
            }
            let id = store.transactions.nodes.insert(copy)?;
            let open = store.transactions.open.modify(tx)?;
            open.node_count += 1;
            open.touched.append(&mut store.transactions.nodes, id)?;
            open.memory += memory;
            let held = store.held.modify(view.domain)?;
            held.usage.memory += memory;
            held.note_most();
            if !view.caller.is_privileged() {
                store.take(view.domain, Share::Copies, 1)?;
                store.move_chunks(view.domain, TxNode::memory(0, 0), memory)?;
            }
            Ok(id)
        })
    }

    /// The copy that lends its text to that of a path which needs chunks: the one that is known to begin with it, or the one
    /// taken last.
    fn lender(&self, tx: TransactionId, path: Path<'_>, below: Option<TxNodeId>) -> Option<TxNodeId> {
        match below {
            Some(below) => self.beginning_of(below, path.as_bytes().len()).and(Some(below)),
            None => self.lent_path(tx, path).and(self.transactions.open.get(tx).touched.last()),
        }
    }

    /// The path in the chunks of that of the copy taken last, if it is the beginning of the text there, and how long that
    /// is. Who looks for a node from its path upwards so has one text for all that is missing.
    pub(super) fn lent_path(&self, tx: TransactionId, path: Path<'_>) -> Option<(Text<PATH_INLINE>, u16)> {
        let last = self.transactions.nodes.get(self.transactions.open.get(tx).touched.last()?);
        let stored = usize::from(last.text_len);
        Some((last.path.beginning(&self.blobs, stored, path.as_bytes())?, last.text_len))
    }

    /// The first `len` bytes of a copy's text, in the same chunks, if they need any, and how long the text is.
    fn beginning_of(&self, id: TxNodeId, len: usize) -> Option<(Text<PATH_INLINE>, u16)> {
        let TxNode { path, text_len, .. } = self.transactions.nodes.get(id);
        Some((path.first_bytes(usize::from(*text_len), len)?, *text_len))
    }

    /// Moves a transaction's memory charge, and so its domain's, from `old` to `new` bytes, all of chunks.
    #[inline(always)] // Mostly they are equal.
    pub(crate) fn charge_tx(&mut self, tx: TransactionId, old: u32, new: u32) -> Result<(), Full> {
        if old == new { Ok(()) } else { self.move_charge(tx, old, new) }
    }

    #[inline(never)]
    fn move_charge(&mut self, tx: TransactionId, old: u32, new: u32) -> Result<(), Full> {
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
        let id = self.copy_hashed(tx, hash).ok_or(XsError::EIO)?;
        let copy = self.transactions.nodes.modify(id)?;
        copy.mark |= Mark::EXISTS | Mark::MADE | Mark::WROTE_VALUE | Mark::WROTE_ACL;
        copy.parent = Some(parent);
        copy.acl = Some(acl);
        copy.children_bytes = 0;
        copy.generation = generation;
        copy.name_chunks = Name::chunks(path.name());
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
        let parent = path.parent().map(|parent| Subject::new(parent, parent.hash(&self.key)));
        let parent = parent.map(|parent| self.touch(view, tx, parent, Some(top))).transpose()?;
        self.copy_subtree(view, tx, top, path)?;
        self.mark_rest(tx, top, path)?;
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

    /// Has a copy of each node that is at `path` or below it, and marks it as one that goes with `top`.
    fn copy_subtree(
        &mut self,
        view: &View,
        tx: TransactionId,
        top: TxNodeId,
        path: Path<'_>,
    ) -> Result<(), XsError> {
        self.transactions.nodes.update(top).goes_with = Some(top);
        let Some(base) = self.lookup(path) else { return Ok(()) };
        // Copies on the way down to one leaf share its path, which one of them has.
        let mut leaf = PathBuf::new();
        let from = self.stopped_below(view, tx, top).unwrap_or(base);
        let mut next = Some((from, self.path_of(from, &mut leaf)?.as_bytes().len()));
        let (mut lender, mut before) = (None, None);
        while let Some((id, len)) = next {
            let hash = self.node(id).hash;
            if self.node(id).parent != before {
                leaf.truncate(len.saturating_sub(self.node(id).name.len()));
                self.append_first_leaf(id, &mut leaf)?;
                // The copy above has its text already where this goes on.
                let first = before.is_none() && leaf.len() > PATH_INLINE;
                lender = if first { self.lender(tx, Path::from_canonical(&leaf), None) } else { None };
            }
            let copy = match self.copy_hashed(tx, hash) {
                Some(copy) => copy,
                None => {
                    let text = leaf.get(..len).filter(|_| len <= PATH_INLINE).unwrap_or(&leaf);
                    let original = Original { hash, len, node: Some(id), lender, text };
                    let taken = self.take_copy(view, tx, &original);
                    if taken.is_err() {
                        self.stop_below(view, tx, top, id);
                    }
                    let taken = taken?;
                    lender = (len > PATH_INLINE).then_some(taken);
                    taken
                }
            };
            let copy = self.transactions.nodes.update(copy);
            copy.mark |= Mark::READ_LIST;
            copy.goes_with = Some(top);
            before = Some(id);
            next = self.next_in_preorder(base, id, len);
        }
        Ok(())
    }

    /// Marks what else goes with `top`: what others have removed since the first touch, and what the transaction has
    /// made below.
    fn mark_rest(&mut self, tx: TransactionId, top: TxNodeId, path: Path<'_>) -> Result<(), XsError> {
        let open = *self.transactions.open.get(tx);
        let mut buf = PathBuf::new();
        let mut next = open.touched.first();
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            next = copy.next_touched();
            if copy.goes_with != Some(top)
                && copy.mark & (Mark::EXISTS | Mark::MADE) == Mark::EXISTS
                && self.node_hashed(copy.path_hash()).is_none()
            {
                copy.path.append_cleared(&self.blobs, &mut buf)?;
                if Path::from_canonical(&buf).depth_below(path).is_some() {
                    self.transactions.nodes.update(id).goes_with = Some(top);
                }
            }
        }
        let mut next = open.made.first();
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            next = copy.made.next;
            let above = copy.parent.and_then(|parent| self.transactions.nodes.get(parent).goes_with);
            if above == Some(top) {
                self.transactions.nodes.update(id).goes_with = above;
            }
        }
        Ok(())
    }

    /// Removes some more of the copies at or below `top`, from `at` on in order of first touch, until the journals are
    /// full.
    pub(in crate::store) fn unmake_more(&mut self, top: TxNodeId, at: TxNodeId) -> Result<Next, XsError> {
        let (mut next, mut done) = (Some(at), 0);
        while let Some(id) = next {
            if !self.has_room_for_more(done) {
                break;
            }
            let node = self.transactions.nodes.get(id);
            next = node.next_touched();
            if node.goes_with == Some(top) && node.mark.contains(Mark::EXISTS) {
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
        if copy.mark.contains(Mark::EXISTED) { self.node_hashed(copy.path_hash()) } else { None }
    }

    /// Whether nobody but the transaction has changed the list of children since the first touch, or removed it
    /// with its node: only then a place in it is still one.
    pub(crate) fn has_seen_list(&self, id: TxNodeId) -> bool {
        let copy = self.transactions.nodes.get(id);
        match self.base_of(copy) {
            Some(base) => self.node(base).list_generation() == copy.seen_list,
            None => !copy.mark.contains(Mark::EXISTED),
        }
    }

    /// Calls `each` with the names of a copy's children: those of the tree that the transaction has not
    /// removed, then those that it has made. It ends when `each` wants no more.
    pub(crate) fn for_each_child_of_copy(
        &self,
        id: TxNodeId,
        start: Start,
        each: &mut dyn FnMut(Start, &[u8]) -> bool,
    ) {
        let copy = self.transactions.nodes.get(id);
        let mut name = NameBuf::new();
        let base = self.base_of(copy).filter(|_| !matches!(start, Start::Made(_)));
        let child = if let Start::Child(child) = start { Some(child) } else { None };
        let children = base.map(|base| self.children_from(base, child));
        let tx = copy.tx;
        for (at, child) in children.into_iter().flatten() {
            let hidden = self.copy_hashed(tx, child.hash).is_some_and(|known| {
                let mark = self.transactions.nodes.get(known).mark;
                !mark.contains(Mark::EXISTS) || mark.contains(Mark::MADE)
            });
            if !hidden && !each(Start::Child(at), child.name.contiguous(&self.blobs, &mut name)) {
                return;
            }
        }
        let mut next = match start {
            Start::Made(made) => Some(made),
            _ => self.transactions.open.get(tx).made.first(),
        };
        while let Some(at) = next {
            let made = self.transactions.nodes.get(at);
            next = made.made.next;
            if made.parent == Some(id) {
                name.clear();
                // A name that is in a path fits its buffer.
                let fits = made.path.append_from(&self.blobs, self.name_start(made), &mut name).is_ok();
                if fits && !each(Start::Made(at), &name) {
                    return;
                }
            }
        }
    }

    /// The transaction's copies, in order of first touch.
    pub fn copies(&self, tx: TransactionId) -> impl Iterator<Item = (TxNodeId, &TxNode)> {
        self.transactions.open.get(tx).touched.iter(&self.transactions.nodes)
    }
}
