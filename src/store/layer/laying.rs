//! The nodes of a layer, one after the other: what is new goes into a store from which nothing was removed as nodes of a state
//! do, see [`planting`](crate::store::planting), and all else as a client would write it.
//!
//! Nobody is served yet: a store that stops amid this is given up as a whole.

use crate::path::{Path, PathBuf};
use crate::perms::Entry;
use crate::slots::Claim;
use crate::store::{AclId, Name, NodeId, Origin, Planted, Sapling, Store, Value};
use crate::wire::XsError;
use crate::words::{equal, position_of_last_slash};

/// How far a layer has been laid.
#[derive(Default)]
pub struct Laying {
    /// Nodes that have not been counted yet, and their list.
    planted: Option<(Planted, AclId)>,
    /// The list that was stated last. Invariant: the node that it was stated of has it.
    stated: Option<AclId>,
    /// The node above the latest one, and its path, without the root's slash.
    above: Option<NodeId>,
    path: PathBuf,
}

/// A node to be laid over what is there.
#[derive(Clone, Copy)]
pub struct Laid<'a> {
    pub path: Path<'a>,
    /// `None`: that of the lower layers, or empty.
    pub value: Option<&'a [u8]>,
    /// As they are stored, and whether they are those that were stated last. `None`: those of the lower layers, or of the
    /// node above.
    pub entries: Option<(&'a [u8], bool)>,
    pub origin: Origin,
}

impl Store {
    /// Lays a node, for which there is room.
    #[inline(never)]
    pub fn lay(&mut self, laying: &mut Laying, node: Laid<'_>) -> Result<(), XsError> {
        if self.lay_fresh(laying, &node)? {
            return Ok(());
        }
        self.end_laying(laying)?;
        let again = node.entries.and_then(|(_, again)| laying.stated.filter(|_| again));
        let entries = node.entries.map(|(entries, _)| entries);
        let list = self.fuse_node(node.path, node.value, entries, again, node.origin)?;
        if entries.is_some() {
            laying.stated = list;
        }
        Ok(())
    }

    /// Lays a node that is new, below one that is there. Whether it is such a one.
    fn lay_fresh(&mut self, laying: &mut Laying, node: &Laid<'_>) -> Result<bool, XsError> {
        let path = node.path.as_bytes();
        let slash = position_of_last_slash(path);
        let Some((above, [_, name @ ..])) = slash.and_then(|slash| path.split_at_checked(slash)) else {
            return Ok(false);
        };
        if laying.above.is_none() || !equal(&laying.path, above) {
            laying.above = self.lookup(node.path.cut(above.len()));
            laying.path.clear();
            // There is room for each path that a layer may have.
            let _fits = laying.path.extend_from_slice(above);
        }
        let Some(parent) = laying.above else { return Ok(false) };
        let hash = node.path.hash(&self.key);
        if self.nodes.arena().has_gaps() {
            // The one above may go, and its slot become another's.
            laying.above = None;
            return Ok(false);
        }
        if self.node_hashed(hash).is_some() {
            return Ok(false);
        }
        let list = match node.entries {
            None => self.acl(parent),
            Some((_, true)) => laying.stated,
            Some((entries, false)) => self.acls.find(self.key.hash(entries), &self.blobs, entries),
        };
        let planted = match &mut laying.planted {
            Some((planted, acl)) if list == Some(*acl) => planted,
            _ => self.begin_list(laying, list, node)?,
        };
        let (len, value) = (name.len(), node.value.unwrap_or_default());
        let name = Name::store_end(&mut self.blobs, path, name)?;
        let value = Value::store_fresh(&mut self.blobs, value)?;
        self.plant(planted, Sapling { parent: Some(parent), hash, name, len, value })?;
        if node.entries.is_some() {
            laying.stated = laying.planted.as_ref().map(|(_, acl)| *acl);
        }
        Ok(true)
    }

    /// Nodes have this list from now on, or a new one.
    #[inline(never)]
    fn begin_list<'a>(
        &mut self,
        laying: &'a mut Laying,
        list: Option<AclId>,
        node: &Laid<'_>,
    ) -> Result<&'a mut Planted, XsError> {
        self.end_laying(laying)?;
        let acl = self.attempt(Claim::Privileged, |store| match (list, node.entries) {
            (Some(list), _) => Ok(store.acls.retain(list)?),
            (None, entries) => {
                store.list.clear();
                let entries = entries.map(|(entries, _)| entries.as_chunks().0).unwrap_or_default();
                entries.iter().try_for_each(|entry| store.list.push(Entry::from_bytes(*entry)))?;
                Ok(store.intern()?)
            }
        })?;
        let planted = self.begin_planting(acl, node.origin).ok_or(XsError::EIO)?;
        Ok(&mut laying.planted.insert((planted, acl)).0)
    }

    /// Counts the nodes that have not been counted yet. To be called in the end.
    #[inline(never)]
    pub fn end_laying(&mut self, laying: &mut Laying) -> Result<(), XsError> {
        laying.planted.take().map_or(Ok(()), |(planted, _)| self.count_planted(planted))
    }
}
