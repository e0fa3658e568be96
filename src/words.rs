//! Bytes looked at eight or sixteen at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// The 8 bytes at `at`, zero beyond the end.
pub fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(word) = rest.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    short_word(rest)
}

/// Fewer than 8 bytes as a word: two loads that overlap instead of one for each byte.
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        return first | last << (8 * (bytes.len() - 4));
    }
    match *bytes {
        [a] => u64::from_le_bytes([a, 0, 0, 0, 0, 0, 0, 0]),
        [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        _ => 0,
    }
}

/// The high bit of each byte that is `byte`.
pub fn flags(word: u64, byte: u8) -> u64 {
    let differs = word ^ (ONES * u64::from(byte));
    !(((differs & !HIGHS) + !HIGHS) | differs | !HIGHS)
}

/// The first `count` bytes of a word, of 7 at most; zero behind.
pub fn first_bytes(word: u64, count: usize) -> u64 {
    word & !(u64::MAX << (8 * count))
}

/// The last 8 bytes, if there are so many.
#[inline(always)]
pub fn last_word(bytes: &[u8]) -> Option<u64> {
    let start = bytes.len().checked_sub(8)?;
    bytes.get(start..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Whether two byte strings are equal, of which most are short: without a call.
#[inline(always)]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (last_word(a), last_word(b)) {
        (Some(end_of_a), Some(end_of_b)) => {
            let mut words = a.as_chunks::<8>().0.iter().zip(b.as_chunks().0);
            end_of_a == end_of_b && words.all(|(a, b)| a == b)
        }
        _ => short_word(a) == short_word(b),
    }
}

/// Where the last slash is.
#[inline(always)] // Mostly it is in the last eight bytes.
pub fn position_of_last_slash(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((before, word)) = rest.split_last_chunk() {
        let found = flags(u64::from_le_bytes(*word), b'/');
        if found != 0 {
            return Some(rest.len() - 1 - found.leading_zeros() as usize / 8);
        }
        rest = before;
    }
    rest.iter().rposition(|byte| *byte == b'/')
}

/// Of the high bits the first that is set is of the first byte that is one of two: cheaper than [`flags`].
fn first_of<const A: u8, const B: u8>(word: u64) -> u64 {
    // Nothing is borrowed from a byte before the first zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    zeros(word ^ (ONES * A as u64)) | zeros(word ^ (ONES * B as u64))
}

/// Where one of two bytes is first in sixteen.
fn position_in<const A: u8, const B: u8>(chunk: &[u8; 16]) -> Option<usize> {
    let word = u128::from_le_bytes(*chunk);
    let (low, high) = (first_of::<A, B>(word as u64), first_of::<A, B>((word >> 64) as u64));
    if (low | high) & HIGHS == 0 {
        return None;
    }
    let at = match low & HIGHS {
        0 => 64 + (high & HIGHS).trailing_zeros(),
        low => low.trailing_zeros(),
    };
    Some(at as usize / 8)
}

/// How many bytes at the beginning are surely printable ASCII: whole eights of them.
#[inline(always)] // Once.
fn printable(bytes: &[u8]) -> usize {
    let words = bytes.as_chunks().0.iter();
    let plain = words.take_while(|word| {
        let word = u64::from_le_bytes(**word);
        // Without a byte of 128 or more, the first that is below a blank has its high bit set by what it borrows.
        (word.wrapping_sub(ONES * u64::from(b' ')) | word) & HIGHS == 0
    });
    8 * plain.count()
}

/// Where a line ends: at its newline, or at a NUL.
#[inline(never)] // As the next one.
pub fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let plain = printable(bytes);
    position_of_either::<b'\n', 0>(bytes.get(plain..)?).map(|at| plain + at)
}

/// Where a byte is first.
pub fn position_of<const BYTE: u8>(bytes: &[u8]) -> Option<usize> {
    position_of_either::<BYTE, BYTE>(bytes)
}

