//! One ring page, both directions. xenstore-ring.txt; io/xs_wire.h.
//!
//! All indexes are loaded from the page each time, ours included, because guests reset the ring by zeroing them all.
//! Invariant: each load is checked, and only the checked copy is used. A guest that changes an index meanwhile harms
//! its own connection only.

use core::ops::Deref;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU64, fence};

use crate::abi::{RING_SIZE, RingError, RingPage};

/// Bytes that are looked at first. Most messages are no longer.
pub const BEGINNING: usize = 80;

/// What the guest has written and the server has not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Input {
    cons: u32,
    /// Bytes, at most `RING_SIZE`.
    pub len: u32,
}

/// Room for the server's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Output {
    prod: u32,
    /// Bytes, at most `RING_SIZE`.
    pub room: u32,
}

/// Looks at the request direction.
pub fn input(page: &RingPage) -> Result<Input, RingError> {
    let cons = page.req_cons.load(Relaxed);
    let len = page.req_prod.load(Acquire).wrapping_sub(cons);
    if len > RING_SIZE { Err(RingError::RingIdx) } else { Ok(Input { cons, len }) }
}

/// Whether there is something in the request direction, or something wrong with it.
pub fn has_input(page: &RingPage) -> bool {
    page.req_prod.load(Acquire) != page.req_cons.load(Relaxed)
}

impl Input {
    /// The input of an empty ring.
    pub const NOTHING: Input = Input { cons: 0, len: 0 };

    /// Where it begins. If two looks find the same, nothing has been taken between them.
    pub fn position(&self) -> u32 {
        self.cons
    }

    /// Copies the first bytes; what lies beyond `len` is garbage.
    #[inline(always)] // The beginning of every request.
    pub fn begin(&self, page: &RingPage, out: &mut [u8; BEGINNING]) {
        load_beginning(&page.req, self.cons, out);
    }

    /// Copies the bytes from `offset` on, which most requests do not have; what lies beyond `len` is garbage.
    #[inline(never)]
    pub fn copy_rest(&self, page: &RingPage, offset: u32, out: &mut [u8]) {
        load(&page.req, self.cons.wrapping_add(offset), out);
    }

    /// Gives the first `count` bytes back to the guest. True if there are more.
    ///
    /// A guest notifies only if it finds its ring empty, so whoever consumes must look again; the fence keeps
    /// that look from being done early.
    pub fn consume(&self, page: &RingPage, count: u32) -> bool {
        let cons = self.give_back(page, count);
        fence(SeqCst);
        page.req_prod.load(Relaxed) != cons
    }

    /// The same for whoever publishes an answer before it looks again: that has a fence, too. Returns our index.
    pub fn give_back(&self, page: &RingPage, count: u32) -> u32 {
        let cons = self.cons.wrapping_add(count);
        page.req_cons.store(cons, Release);
        cons
    }
}

/// How long a server waits for the rest of a message: by what that has gained lately.
///
/// Who shares its processor with the guests gains nothing: the guest goes on only when the server sleeps.
#[derive(Default)]
pub struct Patience {
    /// Waits in vain since the last that was not.
    vain: u32,
}

impl Patience {
    /// Looks until a store that another processor has made must show, some hundreds of nanoseconds.
    const LEAST: usize = 20;

    /// Looks in which a guest on another processor writes the rest, once it has announced the beginning.
    const MOST: usize = 100;

    /// Waits in vain after which it is the least, but one in so many again: guests may have another processor by now.
    const TRIES: u32 = 8;
    const TRIES_APART: u32 = 64;

    /// Waits until an index that the guest has written must show, or longer. True if there is something to be taken, at
    /// once then.
    ///
    /// A guest notifies only if it finds its ring empty. Linux looks before its own index is visible to others, so it
    /// may still find there what has just been consumed, and keep silent about what does not show here yet. So
    /// whoever has consumed must wait, here or in a hypercall, and look again before it sleeps.
    pub fn settle(&mut self, ring: &impl Deref<Target = RingPage>) -> bool {
        let is_long = self.vain < Self::TRIES || self.vain.is_multiple_of(Self::TRIES_APART);
        let found = (0..if is_long { Self::MOST } else { Self::LEAST }).any(|_| {
            core::hint::spin_loop();
            input(ring).is_ok_and(|input| input.len > 0)
        });
        self.vain = if found { 0 } else { self.vain.wrapping_add(1) };
        found
    }
}

