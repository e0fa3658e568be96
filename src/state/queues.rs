//! CAUSES and QUEUE, both ours: what the format does not say of messages that wait.

use heapless::Vec;

use super::connections::{Numbers, introduced, number};
use super::fault::Fault;
use super::format::{CAUSES, Cause, DEADLINE, EVENT, Fixed, IGNORED, LATER, QUEUE, Queue, Waiting};
use super::reader::Reader;
use super::told;
use super::writer::Writer;
use crate::abi::DomId;
use crate::connection::outbox::{Kind, Message, Outbox};
use crate::connection::{Late, Links};
use crate::platform::Instant;
use crate::slots::Full;
use crate::store::{DomainId, Rest, Store};
use crate::trace::type_index;
use crate::wire::{Header, PAYLOAD_MAX};

pub fn save_causes<R>(writer: &mut Writer<'_>, store: &Store, links: &Links<R>) -> Result<(), Full> {
    let count = links.outbox.cause_places().count();
    if count == 0 {
        return Ok(());
    }
    writer.begin(CAUSES, count * Cause::SIZE)?;
    for by in links.outbox.cause_places() {
        let living = by.filter(|(id, life)| store.domains.get(*id).life == *life);
        let domid = living.map_or(DomId::INVALID, |(id, _)| store.domains.get(id).domid);
        writer.part(&Cause { domid: domid.0 })?;
    }
    writer.end()
}

pub fn restore_causes<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &mut Links<R>,
) -> Result<(), Fault> {
    while reader.left() >= Cause::SIZE {
        let Cause { domid } = reader.part()?;
        let by = store.domains.find(DomId(domid)).filter(|by| !store.domains.is_privileged(*by));
        links.outbox.put_back_cause(store, by).ok_or(Fault::NoRoom)?;
    }
    Ok(())
}

fn packed(kind: Kind, now: Instant) -> (u8, u64) {
    match kind {
        Kind::Reply => (0, 0),
        Kind::Event { deadline: None } => (EVENT, 0),
        Kind::Event { deadline: Some(at) } => (EVENT | DEADLINE, at.0.saturating_sub(now.0)),
    }
}

fn waiting(store: &Store, message: &Message, now: Instant) -> Waiting {
    let (flags, left) = packed(message.kind(), now);
    let late = message.rest.map(|rest| {
        let (number, copy) = store.position_of(&rest);
        (number, copy, rest.after)
    });
    let (told, copy, after) = late.unwrap_or_default();
    Waiting {
        flags: flags | if late.is_some() { LATER } else { 0 },
        msg_type: message.msg_type,
        cause: message.cause_place(),
        left,
        told,
        after,
        copy,
        ..Waiting::default()
    }
}

pub fn save<R>(writer: &mut Writer<'_>, store: &Store, links: &Links<R>, now: Instant) -> Result<(), Full> {
    for (id, domain, connection) in introduced(store, links) {
        // Of what was given up nothing more is heard.
        let is_kept = |message: &&Message| message.rest.is_none() || Outbox::is_told(store, id, message);
        let queue = || links.outbox.queue(id).iter(links.outbox.messages()).map(|(_, message)| message);
        let messages = || queue().filter(is_kept);
        let count = messages().count();
        if count == 0 && !connection.ignored {
            continue;
        }
        let sent = messages().next().map_or(0, |first| first.written);
        let head = Queue {
            connection: number(domain.domid),
            flags: if connection.ignored { IGNORED } else { 0 },
            sent,
            count: count as u32,
            padding: 0,
        };
        writer.begin_with(QUEUE, &head, count * Waiting::SIZE + usize::from(sent))?;
        for message in messages() {
            writer.part(&waiting(store, message, now))?;
        }
        let mut left = usize::from(sent);
        for piece in messages().take(1).flat_map(|first| store.blobs.pieces(first.bytes)) {
            let now = piece.get(..left.min(piece.len())).unwrap_or_default();
            writer.bytes(now)?;
            left -= now.len();
        }
        writer.end()?;
    }
    Ok(())
}

pub fn restore<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &mut Links<R>,
    numbers: &mut Numbers,
    now: Instant,
    text: &mut Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
) -> Result<(), Fault> {
    let head: Queue = reader.part()?;
    let Some(id) = numbers.find(store, links, head.connection)? else { return Ok(()) };
    if let Some(connection) = links.get_mut(id) {
        connection.ignored = head.flags & IGNORED != 0;
    }
    let mut messages = links.outbox.queue(id).iter(links.outbox.messages()).count();
    for _ in 0..head.count {
        let entry: Waiting = reader.part()?;
        if entry.flags & LATER == 0 {
            messages = messages.checked_sub(1).ok_or(Fault::OtherMessages)?;
        }
        restore_message(store, links, id, &entry, now)?;
    }
    if messages != 0 {
        return Err(Fault::OtherMessages);
    }
    reader.gather(head.sent.into(), text, Fault::OtherMessages)?;
    links.outbox.complete(store, id, text).ok_or(Fault::OtherMessages)
}

fn restore_message<R>(
    store: &mut Store,
    links: &mut Links<R>,
    id: DomainId,
    entry: &Waiting,
    now: Instant,
) -> Result<(), Fault> {
    let deadline = (entry.flags & DEADLINE != 0).then(|| now.after_nanoseconds(entry.left));
    let kind = if entry.flags & EVENT != 0 { Kind::Event { deadline } } else { Kind::Reply };
    let rest = match entry.flags & LATER {
        0 => None,
        _ => {
            let target = store.domains.caller(id).target;
            Some(Rest { after: entry.after, target, ..told::find(store, entry.told, entry.copy)? })
        }
    };
    let cause = match entry.cause.checked_sub(1) {
        None => None,
        Some(place) => Some(links.outbox.cause_at(place as usize).ok_or(Fault::NoCause)?),
    };
    let late = Late { kind, cause, msg_type: type_index(entry.msg_type.into()) as u8, rest };
    links.outbox.turn(store, id, &late).ok_or(Fault::NoRoom)
}
