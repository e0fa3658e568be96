//! The stream as bytes that are written.

use super::format::{FIXED_MAX, Fixed, Head};
use crate::slots::Full;

/// Where a state goes: bytes in order.
pub trait Sink {
    /// Takes the next bytes. [`Full`] if there is no room for all of them; the state is not complete then.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;

    /// Bytes of room for what a state can do without. What is provided is for those that want a state without that.
    fn room(&self) -> u64 {
        0
    }

    /// Inserts what [`save_nodes`](super::save_nodes) has written before, whatever lies between the records. The result is what
    /// that has returned. None, and nothing is inserted, if it has not written the nodes as they are now.
    fn insert_nodes(&mut self) -> Result<Option<usize>, Full> {
        Ok(None)
    }
}

/// A sink that only counts: how many bytes a state has at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Length(pub u64);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

/// Bytes that go to the sink at once.
const BUFFER: usize = 1024;

pub struct Writer<'a> {
    sink: &'a mut dyn Sink,
    /// Bytes until it is as much as is written in one go.
    until_much: usize,
    /// Bytes of the record that are still to come, padding included.
    left: usize,
    /// The fixed part at hand.
    fields: [u8; FIXED_MAX],
    /// Bytes that are on their way to the sink, and how many.
    buffer: [u8; BUFFER],
    filled: usize,
}

impl<'a> Writer<'a> {
    pub fn new(sink: &'a mut dyn Sink) -> Writer<'a> {
        Writer::within(sink, 0, usize::MAX)
    }

    /// Within a record, of which so many bytes are to come, for a go of about `much` bytes.
    pub fn within(sink: &'a mut dyn Sink, left: usize, much: usize) -> Writer<'a> {
        Writer { sink, until_much: much, left, fields: [0; FIXED_MAX], buffer: [0; BUFFER], filled: 0 }
    }

    /// Bytes of the record that are still to come.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether it is as much as is written in one go, but for what has not gone to the sink.
    #[inline(always)] // Of each node.
    pub fn is_much(&self) -> bool {
        self.until_much == 0
    }

    /// Has something else count as so many bytes of what is written in one go.
    pub fn count(&mut self, bytes: usize) {
        self.until_much = self.until_much.saturating_sub(bytes);
    }

    /// Begins a record with a body of `len` bytes. The padding to the next multiple of 8 is part of the length, as upstream
    /// has it.
    #[inline(never)]
    pub fn begin(&mut self, record: u32, len: usize) -> Result<(), Full> {
        debug_assert!(self.left == 0, "a record is longer than it said");
        let len = len.next_multiple_of(8);
        self.left = Head::SIZE + len;
        self.part(&Head { record, len: len as u32 })
    }

    /// The same, with its fixed part and `more` bytes behind that.
    pub fn begin_with<T: Fixed>(&mut self, record: u32, part: &T, more: usize) -> Result<(), Full> {
        self.begin(record, T::SIZE + more)?;
        self.part(part)
    }

    #[inline(always)] // What is left of it here are stores.
    pub fn part<T: Fixed>(&mut self, part: &T) -> Result<(), Full> {
        part.write(&mut self.fields);
        self.numbers(T::SIZE)
    }

    #[inline(never)]
    fn numbers(&mut self, len: usize) -> Result<(), Full> {
        let fields = self.fields;
        self.bytes(fields.get(..len).unwrap_or_default())
    }

    /// As `part`, where that is for each node.
    #[inline(always)]
    pub fn part_in_place<T: Fixed>(&mut self, part: &T) -> Result<(), Full> {
        debug_assert!(T::SIZE <= self.left, "a record is longer than it said");
        self.left = self.left.saturating_sub(T::SIZE);
        if self.filled + T::SIZE > BUFFER {
            self.flush()?;
        }
        put(self.buffer.get_mut(self.filled..).unwrap_or_default(), part);
        self.filled += T::SIZE;
        Ok(())
    }

    /// As `bytes`, of which there are many as long as that.
    #[inline(always)]
    pub fn bytes_in_place<const N: usize>(&mut self, bytes: &[u8; N]) -> Result<(), Full> {
        debug_assert!(N <= self.left, "a record is longer than it said");
        self.left = self.left.saturating_sub(N);
        if self.filled + N > BUFFER {
            self.flush()?;
        }
        if let Some(place) = self.buffer.get_mut(self.filled..).and_then(<[u8]>::first_chunk_mut) {
            *place = *bytes;
        }
        self.filled += N;
        Ok(())
    }

    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        debug_assert!(bytes.len() <= self.left, "a record is longer than it said");
        self.left = self.left.saturating_sub(bytes.len());
        self.raw(bytes)
    }

    /// Ends the record with padding.
    #[inline(never)]
    pub fn end(&mut self) -> Result<(), Full> {
        let padding = core::mem::take(&mut self.left);
        debug_assert!(padding < 8, "a record is shorter than it said");
        self.raw([0; 8].get(..padding).unwrap_or_default())
    }

    /// A record that is its fixed part.
    pub fn record<T: Fixed>(&mut self, record: u32, part: &T) -> Result<(), Full> {
        self.begin_with(record, part, 0)?;
        self.end()
    }

    /// Bytes outside of records.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let filled = self.filled;
        if let Some(place) = self.buffer.get_mut(filled..).and_then(|rest| rest.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
            self.filled = filled + bytes.len();
            return Ok(());
        }
        self.flush()?;
        self.count(bytes.len());
        self.sink.put(bytes)
    }

    /// The sink's room for what a state can do without.
    pub fn room(&self) -> u64 {
        self.sink.room().saturating_sub(self.filled as u64)
    }

    /// See [`Sink::insert_nodes`].
    pub fn insert_nodes(&mut self) -> Result<Option<usize>, Full> {
        self.flush()?;
        self.sink.insert_nodes()
    }

    /// Has the sink take what has been written so far.
    #[inline(never)]
    pub fn flush(&mut self) -> Result<(), Full> {
        let filled = core::mem::take(&mut self.filled);
        self.count(filled);
        self.sink.put(self.buffer.get(..filled).unwrap_or_default())
    }
}

/// Writes a fixed part to the beginning of a place. The result is the rest of that.
#[inline(always)] // What is left of it are stores.
pub fn put<'a, T: Fixed>(place: &'a mut [u8], part: &T) -> &'a mut [u8] {
    let mut fields = [0; FIXED_MAX];
    part.write(&mut fields);
    let Some((place, rest)) = place.split_at_mut_checked(T::SIZE) else { return &mut [] };
    place.copy_from_slice(fields.get(..T::SIZE).unwrap_or_default());
    rest
}