/// Looks at the response direction.
pub fn output(page: &RingPage) -> Result<Output, RingError> {
    let prod = page.rsp_prod.load(Relaxed);
    let used = prod.wrapping_sub(page.rsp_cons.load(Acquire));
    match RING_SIZE.checked_sub(used) {
        Some(room) => Ok(Output { prod, room }),
        None => Err(RingError::RingIdx),
    }
}

impl Output {
    /// Writes as much of `bytes` as there is room for. Returns how much that was.
    pub fn put(&mut self, page: &RingPage, bytes: &[u8]) -> usize {
        let (now, _) = bytes.split_at(bytes.len().min(self.room as usize));
        store(&page.rsp, self.prod, now);
        self.prod = self.prod.wrapping_add(now.len() as u32);
        self.room -= now.len() as u32;
        now.len()
    }

    /// Writes and publishes a message for which there is room.
    #[inline(always)] // The end of every request.
    pub fn publish_whole(self, page: &RingPage, message: &[u8]) {
        debug_assert!(message.len() <= self.room as usize, "the room is the caller's to look at");
        store(&page.rsp, self.prod, message);
        Output { prod: self.prod.wrapping_add(message.len() as u32), ..self }.publish(page);
    }

    /// Publishes what was written to the guest.
    ///
    /// A guest notifies only if it finds its ring full, so whoever fills it must look again; the fence keeps
    /// that look from being done early.
    pub fn publish(&self, page: &RingPage) {
        page.rsp_prod.store(self.prod, Release);
        fence(SeqCst);
    }
}

/// Empties both directions.
pub fn reset(page: &RingPage) {
    for index in [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod] {
        index.store(0, Release);
    }
}

/// The other end: what a guest does with its ring, for clients that share memory with the server.
pub mod guest {
    use super::{Acquire, Relaxed, Release, RingPage, SeqCst, fence, load, store};
    use crate::abi::RING_SIZE;

    /// Writes as much of `bytes` into the ring as there is room for. Returns how much that was; 0 also if the server's
    /// index is out of range.
    pub fn write(page: &RingPage, bytes: &[u8]) -> usize {
        let prod = page.req_prod.load(Relaxed);
        let used = prod.wrapping_sub(page.req_cons.load(Acquire));
        let room = RING_SIZE.saturating_sub(used) as usize;
        let (now, _) = bytes.split_at(bytes.len().min(room));
        store(&page.req, prod, now);
        page.req_prod.store(prod.wrapping_add(now.len() as u32), Release);
        fence(SeqCst);
        now.len()
    }

    /// Takes as much out of the ring as there is and `out` has room for. Returns how much that was.
    pub fn read(page: &RingPage, out: &mut [u8]) -> usize {
        let cons = page.rsp_cons.load(Relaxed);
        let len = page.rsp_prod.load(Acquire).wrapping_sub(cons).min(RING_SIZE) as usize;
        let len = len.min(out.len());
        let (now, _) = out.split_at_mut(len);
        load(&page.rsp, cons, now);
        page.rsp_cons.store(cons.wrapping_add(len as u32), Release);
        fence(SeqCst);
        len
    }

    /// Bytes of answers and events that wait.
    pub fn waiting(page: &RingPage) -> usize {
        page.rsp_prod.load(Acquire).wrapping_sub(page.rsp_cons.load(Relaxed)).min(RING_SIZE) as usize
    }
}

type Buffer = [AtomicU64; RING_SIZE as usize / 8];

fn word(buffer: &Buffer, index: usize) -> &AtomicU64 {
    &buffer[index % buffer.len()]
}

/// A position as word and bit.
fn split(position: u32) -> (usize, u32) {
    ((position / 8) as usize, position % 8 * 8)
}

/// The 8 bytes at any position.
fn load_word(buffer: &Buffer, position: u32) -> [u8; 8] {
    let (index, shift) = split(position);
    let (low, high) = (word(buffer, index).load(Relaxed), word(buffer, index + 1).load(Relaxed));
    join(low, high, shift).to_le_bytes()
}

/// The word that begins at this bit of the first.
fn join(low: u64, high: u64, shift: u32) -> u64 {
    // In two steps, because a shift by 64 would be none.
    low >> shift | (high << 1) << (63 - shift)
}

/// Bytes of whole words in a message's beginning, behind what is left of the first word, whatever the position.
const MIDDLE: usize = BEGINNING - 8;

