//! Creating nodes: the one at a path, all that are missing above it, and what they inherit.

use super::Store;
use super::acl::AclId;
use super::current::Answer;
use super::name::Name;
use super::node::{Node, Value};
use super::share::Share;
use super::transaction::TransactionId;
use super::tree::Lot;
use super::view::{Place, Subject, View, node_size};
use crate::abi::DomId;
use crate::config::Capacities;
use crate::path::Path;
use crate::perms::{Entry, Life};
use crate::quota::Quota;
use crate::slots::{Blob, Full};
use crate::wire::XsError;

/// Nodes that one attempt makes in a transaction. Each changes its own copy; the first also the one above it.
const STEP: usize = Capacities::JOURNAL / 2;

/// Nodes to be created: the one at `path`, and those missing above it.
#[derive(Clone, Copy)]
struct Creation<'a> {
    path: Path<'a>,
    /// Hash of the path, if no node above it is missing.
    hash: u64,
    /// The nearest existing node above.
    above: Path<'a>,
    place: Place,
    /// Its permission list.
    acl: AclId,
    /// Bytes of the value of the node at `path`.
    value: usize,
    /// How many nodes will be created.
    count: usize,
}

impl Store {
    /// Creates the node at `path`, which must not exist, and those missing above it. `above`: what is known of the longest
    /// prefix that exists, its length and what is there.
    pub fn create_at(
        &mut self,
        view: &View,
        subject: Subject<'_>,
        bytes: &[u8],
        above: Option<(usize, Place)>,
    ) -> Result<Place, XsError> {
        let Subject { path, hash, .. } = subject;
        let parent = path.parent().ok_or(XsError::EINVAL)?;
        let (above, place) = match above {
            Some((len, place)) => (path.cut(len), place),
            None => match self.find(view, parent)? {
                Some(place) => (parent, place),
                None => self.find_nearest(view, parent)?,
            },
        };
        let one = above.as_bytes().len() == parent.as_bytes().len();
        let count = if one { 1 } else { path.depth_below(above).unwrap_or(1) };
        let inherited = self.acl_at(place).ok_or(XsError::EIO)?;
        let creation = Creation { path, hash, above, place, acl: inherited, value: bytes.len(), count };
        self.check_creation(view, &creation)?;
        match view.tx {
            Some(tx) if count > STEP => self.make_in_steps(view, tx, &creation, bytes),
            Some(tx) => {
                let failed = self.transactions.open.get(tx).failed;
                self.make_below(view, &creation, Some(bytes), failed)
            }
            None => self.make_below(view, &creation, Some(bytes), false),
        }
    }

    /// Makes more nodes in a transaction than the journal has room for at once. After the first step no step can fail;
    /// a transaction that is stopped before the last one is lost.
    fn make_in_steps(
        &mut self,
        view: &View,
        tx: TransactionId,
        creation: &Creation<'_>,
        bytes: &[u8],
    ) -> Result<Place, XsError> {
        let wanted = Value::memory(bytes.len()) + self.acls.table().get(creation.acl).spilled();
        if !self.may_take(view.domain, Share::Chunks, wanted / Blob::CHUNK_MEMORY) {
            return Err(XsError::ENOMEM);
        }
        let failed = self.transactions.open.get(tx).failed;
        let mut step = Creation { count: STEP, ..*creation };
        loop {
            step.path = creation.path.cut_below(step.above, STEP);
            let last = step.path == creation.path;
            step.place = self.make_below(view, &step, last.then_some(bytes), failed || !last)?;
            if last {
                return Ok(step.place);
            }
            step.above = step.path;
            step.acl = self.acl_at(step.place).ok_or(XsError::EIO)?;
        }
    }

    /// Creates nodes in one attempt. Without a value, further nodes follow below the last. `failed`: the transaction is
    /// lost from then on.
    fn make_below(
        &mut self,
        view: &View,
        creation: &Creation<'_>,
        value: Option<&[u8]>,
        failed: bool,
    ) -> Result<Place, XsError> {
        let Creation { path, hash, above, place, acl: inherited, count, .. } = *creation;
        let bytes = value.unwrap_or_default();
        let step = |store: &mut Store| {
            let acl = store.inherit(view, inherited)?;
            let key = store.key;
            let (mut parent, mut gained) = (place, Lot::default());
            let mut make = |at: Path<'_>, hash| -> Result<(), XsError> {
                let last = at.as_bytes().len() == path.as_bytes().len();
                let text: Value = store.text(if last { bytes } else { &[] })?;
                // The last node takes over the hold that exists already.
                let acl = if last { acl } else { store.acls.retain(acl)? };
                let fires = last && value.is_some();
                let several = Some(&mut gained).filter(|_| count > 1);
                parent = match parent {
                    Place::Node(id) => {
                        Place::Node(store.create_one(Some(id), at.name(), hash, text, acl, several)?)
                    }
                    Place::Copy(id) => Place::Copy(store.make(id, at, hash, text, acl, fires)?),
                };
                Ok(())
            };
            match count {
                1 => make(path, hash)?,
                _ => {
                    path.each_prefix(&key, Some(above), make)?;
                    store.count_gained(&mut gained)?;
                }
            }
            if let Some(tx) = view.tx
                && store.transactions.open.get(tx).failed != failed
            {
                store.transactions.open.modify(tx)?.failed = failed;
            }
            store.changed(parent, path, None);
            Ok(parent)
        };
        let made = match value {
            Some(_) => self.decide(Ok(Answer::Ok), view.claim(), step),
            None => self.attempt(view.claim(), step),
        }?;
        if let Place::Node(id) = made {
            self.remember(path, id);
        }
        Ok(made)
    }

    fn check_creation(&mut self, view: &View, creation: &Creation<'_>) -> Result<(), XsError> {
        if view.caller.is_privileged() {
            return Ok(());
        }
        let Creation { path, above, place, acl, value, count, .. } = *creation;
        let usage = self.held.of(view.domain).usage;
        if view.tx.is_none() {
            self.check_quota(view, Quota::NODES, usage.nodes as usize + count)?;
        }
        let entries = self.acls.count(acl);
        let (above_value, above_children) = self.sizes_at(place);
        let mut memory = 0;
        let mut size = above_value + above_children;
        let below = path.as_bytes().get(above.as_bytes().len()..).unwrap_or_default();
        for name in below.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            self.check_size(view, node_size(entries, 0, size + name.len() + 1))?;
            size = 0;
            memory += Node::memory(Name::memory(name), 0);
        }
        self.check_size(view, node_size(entries, value, 0))?;
        self.afford(view, Some(view.domain), memory + Value::memory(value))
    }

    /// Whether a node created below one with `acl` gets the same list.
    fn inherits(&self, view: &View, acl: AclId) -> bool {
        view.caller.is_privileged() || self.acls.owner(acl).life == view.caller.life
    }

    /// The list that a node created below one with `acl` gets: the same, but a guest owns what it makes.
    fn inherit(&mut self, view: &View, acl: AclId) -> Result<AclId, XsError> {
        if self.inherits(view, acl) {
            return Ok(self.acls.retain(acl)?);
        }
        Ok(self.intern_for(acl, view.caller.domid, view.caller.life)?)
    }

    /// The same list with another owner, held once more.
    #[inline(never)]
    pub(super) fn intern_for(&mut self, acl: AclId, domid: DomId, life: Life) -> Result<AclId, Full> {
        self.list.clear();
        for (n, entry) in self.acls.entries(&self.blobs, acl).enumerate() {
            self.list.push(if n == 0 { Entry { domid, life, ..entry } } else { entry })?;
        }
        self.intern()
    }
}
