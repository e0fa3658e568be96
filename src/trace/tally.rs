//! Sums over all requests of one message type, or of one domain.

use crate::wire::{MessageType, XsError};

/// Tallies by message type. The last is for all unknown types, and for what no request caused.
pub const TYPES: usize = MessageType::END + 1;

// A waiting message has the place of its type in one byte.
const _: () = assert!(TYPES <= 256);

/// The place of a message type, as sent, among the tallies.
pub fn type_index(msg_type: u32) -> usize {
    (msg_type as usize).min(TYPES - 1)
}

/// Steps of a [`Tally`]'s histogram.
pub const STEPS: usize = 16;

/// The first step's upper end, cycles, as a power of two. Each further step ends at twice the one before; the
/// last has no end.
pub const FIRST_STEP: u32 = 11;

/// All numbers wrap, bytes and cycles at 2⁶⁴, the others at 2³².
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Bytes of the requests' payloads.
    pub received: u64,
    /// Bytes of the answers' payloads.
    pub sent: u64,
    /// Cycles spent, see [`super::Kind::Ended`].
    pub cycles: u64,
    /// Requests by the cycles that each took.
    pub times: [u32; STEPS],
    /// Requests that failed, in the order of [`XsError::ALL`].
    pub errors: [u32; XsError::ALL.len()],
    /// Watch events: for a type those that its requests caused, for a domain those for it. Equal ones that wait
    /// count once.
    pub events: u32,
    /// Those of `events` that the domain never gets: there was no room, they waited too long, or its session ended.
    pub dropped: u32,
    /// Transactions that ended in EAGAIN.
    pub conflicts: u32,
    /// Requests that a quota or a lack of room refused.
    pub refused: u32,
    /// How often the domain had to wait. Always 0 for a type.
    pub stalls: u32,
    /// Requests of the domain that no event has told of. Always 0 for a type.
    pub missed: u32,
    /// Milliseconds for which the domain's requests waited because it was beyond its budget. Always 0 for a type.
    pub throttled: u32,
}

impl Tally {
    pub const EMPTY: Tally = Tally {
        received: 0,
        sent: 0,
        cycles: 0,
        times: [0; STEPS],
        errors: [0; XsError::ALL.len()],
        events: 0,
        dropped: 0,
        conflicts: 0,
        refused: 0,
        stalls: 0,
        missed: 0,
        throttled: 0,
    };

    /// The place of this time among those that are counted.
    pub fn step(cycles: u32) -> usize {
        // A power of two for all short times makes the first step one as well.
        let step = (cycles | (1 << (FIRST_STEP - 1))).ilog2() - (FIRST_STEP - 1);
        (step as usize).min(STEPS - 1)
    }

    /// Counts a request that was answered after so many cycles, of this [`Tally::step`].
    #[inline(always)] // Twice in each request.
    pub fn add(&mut self, received: u32, sent: u32, cycles: u32, step: usize) {
        self.received = self.received.wrapping_add(u64::from(received));
        self.sent = self.sent.wrapping_add(u64::from(sent));
        self.cycles = self.cycles.wrapping_add(u64::from(cycles));
        if let Some(count) = self.times.get_mut(step) {
            *count = count.wrapping_add(1);
        }
    }

    /// Adds another tally's numbers.
    pub fn absorb(&mut self, other: &Tally) {
        self.received = self.received.wrapping_add(other.received);
        self.sent = self.sent.wrapping_add(other.sent);
        self.cycles = self.cycles.wrapping_add(other.cycles);
        let mut other = *other;
        for (count, more) in self.counts().zip(other.counts()) {
            *count = count.wrapping_add(*more);
        }
    }

    /// All numbers of 32 bits, in an order that does not change.
    pub fn counts(&mut self) -> impl Iterator<Item = &mut u32> {
        self.times.iter_mut().chain(&mut self.errors).chain([
            &mut self.events,
            &mut self.dropped,
            &mut self.conflicts,
            &mut self.refused,
            &mut self.stalls,
            &mut self.missed,
            &mut self.throttled,
        ])
    }

    /// Counts a failed request.
    pub fn add_error(&mut self, error: XsError) {
        if let Some(count) = self.errors.get_mut(error as usize - 1) {
            *count = count.wrapping_add(1);
        }
        self.refused = self.refused.wrapping_add(u32::from(error.is_refusal()));
    }

    /// Requests answered.
    pub fn requests(&self) -> u32 {
        self.times.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Requests that failed, by error.
    pub fn failures(&self) -> impl Iterator<Item = (XsError, u32)> {
        XsError::ALL.into_iter().zip(self.errors).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_to_their_step() {
        let mut tally = Tally::EMPTY;
        for cycles in [0, 2047, 2048, 4095, 4096, u32::MAX] {
            tally.add(1, 2, cycles, Tally::step(cycles));
        }
        assert_eq!(tally.times[..3], [2, 2, 1]);
        assert_eq!(tally.times[STEPS - 1], 1);
        assert_eq!((tally.requests(), tally.received, tally.sent), (6, 6, 12));
    }

    #[test]
    fn every_type_is_counted_apart_and_none_with_the_unknown() {
        let mut known: std::vec::Vec<_> =
            MessageType::ALL.iter().map(|known| type_index(*known as u32)).collect();
        known.dedup();
        assert_eq!(known.len(), MessageType::ALL.len());
        assert!(known.iter().all(|index| *index < TYPES - 1));
        for unknown in [MessageType::END as u32, u32::MAX] {
            assert_eq!(type_index(unknown), TYPES - 1);
        }
    }

    #[test]
    fn errors_are_at_their_number() {
        for error in XsError::ALL {
            let mut tally = Tally::EMPTY;
            tally.add_error(error);
            assert_eq!(tally.failures().collect::<std::vec::Vec<_>>(), [(error, 1)]);
        }
    }
}