/// As `load`, where the length is known beforehand, so that no loop has to find out how often it goes.
#[inline(always)] // The beginning of every request.
fn load_beginning(buffer: &Buffer, position: u32, out: &mut [u8; BEGINNING]) {
    let (index, shift) = split(position);
    let index = index % buffer.len();
    if let Some(words) = buffer.get(index..).and_then(<[AtomicU64]>::first_chunk) {
        return load_straight(words, shift, out);
    }
    // The excess bytes that each of these writes are overwritten with the right ones.
    if let Some(first) = out.first_chunk_mut() {
        *first = (word(buffer, index).load(Relaxed) >> shift).to_le_bytes();
    }
    let behind = out.get_mut(8 - shift as usize / 8..).and_then(<[u8]>::first_chunk_mut::<MIDDLE>);
    if let Some(middle) = behind {
        for (to, index) in middle.as_chunks_mut().0.iter_mut().zip(index + 1..) {
            *to = word(buffer, index).load(Relaxed).to_le_bytes();
        }
    }
    if let Some(end) = out.last_chunk_mut() {
        *end = load_word(buffer, position.wrapping_add(MIDDLE as u32));
    }
}

/// The same of words that lie one behind the other, from this bit of the first on.
#[inline(always)] // Its only use.
fn load_straight(words: &[AtomicU64; BEGINNING / 8 + 1], shift: u32, out: &mut [u8; BEGINNING]) {
    let mut words = words.iter().map(|word| word.load(Relaxed));
    // As there.
    if let (Some(word), Some(first)) = (words.next(), out.first_chunk_mut()) {
        *first = (word >> shift).to_le_bytes();
    }
    let mut last = 0;
    let behind = out.get_mut(8 - shift as usize / 8..).and_then(<[u8]>::first_chunk_mut::<MIDDLE>);
    if let Some(middle) = behind {
        for (to, word) in middle.as_chunks_mut().0.iter_mut().zip(&mut words) {
            last = word;
            *to = word.to_le_bytes();
        }
    }
    if let (Some(beyond), Some(end)) = (words.next(), out.last_chunk_mut()) {
        *end = join(last, beyond, shift).to_le_bytes();
    }
}

/// Copies out of a ring buffer, a word of it at a time.
fn load(buffer: &Buffer, position: u32, out: &mut [u8]) {
    let (index, shift) = split(position);
    let len = out.len();
    let Some(first) = out.first_chunk_mut() else {
        out.copy_from_slice(load_word(buffer, position).get(..len).unwrap_or_default());
        return;
    };
    // The excess bytes that this and the last word write are overwritten with the right ones.
    *first = (word(buffer, index).load(Relaxed) >> shift).to_le_bytes();
    let behind = out.get_mut(8 - shift as usize / 8..).unwrap_or_default();
    for (to, index) in behind.as_chunks_mut().0.iter_mut().zip(index + 1..) {
        *to = word(buffer, index).load(Relaxed).to_le_bytes();
    }
    if let Some(end) = out.last_chunk_mut() {
        *end = load_word(buffer, position.wrapping_add(len as u32).wrapping_sub(8));
    }
}

/// Copies into a ring buffer, a word of it at a time. Words at the edges keep the bytes that are not ours.
#[inline(never)] // Of every message.
fn store(buffer: &Buffer, position: u32, bytes: &[u8]) {
    let (mut index, shift) = split(position);
    let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return store_few(buffer, position, bytes);
    };
    let place = word(buffer, index);
    let before = place.load(Relaxed) & !(u64::MAX << shift);
    place.store(before | u64::from_le_bytes(*first) << shift, Relaxed);
    let (mut words, tail) = bytes.get(8 - shift as usize / 8..).unwrap_or_default().as_chunks();
    let mut put = |from: &[u8; 8]| {
        index += 1;
        word(buffer, index).store(u64::from_le_bytes(*from), Relaxed);
    };
    // Most messages are so short that a loop over words takes longer to begin than to go round.
    while let [a, b, c, d, rest @ ..] = words {
        [a, b, c, d].into_iter().for_each(&mut put);
        words = rest;
    }
    if let [a, b, rest @ ..] = words {
        [a, b].into_iter().for_each(&mut put);
        words = rest;
    }
    if let [last] = words {
        put(last);
    }
    if !tail.is_empty() {
        let bits = 8 * tail.len() as u32;
        let place = word(buffer, index + 1);
        let behind = place.load(Relaxed) & u64::MAX << bits;
        place.store(behind | u64::from_le_bytes(*last) >> (64 - bits), Relaxed);
    }
}

