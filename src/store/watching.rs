//! Registering and removing watches, and finding those that a change concerns.

use super::Store;
use super::domain::DomainId;
use super::node::NodeId;
use super::share::Share;
use super::view::Subject;
use super::watch::{Change, PATH_INLINE, Watch, WatchId, WatchPath};
use crate::path::Path;
use crate::slots::{Id, List, Slot, Text};
use crate::wire::XsError;
use crate::words::position_of;

impl Store {
    fn watch_path(&self, path: Path<'_>, hash: u64) -> Option<Id<WatchPath>> {
        self.watches.paths.find(hash, |at| at.path.equals(&self.blobs, path.as_bytes()))
    }

    /// The watched path of this hash, if it is `path` or the beginning of it.
    fn watched_above(&self, path: Path<'_>, hash: u64) -> Option<Id<WatchPath>> {
        self.watches.paths.find(hash, |at| at.path.equals(&self.blobs, path.cut(at.path.len()).as_bytes()))
    }

    /// Whether there are watches on the path of a node itself.
    pub fn is_watched(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.is_watched() && self.watches.paths.find(node.hash, |_| true).is_some()
    }

    /// Whether there may be watches on the path of a node or above it. `unwatched` is a node where that is known not to
    /// be so: that above the node asked for last.
    pub fn is_below_watch(&self, id: NodeId, unwatched: &mut Option<NodeId>) -> bool {
        self.lowest_watched(id, unwatched).is_some()
    }

    /// The lowest node at or above this one on whose path there may be watches.
    pub fn lowest_watched(&self, id: NodeId, unwatched: &mut Option<NodeId>) -> Option<NodeId> {
        let way = core::iter::successors(Some(id), |id| self.node(*id).parent);
        let watched = way.take_while(|id| Some(*id) != *unwatched).find(|id| self.node(*id).is_watched());
        if watched.is_none() {
            *unwatched = self.node(id).parent;
        }
        watched
    }

    pub fn watch(&self, id: WatchId) -> &Watch {
        self.watches.arena.get(id)
    }

    fn watches_here(&self, at: Id<WatchPath>) -> impl Iterator<Item = (WatchId, &Watch)> {
        self.watches.paths.get(at).watches.iter(&self.watches.arena)
    }

    /// The watch of `domain` there with `token`. It is on two lists, of those there and of the domain's, and who has few
    /// watches does not search through those of all others: both are searched at once until the shorter one ends.
    pub fn find_watch(&self, domain: DomainId, subject: Subject<'_>, token: &[u8]) -> Option<WatchId> {
        let at = self.watch_path(subject.path, subject.hash)?;
        let own = self.held.of(domain).watches.iter(&self.watches.arena);
        self.watches_here(at)
            .zip(own)
            .flat_map(|(here, own)| [here, own])
            .find(|(_, watch)| {
                watch.domain == domain && watch.at == Some(at) && watch.token.equals(&self.blobs, token)
            })
            .map(|(id, _)| id)
    }

    /// Registers a watch. ENOMEM when there is no room.
    pub fn add_watch(
        &mut self,
        domain: DomainId,
        subject: Subject<'_>,
        token: &[u8],
        depth: Option<u32>,
        relative: bool,
    ) -> Result<WatchId, XsError> {
        let Subject { path, hash, .. } = subject;
        let at = match self.watch_path(path, hash) {
            Some(at) => at,
            None => {
                if let Some(node) = subject.node.or_else(|| self.lookup_hashed(path, hash)) {
                    self.nodes.modify(node)?.set_watched(true);
                }
                let path = self.text(path.as_bytes())?;
                self.watches.paths.insert(WatchPath { hash, chain: None, watches: List::EMPTY, path })?
            }
        };
        self.watches.last_sequence += 1;
        let token_text = self.text(token)?;
        let watch = Watch {
            sequence: self.watches.last_sequence,
            domain,
            at: Some(at),
            relative,
            token_hash: self.key.hash(token),
            token: token_text,
            ..Watch::EMPTY.with_depth(depth)
        };
        let id = self.watches.arena.alloc(watch)?;
        self.watches.paths.modify(at)?.watches.append(&mut self.watches.arena, id)?;
        let memory = Watch::memory(path.as_bytes().len(), token.len());
        let held = self.held.modify(domain)?;
        held.watches.append(&mut self.watches.arena, id)?;
        held.usage.watches += 1;
        held.usage.memory += memory;
        held.note_most();
        if !self.domains.is_privileged(domain) {
            self.moved(domain, Share::Watches, 1)?;
            self.move_chunks(domain, Watch::memory(0, 0), memory)?;
        }
        Ok(id)
    }

    /// Removes a watch. Invariant: every index forgets it here, so there is no other way. In an attempt.
    pub fn remove_watch(&mut self, id: WatchId) -> Result<(), XsError> {
        let watch = *self.watches.arena.get(id);
        let Some(at) = watch.at else { return Ok(()) };
        let path = self.watches.paths.get(at).path;
        self.watches.paths.modify(at)?.watches.remove(&mut self.watches.arena, id)?;
        let memory = Watch::memory(path.len(), watch.token.len());
        let held = self.held.modify(watch.domain)?;
        held.watches.remove(&mut self.watches.arena, id)?;
        held.usage.watches -= 1;
        held.usage.memory -= memory;
        if !self.domains.is_privileged(watch.domain) {
            self.moved(watch.domain, Share::Watches, 1_u32.wrapping_neg())?;
            self.move_chunks(watch.domain, memory, Watch::memory(0, 0))?;
        }
        watch.token.free(&mut self.blobs)?;
        self.watches.arena.free(id)?;
        if self.watches.paths.get(at).watches.first().is_none() {
            path.free(&mut self.blobs)?;
            self.watches.paths.remove(at)?;
        }
        Ok(())
    }

