//! The layers of a file, one after the other.

use super::buffers::Buffers;
use super::fault::{Fault, Trouble};
use super::item::{Item, LINE_MAX};
use super::line::{self, Line, is_name};
use super::lines::Lines;
use super::records::{self, IDENT};
use crate::state::Source;
use crate::store::LayerName;

/// What gzip's files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A place in a file: between two lines of text, or two records.
#[derive(Clone)]
enum Place<S> {
    Text(Lines<S>),
    Records(records::Place<S>),
}

/// A file of layers, the lowest first.
#[derive(Clone)]
pub struct Module<S> {
    place: Place<S>,
    /// Within a layer, whose rest is passed over.
    inside: bool,
    ended: bool,
}

/// One layer: where it begins.
#[derive(Clone)]
pub struct Section<S> {
    pub name: LayerName,
    place: Place<S>,
    /// Its first line or record.
    line: u32,
}

/// Where a layer ends.
pub struct End<S>(Place<S>);

/// The name of the layer that begins with this line, which need not be one.
fn name_in(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"layer ")
}

/// What a layer without a name is called.
const UNNAMED: &[u8] = b"unnamed";

fn stored(name: &[u8]) -> LayerName {
    LayerName::from_slice(name).ok().filter(|name| is_name(name)).unwrap_or_default()
}

impl<S: Source + Clone> Module<S> {
    /// What is wrong if it is no file of layers.
    pub fn new(source: S) -> Result<Module<S>, Fault> {
        let place = match is_records(&source)? {
            true => Place::Records(records::Place::first(source)?),
            false => Place::Text(Lines::new(source)),
        };
        Ok(Module { place, inside: false, ended: false })
    }

    /// Goes on from there, where a layer has ended.
    pub fn go_on(&mut self, end: End<S>) {
        self.place = end.0;
    }

    /// The next layer. None of what is wrong within it is found out yet.
    #[cold]
    #[inline(never)]
    pub fn next(&mut self, buffers: &mut Buffers) -> Option<Section<S>> {
        let Module { place, inside, ended } = self;
        while !*ended {
            let before = place.clone();
            let (name, line) = match place {
                Place::Text(lines) => (name_of_line(lines, *inside, ended, buffers), lines.number),
                Place::Records(place) => (name_of_record(place, *inside, ended, buffers), place.number - 1),
            };
            if let Some(name) = name {
                *inside = true;
                return Some(Section { name, place: before, line });
            }
        }
        None
    }
}

/// The name of the layer that begins with the next line, if one does.
fn name_of_line<S: Source + Clone>(
    lines: &mut Lines<S>,
    inside: bool,
    ended: &mut bool,
    buffers: &mut Buffers,
) -> Option<LayerName> {
    let line = lines.next(&mut buffers.line).map(|line| line.unwrap_or(b"?"));
    let line = line.filter(|line| *line != b"end");
    *ended = line.is_none();
    match (line?, name_in(line?)) {
        (_, Some(name)) => Some(stored(name)),
        (line, None) if inside || matches!(line.first(), None | Some(b'#')) => None,
        _ => Some(stored(UNNAMED)),
    }
}

/// The name of the layer that begins with the next record, if one does.
fn name_of_record<S: Source>(
    place: &mut records::Place<S>,
    inside: bool,
    ended: &mut bool,
    buffers: &mut Buffers,
) -> Option<LayerName> {
    let mut begins = None;
    let said = place.pass(buffers, &mut |line| {
        match line {
            Line::Layer(name) => begins = Some(stored(name)),
            Line::End => *ended = true,
            Line::Item(_) if !inside => begins = Some(stored(UNNAMED)),
            Line::Item(_) | Line::Nothing => {}
        }
        Ok(())
    });
    // Its layer says what is wrong with it.
    let Err(fault) = said else { return begins };
    *ended |= fault == Fault::CutOff;
    begins.or_else(|| (!inside).then(|| stored(UNNAMED)))
}

impl<S: Source + Clone> Section<S> {
    /// What is wrong with the layer as a whole.
    pub fn trouble(&self, fault: Fault) -> Trouble {
        Trouble { fault, line: self.line, column: u32::from(matches!(self.place, Place::Text(_))) }
    }

    /// Calls `each` with what the layer says, until something is wrong with it or `each` says so. The result is where it ends.
    /// `known`: it has been read to that before, as the last one with these buffers.
    pub fn read(
        &self,
        known: bool,
        buffers: &mut Buffers,
        each: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<End<S>, Trouble> {
        match &self.place {
            Place::Text(lines) => self.read_text(lines.clone(), known, buffers, each),
            Place::Records(place) => self.read_records(place.clone(), buffers, each),
        }
    }

    fn read_text(
        &self,
        mut lines: Lines<S>,
        known: bool,
        buffers: &mut Buffers,
        each: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<End<S>, Trouble> {
        let Buffers { line: buffer, value, permissions, .. } = buffers;
        // Each escape of a layer leaves something in the value's buffer. If it has none, its values are not searched again.
        let known = known && value.is_empty();
        value.clear();
        let mut named = false;
        loop {
            let number = lines.number.saturating_add(1);
            let trouble =
                |(fault, at): (Fault, usize)| Trouble { fault, line: number, column: at as u32 + 1 };
            let Some(line) = lines.next(buffer) else {
                return if named { Err(trouble((Fault::NoEnd, 0))) } else { Ok(End(Place::Text(lines))) };
            };
            let Ok(line) = line else { return Err(trouble((Fault::LongLine, LINE_MAX))) };
            if number > self.line && name_in(line).is_some() {
                return Ok(End(Place::Text(lines.before())));
            }
            match line::read(line, value, permissions, known).map_err(trouble)? {
                Line::Nothing => {}
                Line::Layer(_) => named = true,
                Line::End => return Ok(End(Place::Text(lines.before()))),
                Line::Item(item) => each(item).map_err(|fault| trouble((fault, 0)))?,
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn read_records(
        &self,
        mut place: records::Place<S>,
        buffers: &mut Buffers,
        each: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<End<S>, Trouble> {
        let mut ended = false;
        loop {
            let before = place.clone();
            let number = place.number;
            let said = place.pass(buffers, &mut |line| match line {
                Line::Item(item) => each(item),
                Line::End => {
                    ended = true;
                    Ok(())
                }
                Line::Layer(_) | Line::Nothing => {
                    ended = number > self.line;
                    Ok(())
                }
            });
            said.map_err(|fault| Trouble { fault, line: number, column: 0 })?;
            if ended {
                return Ok(End(Place::Records(before)));
            }
        }
    }
}

/// Whether a file has records, by its first bytes, in however many pieces they come. What it is if it is neither that nor text.
fn is_records<S: Source + Clone>(source: &S) -> Result<bool, Fault> {
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
        Some([0]) => Ok(true),
        _ if first.starts_with(&GZIP) => Err(Fault::Gzip),
        _ => Ok(false),
    }
}
