//! The lines of a text that comes in pieces.

use super::buffers::LineBuf;
use super::item::LINE_MAX;
use crate::state::Source;
use crate::words::end_of_line;

/// A place between two lines. The text ends where its bytes do, or at a NUL: modules are filled up with those.
#[derive(Clone)]
pub struct Lines<S> {
    /// Where the latest line begins, and what follows it.
    at: S,
    next: S,
    /// The number of the latest line, from 1 on.
    pub number: u32,
}

/// A line that is longer than any may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

impl<S: Source + Clone> Lines<S> {
    pub fn new(source: S) -> Lines<S> {
        Lines { at: source.clone(), next: source, number: 0 }
    }

    /// Before the latest line.
    pub fn before(&self) -> Lines<S> {
        Lines { at: self.at.clone(), next: self.at.clone(), number: self.number.saturating_sub(1) }
    }

    /// The next line without its end, from the source itself or, if it is in several pieces, from the buffer. `None` at the
    /// end of the text.
    #[inline(never)]
    pub fn next<'a>(&'a mut self, buffer: &'a mut LineBuf) -> Option<Result<&'a [u8], TooLong>> {
        self.at = self.next.clone();
        if matches!(self.at.next().first(), None | Some(0)) {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let Some(end) = end_of_line(self.at.next()) else {
            buffer.clear();
            let fits = self.gather(buffer);
            return Some(if fits { Ok(buffer) } else { Err(TooLong) });
        };
        let piece = self.at.next();
        self.next.pass(end + usize::from(piece.get(end) == Some(&b'\n')));
        Some(piece.get(..end).filter(|line| line.len() <= LINE_MAX).ok_or(TooLong))
    }

    /// Puts what is left of a line into the buffer. Whether it fits.
    #[cold]
    #[inline(never)]
    fn gather(&mut self, buffer: &mut LineBuf) -> bool {
        let mut fits = true;
        loop {
            let piece = self.next.next();
            let end = end_of_line(piece);
            let part = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            fits &= buffer.extend_from_slice(part).is_ok();
            let is_last = piece.is_empty() || end.is_some();
            let newline = end.is_some_and(|end| piece.get(end) == Some(&b'\n'));
            let count = part.len() + usize::from(newline);
            self.next.pass(count);
            if is_last {
                return fits;
            }
        }
    }
}
