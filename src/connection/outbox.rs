//! Messages that did not fit their ring yet: replies and watch events, in order, per connection.
//!
//! A message waits as a blob, charged to its receiver. All messages that wait because of one guest's request count together
//! as one outstanding request of that guest, until the last is delivered or dropped. xenstore.txt, quota `outstanding`.

mod late;

use core::ops::Range;

use crate::config::Capacities;
use crate::perms::Life;
use crate::platform::Instant;
use crate::slots::{
    self, Arena, Attempt, Balance, Blob, Claim, Each, Full, Id, Queued, Room, Slot, Table, chained,
};
use crate::store::{Domain, DomainId, Rest, Share, Store, TxNodeId};
use crate::wire::{Header, PAYLOAD_MAX};

/// Slots of one kind that a step may change.
const JOURNAL: usize = 4;

pub type MessageId = Id<Message>;
pub type CauseId = Id<Cause>;

/// A request because of which messages still wait.
#[derive(Clone, Copy)]
pub struct Cause {
    pub(super) domain: DomainId,
    pub(super) life: Life,
    /// How many.
    pub(super) waiting: u32,
}

impl Slot for Cause {
    const EMPTY: Cause = Cause { domain: DomainId::FIRST, life: Life::NONE, waiting: 0 };
    const WALKED: bool = true;
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
#[repr(Rust, packed(4))] // As a node.
pub struct Message {
    /// Of an event: receiver, path and token, and odd; equal events wait once. Of what stands for others: receiver and
    /// change, and even; any odd number for [`Rest::NOTHING`]. Of an answer: any even number.
    pub(super) hash: u64,
    pub(super) chain: Option<MessageId>,
    pub(super) next: Option<MessageId>,
    pub bytes: Blob,
    /// Bytes that are in the ring already.
    pub written: u16,
    /// [`Kind::packed`].
    pub(super) packed: u64,
    pub(super) cause: Option<CauseId>,
    /// Type of the request that it was queued in.
    pub msg_type: u8,
    /// It stands for events that are made when there is room for them, and has no bytes itself.
    pub rest: Option<Rest>,
}

/// What is to be queued.
#[derive(Clone, Copy)]
pub enum What<'a> {
    Message(&'a [u8]),
    /// What is left of the change at hand, or what there is from this copy on, see [`Store::tell_later`].
    Rest(Option<TxNodeId>),
    /// A message before the events of this one that are still to come.
    Before(MessageId, Rest, &'a [u8]),
}

impl Kind {
    /// In half the bytes: 0 for a reply, all bits for an event that waits for ever, else the deadline.
    pub(super) fn packed(self) -> u64 {
        match self {
            Kind::Reply => 0,
            Kind::Event { deadline: None } => u64::MAX,
            Kind::Event { deadline: Some(Instant(at)) } => at.clamp(1, u64::MAX - 1),
        }
    }
}

impl Message {
    pub fn kind(&self) -> Kind {
        match self.packed {
            0 => Kind::Reply,
            u64::MAX => Kind::Event { deadline: None },
            at => Kind::Event { deadline: Some(Instant(at)) },
        }
    }

    /// The place of its cause among all causes, from 1 on; 0 for none.
    pub fn cause_place(&self) -> u32 {
        self.cause.map_or(0, |cause| cause.index() as u32 + 1)
    }

    /// Whether a guest's request is outstanding because of it.
    pub fn has_cause(&self) -> bool {
        self.cause.is_some()
    }

    /// Bytes of memory that a waiting message of `len` bytes takes.
    pub const fn memory(len: usize) -> u32 {
        size_of::<Message>() as u32 + 12 + Blob::memory(len)
    }
}

impl Message {
    /// Bytes of the longest message.
    pub const MAX: usize = Header::SIZE + PAYLOAD_MAX;

    /// An empty message that is in no queue.
    pub const NONE: Message = Message {
        hash: 0,
        chain: None,
        next: None,
        bytes: Blob::EMPTY,
        written: 0,
        packed: 0,
        cause: None,
        msg_type: 0,
        rest: None,
    };
}

impl Slot for Message {
    const EMPTY: Message = Message::NONE;
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
    pub(super) messages: Table<Message>,
    pub(super) causes: Arena<Cause>,
    pub(super) queues: Each<Domain, Queue>,
    /// The attempt that is open queues a message, with this cause as far as that is known.
    pushing: Option<Option<CauseId>>,
    /// The cause of messages queued now. None until the request at hand has queued one.
    current: Option<CauseId>,
    /// The same for the request that is set aside.
    aside: Option<CauseId>,
    /// Of a change whose receivers are still given their places: the same for the request that has made it, once that is not
    /// at hand any more.
    late: Option<Option<CauseId>>,
    /// That request is at hand for one message, and the one that was is `late`.
    is_late: bool,
    /// Nobody looks for answers by their hash. Ever new numbers, far from each other, keep the table's chains short.
    last_answer: u64,
}

impl Outbox {
    pub fn new(attempt: &Attempt, capacities: &Capacities) -> Self {
        Outbox {
            messages: Table::new(attempt, capacities.messages, JOURNAL),
            causes: Arena::new(attempt, capacities.messages, JOURNAL, JOURNAL),
            queues: Each::new(attempt, capacities.domains, JOURNAL),
            pushing: None,
            current: None,
            aside: None,
            late: None,
            is_late: false,
            last_answer: 0,
        }
    }

    /// Bytes of memory for as many messages as `capacities` say.
    pub const fn bytes(capacities: &Capacities) -> usize {
        Table::<Message>::bytes(capacities.messages, JOURNAL)
            + Arena::<Cause>::bytes(capacities.messages, JOURNAL, JOURNAL)
            + Each::<Domain, Queue>::bytes(capacities.domains, JOURNAL)
    }

    /// All messages that wait.
    pub fn messages(&self) -> &Table<Message> {
        &self.messages
    }

    /// How many messages wait, did at most, and may.
    pub fn level(&self) -> [u32; 3] {
        self.messages.arena().level()
    }

    /// Memory of messages that there never were, see [`Arena::untouched`].
    pub fn untouched(&self) -> Range<usize> {
        self.messages.arena().untouched()
    }

    /// Slots of each kind, for the consistency check.
    pub fn balances(&self) -> [(&'static str, Balance); 2] {
        [("messages", self.messages.arena().balance()), ("causes", self.causes.balance())]
    }

    /// What waits for a domain's connection.
    pub fn queue(&self, id: DomainId) -> &Queue {
        self.queues.of(id)
    }

    /// Runs one step; if it fails or is stopped, nothing of it remains.
    pub(super) fn attempt<T>(
        &mut self,
        store: &mut Store,
        claim: Claim,
        step: impl FnOnce(&mut Outbox, &mut Store) -> Result<T, Full>,
    ) -> Option<T> {
        store.present_attempt().begin(claim);
        let done = step(self, store).ok();
        match done {
            Some(_) => {
                store.present_attempt().decide();
                self.commit(store);
            }
            None => self.rollback(store),
        }
        done
    }

    fn commit(&mut self, store: &mut Store) {
        self.messages.commit();
        self.causes.commit();
        store.commit();
    }

    fn rollback(&mut self, store: &mut Store) {
        self.messages.rollback();
        self.causes.rollback();
        self.queues.rollback();
        store.rollback();
    }

    /// After a stop: completes what was decided, and undoes what was not. True if that has queued a message of which its
    /// sender does not know.
    pub fn recover(&mut self, store: &mut Store) -> bool {
        let decided = store.present_attempt().is_decided();
        if store.present_attempt().is_open() {
            if decided { self.commit(store) } else { self.rollback(store) }
        }
        let pushed = self.pushing.take().filter(|_| decided);
        if let Some(cause) = pushed {
            self.current = cause;
        }
        if self.is_late {
            self.change_late();
        }
        // Its last message may have gone, and nobody could note that.
        let causes = &self.causes;
        let kept = [&mut self.current, &mut self.aside].into_iter().chain(&mut self.late);
        kept.filter(|kept| kept.is_some_and(|id| causes.get(id).waiting == 0)).for_each(|kept| *kept = None);
        pushed.is_some()
    }

    /// Ends the request at hand: messages queued from now on have no cause.
    pub fn end_request(&mut self) {
        self.current = None;
    }

    /// The request at hand is set aside, or the one that was is at hand again.
    pub fn change_request(&mut self) {
        core::mem::swap(&mut self.current, &mut self.aside);
    }

    /// Of an event: odd, and different for other receivers and other bytes.
    pub(super) fn event_hash(store: &Store, to: DomainId, bytes: &[u8]) -> u64 {
        let key = store.key();
        key.extend(key.hash(&to.index().to_le_bytes()), bytes) | 1
    }

    /// Of a message that nobody looks for.
    pub(super) fn next_hash(&mut self) -> u64 {
        self.last_answer = self.last_answer.wrapping_add(0x9e37_79b9_7f4a_7c16);
        self.last_answer
    }

    /// Whether an event with these bytes waits already for `to`.
    pub fn has(&self, store: &Store, to: DomainId, bytes: &[u8]) -> bool {
        let hash = Self::event_hash(store, to, bytes);
        self.messages.find(hash, |message| store.blobs.equals(message.bytes, bytes)).is_some()
    }

    /// Queues a message for `to`. If the request at hand is a guest's, that is its cause. False if there is no room.
    pub fn push(
        &mut self,
        store: &mut Store,
        to: DomainId,
        claim: Claim,
        kind: Kind,
        what: What<'_>,
    ) -> bool {
        let message = match what {
            What::Message(message) | What::Before(_, _, message) => message,
            What::Rest(_) => &[],
        };
        let len = message.len();
        let by = store.current.from.filter(|by| !store.domains.is_privileged(*by));
        let msg_type = store.current.type_index as u8;
        let hash = match (kind, what) {
            (_, What::Rest(_)) => Self::rest_hash(store.collected.number, to),
            (Kind::Event { .. }, _) => Self::event_hash(store, to, message),
            (Kind::Reply, _) => self.next_hash(),
        };
        self.pushing = Some(self.current);
        let queued = self.attempt(store, claim, |outbox, store| {
            let Room { capacity, free } = outbox.messages.arena().room();
            let Some(free) = free.checked_sub(1).filter(|_| outbox.messages.arena().available() > 0) else {
                return Err(Full);
            };
            let bytes = store.blobs.store(message)?;
            let payer = if store.domains.is_privileged(to) { by.unwrap_or(to) } else { to };
            if !store.domains.is_privileged(payer) {
                store.held.modify(payer)?.usage.messages += 1;
                store.moved_in(Room { capacity, free }, payer, Share::Messages, 1)?;
                store.move_chunks(payer, 0, Blob::memory(len))?;
            }
            let rest = if let What::Rest(from) = what { Some(store.tell_later(to, from)?) } else { None };
            let cause = by.map(|by| outbox.cause(store, by)).transpose()?;
            outbox.pushing = Some(cause);
            let id = outbox.messages.insert(Message {
                hash,
                bytes,
                packed: kind.packed(),
                cause,
                msg_type,
                rest,
                ..Message::EMPTY
            })?;
            let queue = outbox.queues.modify(to)?;
            if let What::Before(first, left, _) = what {
                outbox.messages.modify(first)?.rest = Some(left);
                queue.prepend(&mut outbox.messages, id)?;
            } else {
                queue.append(&mut outbox.messages, id)?;
            }
            let held = store.held.modify(to)?;
            held.usage.memory += Message::memory(len);
            held.note_most();
            Ok((cause, rest))
        });
        self.pushing = None;
        if let Some((cause, rest)) = queued {
            self.current = cause;
            if let Some(rest) = rest {
                store.collected.copy = Some(rest.copy);
            }
        }
        queued.is_some()
    }

    /// The first message for `to`, if it stands for events that are made when there is room for them.
    pub fn rest(&self, to: DomainId) -> Option<(MessageId, Rest)> {
        let first = self.queue(to).first()?;
        Some((first, self.messages.get(first).rest?))
    }

    /// Whether a message stands for events that are still to be sent.
    pub fn is_told(store: &Store, to: DomainId, message: &Message) -> bool {
        let is_for = |rest: Rest| message.hash == Self::rest_hash(store.number_of(&rest), to);
        message.rest.is_some_and(|rest| message.hash & 1 == 0 && is_for(rest))
    }

    /// The hash of the message that stands for the change of this number. No other message of that receiver has it.
    pub(super) fn rest_hash(number: u64, to: DomainId) -> u64 {
        (number << 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (to.index() as u64) << 1
    }

    /// Notes that the events before `rest` are in the ring.
    pub fn go_on(&mut self, id: MessageId, rest: Rest) {
        self.messages.update(id).rest = Some(rest);
    }

    fn cause(&mut self, store: &mut Store, by: DomainId) -> Result<CauseId, Full> {
        match self.current {
            Some(id) => {
                self.causes.modify(id)?.waiting += 1;
                Ok(id)
            }
            None => {
                let held = store.held.modify(by)?;
                held.usage.outstanding += 1;
                held.note_most();
                let life = store.domains.get(by).life;
                self.causes.alloc(Cause { domain: by, life, waiting: 1 })
            }
        }
    }

    /// The oldest event whose delivery has not begun in time, and the message before it. Events wait equally
    /// long, so behind one that is in time there is none that is late.
    pub fn find_late(&self, to: DomainId, now: Instant) -> Option<(Option<MessageId>, MessageId)> {
        let mut before = None;
        for (id, message) in self.queue(to).iter(&self.messages) {
            match message.kind() {
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
        to: DomainId,
        before: Option<MessageId>,
    ) -> Option<DomainId> {
        let (cause, eased) = self.attempt(store, Claim::Answer, |outbox, store| {
            let removed = outbox.queues.modify(to)?.remove_after(&mut outbox.messages, before)?;
            let Some(id) = removed else { return Ok((None, None)) };
            let message = *outbox.messages.get(id);
            let Message { bytes, cause, rest, .. } = message;
            store.held.modify(to)?.usage.memory -= Message::memory(bytes.len());
            if let Some(payer) = outbox.payer(store, to, &message) {
                store.give(payer, Share::Messages, 1)?;
                store.move_chunks(payer, Blob::memory(bytes.len()), 0)?;
            }
            store.blobs.free(bytes)?;
            if let Some(rest) = rest.filter(|_| Self::is_told(store, to, &message)) {
                store.end_telling(rest.tx)?;
            }
            outbox.messages.remove(id)?;
            let eased = cause.map(|cause| outbox.ease(store, cause)).transpose()?.flatten();
            Ok((cause, eased))
        })?;
        let kept = [&mut self.current, &mut self.aside].into_iter().chain(&mut self.late);
        kept.filter(|kept| **kept == cause && eased.is_some()).for_each(|kept| *kept = None);
        eased
    }

    /// Who is charged for a message that waits for `to`: the receiver, but if that is privileged, the guest that has caused
    /// the message. None if that guest has died.
    pub fn payer(&self, store: &Store, to: DomainId, message: &Message) -> Option<DomainId> {
        match message.cause.map(|cause| self.causes.get(cause)) {
            Some(cause) if store.domains.is_privileged(to) => {
                let Cause { domain, life, .. } = *cause;
                (store.domains.get(domain).life == life).then_some(domain)
            }
            _ => Some(to),
        }
    }

    /// One message less waits because of this cause. Returns the domain whose outstanding request ends with it.
    fn ease(&mut self, store: &mut Store, id: CauseId) -> Result<Option<DomainId>, Full> {
        let cause = self.causes.modify(id)?;
        cause.waiting -= 1;
        let Cause { domain, life, waiting } = *cause;
        if waiting > 0 {
            return Ok(None);
        }
        self.causes.free(id)?;
        if store.domains.get(domain).life != life {
            return Ok(None);
        }
        store.held.modify(domain)?.usage.outstanding -= 1;
        Ok(Some(domain))
    }

    pub fn causes_in_use(&self) -> u32 {
        self.causes.used()
    }

    /// Each cause: whose request it is, and how many messages wait; for the consistency check.
    pub fn causes(&self) -> impl Iterator<Item = (DomainId, Life, u32)> {
        let used = self.causes.slots().filter(|cause| cause.waiting > 0);
        used.map(|cause| (cause.domain, cause.life, cause.waiting))
    }

    /// Bytes of memory that the queue of a domain's connection takes.
    pub fn memory(&self, to: DomainId) -> u32 {
        self.queue(to).iter(&self.messages).map(|(_, message)| Message::memory(message.bytes.len())).sum()
    }
}
