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
use crate::store::{Domain, DomainId, Match, NameBuf, Rest, Store, WatchId};
use crate::trace::{Kind as Traced, Record};
use crate::wire::{Header, MessageBuf, MessageType, TxId, XsError, strings};

/// Work that one turn of telling a receiver what it has missed may cost: watches that are looked at.
const TURN: u32 = 2000;

/// What looking at one copy costs, in the same unit.
const COPY: u32 = 8;

/// Puts an event together. E2BIG if it is longer than a message.
fn event<'a>(message: &'a mut MessageBuf, path: &[u8], token: &[u8]) -> Result<&'a [u8], XsError> {
    message.clear();
    message.push_string(path)?;
    message.push_string(token)?;
    let msg_type = MessageType::WatchEvent as u32;
    Ok(message.finish(Header { msg_type, req_id: 0, tx_id: TxId::NONE, len: 0 }))
}

impl<P: Platform> Server<P> {
    /// Sends the events that a change has collected.
    #[inline(always)] // Of most requests there are none.
    pub(super) fn send_collected(&mut self) {
        if !self.core.store.collected.is_empty() {
            self.send_all();
        }
    }

    /// Stopped at any point and called again, it sends the rest.
    #[inline(never)]
    fn send_all(&mut self) {
        let Server { core, links, exchange, .. } = self;
        while core.store.collected.sent < core.store.collected.matches.len() {
            send_next(core, links, &mut exchange.event);
        }
        core.store.collected.clear();
    }

    /// Brings what waits for a connection to its ring, as much as fits and as one turn may cost.
    #[cold]
    #[inline(never)] // Mostly nothing waits.
    pub(super) fn deliver(&mut self, id: DomainId) -> Result<(), RingError> {
        let Server { core, links, exchange, .. } = self;
        let mut work = 0;
        loop {
            links.flush(&mut core.store, id)?;
            let Some((first, rest)) = links.outbox.rest(id) else { break };
            if !tell(core, links, &mut exchange.event, id, first, rest, &mut work) {
                links.schedule.wait(id);
                break;
            }
            if work > TURN {
                links.schedule.ready(id);
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
            core.store.collected.hash = core.store.current.named;
            let sent = send_event(core, links, to, message);
            exchange.stage = Stage::Told;
            follow_up(core, links, to, sent);
        }
    }
}

/// Puts the event for a watch together, of what has been collected.
#[inline(never)] // Its stack is free again when the event is sent.
fn compose<'a>(store: &Store, id: WatchId, message: &'a mut MessageBuf) -> Result<&'a [u8], XsError> {
    let watch = store.watch(id);
    let path = Path::from_canonical(&store.collected.path);
    let shown = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
    event(message, shown, watch.token(&store.blobs, &mut NameBuf::new()))
}

/// Sends the next of the collected events.
fn send_next<R: Deref<Target = RingPage>>(core: &mut Core, links: &mut Links<R>, message: &mut MessageBuf) {
    let store = &core.store;
    let n = store.collected.sent;
    let Some(Match { domain: to, id, .. }) = store.collected.matches.get(n).copied() else { return };
    let event = if store.is_behind(to) { Err(XsError::EAGAIN) } else { compose(store, id, message) };
    let sent = event.map(|message| send_event(core, links, to, message));
    core.store.collected.sent = n + 1;
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
fn send_event<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    to: DomainId,
    message: &[u8],
) -> Sent {
    if links.has_output(to) || !links.put(to, message) {
        return have_it_wait(core, links, to, message);
    }
    core.note_event(to, message.len());
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
    let domain @ Domain { quotas, usage, .. } = core.store.domains.get(to);
    let (privileged, quota, held) = (domain.is_privileged(), quotas.memory, usage.memory);
    let memory = Message::memory(message.len());
    let affordable = privileged || quota == 0 || held.saturating_add(memory) <= quota;
    let claim = match privileged {
        // That a domain has died is told once, whatever guests leave waiting.
        true if special => Claim::Answer,
        true => Claim::News,
        false => Claim::Guest,
    };
    let kind = core.event_kind(to);
    let what = if later { What::Rest } else { What::Message(message) };
    let sent = if affordable { links.queue(&mut core.store, to, claim, kind, what) } else { Sent::Nowhere };
    // What is told later is recorded then.
    if !later || sent == Sent::Nowhere {
        core.note_event(to, message.len());
    }
    if sent == Sent::Nowhere {
        let size = (message.len() - Header::SIZE) as u16;
        core.note_dropped(to, core.store.current.type_index, core.store.collected.hash, size);
    }
    sent
}

/// Tells of the next thing that a connection's first message stands for. False if there is no room for it now.
fn tell<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    message: &mut MessageBuf,
    to: DomainId,
    id: MessageId,
    rest: Rest,
    work: &mut u32,
) -> bool {
    if !Outbox::is_told(&core.store, to, links.outbox.messages().get(id)) {
        if let Some(dropped) = links.drop_oldest(&mut core.store, to) {
            core.note_given_up(to, &dropped);
        }
        return true;
    }
    *work += COPY + core.store.collect_rest(to, &rest);
    let told = tell_all(core, links, message, to, id, rest);
    core.store.collected.clear();
    if told == Some(true) {
        match core.store.next_to_tell(&rest) {
            Some(copy) => {
                let kind = core.event_kind(to);
                links.outbox.go_on(id, Rest { copy, after: 0, ..rest }, kind);
            }
            None => links.end_telling(&mut core.store, to),
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
) -> Option<bool> {
    let kind = core.event_kind(to);
    for n in 0..core.store.collected.matches.len() {
        let Some(found) = core.store.collected.matches.get(n).copied() else { break };
        if found.rank <= rest.after {
            continue;
        }
        let Ok(message) = compose(&core.store, found.id, message) else { continue };
        let rest = Rest { after: found.rank, ..rest };
        let room = links.room(to);
        let fits = room >= message.len();
        if fits {
            // First, so that it is told once, wherever the server stops.
            links.outbox.go_on(id, rest, kind);
            links.put_late(to, message);
        } else {
            // The ring has to be full: only then does the guest notify when it has read.
            let claim = if core.is_privileged(to) { Claim::News } else { Claim::Guest };
            let before = What::Before(id, rest, message);
            if room == 0 || !links.outbox.push(&mut core.store, to, claim, kind, before) {
                return None;
            }
        }
        core.note_event(to, message.len());
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
    fn note_event(&mut self, to: DomainId, len: usize) {
        let (hash, size) = (self.store.collected.hash, (len - Header::SIZE) as u16);
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