    /// Calls `found` for each watch on a path of which a change at `path` may concern those who watch it, in no particular
    /// order, as long as it wants more, and says whether it concerns this one. `node` is the node there, if it is still there: it and those above it know whether they are watched.
    pub fn matching_watches(
        &self,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
        found: &mut dyn FnMut(WatchId, &Watch, bool) -> bool,
    ) {
        let mut goes_on = true;
        self.watched_paths(path, node, change, |at, prefix| {
            let mut here = self.watches_here(at);
            goes_on =
                goes_on && here.all(|(id, watch)| found(id, watch, watch.sees_from(prefix, path, change)));
        });
    }

    /// Calls `each` for each path with watches that a change at `path` may concern, and with that path; with none for those
    /// that see `path` as a case of a general event.
    #[inline(always)] // Once for few watches and once for many.
    pub fn watched_paths<'a>(
        &self,
        path: Path<'a>,
        node: Option<NodeId>,
        change: Change,
        mut each: impl FnMut(Id<WatchPath>, Option<Path<'a>>),
    ) {
        let mut look = |prefix: Path<'a>, hash| {
            if let Some(at) = self.watch_path(prefix, hash) {
                each(at, Some(prefix));
            }
        };
        match (change, node) {
            (Change::Subtree, Some(id)) => {
                let mut next = Some(self.node(id));
                while let Some(node) = next {
                    // How long its path is says the watched path that has its hash: so nobody looks for slashes.
                    if node.is_watched()
                        && let Some(at) = self.watched_above(path, node.hash)
                    {
                        each(at, Some(path.cut(self.watches.paths.get(at).path.len())));
                    }
                    next = node.parent.map(|parent| self.node(parent));
                }
            }
            (Change::Subtree, None) if !path.is_special() => {
                let _all = path.each_prefix(&self.key, None, |prefix, hash| {
                    look(prefix, hash);
                    Ok::<(), XsError>(())
                });
            }
            // Nothing is above a special event.
            _ => look(path, path.hash(&self.key)),
        }
        // `@releaseDomain/7` also concerns those who watch `@releaseDomain` with a depth.
        if let Some(general) = general_event(path)
            && let Some(at) = self.watch_path(general, general.hash(&self.key))
        {
            each(at, None);
        }
    }

    /// Whether a change at `path` concerns a watch.
    #[inline(never)] // In several loops.
    pub fn concerns(&self, id: WatchId, path: Path<'_>, change: Change) -> bool {
        let Some(at) = self.path_of_watch(id) else { return false };
        let (bytes, watch) = (path.as_bytes(), self.watch(id));
        let is = |path: Path<'_>| at.equals(&self.blobs, path.as_bytes());
        let ends = at.len() == 1 || matches!(bytes.get(at.len()), None | Some(b'/'));
        let here = at.len() == bytes.len() || (change == Change::Subtree && ends && !path.is_special());
        let prefix = if at.len() == 1 { Path::ROOT } else { path.cut(at.len()) };
        (here && watch.sees(prefix, path, change) && is(prefix))
            || general_event(path).is_some_and(|general| watch.sees_cases() && is(general))
    }

    /// The path of a watch, for those that list them.
    pub fn path_of_watch(&self, id: WatchId) -> Option<&Text<PATH_INLINE>> {
        self.watches.arena.get(id).at.map(|at| &self.watches.paths.get(at).path)
    }
}

/// The special event that `@x/<domid>` is a case of.
fn general_event(path: Path<'_>) -> Option<Path<'_>> {
    if path.is_special() { before_slash(path) } else { None }
}

#[inline(never)] // Few changes are of special events.
fn before_slash(path: Path<'_>) -> Option<Path<'_>> {
    let cut = position_of::<b'/'>(path.as_bytes())?;
    Some(path.cut(cut))
}

impl Watch {
    /// Whether a watch wants to hear of a change at `path`: one on `prefix`, or without that on the general event.
    pub fn sees_from(&self, prefix: Option<Path<'_>>, path: Path<'_>, change: Change) -> bool {
        prefix.map_or_else(|| self.sees_cases(), |prefix| self.sees(prefix, path, change))
    }

    /// Whether a watch on `prefix` wants to hear of a change at `path`.
    fn sees(&self, prefix: Path<'_>, path: Path<'_>, change: Change) -> bool {
        match self.depth() {
            None => true,
            // What happens to domains has no place in the tree that a depth could be counted from. A change of
            // the special node's permissions has one.
            Some(_) if change == Change::Exact && path.is_special() => is_about_one_domain(path),
            Some(depth) => path.depth_below(prefix).is_some_and(|below| below <= depth as usize),
        }
    }

    /// Whether a watch on a special path wants to hear of what happens to single domains, too.
    fn sees_cases(&self) -> bool {
        self.depth().is_some_and(|depth| depth > 0)
    }
}

fn is_about_one_domain(path: Path<'_>) -> bool {
    general_event(path).is_some()
}
