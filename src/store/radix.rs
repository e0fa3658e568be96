//! Names as numbers in base 40, as RADIX-50 does it: eleven characters in 59 bits.

/// Most characters of such a name.
pub const MOST: usize = 11;

/// What a name may consist of. The digit of each is its place; that of no character is 0.
const CHARACTERS: &[u8; BASE as usize] = b"\0abcdefghijklmnopqrstuvwxyz0123456789-_@";

const BASE: u64 = 40;

/// More than all numbers.
pub const END: u64 = BASE.pow(MOST as u32);

/// A digit's bit that says that the byte is no character.
const NONE: u8 = 1 << 7;

/// By byte: its digit, or [`NONE`].
static DIGITS: [u8; 256] = {
    let (mut digits, mut digit) = ([NONE; 256], 1);
    while digit < CHARACTERS.len() {
        digits[CHARACTERS[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

fn digit(byte: u8) -> u8 {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// Whether it is short enough, and has no other characters.
pub fn has_number(name: &[u8]) -> bool {
    name.len() <= MOST && name.iter().fold(0, |all, byte| all | digit(*byte)) & NONE == 0
}

/// The number of a name; `None` if it is longer, or has another character.
pub fn number(name: &[u8]) -> Option<u64> {
    if name.len() > MOST {
        return None;
    }
    // A look at each is dearer than digits for nothing, which are too few to overflow.
    let (number, all) = name.iter().fold((0, 0), |(number, all), byte| {
        let digit = digit(*byte);
        (number * BASE + u64::from(digit), all | digit)
    });
    (all & NONE == 0).then_some(number)
}

/// Room for a name that has a number.
pub type Buf = [u8; MOST];

/// Bits by which [`SCALE`] is more than 2^64 / [`END`].
const EXCESS: u32 = 58;

const SCALE: u64 = ((1u128 << (u64::BITS + EXCESS)) / END as u128 + 1) as u64;

/// The name with this number, which is below [`END`].
///
/// The number is scaled to a fraction of 2^64, each digit of which is then what a multiplication by the base carries over. The
/// fraction is too large, by three at most; with the last digit that is 3 * END / 2^64 of one, too little for a wrong digit.
pub fn name(number: u64, buf: &mut Buf) -> &[u8] {
    let mut fraction = ((u128::from(number) * u128::from(SCALE)) >> EXCESS) as u64 + 1;
    for place in buf.iter_mut() {
        let product = u128::from(fraction) * u128::from(BASE);
        *place = CHARACTERS.get((product >> u64::BITS) as usize).copied().unwrap_or_default();
        fraction = product as u64;
    }
    let start = buf.iter().position(|byte| *byte != 0).unwrap_or(MOST);
    buf.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_name_is_its_number_and_a_number_its_name() {
        for name in ["a", "z", "@", "entry-12345", "a_b-c@d-e_f", "setting6665", "___________", "@@@@@@@@@@@"]
        {
            let number = number(name.as_bytes()).expect(name);
            assert!(number < END && has_number(name.as_bytes()));
            assert_eq!(super::name(number, &mut Buf::default()), name.as_bytes());
        }
        let others =
            [&b"twelve-chars"[..], b"Upper-case", b"a:b", b"a\0b", b"\xe1a", b"/", b"a b", &[b'~'; MOST]];
        for other in others {
            assert_eq!((number(other), has_number(other)), (None, false), "{}", other.escape_ascii());
        }
        assert_eq!((number(b""), name(0, &mut Buf::default()).len()), (Some(0), 0));
        assert_ne!(number(b"a"), number(b"aa"));
    }

    #[test]
    fn digits_are_those_of_a_division() {
        let by_division = |mut number: u64| {
            let mut digits = Vec::new();
            while number > 0 {
                digits.push(CHARACTERS[(number % BASE) as usize]);
                number /= BASE;
            }
            digits.reverse();
            digits
        };
        // A step that is no part of END, and both sides of each power of the base.
        let powers = (0..=MOST as u32).flat_map(|power| (0..3).map(move |n| BASE.pow(power) + n - 1));
        for number in (0..END).step_by(0x3_1415_9265_3589).chain(powers).filter(|number| *number < END) {
            let name = super::name(number, &mut Buf::default()).to_vec();
            // Of a number that is no name, a digit may be that of no character.
            let digits = by_division(number);
            assert!(name == digits, "{number}: {name:?}, {digits:?}");
        }
    }
}