/// As `store`, for fewer bytes than a word has.
#[cold]
fn store_few(buffer: &Buffer, position: u32, bytes: &[u8]) {
    for (position, byte) in (0..).map(|n| position.wrapping_add(n)).zip(bytes) {
        let (index, shift) = split(position);
        let place = word(buffer, index);
        let others = place.load(Relaxed) & !(0xff << shift);
        place.store(others | u64::from(*byte) << shift, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use std::vec::Vec;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 7 + 1) as u8).collect()
    }

    #[test]
    fn every_offset_and_length_survives_the_wrap() {
        let page = RingPage::new();
        for start in (0..1024).step_by(3).chain([u32::MAX - 5, u32::MAX - 1023]) {
            for len in (1..=50).chain([63, 1023, 1024]) {
                page.rsp_prod.store(start, Relaxed);
                page.rsp_cons.store(start, Relaxed);
                let bytes = text(len);
                let mut out = output(&page).unwrap();
                assert_eq!(out.put(&page, &bytes), len);
                out.publish(&page);
                let mut back = vec![0; len];
                load(&page.rsp, start, &mut back);
                assert_eq!(back, bytes, "{start} {len}");
                assert_eq!(output(&page).unwrap().room, 1024 - len as u32);
                let mut first = [0; BEGINNING];
                load_beginning(&page.rsp, start, &mut first);
                let seen = len.min(BEGINNING);
                assert_eq!(first[..seen], bytes[..seen], "{start} {len}");
            }
        }
    }

    #[test]
    fn neighbours_are_left_alone() {
        let page = RingPage::new();
        store(&page.rsp, 0, &[0xee; 1024]);
        store(&page.rsp, 13, &text(5));
        let mut all = vec![0; 1024];
        load(&page.rsp, 0, &mut all);
        assert_eq!(
            (&all[..13], &all[13..18], &all[18..]),
            (&[0xee; 13][..], &text(5)[..], &[0xee; 1006][..])
        );
    }

    #[test]
    fn indexes_out_of_range() {
        let page = RingPage::new();
        for (cons, prod, len) in
            [(0, 1024, Ok(1024)), (0, 1025, Err(())), (1, 0, Err(())), (u32::MAX, 3, Ok(4))]
        {
            page.req_cons.store(cons, Relaxed);
            page.req_prod.store(prod, Relaxed);
            page.rsp_cons.store(cons, Relaxed);
            page.rsp_prod.store(prod, Relaxed);
            assert_eq!(input(&page).map(|input| input.len).map_err(|_| ()), len);
            assert_eq!(output(&page).map(|output| 1024 - output.room).map_err(|_| ()), len);
        }
    }

    /// A ring whose guest writes between the server's looks, after so many of them.
    struct Watched {
        page: RingPage,
        looks: Cell<usize>,
        written_at: Option<usize>,
    }

    impl Deref for Watched {
        type Target = RingPage;

        fn deref(&self) -> &RingPage {
            self.looks.set(self.looks.get() + 1);
            if self.written_at == Some(self.looks.get()) {
                self.page.req_prod.store(1, Relaxed);
            }
            &self.page
        }
    }

    #[test]
    fn waits_are_as_long_as_they_gain() {
        let mut patience = Patience::default();
        let mut settle = |written_at| {
            let ring = Watched { page: RingPage::new(), looks: Cell::new(0), written_at };
            (patience.settle(&ring), ring.looks.get())
        };
        for _ in 0..8 {
            assert_eq!(settle(None), (false, 100));
        }
        let sums: Vec<usize> = (0..10).map(|_| (0..64).map(|_| settle(None).1).sum()).collect();
        // One of 64 is long.
        assert_eq!(sums, [63 * 20 + 100; 10]);
        // What shows within the least is found, too, and worth waiting for again.
        assert_eq!((settle(Some(20)), settle(Some(100))), ((true, 20), (true, 100)));
        assert_eq!((settle(Some(101)), settle(Some(1))), ((false, 100), (true, 1)));
    }

    #[test]
    fn a_full_ring_takes_what_fits() {
        let page = RingPage::new();
        let mut out = output(&page).unwrap();
        assert_eq!(out.put(&page, &text(1500)), 1024);
        assert_eq!(out.put(&page, b"x"), 0);
    }
}
