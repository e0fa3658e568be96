//! Shares: what each guest may take of each arena, so that no number of guests together takes from another what it
//! needs.
//!
//! What an introduced guest lacks of an ordinary guest's need is promised to it: others leave so many slots. Within its
//! need a guest is refused only where not all promises can be kept, because there are more guests than the arena has room
//! for, and then who holds n leaves n. Beyond its need, one of k guests that are beyond theirs and that holds n leaves
//! k times n beside the promises. So, one after the other or all at once, k guests that take all they get leave each
//! other one at least a (k+1)th of what there is to share: the first a half, the second two thirds of that, and so on.
//!
//! Guests may come when others have taken all that they can. So who holds more than half of an ordinary guest's need leaves
//! such a half for each of [`TO_COME`] guests. It is what a recorded life takes, and newcomers may have that much of it each.
//!
//! Whose a slot is: a node and a permission list are their owner's, and a chunk is that of whatever lies in it. A message
//! is its receiver's, but one for the privileged is that of the guest whose request has caused it, if there is one: of
//! those, who holds n leaves n more.

use super::holdings::Usage;
use crate::slots::{Claim, Room};

/// What guests take slots of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    Nodes,
    Chunks,
    /// Permission lists.
    Acls,
    /// A watched path has as many watches at least, so it needs no count of its own.
    Watches,
    Transactions,
    /// Nodes that transactions have touched.
    Copies,
    /// A cause has as many messages at least, so it needs no count of its own.
    Messages,
}

impl Share {
    pub const ALL: [Share; 7] = [
        Share::Nodes,
        Share::Chunks,
        Share::Acls,
        Share::Watches,
        Share::Transactions,
        Share::Copies,
        Share::Messages,
    ];

    /// Slots that an ordinary guest needs at once for its start, its devices' transactions and its end: at least twice what
    /// recorded lives have, as `tests/library/shares.rs` finds, and room for a long answer and some events to wait.
    pub const fn need(self) -> u32 {
        match self {
            Share::Nodes => 96,
            Share::Chunks => 96,
            Share::Acls => 8,
            Share::Watches => 24,
            Share::Transactions => 3,
            Share::Copies => 24,
            Share::Messages => 16,
        }
    }
}

/// Guests for which there is room when they come, whatever those take that are there before.
const TO_COME: u32 = 64;

/// Of one kind, what all introduced guests together come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Promise {
    /// The sum of what they lack.
    pub slots: u32,
    /// How many of them hold more than they need.
    pub beyond: u32,
}

impl Promise {
    /// One guest's part of it.
    #[inline(never)]
    pub fn to(usage: &Usage, kind: Share) -> Promise {
        if usage.promised { Promise::of(usage.held(kind), kind.need()) } else { Promise::default() }
    }

    /// The part of a guest that holds so much of what it needs.
    #[inline(always)]
    fn of(held: u32, need: u32) -> Promise {
        Promise { slots: need.saturating_sub(held), beyond: u32::from(held > need) }
    }

    /// With one guest's part changed.
    pub fn shifted(self, old: Promise, new: Promise) -> Promise {
        Promise {
            slots: self.slots.wrapping_sub(old.slots).wrapping_add(new.slots),
            beyond: self.beyond.wrapping_sub(old.beyond).wrapping_add(new.beyond),
        }
    }
}

/// Of each kind.
pub type Promises = [Promise; Share::ALL.len()];

macro_rules! slots {
    ($kind:ident, $($of:tt)*) => {
        match $kind {
            Share::Nodes => $($of)*.nodes,
            Share::Chunks => $($of)*.chunks,
            Share::Acls => $($of)*.acls,
            Share::Watches => $($of)*.watches,
            Share::Transactions => $($of)*.tx_slots,
            Share::Copies => $($of)*.copies,
            Share::Messages => $($of)*.messages,
        }
    };
}

impl Usage {
    /// How many slots of a kind it counts.
    #[inline(never)] // As the next three: who counts and who asks would each have a jump table of its own.
    pub fn held(&self, kind: Share) -> u32 {
        slots!(kind, self)
    }

