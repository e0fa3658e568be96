//! Whom a transaction has lost to: whose changes they were that made what it read untrue.

use crate::abi::DomId;
use crate::path::{Path, PathBuf};
use crate::store::transaction::{Mark, TransactionId, TxNode, TxNodeId};
use crate::store::{DomainId, Store, writer_of};

/// Something that a transaction has read and that has changed since.
#[derive(Clone, Copy)]
pub struct Spoiled {
    /// The transaction's copy of it.
    pub copy: TxNodeId,
    /// Hash of its path.
    pub hash: u64,
    /// Who changed it: [`DomId::INVALID`] if the server itself did.
    pub writer: DomId,
    /// The same, if that very domain still lives.
    pub by: Option<DomainId>,
}

impl Store {
    /// The next of what this transaction has lost by, in order of first touch: behind `after`, or the first, whose path
    /// the trace learns then.
    pub fn next_spoiled(&mut self, tx: TransactionId, after: Option<TxNodeId>) -> Option<Spoiled> {
        let mut next = match after {
            Some(copy) => self.transactions.nodes.get(copy).next_touched(),
            None => self.transactions.open.get(tx).touched.first(),
        };
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            next = copy.next_touched();
            if let Some((writer, by)) = self.spoiler_of(copy) {
                let hash = copy.path_hash();
                if after.is_none() {
                    let mut path = PathBuf::new();
                    self.trace.name(hash, copy.path.contiguous(&self.blobs, &mut path));
                }
                return Some(Spoiled { copy: id, hash, writer, by });
            }
        }
        None
    }

    fn spoiler_of(&self, copy: &TxNode) -> Option<(DomId, Option<DomainId>)> {
        let existed = copy.mark.contains(Mark::EXISTED);
        let Some(base) = self.node_hashed(copy.path_hash()) else {
            if !existed {
                return None;
            }
            // What is gone was taken from the list of a node above.
            let mut path = PathBuf::new();
            let path = copy.path.contiguous(&self.blobs, &mut path);
            let above = self.nearest(Path::from_canonical(path))?;
            return Some(self.writer(self.node(above).list_generation()));
        };
        let node = self.node(base);
        if !existed || (copy.mark.contains(Mark::READ_VALUE) && node.value_generation() != copy.seen_value) {
            return Some(self.writer(node.value_generation()));
        }
        if copy.mark.contains(Mark::READ_LIST) && node.list_generation() != copy.seen_list {
            return Some(self.writer(node.list_generation()));
        }
        let changed =
            self.acl(base).filter(|acl| copy.mark.contains(Mark::READ_ACL) && Some(*acl) != copy.seen_acl);
        let Some(acl) = changed else {
            let deaths = self.transactions.open.get(copy.tx).deaths;
            return self.read_of_the_dead(copy, deaths).map(|entry| (entry.domid, None));
        };
        // Beside the privileged, its owner changes a node's permissions, or who acts for that.
        let owner = self.acls.owner(acl);
        let by = self.domains.owner(owner).filter(|_| !node.acl_changes().by_privileged());
        Some((owner.domid, by))
    }

    /// Whose change this generation stands for, and that domain if it is not only of the same number.
    fn writer(&self, generation: u64) -> (DomId, Option<DomainId>) {
        let writer = writer_of(generation);
        let by = self.domains.find(writer);
        // Changes since then. What a conflict is about was changed in the time of one transaction, so its age never comes round.
        let now = self.generation() as u32;
        let age = now.wrapping_sub((generation >> u16::BITS) as u32);
        (writer, by.filter(|by| age < now.wrapping_sub(self.domains.get(*by).since)))
    }
}
