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

pub struct Names {
    /// Each text has one place, by its hash; the last to come stays.
    entries: Box<[Named]>,
}

impl Names {
    /// Longest text that is kept, bytes. With it, an entry fills two cache lines.
    pub const TEXT_MAX: usize = 118;
    /// Bytes of memory for one text.
    pub const ENTRY: usize = 128;

    /// Room for `capacity` texts, at least one.
    pub fn new(capacity: usize) -> Names {
        let empty = Named { hash: 0, len: 0, text: [0; Names::TEXT_MAX] };
        Names { entries: vec![empty; capacity.max(1)].into_boxed_slice() }
    }

    /// Keeps a text, or its beginning if it is long.
    pub fn note(&mut self, hash: u64, text: &[u8]) {
        let place = self.place(hash);
        let Some(entry) = self.entries.get_mut(place).filter(|entry| entry.hash != hash) else { return };
        entry.hash = hash;
        entry.len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        for (to, from) in entry.text.iter_mut().zip(text) {
            *to = *from;
        }
    }

    /// The text, and whether all of it is here.
    pub fn find(&self, hash: u64) -> Option<(&[u8], bool)> {
        let entry = self.entries.get(self.place(hash)).filter(|entry| entry.hash == hash && hash != 0)?;
        let len = usize::from(entry.len);
        Some((entry.text.get(..len.min(Names::TEXT_MAX))?, len <= Names::TEXT_MAX))
    }

    fn place(&self, hash: u64) -> usize {
        // The high half of a product spreads hashes over any number of entries.
        ((u128::from(hash) * self.entries.len() as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_come_stays() {
        let mut names = Names::new(1);
        assert_eq!(names.find(5), None);
        assert_eq!(names.find(0), None);
        names.note(5, b"/a");
        assert_eq!(names.find(5), Some((&b"/a"[..], true)));
        names.note(6, &[b'x'; 200]);
        assert_eq!(names.find(5), None);
        assert_eq!(names.find(6), Some((&[b'x'; Names::TEXT_MAX][..], false)));
    }
}
