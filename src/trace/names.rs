//! What hashes in records stand for: paths that were looked for lately and marks. The store knows those that are there;
//! this knows those that are gone, or never were.

use alloc::boxed::Box;
use alloc::vec;

#[derive(Clone, Copy)]
struct Named {
    hash: u64,
    /// Bytes of the text, also those that are not here.
    len: u16,
    text: [u8; Names::TEXT_MAX],
}

const _: () = assert!(size_of::<Named>() == Names::ENTRY);

/// Texts that share a place; the newest is first.
const SHARING: usize = 4;

pub struct Names {
    /// Each text has one place, by its hash; the oldest there makes room.
    places: Box<[[Named; SHARING]]>,
}

impl Names {
    /// Longest text that is kept, bytes. With it, an entry fills two cache lines.
    pub const TEXT_MAX: usize = 118;
    /// Bytes of memory for one text.
    pub const ENTRY: usize = 128;

    /// Bytes of memory for so many texts.
    pub const fn bytes(capacity: usize) -> usize {
        capacity.next_multiple_of(SHARING) * Names::ENTRY
    }

    /// Room for `capacity` texts, rounded up.
    pub fn new(capacity: usize) -> Names {
        let empty = [Named { hash: 0, len: 0, text: [0; Names::TEXT_MAX] }; SHARING];
        Names { places: vec![empty; capacity.div_ceil(SHARING).max(1)].into_boxed_slice() }
    }

    /// Keeps a text, or its beginning if it is long.
    #[inline(never)] // It is rare, and long.
    pub fn note(&mut self, hash: u64, text: &[u8]) {
        let place = self.place(hash);
        let Some(entries) = self.places.get_mut(place) else { return };
        if entries.iter().any(|entry| entry.hash == hash) {
            return;
        }
        entries.rotate_right(1);
        let [entry, ..] = entries;
        entry.hash = hash;
        entry.len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let len = text.len().min(Names::TEXT_MAX);
        if let (Some(place), Some(text)) = (entry.text.get_mut(..len), text.get(..len)) {
            place.copy_from_slice(text);
        }
    }

    /// The text, and whether all of it is here.
    pub fn find(&self, hash: u64) -> Option<(&[u8], bool)> {
        let entries = self.places.get(self.place(hash)).filter(|_| hash != 0)?;
        let entry = entries.iter().find(|entry| entry.hash == hash)?;
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
}
