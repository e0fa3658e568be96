//! What a receiver that is behind hears next: by a few watches at a time, since its ring has no room for more events.

use crate::path::Path;
use crate::perms::{Caller, Life};
use crate::slots::Blobs;
use crate::store::changes::may_hear;
use crate::store::domain::DomainId;
use crate::store::transaction::{TransactionId, TxNode, TxNodeId};
use crate::store::watch::Change;
use crate::store::{AclId, Match, Store, Watch, WatchId};

/// Watches that are found at once: events of more do not fit a ring.
const FEW: usize = 32;

/// Own watches up to which looking through them is shorter than looking for watches by path.
const OWN: u32 = 128;

/// How far one receiver has come with what a transaction has done.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct Rest {
    pub tx: TransactionId,
    /// Of what this copy is of, it is told next.
    pub copy: TxNodeId,
    /// Watches of it up to this one have heard.
    pub after: u64,
    /// Whose rights the receiver had beside its own when this was done. It hears by those, also if that domain has died.
    pub target: Life,
}

impl Rest {
    /// Of a change that is not kept any more. Its handles lead nowhere.
    pub const NOTHING: Rest =
        Rest { tx: TransactionId::FIRST, copy: TxNodeId::FIRST, after: 0, target: Life::NONE };
}

/// The next watches of a receiver that hear of a copy.
pub struct Few {
    /// In order of registration.
    pub watches: heapless::Vec<Match, FEW>,
    /// Others may follow: up to this one all have been looked at.
    pub more: Option<u64>,
}

impl Few {
    /// Adds a watch in its place. If there is no room, the latest goes.
    fn add(&mut self, found: Match) {
        if self.watches.is_full() {
            self.more = Some(0);
            if self.watches.last().is_some_and(|last| *last < found) {
                return;
            }
            self.watches.pop();
        }
        let place = self.watches.partition_point(|earlier| *earlier < found);
        let _fits = self.watches.insert(place, found);
    }

    /// All are found that there is room for.
    fn end(&mut self) {
        let last = self.watches.last().map(|last| last.rank);
        self.more = self.more.and(last);
    }
}

/// What is told next to one receiver, all of one copy.
pub struct Telling<'a> {
    /// Room for the longest path.
    room: &'a mut [u8],
    len: usize,
    /// Hash of the path.
    pub hash: u64,
    pub few: Few,
}

impl Telling<'_> {
    /// Nothing yet. `room` is for the path.
    pub fn new(room: &mut [u8]) -> Telling<'_> {
        Telling { room, len: 0, hash: 0, few: Few { watches: heapless::Vec::new(), more: None } }
    }

    pub fn path(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    fn begin(&mut self, copy: &TxNode, blobs: &Blobs) {
        self.len = 0;
        for piece in copy.path.pieces(blobs) {
            let end = self.len + piece.len();
            if let Some(place) = self.room.get_mut(self.len..end) {
                place.copy_from_slice(piece);
                self.len = end;
            }
        }
        self.hash = copy.path_hash();
        self.few.watches.clear();
        self.few.more = None;
    }
}

impl Store {
    /// Finds what a receiver is to hear next of the next copy. The result is how many watches have been looked at.
    pub fn find_rest(&self, to: DomainId, rest: &Rest, telling: &mut Telling<'_>) -> u32 {
        let copy = self.transactions.nodes.get(rest.copy);
        telling.begin(copy, &self.blobs);
        let Telling { room, len, few, .. } = telling;
        let path = Path::from_canonical(room.get(..*len).unwrap_or_default());
        let caller = Caller { target: rest.target, ..self.domains.caller(to) };
        match copy.tells() {
            Some(change) if self.may_be_told(&caller, &copy.told().lists) => {
                if self.held.of(to).usage.watches <= OWN {
                    self.find_among_own(to, rest, path, change, few)
                } else {
                    self.find_by_path(to, rest, path, change, few)
                }
            }
            _ => 0,
        }
    }

    /// Whether a receiver may hear by these lists. Of a change that has none, that was decided before.
    pub(in crate::store) fn may_be_told(&self, to: &Caller, lists: &[Option<AclId>; 3]) -> bool {
        lists.iter().all(Option::is_none) || may_hear(self, to, lists)
    }

    /// Looks through the receiver's watches, which are in order of registration.
    fn find_among_own(
        &self,
        to: DomainId,
        rest: &Rest,
        path: Path<'_>,
        change: Change,
        few: &mut Few,
    ) -> u32 {
        let newest = self.transactions.open.get(rest.tx).newest;
        let (mut looked_at, mut compared) = (0, 0);
        for (id, watch) in self.watches_of(to).take_while(|(_, watch)| watch.sequence <= newest) {
            looked_at += 1;
            if watch.sequence <= rest.after || !self.concerns(id, path, change) {
                continue;
            }
            if few.watches.is_full() {
                few.more = Some(0);
                break;
            }
            compared += looked_at;
            let mut earlier =
                self.watches_of(to).take_while(|(_, earlier)| earlier.sequence < watch.sequence);
            let repeats = |(id, earlier): (WatchId, &Watch)| {
                self.tells_the_same(earlier, watch) && self.concerns(id, path, change)
            };
            if path.is_special() || !earlier.any(repeats) {
                few.add(Match { domain: to, rank: watch.sequence, id });
            }
        }
        few.end();
        // Comparing two of them takes a quarter of a look.
        looked_at + compared / 4
    }

    /// Looks through the watches on the copy's path and above it.
    fn find_by_path(&self, to: DomainId, rest: &Rest, path: Path<'_>, change: Change, few: &mut Few) -> u32 {
        let newest = self.transactions.open.get(rest.tx).newest;
        let mut looked_at = 0;
        let known = |watch: &Watch| watch.domain == to && watch.sequence <= newest;
        self.matching_watches(path, None, change, &mut |id, watch, sees| {
            looked_at += 1;
            if sees && known(watch) && watch.sequence > rest.after {
                few.add(Match { domain: to, rank: watch.sequence, id });
            }
            true
        });
        few.end();
        if !path.is_special() {
            self.matching_watches(path, None, change, &mut |_, earlier, sees| {
                few.watches.retain(|found| {
                    let watch = self.watch(found.id);
                    !(sees && known(earlier))
                        || earlier.sequence >= watch.sequence
                        || !self.tells_the_same(earlier, watch)
                });
                true
            });
        }
        2 * looked_at
    }

    /// Whether two watches of one receiver tell it of a change in the same words: only the one registered first does.
    pub fn tells_the_same(&self, one: &Watch, other: &Watch) -> bool {
        one.token_hash == other.token_hash
            && one.relative == other.relative
            && one.has_token_of(other, &self.blobs)
    }

    /// The copy that is told of after this one.
    pub fn next_to_tell(&self, rest: &Rest) -> Option<TxNodeId> {
        self.transactions.nodes.get(rest.copy).next_touched()
    }
}
