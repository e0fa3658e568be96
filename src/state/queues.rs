//! CAUSES and QUEUE, both ours: what the format does not say of messages that wait.

use heapless::Vec;

use super::connections::{Numbers, introduced, number};
use super::fault::Fault;
use super::format::{
    CAUSES, Cause, DEADLINE, ENDED, EVENT, Fixed, GIVEN_UP, IGNORED, LATER, OWN_GIVEN_UP, OWN_LEAST, QUEUE,
    Queue, Waiting,
};
use super::reader::Reader;
use super::told;
use super::writer::Writer;
use crate::abi::DomId;
use crate::connection::outbox::{Kind, Message, Outbox};
use crate::connection::{Late, Links, Stands};
use crate::perms::Life;
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

/// Messages that wait for a domain.
fn queued<R>(links: &Links<R>, id: DomainId) -> impl Iterator<Item = &Message> {
    links.outbox.queue(id).iter(links.outbox.messages()).map(|(_, message)| message)
}

/// What a message stands for, if that is still told of.
fn told_by(store: &Store, id: DomainId, message: &Message) -> Option<Rest> {
    message.rest.filter(|_| Outbox::is_told(store, id, message))
}

/// The domains by whose rights beside their own those who are behind hear.
pub struct Targets {
    /// The latest life of one that is dead.
    pub latest: Life,
    /// The one that was looked for last, and whose life it is.
    last: (Life, Option<DomId>),
}

impl Targets {
    pub fn of<R>(store: &Store, links: &Links<R>) -> Targets {
        let mut targets = Targets { latest: Life::NONE, last: (Life::NONE, None) };
        for (id, ..) in introduced(store, links) {
            for rest in queued(links, id).filter_map(|message| told_by(store, id, message)) {
                if rest.target.0 > targets.latest.0 && targets.find(store, rest.target).is_none() {
                    targets.latest = rest.target;
                }
            }
        }
        targets
    }

    fn find(&mut self, store: &Store, life: Life) -> Option<DomId> {
        if self.last.0 != life {
            self.last = (life, store.domains.living(life));
        }
        self.last.1
    }

    /// The flags and the number by which [`Waiting`] names a target.
    fn name(&mut self, store: &Store, life: Life) -> (u8, u16) {
        match (self.find(store, life), life.before(self.latest)) {
            (None, Some(before)) if life != Life::NONE => (ENDED, before),
            (living, _) => (0, living.unwrap_or(DomId::INVALID).0 + 1),
        }
    }
}

fn waiting(store: &Store, id: DomainId, message: &Message, now: Instant, targets: &mut Targets) -> Waiting {
    let (flags, left) = packed(message.kind(), now);
    let mut waiting = Waiting {
        flags,
        msg_type: message.msg_type,
        cause: message.cause_place(),
        left,
        ..Waiting::default()
    };
    if let Some(rest) = told_by(store, id, message) {
        let (ended, target) = targets.name(store, rest.target);
        waiting.flags |= LATER | ended;
        (waiting.target, waiting.after) = (target, rest.after);
        (waiting.told, waiting.copy) = store.position_of(&rest);
    } else if message.rest.is_some() {
        waiting.flags |= LATER | GIVEN_UP;
    }
    waiting
}

/// The oldest version of our own records whose readers can do with all messages. Each change counts those that tell of it;
/// what is beyond them is [`GIVEN_UP`].
pub fn least<R>(store: &Store, links: &Links<R>) -> u16 {
    let messages = store.domains.iter().flat_map(|(id, _)| queued(links, id));
    let rests = messages.filter(|message| message.rest.is_some()).count();
    if rests > store.waiting_to_hear() as usize { OWN_GIVEN_UP } else { OWN_LEAST }
}

pub fn save<R>(
    writer: &mut Writer<'_>,
    store: &Store,
    links: &Links<R>,
    now: Instant,
    targets: &mut Targets,
) -> Result<(), Full> {
    for (id, domain, connection) in introduced(store, links) {
        let messages = || queued(links, id);
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
            writer.part(&waiting(store, id, message, now, targets))?;
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

/// By whose rights beside its own a domain hears.
fn target(store: &Store, id: DomainId, entry: &Waiting) -> Life {
    if entry.flags & ENDED != 0 {
        return Life::ended(entry.target);
    }
    let domid = entry.target.checked_sub(1).map_or(store.domains.get(id).target.domid, DomId);
    store.domains.find(domid).map_or(Life::NONE, |target| store.domains.get(target).life)
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
    let stands = match (entry.flags & LATER, entry.flags & GIVEN_UP) {
        (0, _) => Stands::ForItself,
        (_, 0) => {
            let target = target(store, id, entry);
            let found = told::find(store, entry.told, entry.copy)?;
            Stands::For(Rest { after: entry.after, target, ..found })
        }
        _ => Stands::ForNothing,
    };
    let cause = match entry.cause.checked_sub(1) {
        None => None,
        Some(place) => Some(links.outbox.cause_at(place as usize).ok_or(Fault::NoCause)?),
    };
    let late = Late { kind, cause, msg_type: type_index(entry.msg_type.into()) as u8, stands };
    links.outbox.turn(store, id, &late).ok_or(Fault::NoRoom)
}
