//! Connections that come from a state, and their messages: first the bytes, then what only our own states say of them.

use super::outbox::{Cause, CauseId, Kind, Message, Outbox};
use super::{Connection, Links, Partial};
use crate::perms::Life;
use crate::platform::Refused;
use crate::slots::{Blob, Claim, Full};
use crate::store::{DomainId, Rest, Share, Store};
use crate::wire::Header;

impl<R> Links<R> {
    /// Puts a connection in its place, with its port, if it has one. Refused if the port is another's or too high: its ring
    /// stays mapped, because whoever has handed it over goes on with it then.
    pub fn put_back(&mut self, id: DomainId, connection: Connection<R>) -> Result<(), Refused> {
        let port = connection.port;
        *self.connections.get_mut(id.index()).ok_or(Refused)? = Some(connection);
        match port {
            Some(port) if self.is_free(port) => self.set_port_owner(port, Some(id)),
            Some(_) => Err(Refused),
            None => Ok(()),
        }
    }

    /// Sets a connection's half request, which may be a whole one, in place of none. None if there is no room.
    pub fn set_half_request(&mut self, store: &mut Store, id: DomainId, bytes: &[u8]) -> Option<()> {
        let connection = self.get_mut(id)?;
        let (header, payload) = bytes.split_at(bytes.len().min(Header::SIZE));
        let mut partial = Partial { len: bytes.len() as u32, ..Partial::EMPTY };
        partial.header.get_mut(..header.len())?.copy_from_slice(header);
        let set = store.attempt(Claim::Answer, |store| {
            partial.payload = store.blobs.store(payload)?;
            Ok(store.charge(Some(id), 0, partial.memory())?)
        });
        connection.partial = partial;
        set.ok()
    }
}

/// What is known of a waiting message beside its bytes.
#[derive(Clone, Copy)]
pub struct Late {
    pub kind: Kind,
    pub cause: Option<CauseId>,
    pub msg_type: u8,
    pub stands: Stands,
}

/// What a waiting message stands for.
#[derive(Clone, Copy)]
pub enum Stands {
    /// Its own bytes.
    ForItself,
    /// Events that are made when there is room for them.
    For(Rest),
    /// Such events of a change that has been given up.
    ForNothing,
}

impl Outbox {
    /// The causes by their places, up to the last in use: whose request each is. None for a place that is free.
    pub fn cause_places(&self) -> impl Iterator<Item = Option<(DomainId, Life)>> {
        let end = self.causes.slots().rposition(|cause| cause.waiting > 0).map_or(0, |last| last + 1);
        let used = self.causes.slots().take(end);
        used.map(|cause| (cause.waiting > 0).then_some((cause.domain, cause.life)))
    }

    /// The cause in this place.
    pub fn cause_at(&self, place: usize) -> Option<CauseId> {
        self.causes.id_at(place)
    }

    /// Adds a cause in the next place, because of which nothing waits yet. None if there is no room.
    pub fn put_back_cause(&mut self, store: &mut Store, by: Option<DomainId>) -> Option<()> {
        let (domain, life) = match by {
            Some(by) => (by, store.domains.get(by).life),
            None => (DomainId::FIRST, Life::NONE),
        };
        self.attempt(store, Claim::Answer, |outbox, _| {
            outbox.causes.alloc(Cause { domain, life, waiting: 0 }).map(drop)
        })
    }

    /// Once all messages are there: each cause counts as an outstanding request, and those without messages go.
    pub fn count_causes(&mut self, store: &mut Store) -> Option<()> {
        for place in 0..self.causes.capacity() as usize {
            let Some(id) = self.causes.id_at(place) else { break };
            self.attempt(store, Claim::Answer, |outbox, store| {
                let Cause { domain, life, waiting } = *outbox.causes.get(id);
                if waiting == 0 {
                    return outbox.causes.free(id);
                }
                if store.domains.get(domain).life == life {
                    let held = store.held.modify(domain)?;
                    held.usage.outstanding += 1;
                    held.note_most();
                }
                Ok(())
            })?;
        }
        Some(())
    }

    /// Queues a message of which so many bytes have been sent. None if there is no room.
    pub fn put_back(
        &mut self,
        store: &mut Store,
        to: DomainId,
        kind: Kind,
        bytes: &[u8],
        written: u16,
    ) -> Option<()> {
        let hash = match kind {
            Kind::Event { .. } => Outbox::event_hash(store, to, bytes),
            Kind::Reply => self.next_hash(),
        };
        self.attempt(store, Claim::Answer, |outbox, store| {
            let bytes = store.blobs.store(bytes)?;
            outbox.put_last(
                store,
                to,
                Message { hash, bytes, written, packed: kind.packed(), ..Message::NONE },
            )
        })
    }

