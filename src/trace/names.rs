//! What hashes in records stand for: paths of recent requests, and the last marks. The store knows the paths of its
//! nodes; this knows those of nodes that are gone, or never were there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::room::{filled, unfilled};

#[derive(Clone, Copy)]
struct Named {
    hash: u64,
    /// Bytes of the whole text, of which `text` may have the beginning only.
    len: u16,
    text: [u8; Names::TEXT_MAX],
}

const _: () = assert!(size_of::<Named>() == Names::ENTRY);

impl Named {
    const EMPTY: Named = Named { hash: 0, len: 0, text: [0; Names::TEXT_MAX] };

    fn set(&mut self, hash: u64, text: &[u8]) {
        self.hash = hash;
        self.len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let len = text.len().min(Names::TEXT_MAX);
        if let (Some(place), Some(text)) = (self.text.get_mut(..len), text.get(..len)) {
            place.copy_from_slice(text);
        }
    }
}

/// Paths that share a place; the newest is first.
const SHARING: usize = 4;

pub struct Names {
    /// Each path has one place, by its hash: which of `paths` that is, from 1 on; 0 if no path has come there yet.
    places: Box<[u64]>,
    /// Of each place, where the oldest makes room. They are made one by one: a server that takes over does not wait for all
    /// of them.
    paths: Vec<[Named; SHARING]>,
    /// The last marks, which paths do not displace, and the entry of the next one.
    marks: Vec<Named>,
    next: usize,
}

impl Names {
    /// Longest text that is kept, bytes: an entry fills two cache lines.
    pub const TEXT_MAX: usize = 118;
    /// Bytes of memory for one text.
    pub const ENTRY: usize = 128;
    /// Marks that are kept.
    pub const MARKS: usize = 16;

    /// Bytes of memory for so many paths, and the marks.
    pub const fn bytes(capacity: usize) -> usize {
        (capacity.next_multiple_of(SHARING) + Names::MARKS) * Names::ENTRY + capacity.div_ceil(SHARING) * 8
    }

    /// Room for `capacity` paths, rounded up.
    #[inline(never)] // Once, and no part of the loop that serves.
    pub fn new(capacity: usize) -> Names {
        let places = capacity.div_ceil(SHARING).max(1);
        Names { places: filled(&0, places), paths: unfilled(places), marks: unfilled(Names::MARKS), next: 0 }
    }

    /// Keeps a path, or its beginning if it is long.
    pub fn note(&mut self, hash: u64, path: &[u8]) {
        let place = self.place(hash);
        let Some(place) = self.places.get_mut(place) else { return };
        if *place == 0 {
            self.paths.push([Named::EMPTY; SHARING]);
            *place = self.paths.len() as u64;
        }
        let Some(entries) = self.paths.get_mut(*place as usize - 1) else { return };
        if entries.iter().any(|entry| entry.hash == hash) {
            return;
        }
        entries.rotate_right(1);
        let [entry, ..] = entries;
        entry.set(hash, path);
    }

    /// Keeps a mark's text.
    pub fn note_mark(&mut self, hash: u64, text: &[u8]) {
        if self.marks.len() < Names::MARKS {
            self.marks.push(Named::EMPTY);
        }
        if let Some(entry) = self.marks.get_mut(self.next) {
            entry.set(hash, text);
        }
        self.next = (self.next + 1) % Names::MARKS;
    }

    /// The marks' texts with their hashes, the oldest first.
    pub fn marks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let (newer, older) = self.marks.split_at_checked(self.next).unwrap_or_default();
        let marks = older.iter().chain(newer).filter(|entry| entry.hash != 0);
        marks.map(|entry| (entry.hash, entry.text.get(..usize::from(entry.len)).unwrap_or(&entry.text)))
    }

    /// The text, and whether it is whole.
    pub fn find(&self, hash: u64) -> Option<(&[u8], bool)> {
        let place = *self.places.get(self.place(hash)).filter(|_| hash != 0)?;
        let paths = (place as usize).checked_sub(1).and_then(|place| self.paths.get(place));
        let entry = paths.into_iter().flatten().chain(&self.marks).find(|entry| entry.hash == hash)?;
        let len = usize::from(entry.len);
        Some((entry.text.get(..len.min(Names::TEXT_MAX))?, len <= Names::TEXT_MAX))
    }

    fn place(&self, hash: u64) -> usize {
        // The high half of a product spreads hashes over any number of places.
        ((u128::from(hash) * self.places.len() as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_come_stay() {
        let mut names = Names::new(1);
        assert_eq!(names.find(5), None);
        assert_eq!(names.find(0), None);
        for hash in 1..=5 {
            names.note(hash, &[b'a' + hash as u8]);
        }
        assert_eq!(names.find(1), None);
        for hash in 2..=5 {
            assert_eq!(names.find(hash), Some((&[b'a' + hash as u8][..], true)));
        }
        names.note(6, &[b'x'; 200]);
        assert_eq!(names.find(6), Some((&[b'x'; Names::TEXT_MAX][..], false)));
        assert_eq!(names.find(2), None);
    }

    #[test]
    fn paths_do_not_push_out_marks() {
        let mut names = Names::new(1);
        for hash in 1..=20 {
            names.note_mark(hash, &[b'a' + hash as u8]);
        }
        (21..99).for_each(|hash| names.note(hash, b"path"));
        assert_eq!(names.find(4), None);
        for hash in 5..=20 {
            assert_eq!(names.find(hash), Some((&[b'a' + hash as u8][..], true)));
        }
    }
}
