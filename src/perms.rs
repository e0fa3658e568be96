//! Permissions: entries, their spelling on the wire, and what a list grants to whom.
//!
//! An entry names a *life* of a domain, not only its number: when the domain is gone its entries match
//! nobody any more, and a later domain of the same number is another life. xenstore.txt, "Permissions".

use bitflags::bitflags;

use crate::abi::DomId;
use crate::wire::XsError;

bitflags! {
    /// What an entry grants, and what a request needs.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Access: u8 {
        const READ = 1;
        const WRITE = 2;
        /// Never in an entry: the owner has it, and the privileged.
        const OWNER = 4;
    }
}

/// One period in which a domid meant the same domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life(pub u32);

impl Life {
    /// Of a domain that did not exist when it was named: matches nobody, ever.
    pub const NONE: Life = Life(0);
    /// Of `DOMID_ANY`: matches everybody.
    pub const ANY: Life = Life(u32::MAX);
    /// Of the toolstack's domain, which no check stops. It is the first life of all and never ends.
    pub const PRIVILEGED: Life = Life(1);
    /// In a store that was made from another one's state, all lives begin after this one: those up to it are of domains that
    /// had died before.
    pub const ENDED: Life = Life(Life::PRIVILEGED.0 + 1 + u16::MAX as u32);

    /// A life that had ended in the store before, so many lives before the latest that is still of interest.
    pub fn ended(before: u16) -> Life {
        Life(Life::ENDED.0 - u32::from(before))
    }

    /// How many lives this one began before a later one. None if it did not, or they are too many for [`Life::ended`].
    pub fn before(self, later: Life) -> Option<u16> {
        u16::try_from(later.0.checked_sub(self.0)?).ok()
    }

    /// Whether it is the toolstack's domain's, which its local clients share.
    pub fn is_privileged(self) -> bool {
        self == Life::PRIVILEGED
    }
}

/// One permission entry. The first of a node names its owner and what all others may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub access: Access,
    pub domid: DomId,
    pub life: Life,
}

impl Entry {
    /// Bytes of a stored entry.
    pub const SIZE: usize = 8;

    /// Grants nothing and matches nobody.
    pub const NOBODY: Entry = Entry { access: Access::empty(), domid: DomId::INVALID, life: Life::NONE };

    pub fn to_bytes(self) -> [u8; Entry::SIZE] {
        let [d0, d1] = self.domid.0.to_le_bytes();
        let [l0, l1, l2, l3] = self.life.0.to_le_bytes();
        [self.access.bits(), 0, d0, d1, l0, l1, l2, l3]
    }

    pub fn from_bytes(bytes: [u8; Entry::SIZE]) -> Entry {
        let [access, _, d0, d1, l0, l1, l2, l3] = bytes;
        Entry {
            access: Access::from_bits_truncate(access),
            domid: DomId(u16::from_le_bytes([d0, d1])),
            life: Life(u32::from_le_bytes([l0, l1, l2, l3])),
        }
    }
}

/// The client whose rights are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    pub domid: DomId,
    pub life: Life,
    /// Life of the domain it acts for, by SET_TARGET; [`Life::NONE`] without one.
    pub target: Life,
}

impl Caller {
    pub fn is_privileged(&self) -> bool {
        self.life.is_privileged()
    }

    fn is_named_by(&self, entry: Entry) -> bool {
        entry.life != Life::NONE
            && (entry.life == self.life || entry.life == self.target || entry.life == Life::ANY)
    }

    /// Whether everything is granted to the caller, whatever comes after this first entry.
    pub fn owns(&self, first: Entry) -> bool {
        self.is_privileged() || self.is_named_by(first)
    }

    /// What the list grants: everything to the privileged and the owner, else what the first entry that
    /// names the caller says, else what the first of all says.
    pub fn access(&self, mut list: impl Iterator<Item = Entry>) -> Access {
        let Some(first) = list.next() else {
            return if self.is_privileged() { Access::all() } else { Access::empty() };
        };
        if self.owns(first) {
            return Access::all();
        }
        list.find(|entry| self.is_named_by(*entry)).map_or(first.access, |entry| entry.access)
    }
}

/// What a letter of `nrwb` grants.
pub fn access_of(letter: u8) -> Option<Access> {
    match letter {
        b'n' => Some(Access::empty()),
        b'r' => Some(Access::READ),
        b'w' => Some(Access::WRITE),
        b'b' => Some(Access::READ | Access::WRITE),
        _ => None,
    }
}

