//! One line of the text form.

use super::buffers::{PermissionBuf, ValueBuf};
use super::fault::Fault;
use super::item::{Item, Node, PATH_MAX, VALUE_MAX};
use crate::path::Path;
use crate::perms;
use crate::store::NAME_MAX;
use crate::words::{position_of, position_of_either};

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// Nothing, or a comment.
    Nothing,
    /// A layer with this name begins.
    Layer(&'a [u8]),
    Item(Item<'a>),
    /// The text has ended.
    End,
}

/// Reads a line, without its end. What is wrong, and at which of its bytes, from 0 on.
pub fn parse<'a>(
    line: &'a [u8],
    value: &'a mut ValueBuf,
    permissions: &'a mut PermissionBuf,
) -> Result<Line<'a>, (Fault, usize)> {
    read(line, value, permissions, false)
}

/// The same. `known`: the line has been read before, nothing was wrong with it, and its value has no escape.
#[inline(never)]
pub fn read<'a>(
    line: &'a [u8],
    value: &'a mut ValueBuf,
    permissions: &'a mut PermissionBuf,
    known: bool,
) -> Result<Line<'a>, (Fault, usize)> {
    match line.first() {
        None | Some(b'#') => return Ok(Line::Nothing),
        Some(b'/' | b'@') => {}
        Some(_) => return directive(line),
    }
    let end = position_of_either::<b' ', b':'>(line).unwrap_or(line.len());
    let (path, rest) = line.split_at_checked(end).unwrap_or_default();
    let path = match known {
        true => Path::from_canonical(path),
        false => path_of(path).map_err(|fault| (fault, 0))?,
    };
    let (value, behind, same) = match rest {
        [b':', behind @ ..] => (None, behind, permissions.says(behind)),
        [b' ', b'=', b' ', b'"', rest @ ..] => {
            let (text, behind, same) = split_value(rest, permissions).ok_or((Fault::NoQuote, line.len()))?;
            let at = line.len() - rest.len();
            (Some(unquote(text, value, known).map_err(|(fault, n)| (fault, at + n))?), behind, same)
        }
        _ => return Err((Fault::NoValue, end)),
    };
    let some = same || {
        let at = line.len() - behind.len();
        read_permissions(behind, permissions).map_err(|(fault, n)| (fault, at + n))?
    };
    let permissions = some.then_some(permissions.as_slice());
    Ok(Line::Item(Item::Node(Node { path, value, permissions })))
}

/// The bytes of a value, what is behind its end, and whether that is what was behind the one before. A value's own quotes have no
/// escape, but permissions have no quotes.
#[inline(always)] // Mostly it is.
fn split_value<'a>(rest: &'a [u8], permissions: &PermissionBuf) -> Option<(&'a [u8], &'a [u8], bool)> {
    let same = rest.len().saturating_sub(permissions.text().len());
    let (before, behind) = rest.split_at_checked(same).unwrap_or_default();
    if let ([text @ .., b'"'], true) = (before, permissions.says(behind)) {
        return Some((text, behind, true));
    }
    let end = rest.iter().rposition(|byte| *byte == b'"')?;
    let (text, behind) = rest.split_at_checked(end)?;
    Some((text, behind.get(1..).unwrap_or_default(), false))
}

#[cold]
#[inline(never)]
fn directive(line: &[u8]) -> Result<Line<'_>, (Fault, usize)> {
    let word = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let rest = line.get(word + 1..).unwrap_or_default();
    let at = word + 1;
    match line.get(..word).unwrap_or_default() {
        b"end" if word == line.len() => Ok(Line::End),
        b"layer" if is_name(rest) => Ok(Line::Layer(rest)),
        b"layer" => Err((Fault::BadName, at)),
        b"whiteout" => removed(rest, false).map(|path| Line::Item(Item::Whiteout(path))).map_err(|f| (f, at)),
        b"opaque" => removed(rest, true).map(|path| Line::Item(Item::Opaque(path))).map_err(|f| (f, at)),
        _ => Err((Fault::NoDirective, 0)),
    }
}

