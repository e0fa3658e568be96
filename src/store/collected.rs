//! The events of one change: collected in the attempt that makes the change, sent after it.
//!
//! The fields are open to the server, which sends the events one by one and counts them.

use alloc::vec::Vec;

use super::domain::DomainId;
use super::transaction::TxNodeId;
use super::watch::{Change, WatchId};
use crate::path::{Path, PathBuf};
use crate::room::unfilled;

/// What an event costs, in the unit of `Limits::told`.
pub const EVENT: u32 = 8;

/// A watch that a change concerns. Its order is that of events: by receiver, then by registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub domain: DomainId,
    /// Its place among those of its receiver: its sequence, once all are found.
    pub rank: u64,
    pub id: WatchId,
}

/// Each watch hears of a change once at most. Of a change that concerns many watches the receivers are collected instead of
/// them, see [`gathering`](super::gathering).
pub struct Collected {
    /// Watches that the change concerns, in the order of their events.
    pub matches: Vec<Match>,
    /// How many of these events have been sent.
    pub sent: usize,
    /// Path of what has changed. Kept only if there are matches.
    pub path: PathBuf,
    /// Hash of the path.
    pub hash: u64,
    /// How it concerns watches.
    pub change: Change,
    /// Of a transaction that takes effect, the copy of what has changed. Once a change of its own is to be told later, its
    /// record.
    pub copy: Option<TxNodeId>,
    /// Which change it is: all that a transaction does has one number.
    pub number: u64,
    /// What the events of a transaction have taken so far, in the unit of `Limits::told`.
    pub work: u32,
    /// From this copy on, those hear who have been gathered.
    pub late: Option<TxNodeId>,
    /// Whose request they hear of, and where its type is counted.
    pub by: (Option<DomainId>, usize),
    /// How far those have been looked for who are to have a place, if there are more.
    pub search: Option<Search>,
}

/// A place among the watches of a change.
#[derive(Clone, Copy)]
pub struct Search {
    /// Watched paths that have been gone through.
    pub paths: usize,
    /// The next watch on the next path, if not the first one.
    pub next: Option<WatchId>,
}

impl Collected {
    /// Room for as many events as there can be watches.
    pub fn new(watches: usize) -> Collected {
        Collected {
            matches: unfilled(watches),
            sent: 0,
            path: PathBuf::new(),
            hash: 0,
            change: Change::Subtree,
            copy: None,
            number: 0,
            work: 0,
            late: None,
            by: (None, 0),
            search: None,
        }
    }

    /// Whether there is nothing to send, or nobody to have a place.
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty() && self.search.is_none()
    }

    pub fn clear(&mut self) {
        self.matches.clear();
        self.copy = None;
        self.late = None;
        self.search = None;
    }

    /// What is to be sent next.
    pub fn next(&self) -> Option<Match> {
        self.matches.get(self.sent).copied()
    }

    /// Adds a watch, or the receiver that it stands for. There is room for every watch.
    pub fn add(&mut self, found: Match) {
        if self.matches.len() < self.matches.capacity() {
            self.matches.push(found);
        }
    }

    /// Keeps the path of the change. There is room for the longest path.
    pub fn keep(&mut self, path: Path<'_>, hash: u64, change: Change) {
        (self.hash, self.sent, self.change) = (hash, 0, change);
        if self.copy.is_none() {
            self.number += 1;
        }
        self.path.clear();
        let _fits = self.path.extend_from_slice(path.as_bytes());
    }

    /// Bytes of memory that `new` takes.
    pub const fn bytes(watches: usize) -> usize {
        watches * size_of::<Match>()
    }
}
