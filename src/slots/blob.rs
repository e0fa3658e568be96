//! Byte strings of any length up to a page, in chains of fixed-size chunks.
//!
//! A blob never changes once written: a new value is a new blob, and the old one is freed. So blobs need
//! no undo beyond the arena's own.

use super::arena::{Arena, Full, Slot};
use super::attempt::Attempt;
use super::id::Id;

/// Payload bytes of a chunk: the paths that a device's nodes have as values fit one, and an identifier of 36 bytes.
pub const CHUNK: usize = 40;

#[derive(Clone, Copy)]
pub struct Chunk {
    bytes: [u8; CHUNK],
    next: Option<Id<Chunk>>,
}

impl Slot for Chunk {
    /// The names of all nodes on a path, or of a few that a commit makes, and a few values of full length.
    const TAKEN: usize = 1536;
    const EMPTY: Chunk = Chunk { bytes: [0; CHUNK], next: None };
}

/// Handle of a byte string. Whoever stores the handle owns the string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blob {
    first: Option<Id<Chunk>>,
    len: u32,
}

impl Blob {
    pub const EMPTY: Blob = Blob { first: None, len: 0 };

    pub fn len(self) -> usize {
        self.len as usize
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Bytes of a packed handle.
    pub const PACKED: usize = 6;

    /// The handle in fewer bytes. None if the blob is longer than a page.
    pub(super) fn pack(self) -> Option<[u8; Blob::PACKED]> {
        let len = u16::try_from(self.len).ok()?;
        let packed = u64::from(len) << u32::BITS | u64::from(self.first.map_or(0, Id::number));
        packed.to_le_bytes().first_chunk().copied()
    }

    /// The blob of a packed handle.
    pub(super) fn unpack([a, b, c, d, e, f]: [u8; Blob::PACKED]) -> Blob {
        let first = Id::numbered(u32::from_le_bytes([a, b, c, d]));
        Blob { first, len: u32::from(u16::from_le_bytes([e, f])) }
    }

    /// A blob of the first `len` bytes that lie in its chunks, `stored` in all. Freeing either frees all of them.
    pub fn first_bytes(self, stored: usize, len: usize) -> Option<Blob> {
        (len <= stored).then_some(Blob { len: len as u32, ..self })
    }

    /// Bytes of memory that a chunk takes in its arena.
    pub const CHUNK_MEMORY: u32 = Arena::<Chunk>::bytes(1, 0, 0) as u32;

    /// Chunks that a blob of `len` bytes takes, below 2³¹ of them: by one division, where `div_ceil` also asks for the rest.
    pub const fn chunks(len: usize) -> u32 {
        const LAST: u32 = CHUNK as u32 - 1;
        (len as u32 + LAST) / CHUNK as u32
    }

    /// Bytes of memory that a blob of `len` bytes takes.
    pub const fn memory(len: usize) -> u32 {
        Self::chunks(len) * Self::CHUNK_MEMORY
    }
}

pub struct Blobs {
    chunks: Arena<Chunk>,
}

impl Blobs {
    /// Chunks that an attempt may change: the last ones of what is appended to.
    const JOURNAL: usize = 8;

    /// Room for `capacity` chunks, of which an attempt may free `freed`.
    pub fn new(attempt: &Attempt, capacity: usize, freed: usize) -> Self {
        Blobs { chunks: Arena::new(attempt, capacity, Self::JOURNAL, freed) }
    }

    /// Bytes of memory for so many chunks.
    pub const fn bytes(capacity: usize, freed: usize) -> usize {
        Arena::<Chunk>::bytes(capacity, Self::JOURNAL, freed)
    }

    pub fn arena(&self) -> &Arena<Chunk> {
        &self.chunks
    }

    /// Either stores all of `bytes` or, on `Full`, nothing.
    pub fn store(&mut self, bytes: &[u8]) -> Result<Blob, Full> {
        if self.chunks.available() < Blob::chunks(bytes.len()) {
            return Err(Full);
        }
        // Last piece first, so that each can link to the next.
        let mut next = None;
        let (whole, tail) = bytes.as_chunks::<CHUNK>();
        if !tail.is_empty() {
            let mut chunk = Chunk::EMPTY;
            if let Some(place) = chunk.bytes.get_mut(..tail.len()) {
                place.copy_from_slice(tail);
            }
            next = Some(self.chunks.alloc(chunk)?);
        }
        for bytes in whole.iter().rev() {
            next = Some(self.chunks.alloc(Chunk { bytes: *bytes, next })?);
        }
        Ok(Blob { first: next, len: bytes.len() as u32 })
    }