/// Whether a layer may be called so.
pub(super) fn is_name(name: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    (1..=NAME_MAX).contains(&name.len()) && name.iter().all(valid)
}

/// The path of a node that a layer may have.
#[inline(never)]
pub fn path_of(bytes: &[u8]) -> Result<Path<'_>, Fault> {
    if bytes.len() > PATH_MAX {
        return Err(Fault::LongPath);
    }
    let special = [Path::INTRODUCE_DOMAIN, Path::RELEASE_DOMAIN];
    let special = special.into_iter().find(|path| path.as_bytes() == bytes);
    special.or_else(|| Path::absolute(bytes)).ok_or(Fault::BadPath)
}

/// The path of a node that is removed, or only what is below it.
pub fn removed(bytes: &[u8], below_only: bool) -> Result<Path<'_>, Fault> {
    let path = path_of(bytes)?;
    let stays = path.is_special() || (path.is_root() && !below_only);
    if stays { Err(Fault::NotThere) } else { Ok(path) }
}

/// What an escape stands for, and how many bytes follow the backslash.
#[cold]
#[inline(never)]
fn escape(behind: &[u8]) -> Option<(u8, usize)> {
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = behind.get(from..from + count)?;
        let value = digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(radix).map(|digit| value * radix + digit)
        });
        u8::try_from(value?).ok().map(|byte| (byte, from + count))
    };
    match behind.first()? {
        b't' => Some((b'\t', 1)),
        b'n' => Some((b'\n', 1)),
        b'r' => Some((b'\r', 1)),
        byte @ (b'\\' | b'"') => Some((*byte, 1)),
        b'x' => digits(1, 2, 16),
        _ => digits(0, 3, 8),
    }
}

/// What the bytes of a value stand for: themselves, mostly.
#[inline(never)] // Smaller so.
fn unquote<'a>(text: &'a [u8], value: &'a mut ValueBuf, known: bool) -> Result<&'a [u8], (Fault, usize)> {
    if known {
        return Ok(text);
    }
    match position_of::<b'\\'>(text) {
        None if text.len() > VALUE_MAX => Err((Fault::LongValue, VALUE_MAX)),
        None => Ok(text),
        Some(_) => unescape(text, value),
    }
}

#[cold]
#[inline(never)]
fn unescape<'a>(text: &[u8], value: &'a mut ValueBuf) -> Result<&'a [u8], (Fault, usize)> {
    value.clear();
    let mut rest = text;
    loop {
        let plain = position_of::<b'\\'>(rest).unwrap_or(rest.len());
        let (now, behind) = rest.split_at_checked(plain).unwrap_or_default();
        let at = text.len() - behind.len();
        value.extend_from_slice(now).map_err(|_| (Fault::LongValue, at))?;
        let Some((_, behind)) = behind.split_first() else { return Ok(value) };
        let (byte, count) = escape(behind).ok_or((Fault::BadEscape, at))?;
        value.push(byte).map_err(|_| (Fault::LongValue, at))?;
        rest = behind.get(count..).unwrap_or_default();
    }
}

/// Reads what is behind a value. Whether there are permissions.
#[inline(never)]
fn read_permissions(text: &[u8], list: &mut PermissionBuf) -> Result<bool, (Fault, usize)> {
    let Some(blanks) = text.iter().position(|byte| *byte != b' ') else {
        return if text.is_empty() { Ok(false) } else { Err((Fault::BadPermissions, 0)) };
    };
    let inner = text.get(blanks..).and_then(|list| list.strip_prefix(b"(")?.strip_suffix(b")"));
    let inner = inner.filter(|_| blanks > 0).ok_or((Fault::BadPermissions, blanks))?;
    list.clear();
    let mut at = blanks + 1;
    for entry in inner.split(|byte| *byte == b',') {
        let parsed = perms::parse(entry).map_err(|_| (Fault::BadPermissions, at))?;
        list.push(parsed).ok_or((Fault::LongList, at))?;
        at += entry.len() + 1;
    }
    list.note(text);
    Ok(true)
}
