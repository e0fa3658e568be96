//! A byte string: in its owner's slot if it is short, else in a blob.

use super::arena::Full;
use super::blob::{Blob, Blobs, CHUNK};
use crate::words::word;

/// Up to `N` bytes in place. Owned: whoever drops it must free it.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    /// How many bytes are in place, or [`SPILLED`]; between them numbers, see [`Text::of_number`] and [`Text::of_large`].
    tag: u8,
    /// The bytes, or the handle of the blob that has them.
    bytes: [u8; N],
}

const SPILLED: u8 = u8::MAX;

/// The first of the numbers.
const NUMBERS: u8 = 128;

impl<const N: usize> Text<N> {
    pub const EMPTY: Self = Text { tag: 0, bytes: [0; N] };

    pub fn store(blobs: &mut Blobs, bytes: &[u8]) -> Result<Self, Full> {
        match Self::inline_of(bytes) {
            Some(text) => Ok(text),
            None => Self::of_packed(blobs.store_packed(bytes)?).ok_or(Full),
        }
    }

    /// As `store`, outside attempts.
    #[inline(always)] // Of each node that a state has.
    pub fn store_fresh(blobs: &mut Blobs, bytes: &[u8]) -> Result<Self, Full> {
        match Self::inline_of(bytes) {
            Some(text) => Ok(text),
            None => Self::of_packed(blobs.store_fresh(bytes)?).ok_or(Full),
        }
    }

    /// These bytes in place, if they are short.
    #[inline(always)]
    pub fn inline_of(bytes: &[u8]) -> Option<Self> {
        const { assert!(N < NUMBERS as usize) };
        let mut inline = [0; N];
        if N < size_of::<u64>() {
            // Without a call.
            let word = word(bytes, 0).to_le_bytes();
            inline.copy_from_slice(word.get(..N).filter(|_| bytes.len() <= N)?);
        } else {
            inline.get_mut(..bytes.len())?.copy_from_slice(bytes);
        }
        Some(Text { tag: bytes.len() as u8, bytes: inline })
    }

    /// The last `len` of these bytes in place, if they are short and others come before them: without a call.
    #[inline(always)] // As above.
    pub fn inline_end_of(bytes: &[u8], len: usize) -> Option<Self> {
        let end = bytes.last_chunk::<16>().filter(|_| (1..=N).contains(&len))?;
        let text = (u128::from_le_bytes(*end) >> (8 * (16 - len))).to_le_bytes();
        Some(Text { tag: len as u8, bytes: *text.first_chunk()? })
    }

    /// A number below 127, for whoever knows what bytes it stands for: here it has none.
    pub fn of_number(number: u8) -> Option<Self> {
        let tag = NUMBERS.checked_add(number).filter(|tag| *tag != SPILLED)?;
        Some(Text { tag, bytes: [0; N] })
    }

    /// The number of such a text. One in a blob has 127, and one whose bytes are in place more.
    #[inline(always)]
    pub fn number(&self) -> u8 {
        self.tag.wrapping_sub(NUMBERS)
    }

    fn of_blob(blob: Blob) -> Option<Self> {
        Self::of_packed(blob.pack()?)
    }

    fn of_packed(blob: [u8; Blob::PACKED]) -> Option<Self> {
        let mut text = Text { tag: SPILLED, bytes: [0; N] };
        *text.bytes.first_chunk_mut()? = blob;
        Some(text)
    }

    /// The blob with the bytes, an empty one if they are in place.
    fn blob(&self) -> Blob {
        const { assert!(N >= Blob::PACKED) };
        match self.bytes.first_chunk() {
            Some(packed) if self.has_chunks() => Blob::unpack(*packed),
            _ => Blob::EMPTY,
        }
    }

    /// Another copy of the same bytes, with storage of its own.
    pub fn duplicate(self, blobs: &mut Blobs) -> Result<Self, Full> {
        match self.has_chunks() {
            false => Ok(self),
            true => Self::of_blob(blobs.duplicate(self.blob())?).ok_or(Full),
        }
    }

    pub fn free(self, blobs: &mut Blobs) -> Result<(), Full> {
        if self.has_chunks() { blobs.free(self.blob()) } else { Ok(()) }
    }

    pub fn len(&self) -> usize {
        if self.has_chunks() { self.blob().len() } else { usize::from(self.tag) }
    }

    pub fn is_empty(&self) -> bool {
        self.tag == 0
    }

    /// Bytes of blob memory that a string of `len` bytes takes beside its owner's slot.
    pub const fn memory(len: usize) -> u32 {
        if len <= N { 0 } else { Blob::memory(len) }
    }

    /// Bytes of blob memory that this string takes beside its owner's slot.
    pub fn spilled(&self) -> u32 {
        Blob::memory(self.blob().len())
    }

    /// Whether the bytes are not in the owner's slot.
    #[inline(always)]
    pub fn has_chunks(&self) -> bool {
        self.tag == SPILLED
    }