    fn put_last(&mut self, store: &mut Store, to: DomainId, message: Message) -> Result<(), Full> {
        let len = message.bytes.len();
        let held = store.held.modify(to)?;
        held.usage.memory += Message::memory(len);
        held.note_most();
        store.take(to, Share::Messages, 1)?;
        self.charge(store, to, 0, len)?;
        let id = self.messages.insert(message)?;
        self.queues.modify(to)?.append(&mut self.messages, id)
    }

    fn charge(&self, store: &mut Store, payer: DomainId, old: usize, new: usize) -> Result<(), Full> {
        store.move_chunks(payer, Blob::memory(old), Blob::memory(new))
    }

    /// Says more of the first message and puts it behind the others; or puts one that stands for others there. None if there
    /// is no room, or no message.
    pub fn turn(&mut self, store: &mut Store, to: DomainId, late: &Late) -> Option<()> {
        let Late { kind, cause, msg_type, stands } = *late;
        let (hash, rest) = match stands {
            Stands::ForItself => (self.next_hash(), None),
            Stands::For(rest) => (Outbox::rest_hash(store.number_of(&rest), to), Some(rest)),
            Stands::ForNothing => (self.next_hash() | 1, Some(Rest::NOTHING)),
        };
        self.attempt(store, Claim::Answer, |outbox, store| {
            let packed = kind.packed();
            if let Some(cause) = cause {
                outbox.causes.modify(cause)?.waiting += 1;
            }
            if let Stands::For(found) = stands {
                store.await_telling(found.tx)?;
            }
            if rest.is_some() {
                let message = Message { hash, packed, cause, msg_type, rest, ..Message::NONE };
                outbox.put_last(store, to, message)?;
                return outbox.pay(store, to, 0, cause);
            }
            let id = outbox.queues.modify(to)?.remove_after(&mut outbox.messages, None)?.ok_or(Full)?;
            let message = outbox.messages.modify(id)?;
            message.next = None;
            (message.packed, message.cause, message.msg_type) = (packed, cause, msg_type);
            let len = message.bytes.len();
            outbox.queues.modify(to)?.append(&mut outbox.messages, id)?;
            outbox.pay(store, to, len, cause)
        })
    }

    /// What the privileged are told is the charge of the guest that has caused it.
    fn pay(&self, store: &mut Store, to: DomainId, len: usize, cause: Option<CauseId>) -> Result<(), Full> {
        let Some(cause) = cause.filter(|_| store.domains.is_privileged(to)) else { return Ok(()) };
        let Cause { domain, life, .. } = *self.causes.get(cause);
        if store.domains.get(domain).life != life {
            return Ok(());
        }
        store.take(domain, Share::Messages, 1)?;
        self.charge(store, domain, 0, len)
    }

    /// Says which bytes of the first message have been sent, in the place of those that stood for them. None if there is no
    /// room, or none is half sent.
    pub fn complete(&mut self, store: &mut Store, to: DomainId, sent: &[u8]) -> Option<()> {
        let first = self.queue(to).first();
        let first = first.filter(|first| self.messages.get(*first).written > 0);
        let Some(first) = first else { return sent.is_empty().then_some(()) };
        let other = self.next_hash();
        self.attempt(store, Claim::Answer, |outbox, store| {
            let message = *outbox.messages.get(first);
            let mut bytes = heapless::Vec::<u8, { Message::MAX }>::new();
            bytes.extend_from_slice(sent).map_err(|_| Full)?;
            let mut skip = usize::from(message.written);
            for piece in store.blobs.pieces(message.bytes) {
                bytes
                    .extend_from_slice(piece.get(skip.min(piece.len())..).unwrap_or_default())
                    .map_err(|_| Full)?;
                skip = skip.saturating_sub(piece.len());
            }
            let hash = match message.kind() {
                Kind::Event { .. } => Outbox::event_hash(store, to, &bytes),
                Kind::Reply => other,
            };
            let payer = outbox.payer(store, to, &message).unwrap_or(DomainId::FIRST);
            outbox.charge(store, payer, message.bytes.len(), bytes.len())?;
            let held = store.held.modify(to)?;
            held.usage.memory =
                held.usage.memory - Message::memory(message.bytes.len()) + Message::memory(bytes.len());
            held.note_most();
            store.blobs.free(message.bytes)?;
            outbox.queues.modify(to)?.remove_after(&mut outbox.messages, None)?;
            outbox.messages.remove(first)?;
            let blob = store.blobs.store(&bytes)?;
            let written = sent.len() as u16;
            let id = outbox.messages.insert(Message { hash, bytes: blob, written, next: None, ..message })?;
            outbox.queues.modify(to)?.prepend(&mut outbox.messages, id)
        })
    }
}
