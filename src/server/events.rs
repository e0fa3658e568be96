//! Watch events on their way: those that a change has collected, in order, each into its receiver's ring or queue.

use core::ops::Deref;

use super::Server;
use super::core::Core;
use super::scratch::{Exchange, Stage, payload};
use crate::abi::{RingError, RingPage};
use crate::connection::outbox::{Kind, Message, MessageId, Outbox, What};
use crate::connection::{GivenUp, Links, Sent};
use crate::path::Path;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::{Current, Domain, DomainId, Match, NameBuf, Rest, Store, Telling, WatchId};
use crate::trace::{Kind as Traced, Record};
use crate::wire::{Header, MessageBuf, MessageType, TxId, XsError, strings};

/// What looking at one copy costs, in the unit of `Limits::watches`.
const COPY: u32 = 8;

/// What telling of one event costs.
const EVENT: u32 = 8;

/// What it costs that a receiver has heard all.
const LAST: u32 = 20;

/// What giving a receiver its place costs.
const PLACE: u32 = 30;

/// Puts an event together. E2BIG if it is longer than a message.
fn event<'a>(message: &'a mut MessageBuf, path: &[u8], token: &[u8]) -> Result<&'a [u8], XsError> {
    message.clear();
    message.push_string(path)?;
    message.push_string(token)?;
    let msg_type = MessageType::WatchEvent as u32;
    Ok(message.finish(Header { msg_type, req_id: 0, tx_id: TxId::NONE, len: 0 }))
}

impl<P: Platform> Server<P> {
    /// Sends the events that a change has collected. Those who hear of it later have their places in goes of their own: as
    /// long as somebody has none, there is something under way.
    #[inline(always)] // Of most requests there are none.
    pub(super) fn send_collected(&mut self) {
        if !self.core.store.collected.is_empty() {
            self.send_all();
        }
    }

    /// Stopped at any point and called again, it sends the rest.
    #[inline(never)]
    fn send_all(&mut self) {
        if self.core.store.collected.late.is_some() {
            return;
        }
        let Server { core, links, exchange, .. } = self;
        while let Some(found) = core.store.collected.next() {
            send_next(core, links, &mut exchange.event, found);
        }
        core.store.collected.clear();
    }

    /// Gives those who have been gathered their places, as many as one turn may cost.
    pub(super) fn give_places(&mut self) {
        let mut work = 0;
        while self.core.store.collected.search.is_some() {
            work += self.core.store.search_more() as u32;
            if work > self.core.store.limits().watches {
                return;
            }
        }
        while let Some(found) = self.core.store.collected.next() {
            if work > self.core.store.limits().watches {
                return;
            }
            work += self.give_place(found.domain);
            self.core.store.unmark(found);
            self.core.store.collected.sent += 1;
        }
        self.core.store.end_gathering();
        self.links.outbox.end_late();
    }

    /// Gives a receiver its place, if it has been gathered and has none. Returns what that costs.
    #[inline(never)] // In several places.
    pub(super) fn give_place(&mut self, to: DomainId) -> u32 {
        let Server { core, links, .. } = self;
        if !core.store.lacks_place(to) {
            return 1;
        }
        let (first, looked_at) = core.store.first_to_tell(to);
        if first.is_some() {
            let Current { from, type_index, .. } = core.store.current;
            (core.store.current.from, core.store.current.type_index) = core.store.collected.by;
            let special = core.store.collected.path.first() == Some(&b'@');
            // So many messages are of one request.
            links.outbox.change_late();
            if queue_event(core, links, to, What::Rest(first), special) == Sent::Nowhere {
                core.note_dropped(to, core.store.current.type_index, core.store.collected.hash, 0);
            }
            links.outbox.change_late();
            (core.store.current.from, core.store.current.type_index) = (from, type_index);
            links.follow_up(&mut core.store, core.clock.now, to);
        }
        core.store.is_placed(to);
        PLACE + looked_at / 4
    }

