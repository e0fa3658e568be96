//! Removing nodes with all below them, deepest first.

use core::iter::successors;

use super::Store;
use super::intent::{Intent, Removal};
use super::node::NodeId;
use super::steps::Next;
use super::tree::Lot;
use crate::path::{Path, PathBuf};
use crate::perms::Caller;
use crate::wire::XsError;

impl Store {
    /// Removes a node with all below it, until there are events to send or the journals are full. Leaves the rest to
    /// later steps. In an attempt, in which `done` slots have been freed already.
    pub fn remove_more(&mut self, removal: Removal, done: usize) -> Result<Next, XsError> {
        let top = removal.top;
        let mut next = Some(self.first_leaf(removal.at));
        let (mut done, mut lost) = (done, Lot::default());
        while let Some(at) = next
            && self.has_room_for_more(done)
            && self.collected.is_empty()
        {
            next = self.next_in_postorder(top, at);
            if removal.told {
                self.collect_for_leaf(top, at)?;
            }
            self.remove_one(at, removal.noted && at == top, &mut lost)?;
            done += 1;
        }
        self.count_lost(&mut lost)?;
        let left = next.map(|at| Removal { at, ..removal });
        if left.is_some() || self.intents.get().remove.is_some() {
            self.intents.modify()?.remove = left;
        }
        Ok(if self.collected.is_empty() { Next::Step } else { Next::Send })
    }

    /// Whether what `caller` sees at `path` may not be as it will be once all is gone that is being removed, of a burial all
    /// that is the dead domain's. What has gone already is seen as it will be. `names_domains`: permission lists are seen.
    pub fn may_go(&self, caller: &Caller, path: Path<'_>, names_domains: bool) -> bool {
        let Intent { remove, bury, .. } = self.intents.get();
        let top = remove.map(|removal| removal.top);
        let dead = bury.map(|burial| self.domains.get(burial.id).life);
        let list = |at| self.acl(at).into_iter();
        let goes =
            |at: NodeId| Some(at) == top || list(at).any(|list| Some(self.acls.owner(list).life) == dead);
        let names = |list| self.acls.entries(&self.blobs, list).any(|entry| Some(entry.life) == dead);
        Some(caller.target) == dead
            || self.nearest(path).is_some_and(|nearest| {
                successors(Some(nearest), |at| self.node(*at).parent).any(goes)
                    || self.children(nearest).any(|(child, _)| goes(child))
                    || (names_domains && list(nearest).any(names))
            })
    }

    fn collect_for_leaf(&mut self, top: NodeId, at: NodeId) -> Result<(), XsError> {
        // Most nodes have no watches, and finding out their path takes longer than removing them.
        if at == top || self.is_watched(at) {
            let mut buf = PathBuf::new();
            let path = self.path_of(at, &mut buf)?;
            // The store will not know its path any more.
            self.trace.name(self.node(at).hash, path.as_bytes());
            self.collect_for_removal(at, path, at == top);
        }
        Ok(())
    }
}
