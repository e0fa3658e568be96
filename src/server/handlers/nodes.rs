//! READ, WRITE, MKDIR, RM, DIRECTORY, DIRECTORY_PART, GET_PERMS, SET_PERMS. xenstore.txt, "Read, etc.".

use core::fmt::Write;

use crate::abi::{DomId, ServerFeatures};
use crate::path::{PathBuf, Special};
use crate::perms::{Access, Entry, Life, letter, parse};
use crate::platform::Platform;
use crate::quota::Quota;
use crate::server::context::{Context, Outcome, Request};
use crate::server::core::Core;
use crate::server::scratch::Reply;
use crate::store::{Answer, Cursor, DomainId, Place, Removal, Start, Store, Value};
use crate::wire::{PAYLOAD_MAX, XsError, decimal, number, strings, terminated};

pub fn read<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let place = request.place(cx.core, terminated(request.payload)?, Special::Refused, Access::READ)?;
    let value = cx.core.store.value_at(place);
    match value.inline_word() {
        Some((word, len)) => reply.push_word(&word, len)?,
        None => push_value(&cx.core.store, value, reply)?,
    }
    Ok(Outcome::DATA)
}

#[inline(never)] // Most values are short.
fn push_value(store: &Store, value: Value, reply: &mut Reply) -> Result<(), XsError> {
    value.pieces(&store.blobs).try_for_each(|piece| reply.push(piece))
}

pub fn write<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let input = args.required()?;
    put(cx.core, request, input, Some(args.rest()))
}

pub fn mkdir<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    put(cx.core, request, terminated(request.payload)?, None)
}

/// Sets the value of a node, and creates the node if there is none. Without a value, an existing node stays as it is.
fn put(
    core: &mut Core,
    request: &Request<'_>,
    input: &[u8],
    value: Option<&[u8]>,
) -> Result<Outcome, XsError> {
    let mut buf = PathBuf::new();
    let subject = request.subject(core, input, Special::Refused, &mut buf)?;
    core.store.take_above();
    match core.store.seek(&request.view, subject, Access::WRITE) {
        Ok(place) => {
            if let Some(value) = value {
                core.store.write_at(&request.view, subject.path, place, value)?;
            }
        }
        Err(XsError::ENOENT) => {
            let above = core.store.take_above();
            core.store.create_at(&request.view, subject, value.unwrap_or_default(), above)?;
        }
        Err(error) => return Err(error),
    }
    Ok(Outcome::OK)
}

pub fn rm<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut buf = PathBuf::new();
    let subject = request.subject(cx.core, terminated(request.payload)?, Special::Refused, &mut buf)?;
    let found = cx.core.store.seek(&request.view, subject, Access::WRITE);
    if found.is_ok() {
        // The store will not know its path any more.
        cx.core.store.trace.name(subject.hash, subject.path.as_bytes());
    }
    match found {
        Ok(_) if subject.path.is_root() => Err(XsError::EINVAL),
        Ok(Place::Node(top)) => {
            let claim = request.view.claim();
            cx.core.store.decide(Ok(Answer::Ok), claim, |store| {
                // A node without children goes at once: its path is known, and there is one event.
                if !store.node(top).children.is_empty() {
                    return store
                        .remove_more(Removal { top, at: top, told: true, noted: true }, 0)
                        .map(|_| ());
                }
                store.collect_for_removal(top, subject.path, true);
                Ok(store.remove_leaf(top)?)
            })?;
            Ok(Outcome::OK)
        }
        Ok(Place::Copy(id)) => {
            cx.core.store.remove_copies(&request.view, id, subject.path).map(|()| Outcome::OK)
        }
        // Removing what is not there succeeds if its parent is there.
        Err(XsError::ENOENT) => {
            let parent = subject.path.parent().ok_or(XsError::EINVAL)?;
            cx.core.store.find(&request.view, parent)?.ok_or(XsError::ENOENT).map(|_| Outcome::OK)
        }
        Err(error) => Err(error),
    }
}

pub fn directory<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let place = request.place(cx.core, terminated(request.payload)?, Special::Refused, Access::READ)?;
    let (_, len) = cx.core.store.list_at(place);
    if len > PAYLOAD_MAX {
        return Err(XsError::E2BIG);
    }
    cx.core.store.for_each_child(place, Start::First, |_, name| reply.push_short(name))?;
    Ok(Outcome::DATA)
}

/// Answers with the node's generation and the names from a byte offset on; an empty name ends the
/// list. xenstore.txt, DIRECTORY_PART.
pub fn directory_part<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let [input, offset] = strings(request.payload).exactly()?;
    let place = request.place(cx.core, input, Special::Refused, Access::READ)?;
    let offset = number(offset);
    let (generation, len) = cx.core.store.list_at(place);
    write!(reply, "{generation}\0").map_err(|_| XsError::E2BIG)?;
    let room = PAYLOAD_MAX - reply.len() - 1;
    match usize::try_from(offset).ok().filter(|offset| *offset < len) {
        None => reply.push(b"\0")?,
        Some(offset) => next_part(
            &mut cx.core.store,
            request.from,
            place,
            Cursor { generation, offset, start: Start::First },
            room,
            reply,
        )?,
    }
    Ok(Outcome::DATA)
}

/// Names that are passed over at once where a part begins elsewhere than the one before has stopped. A turn has as many goes at that
/// as it has requests, 8.
const PASSED: usize = 800;

/// Where a part of a list stops.
enum Stop {
    /// There is no room for this name.
    Full(Start),
    /// Others have their turns before this name is passed over.
    Pause(Start),
    Error(XsError),
}

