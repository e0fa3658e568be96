//! An image as a file: ELF64 with a PVH entry (elf.h; xen/elfnote.h), and what it promises in a note of ours.

use core::fmt;
use core::ops::{Range, RangeInclusive};

use crate::words::position_of;

/// Name and type of the note in which an image says what it promises to one that it takes over from: little-endian
/// numbers of 32 bits, the first and the last version of the state that it reads, bits, of which bit 0 says that it
/// watches itself and gives way if it fails, the version of the hand-over that it knows, and the last version of our own
/// records that it reads. Images that do not say the last read [`RECORDS`].
pub const NOTE_NAME: &[u8] = b"xenstore-stubdom";
pub const NOTE_TYPE: u32 = 1;
const RECORDS: u32 = 5;
/// Bit of the note: it watches itself and gives way.
const GIVES_WAY: u32 = 1;

/// The note that says where a PVH guest begins, `XEN_ELFNOTE_PHYS32_ENTRY`.
const XEN_NAME: &[u8] = b"Xen";
const PHYS32_ENTRY: u32 = 18;

const X86_64: u16 = 62;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
const PROGRAM_HEADER: usize = 56;

/// Segments that an image may have at most.
const SEGMENTS: usize = 8;

/// What there is for an image.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Addresses that it may lie at.
    pub memory: Range<u64>,
    /// Versions of the state that can be written for it.
    pub states: RangeInclusive<u32>,
    /// The version of the hand-over.
    pub hand_over: u32,
}

/// A part of an image: where it lies in the file and in memory. What the file does not have of it is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub address: u64,
    pub offset: usize,
    pub in_file: usize,
    pub in_memory: usize,
}

/// What an image's own note says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// First and last version of the state that it reads.
    pub states: (u32, u32),
    pub gives_way: bool,
    pub hand_over: u32,
    /// The last version of our own records in the state that it reads.
    pub records: u32,
}

/// An image that can be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    pub entry: u64,
    pub segments: heapless::Vec<Segment, SEGMENTS>,
    pub promise: Option<Promise>,
}

/// Why an image cannot be started. Displays as what it is or does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    NotElf,
    /// Its class and machine.
    OtherMachine(u8, u16),
    /// Bytes that it has, and that it needs at least.
    CutOff(usize, usize),
    NoEntry,
    /// It is no program, or has too many parts.
    NoProgram,
    /// Where it wants to lie.
    DoesNotFit(u64, u64),
    /// It promises nothing.
    NoPromise,
    /// The versions that it reads.
    OtherState(u32, u32),
    OtherHandOver(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the new image ")?;
        match *self {
            Fault::NotElf => f.write_str("is no ELF file"),
            Fault::OtherMachine(class, machine) => {
                write!(f, "is for another machine: ELF class {class}, machine {machine}, not 2 and {X86_64}")
            }
            Fault::CutOff(bytes, needed) => write!(f, "is cut off: {bytes} bytes of at least {needed}"),
            Fault::NoEntry => f.write_str("has no PVH entry: no Xen note of type 18"),
            Fault::NoProgram => write!(f, "is no program of 1 to {SEGMENTS} segments"),
            Fault::DoesNotFit(start, end) => {
                write!(f, "does not fit: it wants {start:#x} to {end:#x}")
            }
            Fault::NoPromise => {
                f.write_str("does not promise to give way if it fails; -F tries it all the same")
            }
            Fault::OtherState(first, last) => {
                write!(f, "reads versions {first} to {last} of the state, of which none can be written")
            }
            Fault::OtherHandOver(version) => {
                write!(f, "knows another hand-over: version {version}")
            }
        }
    }
}

