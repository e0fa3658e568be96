//! Paths found recently, with their nodes.
//!
//! The index finds a node by the hash of its path. Whether the path is the same takes a look at the names of all nodes
//! above, a cache line each. The cache has whole paths, so one comparison is enough.

use alloc::boxed::Box;
use core::num::NonZeroU16;

use super::node::NodeId;
use crate::room::filled;
use crate::words::{equal, word};

type Words = [[u8; 8]; PathCache::PATH_MAX / 8];

#[derive(Clone, Copy)]
pub struct Found {
    hash: u64,
    node: Option<NodeId>,
    len: u16,
    /// Length of [`relative_to_home`](crate::path::Path::relative_to_home), once that has been asked for.
    counted: Option<NonZeroU16>,
    /// Zero behind the path.
    path: Words,
}

const _: () = assert!(size_of::<Found>() == 64);

/// Invariant: each node in the cache exists and has its path.
pub struct PathCache {
    /// Each path has one place, by its hash.
    entries: Box<[Found]>,
}

/// Whether two byte strings of one length, of 48 bytes at most, are equal: two pieces of each, which may overlap.
#[inline(always)]
fn are_equal(a: &[u8], b: &[u8]) -> bool {
    const { assert!(PathCache::PATH_MAX <= 32 + 16) };
    if let (Some(first), Some(other)) = (a.first_chunk::<32>(), b.first_chunk()) {
        return first == other && a.last_chunk::<16>() == b.last_chunk();
    }
    if let (Some(first), Some(other)) = (a.first_chunk::<16>(), b.first_chunk()) {
        return first == other && a.last_chunk::<16>() == b.last_chunk();
    }
    equal(a, b)
}

impl PathCache {
    /// Longest path that is kept, bytes: an entry fills one cache line.
    pub const PATH_MAX: usize = 48;

    pub fn new(nodes: usize) -> PathCache {
        let empty = Found { hash: 0, node: None, len: 0, counted: None, path: [[0; 8]; Self::PATH_MAX / 8] };
        PathCache { entries: filled(&empty, Self::entry_count(nodes)) }
    }

    const fn entry_count(nodes: usize) -> usize {
        nodes / 33 + 1
    }

    /// Bytes of memory beside a store of so many nodes.
    pub const fn bytes(nodes: usize) -> usize {
        Self::entry_count(nodes) * size_of::<Found>()
    }

    pub fn find(&self, path: &[u8], hash: u64) -> Option<NodeId> {
        self.find_counted(path, hash).map(|(node, _)| node)
    }

    /// The node, and the length of the path relative to its home, if that has been counted.
    #[inline(always)] // The middle of every request.
    pub fn find_counted(&self, path: &[u8], hash: u64) -> Option<(NodeId, Option<NonZeroU16>)> {
        let found = self.entries.get(self.place(hash))?;
        let whole = found.path.as_flattened().get(..path.len())?;
        let same = found.hash == hash && usize::from(found.len) == path.len() && are_equal(whole, path);
        found.node.filter(|_| same).map(|node| (node, found.counted))
    }

    /// Keeps the length of a path that has been found here, relative to its home.
    pub fn count(&mut self, hash: u64, len: usize) {
        let place = self.place(hash);
        if let Some(found) = self.entries.get_mut(place) {
            found.counted = u16::try_from(len).ok().and_then(NonZeroU16::new);
        }
    }

    pub fn remember(&mut self, path: &[u8], hash: u64, node: NodeId) {
        if path.len() > Self::PATH_MAX {
            return;
        }
        let mut words = [[0; 8]; Self::PATH_MAX / 8];
        let (whole, tail) = path.as_chunks();
        for (to, from) in words.iter_mut().zip(whole) {
            *to = *from;
        }
        if let Some(last) = words.get_mut(whole.len()) {
            *last = word(tail, 0).to_le_bytes();
        }
        let place = self.place(hash);
        let Some(found) = self.entries.get_mut(place) else { return };
        *found = Found { hash, node: Some(node), len: path.len() as u16, counted: None, path: words };
    }

    /// Forgets the node whose path has this hash: it is removed.
    pub fn forget(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(found) = self.entries.get_mut(place).filter(|found| found.hash == hash) {
            found.node = None;
        }
    }

    /// What is kept in the nth place, a path with its hash and node; none behind the last place. For the consistency check.
    pub fn nth(&self, n: usize) -> Option<Option<(&[u8], u64, NodeId)>> {
        let Found { hash, node, len, path, .. } = self.entries.get(n)?;
        let path = path.as_flattened().get(..*len as usize);
        Some(path.zip(*node).map(|(path, node)| (path, *hash, node)))
    }

    /// From other bits than those that choose the index's chain, so that both are spread.
    #[inline(always)]
    fn place(&self, hash: u64) -> usize {
        ((u64::from((hash >> 20) as u32) * self.entries.len() as u64) >> u32::BITS) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_path_counts() {
        let (mut cache, hash) = (PathCache::new(1), 7);
        for len in 1..=PathCache::PATH_MAX {
            let mut path: std::vec::Vec<u8> = (b'a'..).take(len).collect();
            cache.remember(&path, hash, NodeId::FIRST);
            assert_eq!(cache.find(&path, hash), Some(NodeId::FIRST), "{len}");
            for at in 0..len {
                path[at] ^= 1;
                assert_eq!(cache.find(&path, hash), None, "{len} {at}");
                path[at] ^= 1;
            }
            assert_eq!(cache.find(&path[1..], hash), None);
        }
    }
}
