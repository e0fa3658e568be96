//! Changes that concern many watches. Each of their receivers has a place in the record of the change at once, and hears of it
//! in its own turns; so it is receivers that are gathered, not watches.
//!
//! They have their places a few at a time, and others have their turns between. Invariant: as long as one of those gathered
//! has no place, nothing changes, and it is sent nothing. So all hear in the order in which things have happened.

use super::Store;
use super::acl::AclId;
use super::collected::{Collected, Match, Search};
use super::domain::DomainId;
use super::intent::Intent;
use super::node::NodeId;
use super::share::Share;
use super::transaction::{Mark, PATH_INLINE, TransactionId, TxNodeId};
use super::watch::{Change, WatchId, WatchPath};
use crate::path::Path;
use crate::slots::{Blob, Claim, Full, Id, Text};

/// Watched paths that are looked up at once: fewer than `Limits::watches`.
const PATHS: usize = 64;

impl Store {
    /// Gathers who is to hear of the change at hand, or of the rest of a transaction. False if there is no room to keep
    /// the change: then nothing has been done.
    pub(super) fn gather_instead(
        &mut self,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
        lists: &[Option<AclId>],
    ) -> bool {
        let late = match self.collected.copy {
            Some(copy) => {
                self.collected.hash = self.transactions.nodes.get(copy).path_hash();
                self.collected.sent = 0;
                self.collected.path.clear();
                self.gather(path, node, change);
                copy
            }
            None => {
                if !self.may_record(path) {
                    return false;
                }
                let hash = node.map_or_else(|| path.hash(&self.key), |node| self.node(node).hash);
                self.trace.name(hash, path.as_bytes());
                self.collected.keep(path, hash, change);
                let Ok(copy) = self.record_gathered(lists) else {
                    debug_assert!(false, "there is room for the record");
                    return false;
                };
                self.collected.search = Some(Search { paths: 0, next: None });
                copy
            }
        };
        self.collected.late = Some(late);
        self.collected.by = (self.current.from, self.current.type_index);
        true
    }

    /// Whether the attempt at hand has room for the record of a change at `path`.
    fn may_record(&self, path: Path<'_>) -> bool {
        let chunks = Text::<PATH_INLINE>::memory(path.as_bytes().len()) / Blob::CHUNK_MEMORY;
        let by = self.current.from.unwrap_or(DomainId::FIRST);
        [(Share::Transactions, 1), (Share::Copies, 1), (Share::Chunks, chunks)]
            .into_iter()
            .all(|(kind, count)| self.may_take(by, kind, count))
    }

    /// Who may hear of it, by these lists, is found out when it is to have its place.
    fn record_gathered(&mut self, lists: &[Option<AclId>]) -> Result<TxNodeId, Full> {
        let copy = self.record_change()?;
        lists.iter().flatten().try_for_each(|list| self.acls.retain(*list).map(drop))?;
        // The root's list, or that of the node above, is the last one.
        let mut lists = lists.iter().rev().copied();
        let (above, own, old) = (lists.next().flatten(), lists.next().flatten(), lists.next().flatten());
        let place = self.transactions.nodes.modify(copy)?;
        (place.seen_acl, place.acl, place.above) = (old, own, above);
        place.mark |= Mark::EXISTED;
        self.hold_gathered(self.transactions.nodes.get(copy).tx)?;
        Ok(copy)
    }

    /// Keeps the record of a change until those who have been gathered have their places. In an attempt.
    pub(super) fn hold_gathered(&mut self, tx: TransactionId) -> Result<(), Full> {
        self.intents.modify()?.gathered = Some(tx);
        let open = self.transactions.open.modify(tx)?;
        open.waiting += 1;
        (open.newest, open.number) = (self.watches.last_sequence, self.collected.number);
        Ok(())
    }

    /// Of the watched paths that a change may concern some, after so many others, and how long each is; none for those that
    /// see it as a case of a general event.
    #[inline(never)]
    fn paths_after(
        &self,
        others: usize,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
    ) -> heapless::Vec<(Id<WatchPath>, Option<usize>), PATHS> {
        let mut paths = heapless::Vec::new();
        let mut n = 0;
        self.watched_paths(path, node, change, |at, prefix| {
            if n >= others {
                let _others_follow = paths.push((at, prefix.map(|prefix| prefix.as_bytes().len())));
            }
            n += 1;
        });
        paths
    }

    /// Gathers who watches what a transaction has done. Who may hear of it is found out later.
    pub(super) fn gather(&mut self, path: Path<'_>, node: Option<NodeId>, change: Change) {
        let mut begin = 0;
        loop {
            let paths = self.paths_after(begin, path, node, change);
            paths.iter().for_each(|(at, _)| self.gather_all(*at));
            if !paths.is_full() {
                break;
            }
            begin += PATHS;
        }
    }

