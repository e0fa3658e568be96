//! Messages that did not fit their ring yet: replies and watch events, in order, per connection.
//!
//! A message waits as a blob, charged to the domain it is for. What a guest's request left waiting
//! anywhere counts as one outstanding request of that guest until all of it is delivered or dropped.
//! xenstore.txt, quota `outstanding`.

use crate::config::Capacities;
use crate::perms::Life;
use crate::platform::Instant;
use crate::slots::{self, Arena, Blob, Claim, Id, Queued, Slot, Table, chained};
use crate::store::{DomainId, Store};

pub type MessageId = Id<Message>;
pub type CauseId = Id<Cause>;

/// A request of which something still waits.
#[derive(Clone, Copy)]
pub struct Cause {
    domain: DomainId,
    life: Life,
    /// Messages that wait because of it.
    waiting: u32,
}

impl Slot for Cause {
    const EMPTY: Cause = Cause { domain: DomainId::FIRST, life: Life::NONE, waiting: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Reply,
    /// Dropped if its delivery has not begun at `deadline`.
    Event {
        deadline: Option<Instant>,
    },
}

#[derive(Clone, Copy)]
pub struct Message {
    /// Of an event: receiver, path and token, and odd; equal events wait once. Of an answer: any even number.
    hash: u64,
    chain: Option<MessageId>,
    next: Option<MessageId>,
    pub bytes: Blob,
    /// Bytes that are in the ring already.
    pub written: u16,
    pub kind: Kind,
    cause: Option<CauseId>,
    /// Type of the request that it was queued in.
    pub msg_type: u8,
}

impl Message {
    /// Whether a guest's request is outstanding because of it.
    pub fn has_cause(&self) -> bool {
        self.cause.is_some()
    }

    /// Bytes of memory that a waiting message of `len` bytes takes.
    pub const fn memory(len: usize) -> u32 {
        size_of::<Message>() as u32 + 12 + Blob::memory(len)
    }
}

impl Slot for Message {
    const EMPTY: Message = Message {
        hash: 0,
        chain: None,
        next: None,
        bytes: Blob::EMPTY,
        written: 0,
        kind: Kind::Reply,
        cause: None,
        msg_type: 0,
    };
}

chained!(Message);

/// The queue of what waits for one connection.
pub enum Waiting {}

impl Queued<Waiting> for Message {
    fn next(&self) -> Option<MessageId> {
        self.next
    }
    fn set_next(&mut self, next: Option<MessageId>) {
        self.next = next;
    }
}

/// One connection's messages, oldest first.
pub type Queue = slots::Queue<Message, Waiting>;

pub struct Outbox {
    pub messages: Table<Message>,
    pub causes: Arena<Cause>,
    /// The cause that messages queued now have, once there is one.
    current: Option<CauseId>,
    /// Spreads answers over the table, where nobody looks for them, so that each is taken off a short chain.
    last_answer: u64,
}

impl Outbox {
    pub fn new(capacities: &Capacities) -> Self {
        Outbox {
            messages: Table::new(capacities.messages, 0),
            causes: Arena::new(capacities.messages, 0),
            current: None,
            last_answer: 0,
        }
    }

    /// Bytes of memory for as many messages as `capacities` say.
    pub const fn bytes(capacities: &Capacities) -> usize {
        Table::<Message>::bytes(capacities.messages, 0) + Arena::<Cause>::bytes(capacities.messages, 0)
    }

    /// Forgets the request at hand: what is queued from now on is nobody's doing.
    pub fn end_request(&mut self) {
        self.current = None;
    }

    /// Of an event: odd, and different for other receivers and other bytes.
    fn event_hash(store: &Store, to: DomainId, bytes: &[u8]) -> u64 {
        store.key.extend(store.key.hash(&to.index().to_le_bytes()), bytes) | 1
    }

    /// Whether an event with these bytes waits already for `to`.
    pub fn has(&self, store: &Store, to: DomainId, bytes: &[u8]) -> bool {
        let hash = Self::event_hash(store, to, bytes);
        self.messages.find(hash, |message| store.blobs.equals(message.bytes, bytes)).is_some()
    }