/// A number of `N` bytes, little-endian.
fn number<const N: usize>(file: &[u8], at: usize) -> Result<u64, Fault> {
    let bytes = at.checked_add(N).and_then(|end| file.get(at..end));
    let bytes = bytes.ok_or(Fault::CutOff(file.len(), at.saturating_add(N)))?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn word(file: &[u8], at: usize) -> Result<u32, Fault> {
    number::<4>(file, at).map(|value| value as u32)
}

/// The part of the file that a program header names.
fn contents(file: &[u8], header: usize) -> Result<Range<usize>, Fault> {
    let start = number::<8>(file, header.saturating_add(8))?;
    let end = start.saturating_add(number::<8>(file, header.saturating_add(32))?);
    if end > file.len() as u64 {
        return Err(Fault::CutOff(file.len(), usize::try_from(end).unwrap_or(usize::MAX)));
    }
    Ok(start as usize..end as usize)
}

/// Reads an image's headers and notes. What they say has been checked against the file and `bounds`; `force` lets an
/// image pass that promises nothing.
pub fn examine(file: &[u8], bounds: &Bounds, force: bool) -> Result<Program, Fault> {
    if file.get(..4) != Some(b"\x7fELF") {
        return Err(Fault::NotElf);
    }
    let (class, order) = (number::<1>(file, 4)? as u8, number::<1>(file, 5)? as u8);
    let machine = number::<2>(file, 18)? as u16;
    if (class, order, machine) != (CLASS_64, LITTLE_ENDIAN, X86_64) {
        return Err(Fault::OtherMachine(class, machine));
    }
    let (table, count) = (number::<8>(file, 32)?, number::<2>(file, 56)? as usize);
    let table = usize::try_from(table).unwrap_or(usize::MAX);
    let mut program = Program { entry: 0, segments: heapless::Vec::new(), promise: None };
    for n in 0..count {
        let header = table.saturating_add(n * PROGRAM_HEADER);
        let kind = word(file, header)?;
        match kind {
            LOAD => add_segment(file, header, bounds, &mut program)?,
            NOTE => {
                let notes = contents(file, header)?;
                read_notes(file.get(notes).unwrap_or_default(), &mut program);
            }
            _ => {}
        }
    }
    let starts = |segment: &Segment| {
        (segment.address..segment.address.saturating_add(segment.in_file as u64)).contains(&program.entry)
    };
    match program.entry {
        _ if program.segments.is_empty() => return Err(Fault::NoProgram),
        0 => return Err(Fault::NoEntry),
        _ if !program.segments.iter().any(starts) => return Err(Fault::NoEntry),
        _ => {}
    }
    match program.promise {
        Some(promise) => check_promise(promise, bounds, force)?,
        None if force => {}
        None => return Err(Fault::NoPromise),
    }
    Ok(program)
}

fn check_promise(promise: Promise, bounds: &Bounds, force: bool) -> Result<(), Fault> {
    let (first, last) = promise.states;
    if promise.version(bounds).is_none() {
        return Err(Fault::OtherState(first, last));
    }
    if promise.hand_over != bounds.hand_over {
        return Err(Fault::OtherHandOver(promise.hand_over));
    }
    if !promise.gives_way && !force {
        return Err(Fault::NoPromise);
    }
    Ok(())
}

impl Promise {
    /// The newest version of the state that it reads and that can be written.
    pub fn version(&self, bounds: &Bounds) -> Option<u32> {
        let (first, last) = self.states;
        let version = last.min(*bounds.states.end());
        (version >= first && bounds.states.contains(&version)).then_some(version)
    }
}

fn add_segment(file: &[u8], header: usize, bounds: &Bounds, program: &mut Program) -> Result<(), Fault> {
    let part = contents(file, header)?;
    let address = number::<8>(file, header.saturating_add(24))?;
    let in_memory = number::<8>(file, header.saturating_add(40))?;
    let end = address.saturating_add(in_memory);
    let fits = address >= bounds.memory.start && end <= bounds.memory.end && in_memory >= part.len() as u64;
    if !fits {
        return Err(Fault::DoesNotFit(address, end));
    }
    let segment = Segment { address, offset: part.start, in_file: part.len(), in_memory: in_memory as usize };
    if segment.in_memory == 0 {
        return Ok(());
    }
    program.segments.push(segment).map_err(|_| Fault::NoProgram)
}

/// Looks for the notes that we know. What is no note ends the search.
fn read_notes(mut notes: &[u8], program: &mut Program) {
    while let Some(Note { name, kind, value, rest }) = next_note(notes) {
        notes = rest;
        let name = name.get(..position_of::<0>(name).unwrap_or(name.len())).unwrap_or_default();
        if (name, kind) == (XEN_NAME, PHYS32_ENTRY) {
            let entry = number::<8>(value, 0).or_else(|_| number::<4>(value, 0));
            program.entry = entry.unwrap_or(0);
        } else if (name, kind) == (NOTE_NAME, NOTE_TYPE) {
            let words = [0, 4, 8, 12].map(|at| word(value, at));
            if let [Ok(first), Ok(last), Ok(bits), Ok(hand_over)] = words {
                let gives_way = bits & GIVES_WAY != 0;
                let records = word(value, 16).unwrap_or(RECORDS);
                program.promise = Some(Promise { states: (first, last), gives_way, hand_over, records });
            }
        }
    }
}

/// A note, and what follows it.
struct Note<'a> {
    name: &'a [u8],
    kind: u32,
    value: &'a [u8],
    rest: &'a [u8],
}

fn next_note(notes: &[u8]) -> Option<Note<'_>> {
    let size = |at| word(notes, at).ok().map(|size| size as usize);
    let (name, value, kind) = (size(0)?, size(4)?, word(notes, 8).ok()?);
    let name_end = 12_usize.checked_add(name)?;
    let value_start = name_end.checked_next_multiple_of(4)?;
    let value_end = value_start.checked_add(value)?;
    let name = notes.get(12..name_end)?;
    let rest = notes.get(value_end.checked_next_multiple_of(4)?..).unwrap_or_default();
    Some(Note { name, kind, value: notes.get(value_start..value_end)?, rest })
}