    /// Brings what waits for a connection to its ring, as much as fits and as the round may cost.
    #[cold]
    #[inline(never)] // Mostly nothing waits.
    pub(super) fn deliver(&mut self, id: DomainId) -> Result<(), RingError> {
        let Server { core, links, exchange, .. } = self;
        // No request is at hand, so there is room for a path where one would be.
        let Exchange { message, event, .. } = &mut **exchange;
        let mut telling = Telling::new(message);
        loop {
            links.flush(&mut core.store, id)?;
            let Some((first, rest)) = links.outbox.rest(id) else { break };
            // Whoever has not read costs nothing.
            if links.room(id) == 0 && Outbox::is_told(&core.store, id, links.outbox.messages().get(first)) {
                links.schedule.wait(id);
                break;
            }
            if core.told > core.store.limits().watches {
                links.schedule.ready(id);
                break;
            }
            if !tell(core, links, event, id, first, rest, &mut telling) {
                links.schedule.wait(id);
                break;
            }
        }
        Ok(())
    }

    /// The event that follows the answer to WATCH: it repeats what the client sent.
    pub(super) fn send_first_event(&mut self, to: DomainId, len: usize) {
        let Server { core, links, exchange, .. } = self;
        let Exchange { message, event: buf, .. } = &mut **exchange;
        let mut args = strings(payload(message, len));
        let (Some(path), Some(token)) = (args.next(), args.next()) else { return };
        if let Ok(message) = event(buf, path, token) {
            core.store.collected.hash = core.store.current.path_hash;
            let sent = send_event(core, links, to, message);
            exchange.stage = Stage::Told;
            follow_up(core, links, to, sent);
        }
    }
}

/// Puts the event together that tells a watch of a change at `path`.
#[inline(never)] // Its stack is free again when the event is sent.
fn compose<'a>(
    store: &Store,
    path: &[u8],
    id: WatchId,
    message: &'a mut MessageBuf,
) -> Result<&'a [u8], XsError> {
    let (watch, path) = (store.watch(id), Path::from_canonical(path));
    let shown = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
    event(message, shown, watch.token(&store.blobs, &mut NameBuf::new()))
}

/// Sends the next of the collected events.
fn send_next<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    message: &mut MessageBuf,
    Match { domain: to, id, .. }: Match,
) {
    let store = &core.store;
    let event = if store.is_behind(to) {
        Err(XsError::EAGAIN)
    } else {
        compose(store, &store.collected.path, id, message)
    };
    let sent = event.map(|message| send_event(core, links, to, message));
    core.store.collected.sent += 1;
    if let Ok(sent) = sent {
        follow_up(core, links, to, sent);
    }
}

#[inline(always)] // Most events fit their ring.
fn follow_up<R: Deref<Target = RingPage>>(core: &mut Core, links: &mut Links<R>, to: DomainId, sent: Sent) {
    if sent != Sent::IntoRing {
        links.follow_up(&mut core.store, core.clock.now, to);
    }
}

/// Sends one event, about the path of the hash that has been collected. One that waits already has been sent. If it finds no
/// room, and more of the change would not either, all that is heard later; else it waits, or is dropped.
#[inline(always)] // Most events take this way.
fn send_event<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    to: DomainId,
    message: &[u8],
) -> Sent {
    if links.has_output(to) || !links.put(to, message) {
        return have_it_wait(core, links, to, message);
    }
    core.note_event(to, core.store.collected.hash, message.len());
    Sent::IntoRing
}

/// What becomes of an event that does not fit the ring now.
#[cold]
#[inline(never)]
fn have_it_wait<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    to: DomainId,
    message: &[u8],
) -> Sent {
    let later = core.store.tells_much();
    // What happens to domains has a name that no relative path has.
    let special = message.get(Header::SIZE) == Some(&b'@');
    if !special && !later && links.outbox.has(&core.store, to, message) {
        return Sent::IntoRing;
    }
    let what = if later { What::Rest(None) } else { What::Message(message) };
    let sent = queue_event(core, links, to, what, special);
    // What is told later is recorded then.
    if !later || sent == Sent::Nowhere {
        core.note_event(to, core.store.collected.hash, message.len());
    }
    if sent == Sent::Nowhere {
        let size = (message.len() - Header::SIZE) as u16;
        core.note_dropped(to, core.store.current.type_index, core.store.collected.hash, size);
    }
    sent
}

/// Queues an event, or what stands for some, if its receiver may have so much waiting. `special`: it is told whatever
/// guests leave waiting.
#[inline(never)]
fn queue_event<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    to: DomainId,
    what: What<'_>,
    special: bool,
) -> Sent {
    let domain @ Domain { quotas, .. } = core.store.domains.get(to);
    let (privileged, quota, held) =
        (domain.is_privileged(), quotas.memory, core.store.held.of(to).usage.memory);
    let len = if let What::Message(message) = what { message.len() } else { 0 };
    let affordable = privileged || quota == 0 || held.saturating_add(Message::memory(len)) <= quota;
    let claim = match privileged {
        // That a domain has died is told once.
        true if special => Claim::Answer,
        true => Claim::News,
        false => Claim::Guest,
    };
    let kind = core.event_kind(to);
    if affordable { links.queue(&mut core.store, to, claim, kind, what) } else { Sent::Nowhere }
}

