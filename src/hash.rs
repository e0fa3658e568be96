//! Keyed hashes of paths, extended component by component.
//!
//! The hash of `/a/b` is the hash of `/a` extended by `b`, so one pass over a path yields the hash of
//! every prefix. The key is drawn at boot: names that collide cannot be computed from outside.

/// Hash state and result in one: 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    start: u64,
    factor: u64,
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Key {
    pub fn new(seed: u64) -> Key {
        // Odd multiplicands with mixed bits, whatever the seed.
        let start = fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03);
        let factor = fold(seed ^ 0x8cb9_2ba7_2f3d_8dd7, 0xaef1_7502_b3a8_5d1b) | 1;
        Key { start, factor: factor ^ 0x5851_f42d_4c95_7f2c }
    }

    /// Hash of the root `/`.
    pub fn root(&self) -> u64 {
        self.start
    }

    /// Hash of the path with hash `parent`, extended by `name`.
    pub fn child(&self, parent: u64, name: &[u8]) -> u64 {
        let mut hash = parent;
        let mut at = 0;
        while name.len() - at >= 8 {
            hash = fold(hash ^ word(name, at), self.factor);
            at += 8;
        }
        self.end(hash, word(name, at), name.len())
    }

    /// As `child`, for the component that begins at `at` and ends before the next `/`. Also says where it ends.
    pub fn component(&self, parent: u64, path: &[u8], at: usize) -> (u64, usize) {
        let mut hash = parent;
        let mut end = at;
        loop {
            let bytes = word(path, end);
            let len = before_slash(bytes).min(path.len().saturating_sub(end));
            if len < 8 {
                let tail = bytes & !(u64::MAX << (8 * len));
                return (self.end(hash, tail, end + len - at), end + len);
            }
            hash = fold(hash ^ bytes, self.factor);
            end += 8;
        }
    }

    /// The last step: fewer than 8 bytes leave room for the length beside them.
    fn end(&self, hash: u64, tail: u64, len: usize) -> u64 {
        fold(hash ^ tail ^ ((len as u64) << 56), self.factor)
    }
}

/// The 8 bytes at `at`, zero beyond the end.
pub fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*word);
    }
    let missing = (at + 8).saturating_sub(bytes.len());
    if let Some(last) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*last).checked_shr(8 * missing as u32).unwrap_or(0);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(bytes.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_le_bytes(last)
}

/// How many of a word's bytes come before the first `/`.
fn before_slash(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let slashes = word ^ (ONES * b'/' as u64);
    let found = slashes.wrapping_sub(ONES) & !slashes & (ONES << 7);
    found.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::{Key, word};

    #[test]
    fn a_component_in_a_path_hashes_as_its_name() {
        let key = Key::new(3);
        let names = ["a", "abcdefg", "abcdefgh", "abcdefghi", "a-rather-long-component", "", "z"];
        for name in names {
            for rest in ["", "/", "/x", "/long-enough-to-load"] {
                for before in ["", "/", "/some/where/"] {
                    let path = format!("{before}{name}{rest}");
                    let (hash, end) = key.component(9, path.as_bytes(), before.len());
                    assert_eq!(
                        (hash, end),
                        (key.child(9, name.as_bytes()), before.len() + name.len()),
                        "{path}"
                    );
                }
            }
        }
    }

    #[test]
    fn words_end_with_their_slice() {
        assert_eq!(word(b"abc", 1), u64::from_le_bytes(*b"bc\0\0\0\0\0\0"));
        assert_eq!(word(b"0123456789", 7), u64::from_le_bytes(*b"789\0\0\0\0\0"));
        assert_eq!(word(b"0123456789", 10), 0);
    }

    #[test]
    fn names_lengths_and_keys_all_matter() {
        let (one, two) = (Key::new(1), Key::new(2));
        let names: [&[u8]; 6] = [b"", b"a", b"a-", b"abcdefgh", b"abcdefgh-", b"abcdefg"];
        for (n, a) in names.iter().enumerate() {
            for b in &names[n + 1..] {
                assert_ne!(one.child(one.root(), a), one.child(one.root(), b));
            }
            assert_ne!(one.child(one.root(), a), two.child(two.root(), a));
        }
        let (ab, ba) = (one.child(one.root(), b"a"), one.child(one.root(), b"b"));
        assert_ne!(one.child(ab, b"b"), one.child(ba, b"a"));
    }
}
