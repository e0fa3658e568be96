//! Changes that concern many watches. Each of their receivers has a place in the record of the change at once, and hears of it
//! in its own turns; so it is receivers that are gathered, not watches.
//!
//! They have their places a few at a time, and others have their turns between. Invariant: as long as one of those gathered
//! has no place, nothing changes, and it is sent nothing. So all hear in the order in which things have happened.

use super::Store;
use super::acl::AclId;
use super::changes::may_hear;
use super::collected::Match;
use super::domain::DomainId;
use super::node::NodeId;
use super::share::Share;
use super::transaction::{PATH_INLINE, TransactionId, TxNodeId};
use super::watch::{Change, WatchPath};
use crate::path::Path;
use crate::slots::{Blob, CHUNK, Claim, Full, Id, Text};

/// Watched paths that are looked up at once.
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
        let (late, lists) = match self.collected.copy {
            Some(copy) => {
                self.collected.hash = self.transactions.nodes.get(copy).path_hash();
                self.collected.sent = 0;
                self.collected.path.clear();
                (copy, None)
            }
            None => {
                if !self.may_record(path) {
                    return false;
                }
                let hash = node.map_or_else(|| path.hash(&self.key), |node| self.node(node).hash);
                self.trace.name(hash, path.as_bytes());
                self.collected.keep(path, hash, change);
                let Ok(copy) = self.record_gathered() else {
                    debug_assert!(false, "there is room for the record");
                    return false;
                };
                (copy, Some(lists))
            }
        };
        self.collected.late = Some(late);
        self.collected.by = (self.current.from, self.current.type_index);
        self.gather(path, node, change, lists);
        true
    }

    /// Whether the attempt at hand has room for the record of a change at `path`.
    fn may_record(&self, path: Path<'_>) -> bool {
        let chunks = Text::<PATH_INLINE>::memory(path.as_bytes().len()) / Blob::memory(CHUNK);
        let by = self.current.from.unwrap_or(DomainId::FIRST);
        [(Share::Transactions, 1), (Share::Copies, 1), (Share::Chunks, chunks)]
            .into_iter()
            .all(|(kind, count)| self.may_take(by, kind, count))
    }

    fn record_gathered(&mut self) -> Result<TxNodeId, Full> {
        let copy = self.record_change()?;
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

    /// Gathers who watches a change. By `lists` it is known who may hear of it; without them it is found out later.
    pub(super) fn gather(
        &mut self,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
        lists: Option<&[Option<AclId>]>,
    ) {
        let mut begin = 0;
        loop {
            let mut paths = heapless::Vec::<_, PATHS>::new();
            let mut n = 0;
            self.watched_paths(path, node, change, |at, prefix| {
                if n >= begin {
                    let _others_follow = paths.push((at, prefix));
                }
                n += 1;
            });
            for (at, prefix) in &paths {
                match lists {
                    Some(lists) => self.gather_who_hears(*at, *prefix, path, change, lists),
                    None => self.gather_all(*at),
                }
            }
            if !paths.is_full() {
                break;
            }
            begin += PATHS;
        }
    }

    /// Gathers those of the watchers of one path who hear of this very change.
    fn gather_who_hears(
        &mut self,
        at: Id<WatchPath>,
        prefix: Option<Path<'_>>,
        path: Path<'_>,
        change: Change,
        lists: &[Option<AclId>],
    ) {
        let (mut next, mut last) = (self.watches.paths.get(at).watches.first(), None);
        while let Some(id) = next {
            let watch = self.watch(id);
            next = watch.of_path.next;
            let to = watch.domain;
            if self.domains.get(to).gathered || !watch.sees_from(prefix, path, change) {
                continue;
            }
            let may_hear = match last {
                Some((domain, may_hear)) if domain == to => may_hear,
                _ => may_hear(self, to, lists),
            };
            last = Some((to, may_hear));
            if may_hear {
                self.collected.add(Match { domain: to, rank: 0, id });
                self.domains.mark(to).gathered = true;
            }
        }
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

    /// A receiver that has been gathered has its place, or cannot have one.
    pub fn is_placed(&mut self, to: DomainId) {
        self.domains.mark(to).gathered = false;
    }

    /// Takes away the marks that go with something collected.
    pub fn unmark(&mut self, found: Match) {
        self.is_placed(found.domain);
        self.watches.arena.mark(found.id).gathered = false;
    }

    /// Drops what the attempt that is undone has collected. What earlier attempts have gathered stays.
    pub(super) fn drop_collected(&mut self) {
        if self.collected.late.is_some() {
            if self.collected.placing || self.intents.get().has_events() {
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
        let (mut next, mut looked_at, mut refused) = (self.collected.late, 0, None);
        while let Some(id) = next {
            let copy = self.transactions.nodes.get(id);
            looked_at += 1;
            // Neighbours often have the same lists.
            let lists = copy.told().lists;
            if copy.fires.is_some() && refused != Some(lists) {
                if self.may_be_told(to, &lists) {
                    break;
                }
                refused = Some(lists);
            }
            next = copy.next_touched();
        }
        (next, looked_at)
    }
}