    /// Queues a message for `to`, on account of the request at hand if that is a guest's. False if there is no room
    /// for it.
    pub fn push(
        &mut self,
        store: &mut Store,
        queue: &mut Queue,
        to: DomainId,
        claim: Claim,
        kind: Kind,
        message: &[u8],
    ) -> bool {
        let len = message.len();
        if self.messages.arena().available_to(claim) == 0
            || (store.blobs.arena().available_to(claim) as usize) < len.div_ceil(crate::slots::CHUNK)
        {
            return false;
        }
        let Ok(bytes) = store.blobs.store(message) else { return false };
        let by = store.current.from.filter(|by| !store.domains.is_privileged(*by));
        let cause = by.and_then(|by| self.cause(store, by));
        let msg_type = store.current.type_index as u8;
        let hash = if kind == Kind::Reply {
            self.last_answer = self.last_answer.wrapping_add(2);
            self.last_answer
        } else {
            Self::event_hash(store, to, message)
        };
        let queued = self.messages.insert(Message { hash, bytes, kind, cause, msg_type, ..Message::EMPTY });
        let Ok(id) = queued else { return false };
        let linked = queue.append(&mut self.messages, id);
        debug_assert!(linked.is_ok(), "queues change outside attempts");
        store.domains.update(to).usage.memory += Message::memory(len);
        true
    }

    fn cause(&mut self, store: &mut Store, by: DomainId) -> Option<CauseId> {
        let domain = store.domains.update(by);
        let id = match self.current {
            Some(id) => id,
            None => {
                let id = self.causes.alloc(Cause { domain: by, life: domain.life, waiting: 0 }).ok()?;
                domain.usage.outstanding += 1;
                self.current = Some(id);
                id
            }
        };
        self.causes.update(id).waiting += 1;
        domain.caused += 1;
        Some(id)
    }

    /// The oldest event whose delivery has not begun in time, and the message before it. Events wait equally
    /// long, so behind one that is in time there is none that is late.
    pub fn find_late(&self, queue: &Queue, now: Instant) -> Option<(Option<MessageId>, MessageId)> {
        let mut before = None;
        for (id, message) in queue.iter(&self.messages) {
            match message.kind {
                Kind::Event { deadline } if message.written == 0 => {
                    return (deadline? <= now).then_some((before, id));
                }
                _ => before = Some(id),
            }
        }
        None
    }

    /// Takes the message behind `before` off its queue, or the oldest: delivered or dropped. Returns the domain that
    /// has one outstanding request less by this.
    pub fn pop_after(
        &mut self,
        store: &mut Store,
        queue: &mut Queue,
        to: DomainId,
        before: Option<MessageId>,
    ) -> Option<DomainId> {
        // Never `Full`: queues change outside attempts.
        let id = queue.remove_after(&mut self.messages, before).ok()??;
        let message = *self.messages.get(id);
        store.domains.update(to).usage.memory -= Message::memory(message.bytes.len());
        let freed = store.blobs.free(message.bytes);
        debug_assert!(freed.is_ok(), "queues change outside attempts");
        self.messages.remove(id);
        let cause_id = message.cause?;
        let cause = self.causes.update(cause_id);
        cause.waiting -= 1;
        let Cause { domain, life, waiting } = *cause;
        let mut record = Some(store.domains.update(domain)).filter(|record| record.life == life);
        if let Some(record) = &mut record {
            record.caused -= 1;
        }
        if waiting > 0 {
            return None;
        }
        if self.current == Some(cause_id) {
            self.current = None;
        }
        let freed = self.causes.free(cause_id);
        debug_assert!(freed.is_ok(), "causes change outside attempts");
        record?.usage.outstanding -= 1;
        Some(domain)
    }

    /// Each cause: whose request it is, and how many messages wait; for the consistency check.
    pub fn causes(&self) -> impl Iterator<Item = (DomainId, Life, u32)> {
        let used = self.causes.slots().iter().filter(|cause| cause.waiting > 0);
        used.map(|cause| (cause.domain, cause.life, cause.waiting))
    }

    /// Bytes of memory that a queue takes.
    pub fn memory(&self, queue: &Queue) -> u32 {
        queue.iter(&self.messages).map(|(_, message)| Message::memory(message.bytes.len())).sum()
    }
}
