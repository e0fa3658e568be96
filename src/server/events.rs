//! Watch events on their way: those that a change has collected, in order, each into its receiver's ring or queue.

use core::ops::Deref;

use super::Server;
use super::core::Core;
use super::scratch::{Exchange, Stage, payload};
use crate::abi::RingPage;
use crate::connection::outbox::{Kind, Message};
use crate::connection::{GivenUp, Links, Sent};
use crate::path::Path;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::{Collected, Domain, DomainId, NameBuf};
use crate::trace::{Kind as Traced, Record};
use crate::wire::{Header, MessageBuf, MessageType, TxId, XsError, strings};

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

/// Sends the next of the collected events.
fn send_next<R: Deref<Target = RingPage>>(core: &mut Core, links: &mut Links<R>, message: &mut MessageBuf) {
    let store = &core.store;
    let Collected { matches, path, sent, .. } = &store.collected;
    let n = *sent;
    let Some(id) = matches.get(n).map(|found| found.id) else { return };
    let path = Path::from_canonical(path);
    let watch = store.watch(id);
    let to = watch.domain;
    let mut long = NameBuf::new();
    let token = watch.token(&store.blobs, &mut long);
    let shown = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
    let event = event(message, shown, token);
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

/// Sends one event, about the path of the hash that has been collected. One that finds no room is dropped; one that waits
/// already has been sent.
fn send_event<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    to: DomainId,
    message: &[u8],
) -> Sent {
    let hash = core.store.collected.hash;
    // What happens to domains has a name that no relative path has.
    let special = message.get(Header::SIZE) == Some(&b'@');
    let domain @ Domain { domid, quotas, usage, .. } = core.store.domains.get(to);
    let (domid, privileged, quota, held) = (*domid, domain.is_privileged(), quotas.memory, usage.memory);
    if !special && links.has_output(to) && links.outbox.has(&core.store, to, message) {
        return Sent::IntoRing;
    }
    let timeout = u64::from(core.settings.watch_event_timeout);
    let deadline = (timeout != 0 && !privileged).then(|| core.clock.now.after_seconds(timeout));
    let memory = Message::memory(message.len());
    let affordable = privileged || quota == 0 || held.saturating_add(memory) <= quota;
    let claim = match privileged {
        // That a domain has died is told once, whatever guests leave waiting.
        true if special => Claim::Answer,
        true => Claim::News,
        false => Claim::Guest,
    };
    core.recorder.counters.events += 1;
    let size = (message.len() - Header::SIZE) as u16;
    core.record(Record { hash, size, ..Record::new(Traced::Event, domid) });
    let msg_type = core.store.current.type_index;
    core.tallies(to).for_each(|tally| tally.events = tally.events.wrapping_add(1));
    let kind = Kind::Event { deadline };
    let sent = if affordable { links.send(&mut core.store, to, claim, kind, message) } else { Sent::Nowhere };
    if sent == Sent::Nowhere {
        core.note_dropped(to, msg_type, hash, size);
    }
    sent
}

impl Core {
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
            self.note_dropped(to, message.type_index, 0, (message.len - Header::SIZE) as u16);
        }
    }
}
