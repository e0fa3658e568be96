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

/// Calls `each` with what a stream says that is a layer, as lines that say the same, until something is wrong with it.
pub fn read_records(
    source: &mut dyn Source,
    buffers: &mut Buffers,
    each: &mut dyn FnMut(Line<'_>) -> Result<(), Fault>,
) -> Result<(), Trouble> {
    let mut number = 1;
    let trouble = |fault| Trouble { fault, line: number, column: 0 };
    let mut records = Records::new(source).map_err(|_| trouble(Fault::CutOff))?;
    let mut keeps_value = false;
    loop {
        let trouble = |fault| Trouble { fault, line: number, column: 0 };
        let what = records.record().map_err(|_| trouble(Fault::CutOff))?;
        let Some(what) = what else { return Ok(()) };
        one(&mut records, what, &mut keeps_value, buffers, each).map_err(trouble)?;
        number += 1;
    }
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
                permissions.push((access, DomId(domid))).map_err(|_| Fault::LongList)?;
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