    /// As `store`, but the handle is packed.
    #[inline(never)] // One function for texts of all kinds.
    pub(super) fn store_packed(&mut self, bytes: &[u8]) -> Result<[u8; Blob::PACKED], Full> {
        self.store(bytes)?.pack().ok_or(Full)
    }

    /// As `store_packed`, outside attempts.
    #[inline(always)] // Of each node that a state has: mostly it takes one chunk that was never used.
    pub(super) fn store_fresh(&mut self, bytes: &[u8]) -> Result<[u8; Blob::PACKED], Full> {
        let mut chunk = Chunk::EMPTY;
        if let Some(place) = chunk.bytes.get_mut(..bytes.len())
            && let Ok(id) = self.chunks.fresh_id()
        {
            place.copy_from_slice(bytes);
            self.chunks.push_fresh(chunk);
            return Blob { first: Some(id), len: bytes.len() as u32 }.pack().ok_or(Full);
        }
        self.store_packed(bytes)
    }

    /// See [`Arena::count_fresh`].
    pub fn count_fresh(&mut self) {
        self.chunks.count_fresh();
    }

    /// Appends to a blob, in an attempt.
    pub fn extend(&mut self, blob: &mut Blob, bytes: &[u8]) -> Result<(), Full> {
        let fill = blob.len() % CHUNK;
        let (head, tail) = bytes.split_at(bytes.len().min((CHUNK - fill) % CHUNK));
        let more = self.store(if fill == 0 { bytes } else { tail })?;
        let mut last = None;
        let mut next = blob.first;
        while let Some(id) = next {
            last = next;
            next = self.chunks.get(id).next;
        }
        match last {
            None => blob.first = more.first,
            Some(last) => {
                let chunk = self.chunks.modify(last)?;
                chunk.next = more.first;
                if fill > 0
                    && let Some(place) = chunk.bytes.get_mut(fill..fill + head.len())
                {
                    place.copy_from_slice(head);
                }
            }
        }
        blob.len += bytes.len() as u32;
        Ok(())
    }

    /// A second blob with the same bytes.
    pub fn duplicate(&mut self, blob: Blob) -> Result<Blob, Full> {
        if self.chunks.available() < Blob::chunks(blob.len()) {
            return Err(Full);
        }
        let mut copy = Blob { first: None, len: blob.len };
        let mut last: Option<Id<Chunk>> = None;
        let mut next = blob.first;
        while let Some(id) = next {
            let chunk = *self.chunks.get(id);
            next = chunk.next;
            let new = self.chunks.alloc(Chunk { next: None, ..chunk })?;
            match last {
                Some(last) => self.chunks.modify(last)?.next = Some(new),
                None => copy.first = Some(new),
            }
            last = Some(new);
        }
        Ok(copy)
    }

    pub fn free(&mut self, blob: Blob) -> Result<(), Full> {
        let mut next = blob.first;
        while let Some(id) = next {
            next = self.chunks.get(id).next;
            self.chunks.free(id)?;
        }
        Ok(())
    }