/// Tells of the next thing that a connection's first message stands for. False if there is no room for it now.
fn tell<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    message: &mut MessageBuf,
    to: DomainId,
    id: MessageId,
    rest: Rest,
    telling: &mut Telling<'_>,
) -> bool {
    if !Outbox::is_told(&core.store, to, links.outbox.messages().get(id)) {
        if let Some(dropped) = links.drop_oldest(&mut core.store, to) {
            core.note_given_up(to, &dropped);
        }
        return true;
    }
    core.told += COPY + core.store.find_rest(to, &rest, telling);
    let told = tell_all(core, links, message, to, id, rest, telling);
    if told == Some(true) {
        let next = match telling.few.more {
            Some(after) => Some(Rest { after, ..rest }),
            None => core.store.next_to_tell(&rest).map(|copy| Rest { copy, after: 0, ..rest }),
        };
        match next {
            Some(next) => links.outbox.go_on(id, next),
            None => {
                core.told += LAST;
                links.end_telling(&mut core.store, to);
            }
        }
    }
    told.is_some()
}

/// Tells what has been collected of it: all, or a part that is in the queue now, or none for want of room.
fn tell_all<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    message: &mut MessageBuf,
    to: DomainId,
    id: MessageId,
    rest: Rest,
    telling: &Telling<'_>,
) -> Option<bool> {
    let kind = links.outbox.messages().get(id).kind();
    for n in 0..telling.few.watches.len() {
        let Some(found) = telling.few.watches.get(n).copied() else { break };
        let Ok(message) = compose(&core.store, telling.path(), found.id, message) else { continue };
        core.told += EVENT;
        let rest = Rest { after: found.rank, ..rest };
        let room = links.room(to);
        let fits = room >= message.len();
        if fits {
            // First, so that it is told once, wherever the server stops.
            links.outbox.go_on(id, rest);
            links.put_late(to, message);
        } else {
            // The ring has to be full: only then does the guest notify when it has read.
            let claim = if core.is_privileged(to) { Claim::News } else { Claim::Guest };
            let before = What::Before(id, rest, message);
            if room == 0 || !links.outbox.push(&mut core.store, to, claim, kind, before) {
                return None;
            }
        }
        core.note_event(to, telling.hash, message.len());
        if !fits {
            return Some(false);
        }
    }
    Some(true)
}

impl Core {
    /// How long an event may wait.
    #[inline(never)]
    fn event_kind(&self, to: DomainId) -> Kind {
        let privileged = self.is_privileged(to);
        let timeout = u64::from(self.settings.watch_event_timeout);
        let deadline = (timeout != 0 && !privileged).then(|| self.clock.now.after_seconds(timeout));
        Kind::Event { deadline }
    }

    /// Records that a domain is sent an event.
    #[inline(never)]
    fn note_event(&mut self, to: DomainId, hash: u64, len: usize) {
        let size = (len - Header::SIZE) as u16;
        let domid = self.store.domains.get(to).domid;
        self.recorder.counters.events += 1;
        self.record(Record { hash, size, ..Record::new(Traced::Event, domid) });
        self.tallies(to).for_each(|tally| tally.events = tally.events.wrapping_add(1));
    }

    /// Records that a domain never gets an event that a request of this type has caused.
    #[cold]
    #[inline(never)]
    fn note_dropped(&mut self, to: DomainId, msg_type: usize, hash: u64, size: u16) {
        let domid = self.store.domains.get(to).domid;
        self.note(Record { hash, size, ..Record::new(Traced::Dropped, domid) });
        self.recorder
            .tallies(msg_type, to.index())
            .for_each(|tally| tally.dropped = tally.dropped.wrapping_add(1));
    }

    /// The same, if a message that was queued is an event.
    #[cold]
    #[inline(never)]
    pub fn note_given_up(&mut self, to: DomainId, message: &GivenUp) {
        if message.kind != Kind::Reply {
            self.note_dropped(to, message.type_index, 0, message.len.saturating_sub(Header::SIZE) as u16);
        }
    }
}
