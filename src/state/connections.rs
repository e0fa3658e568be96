//! CONNECTION, WATCH and WATCH_EXTENDED, and of ours ORDER: each connection with what waits on its way in and out, and its
//! watches.

use super::domains::know;
use super::fault::Fault;
use super::format::{
    ANY_DEPTH, CONNECTION, Connection, Depth, Fixed, HAS_UNIQUE_ID, ORDER, Place, Places, WATCH,
    WATCH_EXTENDED, Watch,
};
use super::nodes::{Buffers, read_path};
use super::reader::Reader;
use super::writer::Writer;
use crate::abi::{DomId, Port};
use crate::config::Settings;
use crate::connection::outbox::Kind;
use crate::connection::{self, Links};
use crate::path::{Path, PathBuf};
use crate::perms::{Entry, Life};
use crate::platform::Instant;
use crate::slots::{Claim, Full};
use crate::store::{self, DomainId, NameBuf, Store};
use crate::wire::{Header, MessageType, PAYLOAD_MAX};

const RING: u16 = 0;
const SOCKET: u16 = 1;

/// The number by which records name a domain's connection, which is never 0.
pub fn number(domid: DomId) -> u32 {
    u32::from(domid.0) + 1
}

/// The domains that have connections.
pub fn introduced<'a, R>(
    store: &'a Store,
    links: &'a Links<R>,
) -> impl Iterator<Item = (DomainId, &'a store::Domain, &'a connection::Connection<R>)> {
    store.domains.known().filter_map(|(id, domain)| Some((id, domain, links.get(id)?)))
}

pub fn save<R>(
    writer: &mut Writer<'_>,
    store: &Store,
    links: &Links<R>,
    id: DomainId,
    domain: &store::Domain,
    connection: &connection::Connection<R>,
) -> Result<(), Full> {
    let waiting = || links.outbox.queue(id).iter(links.outbox.messages()).map(|(_, message)| message);
    let begun = waiting().next().filter(|first| first.written > 0);
    let begun = begun.map_or(0, |first| first.bytes.len() - usize::from(first.written));
    let output: usize = waiting().map(|message| message.bytes.len() - usize::from(message.written)).sum();
    let input = connection.half_request(&store.blobs).map(<[u8]>::len).sum::<usize>();
    let target = Some(domain.target).filter(|target| store.domains.owner(*target).is_some());
    let head = Connection {
        number: number(domain.domid),
        kind: RING,
        flags: HAS_UNIQUE_ID,
        domid: domain.domid.0,
        target: target.map_or(DomId::INVALID, |target| target.domid).0,
        port: connection.port.map_or(0, |port| port.0),
        input: input as u16,
        begun: begun as u16,
        output: output as u32,
    };
    let data = (input + output).next_multiple_of(8);
    writer.begin_with(CONNECTION, &head, data + size_of::<u64>())?;
    connection.half_request(&store.blobs).try_for_each(|piece| writer.bytes(piece))?;
    for message in waiting() {
        let mut skip = usize::from(message.written);
        for piece in store.blobs.pieces(message.bytes) {
            writer.bytes(piece.get(skip.min(piece.len())..).unwrap_or_default())?;
            skip = skip.saturating_sub(piece.len());
        }
    }
    writer.bytes([0; 8].get(..data - input - output).unwrap_or_default())?;
    writer.bytes(&domain.unique_id.to_le_bytes())?;
    writer.end()
}

pub fn save_watch(
    writer: &mut Writer<'_>,
    store: &Store,
    domid: DomId,
    id: store::WatchId,
    version: u32,
) -> Result<(), Full> {
    let watch = store.watch(id);
    let mut buf = PathBuf::new();
    if let Some(path) = store.path_of_watch(id) {
        path.append_cleared(&store.blobs, &mut buf)?;
    }
    let path = Path::from_canonical(&buf);
    let path = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
    let (path_len, token_len) = (path.len() + 1, watch.token.len() + 1);
    let head = Watch { connection: number(domid), path: path_len as u16, token: token_len as u16 };
    match watch.depth().filter(|_| version > 1) {
        None => writer.begin_with(WATCH, &head, path_len + token_len)?,
        Some(depth) => {
            writer.begin_with(WATCH_EXTENDED, &head, Depth::SIZE + path_len + token_len)?;
            writer.part(&Depth { depth: depth.min(u32::from(ANY_DEPTH) - 1) as u16, padding: 0 })?;
        }
    }
    writer.bytes(path)?;
    writer.bytes(&[0])?;
    writer.bytes(watch.token(&store.blobs, &mut NameBuf::new()))?;
    writer.bytes(&[0])?;
    writer.end()
}