    /// What a guest that holds this comes to of each kind if that is promised to it.
    pub(super) fn lacks(&self) -> Promises {
        // One after the other, for which no kind has to be told from the others.
        const NEEDS: [u32; Share::ALL.len()] = {
            let (mut needs, mut n) = ([0; Share::ALL.len()], 0);
            while n < needs.len() {
                needs[n] = Share::ALL[n].need();
                n += 1;
            }
            needs
        };
        let Usage { nodes, chunks, acls, watches, tx_slots, copies, messages, .. } = *self;
        let mut held = [nodes, chunks, acls, watches, tx_slots, copies, messages].into_iter();
        NEEDS.map(|need| Promise::of(held.next().unwrap_or(0), need))
    }

    #[inline(never)]
    pub(super) fn place(&mut self, kind: Share) -> &mut u32 {
        slots!(kind, &mut self)
    }
}

/// How many slots of a kind are left beyond what a guest must leave that has `held` of them, where so many are promised to
/// others and there is so much room after it. None if it may not have so many.
#[inline(never)]
pub fn spare(claim: Claim, kind: Share, held: u32, others: Promise, room: Room) -> Option<u32> {
    let Room { capacity, free } = room;
    let (need, kept) = (kind.need(), claim.kept(capacity));
    let mut to_come = 0;
    if claim == Claim::Guest && held > need / 2 {
        to_come = (TO_COME * (need / 2)).max(capacity / 12).min(capacity / 4);
    }
    // The privileged read: what they are told needs no part for each guest.
    let parts = if claim == Claim::News { 1 } else { others.beyond.saturating_add(1) };
    let left = match held <= need {
        true => others.slots.min(held),
        false => held.saturating_mul(parts).saturating_add(others.slots),
    };
    free.checked_sub(kept + to_come)?.checked_sub(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacked_of_all_kinds_is_what_is_lacked_of_each() {
        let mut usage = Usage { promised: true, ..Usage::NOTHING };
        for (n, kind) in (1..).zip(Share::ALL) {
            // Of every second kind more than it needs.
            *usage.place(kind) = n + (n % 2) * kind.need();
        }
        assert_eq!(usage.lacks(), Share::ALL.map(|kind| Promise::to(&usage, kind)));
    }

    #[test]
    fn who_holds_just_what_it_needs_lacks_nothing_and_is_not_beyond_it() {
        assert_eq!(Promise::of(95, 96), Promise { slots: 1, beyond: 0 });
        assert_eq!(Promise::of(96, 96), Promise { slots: 0, beyond: 0 });
        assert_eq!(Promise::of(97, 96), Promise { slots: 0, beyond: 1 });
    }

    #[test]
    fn what_is_left_for_others_grows_with_what_is_held() {
        let few = Promise { slots: 10, beyond: 5 };
        let many = Promise { slots: 10_000, beyond: 5 };
        // Of 12,800 slots, 600 are kept for answers and for the privileged, and 64 times 48 for those to come.
        for (held, others, leaves) in [
            (48, few, 600 + 10),
            (48, many, 600 + 48),
            (49, few, 600 + 3072 + 10),
            (96, many, 600 + 3072 + 96),
            (97, few, 600 + 3072 + 6 * 97 + 10),
            (97, many, 600 + 3072 + 6 * 97 + 10_000),
        ] {
            let left =
                |free| spare(Claim::Guest, Share::Nodes, held, others, Room { capacity: 12_800, free });
            assert_eq!(
                (left(leaves - 1), left(leaves), left(leaves + 7)),
                (None, Some(0), Some(7)),
                "{held}"
            );
        }
    }

    #[test]
    fn those_to_come_have_a_twelfth_or_their_need_but_a_fourth_at_most() {
        for (capacity, to_come) in [(6400, 1600), (12_800, 3072), (64_000, 5333)] {
            let room = Room { capacity, free: capacity };
            let of = |held| spare(Claim::Guest, Share::Nodes, held, Promise::default(), room);
            assert_eq!((of(48), of(49)), (Some(capacity / 64 * 61), Some(capacity / 64 * 61 - to_come)));
        }
    }

    #[test]
    fn what_the_privileged_are_told_needs_no_part_for_each_guest_nor_for_those_to_come() {
        let (others, room) = (Promise { slots: 10, beyond: 5 }, Room { capacity: 12_800, free: 1000 });
        assert_eq!(spare(Claim::News, Share::Messages, 97, others, room), Some(1000 - 400 - 97 - 10));
    }
}