    /// The bytes in one piece, in `buf`, which must have room.
    #[inline(never)]
    pub fn gather<'a, const M: usize>(&self, blob: Blob, buf: &'a mut heapless::Vec<u8, M>) -> &'a [u8] {
        buf.clear();
        let fits = self.pieces(blob).try_for_each(|piece| buf.extend_from_slice(piece));
        debug_assert!(fits.is_ok(), "the buffer is smaller than the blob");
        buf
    }

    /// The pieces of a blob, in order.
    pub fn pieces(&self, blob: Blob) -> impl Iterator<Item = &[u8]> {
        let mut next = blob.first;
        let mut left = blob.len();
        core::iter::from_fn(move || {
            let chunk = self.chunks.get(next?);
            next = chunk.next;
            let take = left.min(CHUNK);
            left -= take;
            chunk.bytes.get(..take)
        })
    }

    /// The chunk of a blob that has one.
    #[inline(always)] // So that it is copied without a call.
    pub(super) fn only_chunk(&self, blob: Blob) -> Option<&[u8; CHUNK]> {
        let first = blob.first.filter(|_| blob.len() <= CHUNK)?;
        Some(&self.chunks.get(first).bytes)
    }

    /// The chunks of a blob from the one with the byte at `start` on, as a blob.
    pub fn chunks_from(&self, blob: Blob, start: usize) -> Blob {
        let mut rest = blob;
        for _ in 0..start / CHUNK {
            rest.first = rest.first.and_then(|id| self.chunks.get(id).next);
            rest.len = rest.len.saturating_sub(CHUNK as u32);
        }
        rest
    }

    /// Whether the blob holds exactly `bytes`.
    #[inline(never)] // Most strings are short.
    pub fn equals(&self, blob: Blob, bytes: &[u8]) -> bool {
        if blob.len() != bytes.len() {
            return false;
        }
        let mut rest = bytes;
        self.pieces(blob).all(|piece| match rest.split_at_checked(piece.len()) {
            Some((head, tail)) => {
                rest = tail;
                head == piece
            }
            None => false,
        })
    }

    /// A blob of the first bytes that lie in another's chunks, `stored` in all, if those are `bytes`. Freeing either
    /// frees all of them.
    pub fn beginning(&self, blob: Blob, stored: usize, bytes: &[u8]) -> Option<Blob> {
        blob.first_bytes(stored, bytes.len()).filter(|beginning| self.equals(*beginning, bytes))
    }

    pub fn commit(&mut self) {
        self.chunks.commit();
    }

    pub fn rollback(&mut self) {
        self.chunks.rollback();
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Claim;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_last_chunk_need_not_be_full() {
        for (len, chunks) in
            [(0, 0), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (65_535, 1639), (1 << 31, 53_687_092)]
        {
            assert_eq!(Blob::chunks(len), chunks, "{len}");
        }
    }

    #[test]
    fn a_handle_of_few_bytes_is_of_a_blob_of_few_bytes() {
        for (len, fits) in [(0, true), (65_535, true), (65_536, false), (u32::MAX, false)] {
            let packed = Blob { first: None, len }.pack();
            assert_eq!(packed.map(Blob::unpack), fits.then_some(Blob { first: None, len }), "{len}");
        }
    }

    #[test]
    fn pieces_of_any_length_make_one_blob() {
        for step in [1, 7, 39, 40, 41, 79, 80, 200] {
            let attempt = Attempt::new();
            let mut blobs = Blobs::new(&attempt, 16, 16);
            let text: Vec<u8> = (0..500).map(|n| n as u8).collect();
            let mut blob = Blob::EMPTY;
            for piece in text.chunks(step) {
                attempt.begin(Claim::Answer);
                blobs.extend(&mut blob, piece).unwrap();
                blobs.commit();
                attempt.end();
            }
            assert!(blobs.equals(blob, &text), "{step}");
            assert_eq!(blobs.arena().used() as usize, text.len().div_ceil(CHUNK));
            let mut more = blob;
            attempt.begin(Claim::Answer);
            assert_eq!(blobs.extend(&mut more, &[0; 600]), Err(Full));
            blobs.rollback();
            attempt.end();
            assert!(blobs.equals(blob, &text));
            attempt.begin(Claim::Answer);
            blobs.free(blob).unwrap();
            blobs.commit();
            attempt.end();
            assert_eq!(blobs.arena().used(), 0);
        }
    }
    #[test]
    fn equal_is_what_is_as_long() {
        let mut blobs = Blobs::new(&Attempt::new(), 16, 16);
        let text = [7; 200];
        for len in [0, 1, 39, 40, 41, 80, 199] {
            let blob = blobs.store(&text[..len]).unwrap();
            assert!(blobs.equals(blob, &text[..len]));
            for other in [len.saturating_sub(1), len + 1, len + CHUNK, 200] {
                let bytes = &text[..other.min(200)];
                assert_eq!(blobs.equals(blob, bytes), bytes.len() == len, "{len} and {other}");
                let beginning = blobs.beginning(blob, len, bytes);
                assert_eq!(beginning.map(Blob::len), (bytes.len() <= len).then_some(bytes.len()));
            }
            free(&mut blobs, blob);
        }
    }

    fn free(blobs: &mut Blobs, blob: Blob) {
        let attempt = blobs.arena().attempt().clone();
        attempt.begin(Claim::Answer);
        blobs.free(blob).unwrap();
        blobs.commit();
        attempt.end();
    }
}
