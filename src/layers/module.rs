//! The layers of a file, one after the other.

use super::buffers::Buffers;
use super::fault::{Fault, Trouble};
use super::item::{Item, LINE_MAX};
use super::line::{self, Line, is_name};
use super::lines::Lines;
use super::records::IDENT;
use crate::state::Source;
use crate::store::LayerName;

/// What gzip's files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file of layers, the lowest first.
#[derive(Clone)]
pub struct Module<S> {
    lines: Lines<S>,
    /// Within a layer of text, whose rest is passed over.
    inside: bool,
    ended: bool,
}

/// One layer: where it begins.
#[derive(Clone)]
pub struct Section<S> {
    pub name: LayerName,
    lines: Lines<S>,
    /// Its first line.
    line: u32,
}

/// The name of the layer that begins with this line, which need not be one.
fn name_in(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"layer ")
}

impl<S: Source + Clone> Module<S> {
    pub fn new(source: S) -> Module<S> {
        Module { lines: Lines::new(source), inside: false, ended: false }
    }

    /// The next layer. None of what is wrong within it is found out yet.
    #[cold]
    #[inline(never)]
    pub fn next(&mut self, buffers: &mut Buffers) -> Option<Section<S>> {
        while !self.ended {
            let before = self.lines.clone();
            let Some(line) = self.lines.next(&mut buffers.line) else { break };
            let line = line.unwrap_or(b"?");
            if line == b"end" {
                break;
            }
            let name = match name_in(line) {
                Some(name) => name,
                None if self.inside || matches!(line.first(), None | Some(b'#')) => continue,
                None => b"unnamed",
            };
            let name = LayerName::from_slice(name).ok().filter(|name| is_name(name)).unwrap_or_default();
            self.inside = true;
            return Some(Section { name, lines: before, line: self.lines.number });
        }
        self.ended = true;
        None
    }
}

impl<S: Source + Clone> Section<S> {
    /// What is wrong with the layer as a whole.
    pub fn trouble(&self, fault: Fault) -> Trouble {
        Trouble { fault, line: self.line, column: 1 }
    }

    /// Calls `each` with what the layer says, until something is wrong with it or `each` says so.
    pub fn read(
        &self,
        buffers: &mut Buffers,
        each: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<(), Trouble> {
        let mut lines = self.lines.clone();
        let Buffers { line: buffer, value, permissions, .. } = buffers;
        let mut named = false;
        loop {
            let number = lines.number.saturating_add(1);
            let trouble =
                |(fault, at): (Fault, usize)| Trouble { fault, line: number, column: at as u32 + 1 };
            let Some(line) = lines.next(buffer) else {
                return if named { Err(trouble((Fault::NoEnd, 0))) } else { Ok(()) };
            };
            let Ok(line) = line else { return Err(trouble((Fault::LongLine, LINE_MAX))) };
            if number > self.line && name_in(line).is_some() {
                return Ok(());
            }
            match line::parse(line, value, permissions).map_err(trouble)? {
                Line::Nothing => {}
                Line::Layer(_) => named = true,
                Line::End => return Ok(()),
                Line::Item(item) => each(item).map_err(|fault| trouble((fault, 0)))?,
            }
        }
    }
}

/// What a file is that has no text, by its first bytes, in however many pieces they come.
pub fn not_text<S: Source + Clone>(source: &S) -> Option<Fault> {
    let mut source = source.clone();
    let mut first = heapless::Vec::<u8, { IDENT.len() + 1 }>::new();
    loop {
        let piece = source.next();
        let count = piece.len().min(first.capacity() - first.len());
        if count == 0 {
            break;
        }
        let _fits = first.extend_from_slice(piece.get(..count).unwrap_or_default());
        source.pass(count);
    }
    // A stream's version follows, whose first byte is 0. A text has none.
    match first.strip_prefix(&IDENT) {
        Some([0]) => Some(Fault::Records),
        _ => first.starts_with(&GZIP).then_some(Fault::Gzip),
    }
}
