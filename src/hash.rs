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
        let mut hash = parent ^ (name.len() as u64).wrapping_mul(0x9fb2_1c65_1e98_df25);
        let (words, tail) = name.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ u64::from_le_bytes(*word), self.factor);
        }
        let mut last = [0; 8];
        if let Some(place) = last.get_mut(..tail.len()) {
            place.copy_from_slice(tail);
        }
        fold(hash ^ u64::from_le_bytes(last), self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

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