    /// The bytes, if they are in the owner's slot.
    #[inline(always)]
    pub fn inline(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::from(self.tag))
    }

    /// Those, with whatever is behind them.
    #[inline(always)] // So that they are copied without a call.
    pub fn in_place(&self) -> Option<&[u8; N]> {
        (usize::from(self.tag) <= N).then_some(&self.bytes)
    }

    /// The chunk that has all the bytes, with whatever is behind them, and how many they are.
    #[inline(always)] // As above.
    pub fn only_chunk<'a>(&self, blobs: &'a Blobs) -> Option<(&'a [u8; CHUNK], usize)> {
        let blob = self.blob();
        Some((blobs.only_chunk(blob)?, blob.len()))
    }

    /// The bytes that are in the owner's slot, if all are and fit a word, with zeros behind them, and how many they are.
    #[inline(always)]
    pub fn inline_word(&self) -> Option<([u8; 8], usize)> {
        let len = usize::from(self.tag);
        (len <= N && N < size_of::<u64>()).then(|| (word(&self.bytes, 0).to_le_bytes(), len))
    }

    pub fn equals(&self, blobs: &Blobs, other: &[u8]) -> bool {
        match self.inline() {
            Some(bytes) => bytes == other,
            None => blobs.equals(self.blob(), other),
        }
    }

    /// Whether the bytes are the same because they lie in the same chunks.
    pub fn is_same(&self, other: Self) -> bool {
        self.has_chunks() && other.has_chunks() && self.blob() == other.blob()
    }

    /// A text that shares the chunks of this one, see [`Blobs::beginning`]. None if a text of these bytes needs no
    /// chunks.
    pub fn beginning(&self, blobs: &Blobs, stored: usize, bytes: &[u8]) -> Option<Self> {
        self.first_bytes(stored, bytes.len()).filter(|beginning| beginning.equals(blobs, bytes))
    }

    /// The same with so many bytes, whatever they are.
    pub fn first_bytes(self, stored: usize, len: usize) -> Option<Self> {
        let beginning = self.blob().first_bytes(stored, len).filter(|_| len > N && self.has_chunks());
        beginning.and_then(Self::of_blob)
    }

    /// `path` without `/` and these bytes at its end; `None` if it does not end so.
    pub fn strip_from<'a>(&self, blobs: &Blobs, path: &'a [u8]) -> Option<&'a [u8]> {
        // Most names fit one word with the slash before them.
        if let (0..8, Some(end)) = (self.tag, path.last_chunk()) {
            let len = usize::from(self.tag);
            let name = word(&self.bytes, 0) << 8 | u64::from(b'/');
            let equal = u64::from_le_bytes(*end) >> (8 * (7 - len)) == name;
            return path.get(..path.len() - len - 1).filter(|_| equal);
        }
        let (above, tail) = path.split_at_checked(path.len().checked_sub(self.len() + 1)?)?;
        let (slash, name) = tail.split_first()?;
        (*slash == b'/' && self.equals(blobs, name)).then_some(above)
    }

    /// The bytes, piece by piece.
    pub fn pieces<'a>(&'a self, blobs: &'a Blobs) -> impl Iterator<Item = &'a [u8]> {
        core::iter::once(self.inline().unwrap_or_default()).chain(blobs.pieces(self.blob()))
    }

    /// The bytes in one piece, in `buf` if they are not so already.
    pub fn contiguous<'a, const M: usize>(
        &'a self,
        blobs: &Blobs,
        buf: &'a mut heapless::Vec<u8, M>,
    ) -> &'a [u8] {
        match self.inline() {
            Some(bytes) => bytes,
            None => blobs.gather(self.blob(), buf),
        }
    }

    /// Writes the bytes to `out`, which must have room, in place of what was there.
    pub fn append_cleared<const M: usize>(
        &self,
        blobs: &Blobs,
        out: &mut heapless::Vec<u8, M>,
    ) -> Result<(), Full> {
        out.clear();
        self.append(blobs, out)
    }

    /// Appends the bytes to `out`, which must have room.
    pub fn append<const M: usize>(&self, blobs: &Blobs, out: &mut heapless::Vec<u8, M>) -> Result<(), Full> {
        match self.inline() {
            Some(bytes) => out.extend_from_slice(bytes).map_err(|_| Full),
            None => {
                blobs.pieces(self.blob()).try_for_each(|piece| out.extend_from_slice(piece).map_err(|_| Full))
            }
        }
    }

    /// Appends the bytes from `start` on to `out`, which must have room.
    pub fn append_from<const M: usize>(
        &self,
        blobs: &Blobs,
        start: usize,
        out: &mut heapless::Vec<u8, M>,
    ) -> Result<(), Full> {
        let whole = start / CHUNK * CHUNK;
        let (inline, mut before) = match self.inline() {
            Some(bytes) => (bytes, start),
            None => (&[][..], start - whole),
        };
        let rest = blobs.chunks_from(self.blob(), whole);
        // The chunks of a beginning go on behind it.
        let pieces = blobs.pieces(rest).take(Blob::chunks(rest.len()) as usize);
        core::iter::once(inline).chain(pieces).try_for_each(|piece| {
            let wanted = piece.get(before..).unwrap_or_default();
            before = before.saturating_sub(piece.len());
            out.extend_from_slice(wanted).map_err(|_| Full)
        })
    }
}

/// The first tag of large numbers, which is that of more bytes than there is room for.
const LARGE: u8 = size_of::<u64>() as u8;

impl Text<7> {
    /// What [`Text::of_large`] takes is below this.
    pub const LARGE_END: u64 = ((NUMBERS - LARGE) as u64) << 56;

    /// As [`Text::of_number`], a number below [`Text::LARGE_END`].
    pub fn of_large(number: u64) -> Option<Self> {
        let [bytes @ .., high] = number.to_le_bytes();
        let tag = high.checked_add(LARGE).filter(|tag| *tag < NUMBERS)?;
        Some(Text { tag, bytes })
    }

    /// The number of such a text.
    #[inline(always)]
    pub fn large(&self) -> Option<u64> {
        let high = self.tag.wrapping_sub(LARGE);
        let number = word(&self.bytes, 0) | u64::from(high) << 56;
        (high < NUMBERS - LARGE).then_some(number)
    }
}
