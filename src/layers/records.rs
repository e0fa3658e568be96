//! The form of records: NODE of the state stream, and LAYER of ours for what that has no place for.

use super::buffers::Buffers;
use super::fault::{Fault, Trouble};
use super::item::{Item, Node, VALUE_MAX};
use super::line::{Line, is_name, path_of, removed};
use crate::abi::DomId;
use crate::perms::access_of;
use crate::state::Source;
use crate::state::layer::{self as stream, Permission, Records, What};

pub use stream::IDENT;

/// A place between two records.
#[derive(Clone)]
pub struct Place<S> {
    source: S,
    big_endian: bool,
    /// Of the next record, from 1 on.
    pub number: u32,
    /// The next node's value is the lower layers'.
    keeps_value: bool,
}

impl<S: Source> Place<S> {
    /// Before the first record of a stream.
    pub fn first(mut source: S) -> Result<Place<S>, Fault> {
        match stream::header(&mut source) {
            Ok(big_endian) => Ok(Place { source, big_endian, number: 1, keeps_value: false }),
            Err(stream::Fault::BadVersion) => Err(Fault::Version),
            Err(_) => Err(Fault::CutOff),
        }
    }

    /// Passes over a record, and calls `each` with what it says, as a line that says the same. What is wrong with it;
    /// with [`Fault::CutOff`], no other can be read.
    #[cold]
    #[inline(never)]
    pub fn pass(
        &mut self,
        buffers: &mut Buffers,
        each: &mut dyn FnMut(Line<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut records = Records::at(&mut self.source, self.big_endian);
        self.number = self.number.saturating_add(1);
        let Ok(what) = records.record() else { return Err(Fault::CutOff) };
        let said = match what {
            Some(what) => one(&mut records, what, &mut self.keeps_value, buffers, each),
            None => each(Line::End),
        };
        records.finish().map_err(|_| Fault::CutOff)?;
        said
    }
}

/// Calls `each` with what a stream says that is a layer, as lines that say the same, until something is wrong with it.
pub fn read_records(
    source: impl Source,
    buffers: &mut Buffers,
    each: &mut dyn FnMut(Line<'_>) -> Result<(), Fault>,
) -> Result<(), Trouble> {
    let trouble = |fault, line| Trouble { fault, line, column: 0 };
    let mut place = Place::first(source).map_err(|fault| trouble(fault, 1))?;
    let mut ended = false;
    while !ended {
        let number = place.number;
        let said = place.pass(buffers, &mut |line| {
            ended = line == Line::End;
            if ended { Ok(()) } else { each(line) }
        });
        said.map_err(|fault| trouble(fault, number))?;
    }
    Ok(())
}

/// What is wrong with a text that cannot be read: the records end in it, or it is too long.
fn cut_off_or(found: stream::Fault, too_long: Fault) -> Fault {
    if found == stream::Fault::LongPath { too_long } else { Fault::CutOff }
}

fn one(
    records: &mut Records<'_>,
    what: What,
    keeps_value: &mut bool,
    buffers: &mut Buffers,
    each: &mut dyn FnMut(Line<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Buffers { line: text, permissions, .. } = buffers;
    match what {
        What::Other => Ok(()),
        What::KeepsValue => {
            *keeps_value = true;
            Ok(())
        }
        What::Name(len) => {
            records.text(len, text).map_err(|found| cut_off_or(found, Fault::BadName))?;
            if is_name(text) { each(Line::Layer(text)) } else { Err(Fault::BadName) }
        }
        What::Removal { len, below_only } => {
            records.text(len, text).map_err(|found| cut_off_or(found, Fault::LongPath))?;
            let path = removed(text, below_only)?;
            each(Line::Item(if below_only { Item::Opaque(path) } else { Item::Whiteout(path) }))
        }
        What::Node(head) => {
            permissions.clear();
            for _ in 0..head.entries {
                let Permission { letter, domid, .. } = records.entry().map_err(|_| Fault::CutOff)?;
                let access = access_of(letter).ok_or(Fault::BadPermissions)?;
                permissions.push((access, DomId(domid))).ok_or(Fault::LongList)?;
            }
            let len = usize::from(head.path) + usize::from(head.value);
            records.text(len, text).map_err(|found| cut_off_or(found, Fault::LongPath))?;
            let (path, value) = text.split_at_checked(head.path.into()).ok_or(Fault::CutOff)?;
            let path = path_of(path.strip_suffix(b"\0").ok_or(Fault::BadPath)?)?;
            if value.len() > VALUE_MAX {
                return Err(Fault::LongValue);
            }
            let value = Some(value).filter(|_| !core::mem::take(keeps_value));
            let permissions = Some(permissions.as_slice()).filter(|list| !list.is_empty());
            each(Line::Item(Item::Node(Node { path, value, permissions })))
        }
    }
}
