//! The stream as bytes that are written.

use super::format::{FIXED_MAX, Fixed, Head};
use crate::slots::Full;

/// Where a state goes: bytes in order.
pub trait Sink {
    /// Takes the next bytes. [`Full`] if there is no room for all of them; the state is not complete then.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;
}

/// A sink that only counts: how many bytes a state has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Length(pub u64);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

pub struct Writer<'a> {
    sink: &'a mut dyn Sink,
    /// Bytes of the record that are still to come, padding included.
    left: usize,
    /// The fixed part at hand.
    fields: [u8; FIXED_MAX],
}

impl<'a> Writer<'a> {
    pub fn new(sink: &'a mut dyn Sink) -> Writer<'a> {
        Writer { sink, left: 0, fields: [0; FIXED_MAX] }
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
        self.sink.put(bytes)
    }
}