/// Which watch of a domain is older than which, also of different domains, and all depths.
pub fn save_order(writer: &mut Writer<'_>, store: &Store, id: DomainId, domid: DomId) -> Result<(), Full> {
    let count = store.watches_of(id).count();
    if count == 0 {
        return Ok(());
    }
    let head = Places { connection: number(domid), padding: 0 };
    writer.begin_with(ORDER, &head, count * Place::SIZE)?;
    for (_, watch) in store.watches_of(id) {
        let depth = watch.depth().unwrap_or(u32::MAX);
        writer.part_in_place(&Place { sequence: watch.sequence, depth, padding: 0 })?;
    }
    writer.end()
}

/// Hands over a domain's ring and its local port, which a state names. None if there is no ring any more: the domain is
/// not introduced then.
pub type Adopt<'a, R> = dyn FnMut(DomId, Option<Port>) -> Option<(R, Option<Port>)> + 'a;

/// What is known of connections while they are read.
pub struct Numbers {
    /// The latest connection, by its number.
    last: (u32, Option<DomainId>),
    /// There was one that is left out: nobody is at the other end of a socket any more.
    left_out: bool,
}

impl Numbers {
    pub const NONE: Numbers = Numbers { last: (0, None), left_out: false };

    /// The domain of a connection that a record names; none if the connection was left out.
    pub fn find<R>(
        &mut self,
        store: &Store,
        links: &Links<R>,
        number: u32,
    ) -> Result<Option<DomainId>, Fault> {
        if self.last.0 != number {
            let is_it = |id: &DomainId| links.get(*id).is_some_and(|connection| connection.number == number);
            // As we number them; others count.
            let ours = u16::try_from(number.wrapping_sub(1)).ok();
            let ours = ours.and_then(|domid| store.domains.find(DomId(domid))).filter(is_it);
            let known = ours.or_else(|| store.domains.known().map(|(id, _)| id).find(is_it));
            self.last = (number, known);
        }
        match self.last.1 {
            None if !self.left_out => Err(Fault::UnknownConnection),
            found => Ok(found),
        }
    }
}

/// What connections are restored with.
pub struct Around<'a> {
    pub settings: &'a Settings,
    /// The server's own domain.
    pub own: Option<DomId>,
    pub now: Instant,
}

pub fn restore<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &mut Links<R>,
    around: &Around<'_>,
    numbers: &mut Numbers,
    text: &mut heapless::Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
    adopt: &mut Adopt<'_, R>,
) -> Result<(), Fault> {
    let head: Connection = reader.part()?;
    if head.number == 0 {
        return Err(Fault::NumberZero);
    }
    if head.kind != RING {
        numbers.left_out |= head.kind == SOCKET;
        return Ok(());
    }
    let domid = DomId(head.domid);
    let id = know(store, domid, &around.settings.quotas)?;
    if links.has(id) {
        return Err(Fault::ConnectionTwice);
    }
    let port = Some(Port(head.port)).filter(|port| port.0 != 0);
    let Some((ring, port)) = adopt(domid, port) else {
        numbers.left_out = true;
        return Ok(());
    };
    let connection = connection::Connection::restored(ring, port, head.number);
    links.put_back(id, connection).map_err(|_| Fault::BadPort)?;
    numbers.last = (head.number, Some(id));
    if !store.domains.is_privileged(id) && around.own != Some(domid) {
        store.attempt(Claim::Answer, |store| Ok(store.promise(id, true)?))?;
    }
    // Whether that domain lives is known when all have been read.
    let target = DomId(head.target);
    store.domains.update(id).target = Entry { domid: target, ..Entry::NOBODY };
    reader.gather(head.input.into(), text, Fault::LongInput)?;
    let header = text.first_chunk().map(Header::parse);
    if header.is_some_and(|header| text.len() - Header::SIZE > header.len as usize) {
        return Err(Fault::LongInput);
    }
    links.set_half_request(store, id, text).ok_or(Fault::NoRoom)?;
    restore_output(reader, store, links, around, id, &head, text)?;
    reader.align()?;
    if head.flags & HAS_UNIQUE_ID != 0 {
        store.domains.update(id).unique_id = reader.number()?;
    }
    Ok(())
}