/// Parses one entry as in SET_PERMS: a letter of `nrwb` and a number, decimal, or octal or hexadecimal
/// with C's prefixes. EINVAL for anything else.
pub fn parse(string: &[u8]) -> Result<(Access, DomId), XsError> {
    let (letter, number) = string.split_first().ok_or(XsError::EINVAL)?;
    let access = access_of(*letter).ok_or(XsError::EINVAL)?;
    let (radix, digits) = match number {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        _ => (10, number),
    };
    let number = digits.iter().try_fold(0_u16, |number, byte| {
        let digit = digit_of(*byte).filter(|digit| *digit < radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    });
    let number = number.filter(|_| !digits.is_empty()).ok_or(XsError::EINVAL)?;
    Ok((access, DomId(number)))
}

/// What a digit stands for, up to 15.
fn digit_of(byte: u8) -> Option<u16> {
    let (first, value) = match byte {
        b'0'..=b'9' => (b'0', 0),
        b'a'..=b'f' => (b'a', 10),
        b'A'..=b'F' => (b'A', 10),
        _ => return None,
    };
    Some(u16::from(byte - first) + value)
}

/// The letter of an entry as in GET_PERMS.
pub fn letter(access: Access) -> u8 {
    match (access.contains(Access::READ), access.contains(Access::WRITE)) {
        (false, false) => b'n',
        (true, false) => b'r',
        (false, true) => b'w',
        (true, true) => b'b',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(access: Access, life: u32) -> Entry {
        Entry { access, domid: DomId(life as u16), life: Life(life) }
    }

    const GUEST: Caller = Caller { domid: DomId(5), life: Life(5), target: Life::NONE };

    #[test]
    fn those_that_ended_before_keep_their_distance() {
        let rows = [
            (7, 7, Some(0)),
            (2, 9, Some(7)),
            (1, 0x1_0000, Some(u16::MAX)),
            (1, 0x1_0001, None),
            (8, 7, None),
        ];
        for (life, later, before) in rows {
            assert_eq!(Life(life).before(Life(later)), before, "{life} {later}");
        }
        for before in [0, 1, u16::MAX] {
            let ended = Life::ended(before);
            assert!(ended.0 > Life::PRIVILEGED.0 && ended.0 <= Life::ENDED.0, "{before}");
            assert_eq!(ended.before(Life::ENDED), Some(before));
        }
    }

    #[test]
    fn first_match_wins() {
        let (none, read, both) = (Access::empty(), Access::READ, Access::READ | Access::WRITE);
        let rows: [(&[Entry], Access); 6] = [
            (&[entry(none, 5)], Access::all()),
            (&[entry(read, 9)], read),
            (&[entry(read, 9), entry(none, 5)], none),
            (&[entry(none, 9), entry(none, 5), entry(read, 5)], none),
            (&[entry(none, 9), entry(read, 0), entry(both, 5)], both),
            (&[entry(none, 9), Entry { life: Life::ANY, ..entry(read, 7) }], read),
        ];
        for (list, granted) in rows {
            assert_eq!(GUEST.access(list.iter().copied()), granted, "{list:?}");
        }
        let target = Caller { target: Life(9), ..GUEST };
        assert_eq!(target.access([entry(none, 9)].into_iter()), Access::all());
        let privileged = Caller { life: Life::PRIVILEGED, ..GUEST };
        assert_eq!(privileged.access(core::iter::empty()), Access::all());
    }

    #[test]
    fn spelling() {
        assert_eq!(parse(b"b0x1f"), Ok((Access::READ | Access::WRITE, DomId(31))));
        assert_eq!(parse(b"r010"), Ok((Access::READ, DomId(8))));
        assert_eq!(parse(b"n0"), Ok((Access::empty(), DomId(0))));
        assert_eq!(parse(b"w0Xffff"), Ok((Access::WRITE, DomId(u16::MAX))));
        assert_eq!(parse(b"r65535"), Ok((Access::READ, DomId(u16::MAX))));
        for bad in [
            &b""[..],
            b"r",
            b"x5",
            b"r5x",
            b"5",
            b"r+5",
            b"r-1",
            b"r65536",
            b"r0x",
            b"r08",
            b"r0xg",
            b"r5a",
            b"r0x10000",
            b"r\xff",
        ] {
            assert_eq!(parse(bad), Err(XsError::EINVAL), "{}", bad.escape_ascii());
        }
        assert_eq!(Entry::from_bytes(entry(Access::WRITE, 77).to_bytes()), entry(Access::WRITE, 77));
        assert_eq!(letter(Access::WRITE), b'w');
    }
}
