//! Whom a transaction has lost to: whose change it was that made what it read untrue.

use crate::abi::DomId;
use crate::path::{Path, PathBuf};
use crate::store::transaction::{Mark, TransactionId, TxNode};
use crate::store::{Store, writer_of};

impl Store {
    /// The hash of the first path that this transaction has read and that has changed since, and the domain
    /// that changed it: [`DomId::INVALID`] if the server itself did.
    pub fn spoiler(&mut self, tx: TransactionId) -> Option<(u64, DomId)> {
        let mut path = PathBuf::new();
        let found = self.copies(tx).find_map(|(_, copy)| {
            copy.path.append_cleared(&self.blobs, &mut path).ok()?;
            let writer = self.spoiler_of(copy, Path::from_canonical(&path))?;
            Some((copy.path_hash(), writer))
        })?;
        self.names.note(found.0, &path);
        Some(found)
    }

    fn spoiler_of(&self, copy: &TxNode, path: Path<'_>) -> Option<DomId> {
        let existed = copy.mark.contains(Mark::EXISTED);
        let Some(base) = self.lookup_hashed(path, copy.path_hash()) else {
            // What is gone was taken from the list of a node above.
            let above = self.nearest(path).filter(|_| existed)?;
            return Some(writer_of(self.node(above).list_generation));
        };
        let node = self.node(base);
        if !existed || (copy.mark.contains(Mark::READ_VALUE) && node.value_generation != copy.seen_value) {
            return Some(writer_of(node.value_generation));
        }
        if copy.mark.contains(Mark::READ_LIST) && node.list_generation != copy.seen_list {
            return Some(writer_of(node.list_generation));
        }
        // Beside the privileged, only its owner changes a node's permissions.
        let acl = self.acl(base).filter(|acl| Some(*acl) != copy.seen_acl)?;
        copy.mark.contains(Mark::READ_ACL).then(|| self.acls.owner(acl).domid)
    }
}