fn restore_output<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &mut Links<R>,
    around: &Around<'_>,
    id: DomainId,
    head: &Connection,
    text: &mut heapless::Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
) -> Result<(), Fault> {
    let mut left = head.output as usize;
    if head.begun > 0 {
        let begun = usize::from(head.begun);
        left = left.checked_sub(begun).ok_or(Fault::CutMessage)?;
        reader.gather(begun, text, Fault::LongMessage)?;
        // What has been sent of it is not known yet, so one byte stands for it.
        text.insert(0, 0).map_err(|_| Fault::LongMessage)?;
        links.outbox.put_back(store, id, Kind::Reply, text, 1).ok_or(Fault::NoRoom)?;
    }
    while left > 0 {
        left = left.checked_sub(Header::SIZE).ok_or(Fault::CutMessage)?;
        reader.gather(Header::SIZE, text, Fault::LongMessage)?;
        let header = Header::parse(text.first_chunk().ok_or(Fault::CutMessage)?);
        let len = header.len as usize;
        left = left.checked_sub(len).ok_or(Fault::CutMessage)?;
        text.resize(Header::SIZE.saturating_add(len), 0).map_err(|_| Fault::LongMessage)?;
        reader.bytes(text.get_mut(Header::SIZE..).unwrap_or_default())?;
        let timeout = u64::from(around.settings.watch_event_timeout);
        let deadline =
            (timeout != 0 && !store.domains.is_privileged(id)).then(|| around.now.after_seconds(timeout));
        let event = header.msg_type == MessageType::WatchEvent as u32;
        let kind = if event { Kind::Event { deadline } } else { Kind::Reply };
        links.outbox.put_back(store, id, kind, text, 0).ok_or(Fault::NoRoom)?;
    }
    Ok(())
}

pub fn restore_watch<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &Links<R>,
    numbers: &mut Numbers,
    buffers: &mut Buffers,
    extended: bool,
) -> Result<(), Fault> {
    let head: Watch = reader.part()?;
    let Some(id) = numbers.find(store, links, head.connection)? else { return Ok(()) };
    let Buffers { path, absolute, text: token, .. } = buffers;
    let depth = if extended { reader.part::<Depth>()?.depth } else { ANY_DEPTH };
    let depth = (depth != ANY_DEPTH).then_some(u32::from(depth));
    let domid = store.domains.get(id).domid;
    let path = read_path(reader, head.path, domid, path, absolute)?;
    reader.gather(head.token.into(), token, Fault::LongToken)?;
    let token = token.strip_suffix(b"\0").filter(|token| !token.contains(&0));
    let token = token.ok_or(Fault::BadToken)?;
    let subject = store.subject_at(path);
    if store.find_watch(id, subject, token).is_some() {
        return Err(Fault::WatchTwice);
    }
    // Only a relative path becomes longer.
    let relative = path.as_bytes().len() + 1 != usize::from(head.path);
    store.attempt(Claim::Answer, |store| store.add_watch(id, subject, token, depth, relative))?;
    Ok(())
}

pub fn restore_order<R>(
    reader: &mut Reader<'_>,
    store: &mut Store,
    links: &Links<R>,
    numbers: &mut Numbers,
) -> Result<(), Fault> {
    let Places { connection, .. } = reader.part()?;
    let Some(id) = numbers.find(store, links, connection)? else { return Ok(()) };
    let mut next = store.watches_of(id).next().map(|(id, _)| id);
    while let Some(watch) = next {
        if reader.left() < Place::SIZE {
            break;
        }
        let Place { sequence, depth, .. } = reader.part()?;
        store.place_watch(watch, sequence, (depth != u32::MAX).then_some(depth));
        next = store.watch_after(watch);
    }
    Ok(())
}

/// The targets that connections have named, now that all domains are known.
pub fn find_targets<R>(store: &mut Store, links: &Links<R>) {
    for slot in store.domains.slots() {
        let Some(id) = store.domains.at(slot).filter(|id| links.has(*id)) else { continue };
        let named = store.domains.get(id).target;
        let target = store.domains.find(named.domid).filter(|target| links.has(*target));
        let life = target.map_or(Life::NONE, |target| store.domains.get(target).life);
        let target = if life == Life::NONE { Entry::NOBODY } else { Entry { life, ..named } };
        store.domains.update(id).target = target;
    }
}
