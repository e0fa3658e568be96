//! A byte string: in its owner's slot if it is short, else in a blob.

use super::arena::Full;
use super::blob::{Blob, Blobs, CHUNK};
use crate::words::word;

/// Up to `N` bytes in place. Owned: whoever drops it must free it.
#[derive(Clone, Copy, Debug)]
pub enum Text<const N: usize> {
    Inline { len: u8, bytes: [u8; N] },
    Spilled(Blob),
}

impl<const N: usize> Text<N> {
    pub const EMPTY: Self = Text::Inline { len: 0, bytes: [0; N] };

    pub fn store(blobs: &mut Blobs, bytes: &[u8]) -> Result<Self, Full> {
        match Self::inline_of(bytes) {
            Some(text) => Ok(text),
            None => Ok(Text::Spilled(blobs.store(bytes)?)),
        }
    }

    /// These bytes in place, if they are short.
    #[inline(always)]
    pub fn inline_of(bytes: &[u8]) -> Option<Self> {
        const { assert!(N < 256) };
        let mut inline = [0; N];
        inline.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Text::Inline { len: bytes.len() as u8, bytes: inline })
    }

    /// Another copy of the same bytes, with storage of its own.
    pub fn duplicate(self, blobs: &mut Blobs) -> Result<Self, Full> {
        match self {
            Text::Inline { .. } => Ok(self),
            Text::Spilled(blob) => Ok(Text::Spilled(blobs.duplicate(blob)?)),
        }
    }

    pub fn free(self, blobs: &mut Blobs) -> Result<(), Full> {
        match self {
            Text::Inline { .. } => Ok(()),
            Text::Spilled(blob) => blobs.free(blob),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Text::Inline { len, .. } => usize::from(*len),
            Text::Spilled(blob) => blob.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of blob memory that a string of `len` bytes takes beside its owner's slot.
    pub const fn memory(len: usize) -> u32 {
        if len <= N { 0 } else { Blob::memory(len) }
    }

    /// Bytes of blob memory that this string takes beside its owner's slot.
    pub fn spilled(&self) -> u32 {
        match self {
            Text::Inline { .. } => 0,
            Text::Spilled(blob) => Blob::memory(blob.len()),
        }
    }

    /// Whether the bytes are not in the owner's slot.
    pub fn has_chunks(&self) -> bool {
        matches!(self, Text::Spilled(_))
    }

    /// The bytes, if they are in the owner's slot.
    pub fn inline(&self) -> Option<&[u8]> {
        match self {
            Text::Inline { len, bytes } => bytes.get(..usize::from(*len)),
            Text::Spilled(_) => None,
        }
    }

    pub fn equals(&self, blobs: &Blobs, other: &[u8]) -> bool {
        match self {
            Text::Inline { len, bytes } => bytes.get(..usize::from(*len)) == Some(other),
            Text::Spilled(blob) => blobs.equals(*blob, other),
        }
    }

    /// Whether the bytes are the same because they lie in the same chunks.
    pub fn is_same(&self, other: Self) -> bool {
        matches!((self, other), (Text::Spilled(this), Text::Spilled(other)) if *this == other)
    }

    /// A text that shares the chunks of this one, see [`Blobs::beginning`]. None if a text of these bytes needs no
    /// chunks.
    pub fn beginning(&self, blobs: &Blobs, stored: usize, bytes: &[u8]) -> Option<Self> {
        self.first_bytes(stored, bytes.len()).filter(|beginning| beginning.equals(blobs, bytes))
    }

    /// The same with so many bytes, whatever they are.
    pub fn first_bytes(self, stored: usize, len: usize) -> Option<Self> {
        match self {
            Text::Spilled(blob) if len > N => blob.first_bytes(stored, len).map(Text::Spilled),
            _ => None,
        }
    }

    /// `path` without `/` and these bytes at its end; `None` if it does not end so.
    pub fn strip_from<'a>(&self, blobs: &Blobs, path: &'a [u8]) -> Option<&'a [u8]> {
        // Most names fit one word with the slash before them.
        if let (Text::Inline { len: len @ 0..8, bytes }, Some(end)) = (self, path.last_chunk()) {
            let len = usize::from(*len);
            let name = word(bytes, 0) << 8 | u64::from(b'/');
            let equal = u64::from_le_bytes(*end) >> (8 * (7 - len)) == name;
            return path.get(..path.len() - len - 1).filter(|_| equal);
        }
        let (above, tail) = path.split_at_checked(path.len().checked_sub(self.len() + 1)?)?;
        let (slash, name) = tail.split_first()?;
        (*slash == b'/' && self.equals(blobs, name)).then_some(above)
    }

    /// The bytes, piece by piece.
    pub fn pieces<'a>(&'a self, blobs: &'a Blobs) -> impl Iterator<Item = &'a [u8]> {
        let (inline, blob) = match self {
            Text::Inline { len, bytes } => (bytes.get(..usize::from(*len)).unwrap_or_default(), Blob::EMPTY),
            Text::Spilled(blob) => (&[][..], *blob),
        };
        core::iter::once(inline).chain(blobs.pieces(blob))
    }

    /// The bytes in one piece, in `buf` if they are not so already.
    pub fn contiguous<'a, const M: usize>(
        &'a self,
        blobs: &Blobs,
        buf: &'a mut heapless::Vec<u8, M>,
    ) -> &'a [u8] {
        match self {
            Text::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Spilled(blob) => blobs.gather(*blob, buf),
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
        self.pieces(blobs).try_for_each(|piece| out.extend_from_slice(piece).map_err(|_| Full))
    }

    /// Appends the bytes from `start` on to `out`, which must have room.
    pub fn append_from<const M: usize>(
        &self,
        blobs: &Blobs,
        start: usize,
        out: &mut heapless::Vec<u8, M>,
    ) -> Result<(), Full> {
        let (rest, mut before) = match self {
            Text::Inline { .. } => (*self, start),
            Text::Spilled(blob) => (Text::Spilled(blobs.chunks_from(*blob, start)), start % CHUNK),
        };
        rest.pieces(blobs).try_for_each(|piece| {
            let wanted = piece.get(before..).unwrap_or_default();
            before = before.saturating_sub(piece.len());
            out.extend_from_slice(wanted).map_err(|_| Full)
        })
    }
}
