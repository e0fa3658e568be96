//! The end of a transaction: decide, then apply what cannot fail.

use super::{Mark, TransactionId, TxNode};
use crate::path::{Path, PathBuf};
use crate::perms::Caller;
use crate::store::{Blob, CHUNK, Claim, Name, NodeId, Store, Value};
use crate::wire::XsError;

impl Store {
    /// Whether the transaction may take effect now: EAGAIN if something it read has changed, ENOMEM if it
    /// ran out of room or there is none, ENOSPC if a domain would own too many nodes.
    pub fn decide(&mut self, tx: TransactionId, caller: &Caller) -> Result<(), XsError> {
        let open = *self.transactions.open.get(tx);
        if open.failed {
            return Err(XsError::ENOMEM);
        }
        let mut path = PathBuf::new();
        let (mut nodes, mut chunks) = (0, 0);
        for (_, copy) in self.copies(tx) {
            copy.path.append_cleared(&self.blobs, &mut path)?;
            let base = self.lookup_hashed(Path::from_canonical(&path), copy.path_hash());
            if self.is_stale(copy, base) {
                return Err(XsError::EAGAIN);
            }
            if copy.mark.contains(Mark::EXISTS | Mark::MADE) {
                nodes += 1;
                chunks += Name::memory(Path::from_canonical(&path).name().len()) / Blob::memory(CHUNK);
            }
        }
        let claim = if caller.privileged { Claim::Privileged } else { Claim::Guest };
        if self.nodes.arena().available_to(claim) < nodes || self.blobs.arena().available_to(claim) < chunks {
            return Err(XsError::ENOMEM);
        }
        if caller.privileged || nodes == 0 { Ok(()) } else { self.check_owners(tx, caller) }
    }

    fn is_stale(&self, copy: &TxNode, base: Option<NodeId>) -> bool {
        let Some(base) = base else { return copy.mark.contains(Mark::EXISTED) };
        let node = self.node(base);
        !copy.mark.contains(Mark::EXISTED)
            || (copy.mark.contains(Mark::READ_VALUE) && node.value_generation != copy.seen_value)
            || (copy.mark.contains(Mark::READ_LIST) && node.list_generation != copy.seen_list)
            || (copy.mark.contains(Mark::READ_ACL) && self.acl(base) != copy.seen_acl)
    }

    /// ENOSPC if the transaction would give a guest more nodes than its quota.
    fn check_owners(&mut self, tx: TransactionId, caller: &Caller) -> Result<(), XsError> {
        let mut next = self.transactions.open.get(tx).touched.first;
        while let Some(id) = next {
            let copy = *self.transactions.nodes.get(id);
            next = copy.next;
            let before = copy.seen_acl.filter(|_| copy.mark.contains(Mark::EXISTED));
            for (acl, step) in [(before, -1), (copy.acl, 1)] {
                let owner = acl.and_then(|acl| self.domains.owner(self.acls.owner(&self.blobs, acl)));
                if let Some(owner) = owner {
                    self.domains.update(owner).node_delta += step;
                }
            }
        }
        let mut verdict = Ok(());
        let mut next = self.transactions.open.get(tx).touched.first;
        while let Some(id) = next {
            let copy = *self.transactions.nodes.get(id);
            next = copy.next;
            for acl in [copy.seen_acl, copy.acl].into_iter().flatten() {
                let owner = self.domains.owner(self.acls.owner(&self.blobs, acl));
                let Some(owner) = owner else { continue };
                let domain = self.domains.update(owner);
                let delta = core::mem::take(&mut domain.node_delta);
                let after = domain.usage.nodes.saturating_add_signed(delta);
                let privileged = caller.privileged || Some(owner) == self.domains.privileged();
                let quota = self.domains.get(owner).quotas.nodes;
                if delta > 0 && !privileged && quota != 0 && after > quota {
                    verdict = Err(XsError::ENOSPC);
                }
            }
        }
        verdict
    }

    /// Applies what the transaction did. Only right after `decide` has agreed: then nothing here fails.
    pub fn apply(&mut self, tx: TransactionId) -> Result<(), XsError> {
        let mut path = PathBuf::new();
        let mut next = self.transactions.open.get(tx).touched.first;
        while let Some(id) = next {
            let copy = *self.transactions.nodes.get(id);
            next = copy.next;
            let removed = copy.mark.contains(Mark::EXISTED)
                && (copy.mark.contains(Mark::MADE) || !copy.mark.contains(Mark::EXISTS));
            if !removed && !copy.mark.intersects(Mark::WROTE_VALUE | Mark::WROTE_ACL) {
                continue;
            }
            copy.path.append_cleared(&self.blobs, &mut path)?;
            let base = self.lookup_hashed(Path::from_canonical(&path), copy.path_hash());
            let Some(base) = base else { continue };
            if removed {
                self.remove_subtree(base)?;
                continue;
            }
            if copy.mark.contains(Mark::WROTE_VALUE) {
                let value = self.take_value(id)?;
                self.set_value(base, value)?;
            }
            if let (true, Some(acl)) = (copy.mark.contains(Mark::WROTE_ACL), copy.acl) {
                let acl = self.acls.retain(acl)?;
                self.set_acl(base, acl)?;
            }
        }
        let mut next = self.transactions.open.get(tx).made.first;
        while let Some(id) = next {
            let copy = *self.transactions.nodes.get(id);
            next = copy.next_made;
            copy.path.append_cleared(&self.blobs, &mut path)?;
            let at = Path::from_canonical(&path);
            let parent = at.parent().and_then(|parent| self.lookup(parent));
            let (Some(parent), Some(acl)) = (parent, copy.acl) else { continue };
            let value = self.take_value(id)?;
            let acl = self.acls.retain(acl)?;
            self.create(Some(parent), at, copy.path_hash(), value, acl)?;
        }
        Ok(())
    }

    /// Moves the value out of a copy, with its charge.
    fn take_value(&mut self, id: crate::transaction::TxNodeId) -> Result<Value, XsError> {
        let copy = self.transactions.nodes.update(id);
        let value = core::mem::replace(&mut copy.value, Value::EMPTY);
        let tx = copy.tx;
        self.charge_tx(tx, Value::memory(value.len()), 0)?;
        Ok(value)
    }

    /// Removes a node and all below it, deepest first.
    fn remove_subtree(&mut self, top: NodeId) -> Result<(), XsError> {
        let mut at = self.first_leaf(top);
        loop {
            let node = self.node(at);
            let (sibling, parent) = (node.next_sibling, node.parent);
            self.remove_leaf(at)?;
            if at == top {
                return Ok(());
            }
            at = match (sibling, parent) {
                (Some(sibling), _) => self.first_leaf(sibling),
                (None, Some(parent)) => parent,
                (None, None) => return Ok(()),
            };
        }
    }
}