    /// Goes on looking for those who watch a change of its own. Nothing has changed since it was made. The result is how
    /// many watches and paths have been looked at. Stopped at any point and called again, it does the rest.
    pub fn search_more(&mut self) -> usize {
        let Some(mut search) = self.collected.search else { return 0 };
        let Collected { path, change, .. } = &self.collected;
        let paths = self.paths_after(search.paths, Path::from_canonical(path), None, *change);
        let limit = self.limits().watches as usize + search.paths;
        let mut looked_at = search.paths + paths.len();
        for (at, len) in &paths {
            let first = || self.watches.paths.get(*at).watches.first();
            let mut next = search.next.take().or_else(first);
            while let Some(id) = next {
                if looked_at >= limit {
                    self.collected.search = Some(Search { next, ..search });
                    return looked_at;
                }
                looked_at += 1;
                next = self.watch(id).of_path.next;
                self.gather_one(id, *len);
            }
            search.paths += 1;
        }
        self.collected.search = Some(search).filter(|_| paths.is_full());
        looked_at
    }

    /// Gathers who has this watch, if it sees the change from the path of this length, or as a case of a general event.
    fn gather_one(&mut self, id: WatchId, len: Option<usize>) {
        let watch = self.watch(id);
        let to = watch.domain;
        let domain = self.domains.get(to);
        if domain.gathered || domain.behind == self.collected.number {
            return;
        }
        let path = Path::from_canonical(&self.collected.path);
        let prefix = len.map(|len| if len == 1 { Path::ROOT } else { path.cut(len) });
        if watch.sees_from(prefix, path, self.collected.change) {
            self.collected.add(Match { domain: to, rank: 0, id });
            self.domains.mark(to).gathered = true;
        }
    }

    /// Whether a receiver is to have a place and has none: it has been gathered, or would be. That is asked of each once.
    pub fn lacks_place(&mut self, to: DomainId) -> bool {
        let Collected { path, change, search, .. } = &self.collected;
        let (gathered, behind) = (self.domains.get(to).gathered, self.is_behind(to));
        if behind || gathered || search.is_none() {
            return gathered && !behind;
        }
        let path = Path::from_canonical(path);
        let lacks = self.watches_of(to).any(|(id, _)| self.concerns(id, path, *change));
        if !lacks {
            self.is_placed(to);
        }
        lacks
    }

    /// Gathers all watchers of one path, once.
    fn gather_all(&mut self, at: Id<WatchPath>) {
        let Some(first) = self.watches.paths.get(at).watches.first() else { return };
        if self.watch(first).gathered {
            return;
        }
        let before = self.collected.matches.len();
        let mut next = Some(first);
        while let Some(id) = next {
            let watch = self.watch(id);
            next = watch.of_path.next;
            let to = watch.domain;
            let domain = self.domains.get(to);
            if !domain.gathered && domain.behind != self.collected.number {
                self.collected.add(Match { domain: to, rank: 0, id: first });
                self.domains.mark(to).gathered = true;
            }
        }
        if self.collected.matches.len() == before {
            self.collected.add(Match { domain: self.watch(first).domain, rank: 0, id: first });
        }
        self.watches.arena.mark(first).gathered = true;
    }

    /// A receiver has its place, or cannot have one.
    pub fn is_placed(&mut self, to: DomainId) {
        let number = self.collected.number;
        let domain = self.domains.mark(to);
        (domain.gathered, domain.behind) = (false, number);
    }

    /// Takes away the marks that go with something collected.
    pub fn unmark(&mut self, found: Match) {
        self.domains.mark(found.domain).gathered = false;
        self.watches.arena.mark(found.id).gathered = false;
    }

    /// Drops what the attempt that is undone has collected. What earlier attempts have gathered stays.
    pub(super) fn drop_collected(&mut self) {
        if self.collected.late.is_some() {
            let intent @ Intent { gathered, .. } = self.intents.get();
            if gathered.is_some() || intent.has_events() {
                return;
            }
            while let Some(found) = self.collected.matches.pop() {
                self.unmark(found);
            }
        }
        self.collected.clear();
    }

    /// All who have been gathered have their places. Stopped at any point and called again, it does the rest.
    pub fn end_gathering(&mut self) {
        let ended = self.attempt(Claim::Answer, |store| match store.intents.modify()?.gathered.take() {
            Some(tx) => Ok(store.end_telling(tx)?),
            None => Ok(()),
        });
        debug_assert!(ended.is_ok(), "the journal has room for the end of a record");
        self.collected.clear();
    }

    /// From where on a receiver that has been gathered is to hear: from the first copy that it may hear of. The result is
    /// also how many copies have been looked at.
    pub fn first_to_tell(&self, to: DomainId) -> (Option<TxNodeId>, u32) {
        let caller = self.domains.caller(to);
        let (mut next, mut looked_at, mut refused) = (self.collected.late, 0, None);
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            looked_at += 1;
            // Neighbours often have the same lists.
            let lists = copy.told().lists;
            if copy.tells().is_some() && refused != Some(lists) {
                if self.may_be_told(&caller, &lists) {
                    break;
                }
                refused = Some(lists);
            }
            next = copy.next_touched();
        }
        (next, looked_at)
    }
}
