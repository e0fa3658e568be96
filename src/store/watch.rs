//! Watches: which domain is to hear of changes at which path.
//!
//! All watches on one path are on one record, which is found by the path's hash. A node knows whether there may be
//! watches on its path. So a change looks at one record for each prefix of its path at most, however many watches there
//! are elsewhere. xenstore.txt, "Watches".

use super::domain::DomainId;
use super::node::NameBuf;
use crate::config::Capacities;
use crate::slots::{Arena, Attempt, Blobs, Id, Linked, Links, List, Slot, Table, Text, chained};

pub(super) const PATH_INLINE: usize = 39;
const TOKEN_INLINE: usize = 17;

/// All watches on one path. Exists as long as there is one.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct WatchPath {
    pub(super) hash: u64,
    pub(super) chain: Option<Id<WatchPath>>,
    pub(super) watches: List<Watch, OfPath>,
    pub(super) path: Text<PATH_INLINE>,
}

pub type WatchId = Id<Watch>;

#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct Watch {
    /// Order of registration among all watches.
    pub sequence: u64,
    pub domain: DomainId,
    pub(super) at: Option<Id<WatchPath>>,
    pub(super) of_path: Links<Watch>,
    pub(super) of_domain: Links<Watch>,
    /// Levels below the path that are of interest; [`ALL_LEVELS`] for all.
    pub(super) levels: u32,
    /// Of the first watch on a path: whoever watches that path has been gathered, see [`gathering`](super::gathering).
    pub gathered: bool,
    /// Registered by a relative path, so events name paths relative to the domain's home.
    pub relative: bool,
    pub token_hash: u64,
    pub token: Text<TOKEN_INLINE>,
}

/// More than any path has.
const ALL_LEVELS: u32 = u32::MAX;

const _: () = assert!(size_of::<Watch>() == 64 && size_of::<WatchPath>() == 60);

impl Watch {
    /// Levels below the path that are of interest; `None` for all.
    pub fn depth(&self) -> Option<u32> {
        Some(self.levels).filter(|levels| *levels != ALL_LEVELS)
    }

    pub fn with_depth(self, depth: Option<u32>) -> Watch {
        Watch { levels: depth.map_or(ALL_LEVELS, |depth| depth.min(ALL_LEVELS - 1)), ..self }
    }

    /// Bytes of memory that a watch takes, with the record of its path.
    pub const fn memory(path: usize, token: usize) -> u32 {
        (size_of::<Watch>() + size_of::<WatchPath>() + 24) as u32
            + Text::<PATH_INLINE>::memory(path)
            + Text::<TOKEN_INLINE>::memory(token)
    }

    /// The token in one piece, in `buf` if it is not so already.
    #[inline(never)]
    pub fn token<'a>(&'a self, blobs: &Blobs, buf: &'a mut NameBuf) -> &'a [u8] {
        self.token.contiguous(blobs, buf)
    }

    pub fn has_token_of(&self, other: &Watch, blobs: &Blobs) -> bool {
        self.token.equals(blobs, other.token(blobs, &mut NameBuf::new()))
    }
}

impl Slot for WatchPath {
    const EMPTY: WatchPath = WatchPath { hash: 0, chain: None, watches: List::EMPTY, path: Text::EMPTY };
}

chained!(WatchPath);

impl Slot for Watch {
    const EMPTY: Watch = Watch {
        sequence: 0,
        domain: DomainId::FIRST,
        at: None,
        of_path: Links::NONE,
        of_domain: Links::NONE,
        levels: ALL_LEVELS,
        gathered: false,
        relative: false,
        token_hash: 0,
        token: Text::EMPTY,
    };
}

/// The list of the watches on one path, in order of registration.
pub(super) enum OfPath {}

impl Linked<OfPath> for Watch {
    fn links(&self) -> &Links<Watch> {
        &self.of_path
    }
    fn links_mut(&mut self) -> &mut Links<Watch> {
        &mut self.of_path
    }
}

/// The list of one domain's watches, in order of registration.
pub enum OfDomain {}

impl Linked<OfDomain> for Watch {
    fn links(&self) -> &Links<Watch> {
        &self.of_domain
    }
    fn links_mut(&mut self) -> &mut Links<Watch> {
        &mut self.of_domain
    }
}

pub struct Watches {
    pub(super) paths: Table<WatchPath>,
    pub(super) arena: Arena<Watch>,
    pub(super) last_sequence: u64,
}

impl Watches {
    pub fn new(attempt: &Attempt, capacities: &Capacities) -> Self {
        let journal = Capacities::JOURNAL;
        Watches {
            paths: Table::new(attempt, capacities.watches, journal),
            arena: Arena::new(attempt, capacities.watches, journal, journal),
            last_sequence: 0,
        }
    }

    /// Bytes of memory for as many watches as `capacities` say.
    pub const fn bytes(capacities: &Capacities) -> usize {
        let journal = Capacities::JOURNAL;
        Table::<WatchPath>::bytes(capacities.watches, journal)
            + Arena::<Watch>::bytes(capacities.watches, journal, journal)
    }

    pub fn commit(&mut self) {
        self.paths.commit();
        self.arena.commit();
    }

    pub fn rollback(&mut self) {
        self.paths.rollback();
        self.arena.rollback();
    }
}

/// Which watches a change concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Those on the path and above it.
    Subtree,
    /// Only those on the path itself: the node is removed because a node above it is.
    Exact,
}
