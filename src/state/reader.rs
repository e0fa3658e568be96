//! The stream as bytes that are read. Whatever they are, reading them ends in a value or a fault.

use super::fault::Fault;
use super::format::{BIG_ENDIAN, FIXED_MAX, Fixed, Head, IDENT, Number};
use crate::words::position_of;

/// Where a state comes from: bytes in order, piece by piece.
pub trait Source {
    /// The next bytes, as many as lie in one piece; none at the end.
    fn next(&self) -> &[u8];
    /// Passes over so many of them.
    fn pass(&mut self, count: usize);
}

impl Source for &[u8] {
    fn next(&self) -> &[u8] {
        self
    }
    fn pass(&mut self, count: usize) {
        *self = self.get(count..).unwrap_or_default();
    }
}

pub struct Reader<'a> {
    source: &'a mut dyn Source,
    /// Numbers are.
    big_endian: bool,
    /// Bytes that have been read.
    pub offset: u64,
    /// Bytes of the record that have not, padding excluded, and the padding.
    left: usize,
    padding: usize,
    /// Of the body, as its fields are aligned by that.
    len: usize,
    /// The numbers at hand.
    fields: [u8; FIXED_MAX],
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a mut dyn Source) -> Reader<'a> {
        Reader { source, big_endian: false, offset: 0, left: 0, padding: 0, len: 0, fields: [0; FIXED_MAX] }
    }

    /// Reads the rest of a record, `left` bytes.
    pub fn within(source: &'a mut dyn Source, big_endian: bool, left: usize) -> Reader<'a> {
        Reader { big_endian, left, ..Reader::new(source) }
    }

    /// Whether numbers are.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The bytes ahead that lie in one piece, also those of later records; none if numbers have to be turned round.
    pub fn ahead(&self) -> &[u8] {
        if self.big_endian { &[] } else { self.source.next() }
    }

    /// Passes over whole records behind a record that is finished.
    pub fn pass_over(&mut self, count: usize) -> Result<(), Fault> {
        self.skip_raw(count)
    }

    /// The header of the stream. Returns its version.
    pub fn header(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 16];
        self.raw(&mut bytes)?;
        let [ident, rest] = bytes.as_chunks::<8>().0 else { return Err(Fault::CutOff) };
        if *ident != IDENT {
            return Err(Fault::NoState);
        }
        let [version, flags] = rest.as_chunks::<4>().0 else { return Err(Fault::CutOff) };
        self.big_endian = u32::from_be_bytes(*flags) & BIG_ENDIAN != 0;
        Ok(u32::from_be_bytes(*version))
    }

    /// Passes over what is left of the record, and its padding.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.skip_raw(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// Begins the next record, once the one before is finished.
    pub fn next(&mut self) -> Result<Head, Fault> {
        self.left = Head::SIZE;
        let head: Head = self.part()?;
        self.len = head.len as usize;
        (self.left, self.padding) = (self.len, self.len.wrapping_neg() % 8);
        Ok(head)
    }

    /// Bytes of the record that have not been read.
    pub fn left(&self) -> usize {
        self.left
    }

    #[inline(always)] // What is left of it here are loads.
    pub fn part<T: Fixed>(&mut self) -> Result<T, Fault> {
        self.numbers(T::SIZE, T::WIDTHS)?;
        Ok(T::read(&self.fields))
    }

    #[inline(always)]
    pub fn number<T: Number>(&mut self) -> Result<T, Fault> {
        self.numbers(T::WIDTH, &[T::WIDTH])?;
        Ok(T::read(&self.fields, 0))
    }

    /// Numbers of these widths, `size` bytes in all, little-endian.
    #[inline(never)]
    fn numbers(&mut self, size: usize, widths: &[usize]) -> Result<(), Fault> {
        self.left = self.left.checked_sub(size).ok_or(Fault::TooShort)?;
        // Mostly there is more in one piece, and copying a fixed length is quick.
        if let Some(piece) = self.source.next().first_chunk() {
            self.fields = *piece;
            self.pass(size)?;
        } else {
            let mut fields = self.fields;
            self.raw(fields.get_mut(..size).unwrap_or_default())?;
            self.fields = fields;
        }
        if self.big_endian {
            let mut rest = self.fields.as_mut_slice();
            for width in widths {
                let (number, later) = rest.split_at_mut_checked(*width).unwrap_or_default();
                number.reverse();
                rest = later;
            }
        }
        Ok(())
    }

    /// As many bytes as there is room for in `out`.
    #[inline(never)]
    pub fn bytes(&mut self, out: &mut [u8]) -> Result<(), Fault> {
        self.left = self.left.checked_sub(out.len()).ok_or(Fault::TooShort)?;
        self.raw(out)
    }

    /// Passes over so many bytes of the record.
    #[inline(never)]
    pub fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(count).ok_or(Fault::TooShort)?;
        self.skip_raw(count)
    }

    /// Passes over padding up to the next multiple of 8 in the record.
    pub fn align(&mut self) -> Result<(), Fault> {
        let read = self.len - self.left.min(self.len);
        self.skip(read.wrapping_neg() % 8)
    }

    /// Calls `take` with what the rest of the record consists of, until that is false or no whole part is left.
    #[inline(always)] // What is left of it here are loads.
    pub fn each_part<T: Fixed>(
        &mut self,
        mut take: impl FnMut(T) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        while self.left >= T::SIZE {
            let ahead = self.ahead();
            let ahead = ahead.get(..self.left).unwrap_or(ahead);
            let mut count = 0;
            let mut goes_on = true;
            for part in ahead.chunks_exact(T::SIZE) {
                let Some((part, _)) = parse(part) else { break };
                goes_on = take(part)?;
                count += T::SIZE;
                if !goes_on {
                    break;
                }
            }
            self.skip(count)?;
            // The next one does not lie in one piece.
            if !goes_on || (self.left >= T::SIZE && !take(self.part()?)?) {
                break;
            }
        }
        Ok(())
    }

    /// Calls `take` with each `N` bytes of the rest of the record, as they are in the stream.
    #[inline(always)] // As above.
    pub fn each_chunk<const N: usize>(&mut self, mut take: impl FnMut(&[u8; N])) -> Result<(), Fault> {
        while self.left >= N {
            let ahead = self.source.next();
            let (chunks, _) = ahead.get(..self.left).unwrap_or(ahead).as_chunks();
            chunks.iter().for_each(&mut take);
            let count = chunks.len() * N;
            self.skip(count)?;
            // The next one does not lie in one piece.
            if self.left >= N {
                let mut chunk = [0; N];
                self.bytes(&mut chunk)?;
                take(&chunk);
            }
        }
        Ok(())
    }

    /// The next bytes of the record, in the buffer, in place of what was there.
    pub fn gather<const N: usize>(
        &mut self,
        count: usize,
        buf: &mut heapless::Vec<u8, N>,
        too_long: Fault,
    ) -> Result<(), Fault> {
        buf.clear();
        self.left = self.left.checked_sub(count).ok_or(Fault::TooShort)?;
        let mut left = count;
        while left > 0 {
            let piece = self.source.next();
            let piece = piece.get(..left).unwrap_or(piece);
            buf.extend_from_slice(piece).map_err(|_| too_long)?;
            let count = piece.len();
            self.pass(count)?;
            left -= count;
        }
        Ok(())
    }

    /// The bytes up to the next NUL, in the buffer, as far as there is room for them, and the NUL.
    pub fn text<const N: usize>(&mut self, buf: &mut heapless::Vec<u8, N>) -> Result<(), Fault> {
        buf.clear();
        loop {
            let piece = self.source.next();
            let piece = piece.get(..self.left).unwrap_or(piece);
            let nul = position_of::<0>(piece);
            let text = piece.get(..nul.unwrap_or(piece.len())).unwrap_or_default();
            let room = N - buf.len();
            let _fits = buf.extend_from_slice(text.get(..room).unwrap_or(text));
            let count = text.len() + usize::from(nul.is_some());
            let found = nul.is_some();
            // At the end of the record or the stream there is nothing more.
            self.skip(count.max(1))?;
            if found {
                return Ok(());
            }
        }
    }

    /// Bytes of a piece are read. None at the end.
    fn pass(&mut self, count: usize) -> Result<(), Fault> {
        if count == 0 {
            return Err(Fault::CutOff);
        }
        self.source.pass(count);
        self.offset += count as u64;
        Ok(())
    }

    fn raw(&mut self, out: &mut [u8]) -> Result<(), Fault> {
        let mut rest = out;
        while !rest.is_empty() {
            let piece = self.source.next();
            let count = piece.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(piece.get(..count).unwrap_or_default());
            rest = later;
            self.pass(count)?;
        }
        Ok(())
    }

    fn skip_raw(&mut self, count: usize) -> Result<(), Fault> {
        let mut left = count;
        while left > 0 {
            let count = self.source.next().len().min(left);
            self.pass(count)?;
            left -= count;
        }
        Ok(())
    }
}

/// A fixed part at the beginning of these bytes, little-endian, and what follows it.
#[inline(always)] // What is left of it are loads.
pub fn parse<T: Fixed>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let mut fields = [0; FIXED_MAX];
    let (part, rest) = bytes.split_at_checked(T::SIZE)?;
    fields.get_mut(..T::SIZE)?.copy_from_slice(part);
    Some((T::read(&fields), rest))
}

/// The first record of these bytes, little-endian, if it lies there as a whole: its type, its body, and what follows it.
#[inline(always)]
pub fn first_record(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (Head { record, len }, rest) = parse(bytes)?;
    let len = len as usize;
    Some((record, rest.get(..len)?, rest.get(len.next_multiple_of(8)..)?))
}
