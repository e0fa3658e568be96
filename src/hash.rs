//! Keyed hashes of paths and other byte strings, eight bytes a step.
//!
//! The state after a path's first n words leads to the hash of every prefix that ends in the next word, so
//! one pass over a path yields them all. The key is random and new at each boot, so a guest cannot compute names that
//! collide.

use crate::words::{first_bytes, flags, last_word, word};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    start: u64,
    factor: u64,
}

fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = product(a, b);
    low ^ high
}

/// The low and the high half.
fn product(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    (product as u64, (product >> 64) as u64)
}

impl Key {
    pub fn new(seed: u64) -> Key {
        // Odd multiplicands with mixed bits, whatever the seed.
        let start = fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03);
        let factor = fold(seed ^ 0x8cb9_2ba7_2f3d_8dd7, 0xaef1_7502_b3a8_5d1b) | 1;
        Key { start, factor: factor ^ 0x5851_f42d_4c95_7f2c }
    }

    #[inline(always)]
    pub fn hash_here(&self, bytes: &[u8]) -> u64 {
        self.extend(self.start, bytes)
    }

    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.extend(self.start, bytes)
    }

    /// Hash of a pair: of what has the hash `before`, and of `bytes`.
    #[inline] // Each step down a path.
    pub fn extend(&self, before: u64, bytes: &[u8]) -> u64 {
        let (words, tail) = bytes.as_chunks();
        // As by `step`, but each half goes into the next word by itself, which takes fewer moves.
        let (low, high) = words.iter().fold((before, 0), |(low, high), word| {
            product(low ^ (high ^ u64::from_le_bytes(*word)), self.factor)
        });
        let state = low ^ high;
        // Of the last eight bytes those that no whole word has.
        let tail = match last_word(bytes) {
            Some(last) => (last >> 8) >> (8 * (!bytes.len() & 7)),
            None => word(tail, 0),
        };
        self.end(state, tail, bytes.len())
    }

    /// Calls `each` with lengths and hashes of those prefixes of a path that are longer than `shorter` bytes,
    /// until it fails: the shortest first, which is the root if `shorter` is 0, the whole path last.
    #[inline]
    pub fn each_prefix<E>(
        &self,
        path: &[u8],
        shorter: usize,
        mut each: impl FnMut(usize, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let cut = shorter.min(path.len()) / 8 * 8;
        let (before, rest) = path.split_at_checked(cut).unwrap_or_default();
        let mut state = self.state_after(before.as_chunks().0);
        let mut at = before.len();
        let mut bytes = word(rest, 0);
        // A slash ends the prefix before it. The one that begins the path does not, so the root is told apart.
        let beyond = u64::MAX.checked_shl(8 * (shorter - at + 1) as u32).unwrap_or(0);
        let mut slashes = flags(bytes, b'/') & beyond;
        if shorter == 0 {
            each(1, self.end(state, u64::from(b'/'), 1))?;
        }
        loop {
            while slashes != 0 {
                let count = slashes.trailing_zeros() as usize / 8;
                slashes &= slashes - 1;
                each(at + count, self.end(state, first_bytes(bytes, count), at + count))?;
            }
            if at + 8 > path.len() {
                break;
            }
            state = self.step(state, bytes);
            at += 8;
            bytes = word(path, at);
            slashes = flags(bytes, b'/');
        }
        if path.len() > shorter.max(1) {
            each(path.len(), self.end(state, bytes, path.len()))
        } else {
            Ok(())
        }
    }

    fn state_after(&self, words: &[[u8; 8]]) -> u64 {
        words.iter().fold(self.start, |state, word| self.step(state, u64::from_le_bytes(*word)))
    }

    fn step(&self, state: u64, word: u64) -> u64 {
        fold(state ^ word, self.factor)
    }

    /// The last step: fewer than 8 bytes leave room for the length beside them.
    fn end(&self, state: u64, tail: u64, len: usize) -> u64 {
        fold(state ^ tail ^ ((len as u64) << 56), self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn prefixes_hash_as_they_do_alone() {
        let key = Key::new(3);
        let paths = ["/", "/a", "/abcdef", "/abcdefg", "/abcdefgh/i/jkl/mnopqrstuvwxyz/a/b/c/0123456789"];
        for path in paths.map(str::as_bytes) {
            let ends = (1..path.len()).filter(|end| path[*end] == b'/');
            let mut expected: std::vec::Vec<usize> = core::iter::once(1).chain(ends).collect();
            if path.len() > 1 {
                expected.push(path.len());
            }
            for shorter in 0..=path.len() {
                let mut told = vec![];
                let end = key.each_prefix(path, shorter, |len, hash| {
                    told.push((len, hash));
                    Ok::<(), ()>(())
                });
                let longer = expected.iter().filter(|len| **len > shorter);
                let longer: std::vec::Vec<_> = longer.map(|len| (*len, key.hash(&path[..*len]))).collect();
                assert_eq!((told, end), (longer, Ok(())), "{shorter}");
            }
        }
    }

    #[test]
    fn names_lengths_and_keys_all_matter() {
        let (one, two) = (Key::new(1), Key::new(2));
        let names: [&[u8]; 6] = [b"", b"a", b"a-", b"abcdefgh", b"abcdefgh-", b"abcdefg"];
        for (n, a) in names.iter().enumerate() {
            for b in &names[n + 1..] {
                assert_ne!(one.hash(a), one.hash(b));
            }
            assert_ne!(one.hash(a), two.hash(a));
        }
        let (a, b) = (one.hash(b"a"), one.hash(b"b"));
        assert_ne!(one.extend(a, b"b"), one.extend(b, b"a"));
    }
}