/// Answers with the names from the offset of `wanted` on, as many as have room. EAGAIN: the request at hand is to go on after
/// others' turns.
fn next_part(
    store: &mut Store,
    from: DomainId,
    place: Place,
    wanted: Cursor,
    room: usize,
    reply: &mut Reply,
) -> Result<(), XsError> {
    // Continuing where the last part stopped makes reading a whole list linear in its length.
    let (unchanged, pauses) = match place {
        Place::Node(_) => (true, true),
        Place::Copy(id) => (store.has_seen_list(id), false),
    };
    let Cursor { generation, offset, .. } = wanted;
    let known = store
        .cursor(from)
        .filter(|cursor| unchanged && cursor.generation == generation && cursor.offset <= offset);
    let (at, start) = known.map_or((0, Start::First), |cursor| (cursor.offset, cursor.start));
    let (before, mut skip, mut passed) = (reply.len(), offset.saturating_sub(at), 0);
    let end = store.for_each_child(place, start, |start, name| {
        if skip > name.len() {
            if passed == PASSED && pauses {
                return Err(Stop::Pause(start));
            }
            passed += 1;
            skip -= name.len() + 1;
            return Ok(());
        }
        let rest = name.get(skip..).unwrap_or_default();
        if reply.len() + rest.len() >= before + room {
            return Err(Stop::Full(start));
        }
        skip = 0;
        reply.push_short(rest).map_err(Stop::Error)
    });
    match end {
        Ok(()) => reply.push(b"\0"),
        Err(Stop::Full(start)) => {
            let offset = (offset + reply.len() - before).saturating_sub(skip);
            store.set_cursor(from, Cursor { generation, offset, start });
            Ok(())
        }
        Err(Stop::Pause(start)) => {
            store.set_cursor(from, Cursor { generation, offset: offset.saturating_sub(skip), start });
            store.current.pauses = true;
            Err(XsError::EAGAIN)
        }
        Err(Stop::Error(error)) => Err(error),
    }
}

pub fn get_perms<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let place = request.place(cx.core, terminated(request.payload)?, Special::Allowed, Access::READ)?;
    let acl = cx.core.store.acl_at(place).ok_or(XsError::EIO)?;
    let mut digits = [0; 10];
    for (n, entry) in cx.core.store.acls.entries(&cx.core.store.blobs, acl).enumerate() {
        if n == 0 || is_shown(&cx.core.store, entry) {
            // A list may be as long as a message.
            reply.push(&[letter(entry.access)])?;
            reply.push_string(decimal(entry.domid.0.into(), &mut digits))?;
        }
    }
    Ok(Outcome::DATA)
}

/// Entries of domains that have ended are not shown. Those that never named a domain are shown as written.
fn is_shown(store: &Store, entry: Entry) -> bool {
    match entry.life {
        Life::NONE | Life::ANY => true,
        _ => store.domains.owner(entry).is_some(),
    }
}

pub fn set_perms<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let view = &request.view;
    let mut args = strings(request.payload);
    let input = args.required()?;
    let count = Some(args.remaining()).filter(|count| *count > 0).ok_or(XsError::EINVAL)?;
    cx.core.store.check_quota(view, Quota::NODE_PERMISSIONS, count)?;
    let mut owner = None;
    for string in args {
        let (_, domid) = parse(string)?;
        owner = owner.or(Some(domid));
    }
    let owner = owner.ok_or(XsError::EINVAL)?;
    match view.caller.is_privileged() {
        true => life_of(cx, request.from, owner, true).map(drop)?,
        // The present owner has a record.
        false => cx.core.store.domains.find(owner).map(drop).ok_or(XsError::ENOENT)?,
    }
    let mut buf = PathBuf::new();
    let subject = request.subject(cx.core, input, Special::Allowed, &mut buf)?;
    let place = cx.core.store.seek(view, subject, Access::WRITE | Access::OWNER)?;
    let old = cx.core.store.acl_at(place).ok_or(XsError::EIO)?;
    let present = cx.core.store.acls.owner(old);
    if !view.caller.is_privileged() && present.domid != owner {
        return Err(XsError::EPERM);
    }
    // From here the hypervisor may be asked for domains, so only clients that may set these permissions get here.
    cx.core.store.list.clear();
    for (n, string) in args.enumerate() {
        let (access, domid) = parse(string)?;
        let life = life_of(cx, request.from, domid, n == 0)?;
        cx.core.store.list.push(Entry { access, domid, life })?;
    }
    cx.core.store.check_acl_size(view, place, count)?;
    cx.core.store.set_acl_at(view, subject.path, place)?;
    Ok(Outcome::OK)
}

/// The life to which a permission entry for `domid` refers. ENOENT if the owner does not exist.
fn life_of<P: Platform>(
    cx: &mut Context<'_, P>,
    from: DomainId,
    domid: DomId,
    is_owner: bool,
) -> Result<Life, XsError> {
    if domid == DomId::ANY && !is_owner {
        return Ok(if cx.core.offers(from, ServerFeatures::DOMID_ANY) { Life::ANY } else { Life::NONE });
    }
    if domid < DomId::FIRST_RESERVED && cx.core.store.domains.find(domid).is_none() {
        cx.core.count_question(from);
    }
    match cx.core.know(cx.platform, domid) {
        Some(id) => Ok(cx.core.store.domains.get(id).life),
        None if is_owner => Err(XsError::ENOENT),
        None => Ok(Life::NONE),
    }
}