/// Where one of two bytes is first.
#[inline(never)] // In many places.
pub fn position_of_either<const A: u8, const B: u8>(bytes: &[u8]) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks();
    let mut before = 0;
    for chunk in chunks {
        if let Some(at) = position_in::<A, B>(chunk) {
            return Some(before + at);
        }
        before += chunk.len();
    }
    match bytes.last_chunk() {
        _ if rest.is_empty() => None,
        // The first of them have been looked at.
        Some(last) => position_in::<A, B>(last).map(|at| bytes.len() - last.len() + at),
        None => position_in_few::<A, B>(rest),
    }
}

/// The same of fewer than 16 bytes.
#[inline(always)] // Its only use.
fn position_in_few<const A: u8, const B: u8>(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let found = first_of::<A, B>(word(bytes, at)) & HIGHS;
        if found != 0 {
            // The bytes beyond the end are zeros, which may be what is looked for.
            let position = at + found.trailing_zeros() as usize / 8;
            return (position < bytes.len()).then_some(position);
        }
        at += 8;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_with_their_slice() {
        let digits = b"0123456789";
        for from in 0..=digits.len() {
            for at in 0..12 {
                let bytes = &digits[from..];
                let mut expected = [0; 8];
                for (to, byte) in expected.iter_mut().zip(bytes.iter().skip(at)) {
                    *to = *byte;
                }
                assert_eq!(word(bytes, at), u64::from_le_bytes(expected), "{from} {at}");
            }
        }
    }

    #[test]
    fn the_last_slash() {
        let path = b"/ab/cdefghijklmnopqrstuv/\xaf//w";
        for end in 0..=path.len() {
            let expected = path[..end].iter().rposition(|byte| *byte == b'/');
            assert_eq!(position_of_last_slash(&path[..end]), expected, "{end}");
        }
    }

    fn finds<const BYTE: u8>(text: &[u8]) {
        for (from, end) in (0..=text.len()).flat_map(|end| (0..=end).map(move |from| (from, end))) {
            let bytes = &text[from..end];
            let expected = bytes.iter().position(|byte| *byte == BYTE);
            assert_eq!(position_of::<BYTE>(bytes), expected, "{BYTE} {from} {end}");
        }
    }

    #[test]
    fn the_first_of_a_byte() {
        let text = b"ab\0cde/g\x01ij.\x80\x01\0/\xff0123456789\0";
        finds::<0>(text);
        finds::<1>(text);
        finds::<b'/'>(text);
        finds::<0x80>(text);
        finds::<b'!'>(text);
    }

    #[test]
    fn the_first_of_two_bytes() {
        let text = b"ab cd:ef gh\nij:\0klm\n0123456789012345:\0";
        for (from, end) in (0..=text.len()).flat_map(|end| (0..=end).map(move |from| (from, end))) {
            let bytes = &text[from..end];
            let expected = |set: [u8; 2]| bytes.iter().position(|byte| set.contains(byte));
            assert_eq!(position_of_either::<b' ', b':'>(bytes), expected(*b" :"), "{from} {end}");
            assert_eq!(position_of_either::<b'\n', 0>(bytes), expected(*b"\n\0"), "{from} {end}");
        }
    }

    #[test]
    fn the_end_of_a_line() {
        let text = b"/a/path = \"some \tvalue\x80 of it\xff\x1f\"   (n0,r32757) and so on\nnext\0";
        for (from, end) in (0..=text.len()).flat_map(|end| (0..=end).map(move |from| (from, end))) {
            let bytes = &text[from..end];
            let expected = bytes.iter().position(|byte| b"\n\0".contains(byte));
            assert_eq!(end_of_line(bytes), expected, "{from} {end}");
        }
    }

    #[test]
    fn every_byte_is_told_from_every_other() {
        for a in 0..=255 {
            for b in 0..=255 {
                let word = u64::from_le_bytes([b, a, b, b, a, a, b, 1]);
                let flags = flags(word, a).to_le_bytes().map(|flag| flag == 0x80);
                let expected = word.to_le_bytes().map(|byte| byte == a);
                assert_eq!(flags, expected);
            }
        }
    }
}
