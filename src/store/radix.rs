//! Names as numbers in base 40, as RADIX-50 does it: eleven characters in 59 bits.

/// Most characters of such a name.
pub const MOST: usize = 11;

/// What a name may consist of. The digit of each is its place; that of no character is 0.
const CHARACTERS: &[u8; 40] = b"\0abcdefghijklmnopqrstuvwxyz0123456789-_@";

const BASE: u64 = CHARACTERS.len() as u64;

/// More than all numbers.
pub const END: u64 = BASE.pow(MOST as u32);

/// By character: its digit.
static DIGITS: [u8; 128] = {
    let (mut digits, mut digit) = ([0; 128], 1);
    while digit < CHARACTERS.len() {
        digits[CHARACTERS[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// The number of a name; `None` if it is longer, or has another character.
pub fn number(name: &[u8]) -> Option<u64> {
    if name.len() > MOST {
        return None;
    }
    name.iter().try_fold(0, |number, byte| match DIGITS.get(usize::from(*byte)) {
        None | Some(0) => None,
        Some(digit) => Some(number * BASE + u64::from(*digit)),
    })
}

/// Room for a name that has a number.
pub type Buf = [u8; MOST];

/// The name with this number, which is below [`END`].
pub fn name(mut number: u64, buf: &mut Buf) -> &[u8] {
    let mut start = buf.len();
    for place in buf.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *place = CHARACTERS.get((number % BASE) as usize).copied().unwrap_or_default();
        number /= BASE;
        start -= 1;
    }
    buf.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_number_and_a_number_its_name() {
        for name in ["a", "z", "@", "entry-12345", "a_b-c@d-e_f", "setting6665", "___________", "@@@@@@@@@@@"]
        {
            let number = number(name.as_bytes()).expect(name);
            assert!(number < END);
            assert_eq!(super::name(number, &mut Buf::default()), name.as_bytes());
        }
        for other in [&b"twelve-chars"[..], b"Upper-case", b"a:b", b"a\0b", b"\xe1a", b"/", b"a b"] {
            assert_eq!(number(other), None, "{}", other.escape_ascii());
        }
        assert_eq!((number(b""), name(0, &mut Buf::default()).len()), (Some(0), 0));
        assert_ne!(number(b"a"), number(b"aa"));
    }
}
