//! The consistency check: the store's own, then memory, queues and connections are recounted and compared.
//!
//! It changes nothing. Each finding is one sentence. Its time is bounded by the size of the store.

use core::fmt::Arguments;

use super::Server;
use super::core::Core;
use crate::abi::DomId;
use crate::config::Capacities;
use crate::connection::Links;
use crate::connection::outbox::{Message, Outbox};
use crate::platform::Platform;
use crate::slots::{Balance, Blob, CHUNK};
use crate::store::check::mark;
use crate::store::{DomainId, Share, Store, Usage};

/// Calls `report` for everything that is not as it must be.
/// `aside` is whose request is set aside.
pub fn check<R>(
    core: &Core,
    links: &Links<R>,
    aside: Option<DomainId>,
    report: &mut dyn FnMut(Arguments<'_>),
) {
    let store = &core.store;
    store.check(report);
    check_free_lists(store, links, report);
    check_memory(store, links, report);
    check_queues(store, links, report);
    check_chunks(store, links, report);
    check_shares(store, links, report);
    check_connections(store, links, report);
    let under_way = !store.intents.get().is_empty() || store.collected.late.is_some();
    if !under_way && (aside.is_some() || links.schedule.has_put_off()) {
        report(format_args!("requests wait for nothing"));
    }
}

impl<P: Platform> Server<P> {
    /// Calls `report` for everything that is not as it must be.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        check(&self.core, &self.links, self.aside.whose(), report);
    }

    /// What a domain holds now; `None` if there is no record of it.
    pub fn usage(&self, domid: DomId) -> Option<Usage> {
        self.core.store.domains.find(domid).map(|id| self.core.store.held.of(id).usage)
    }

    /// Slots of each kind in use now.
    pub fn in_use(&self) -> Capacities {
        let [messages, ..] = self.links.outbox.level();
        Capacities { messages: messages as usize, ..self.core.store.in_use() }
    }
}

fn queues<'a, R>(store: &'a Store, links: &'a Links<R>) -> impl Iterator<Item = (DomainId, &'a Message)> {
    let messages = links.outbox.messages();
    store
        .domains
        .iter()
        .flat_map(move |(id, _)| links.outbox.queue(id).iter(messages).map(move |(_, message)| (id, message)))
}

/// Every message is in one queue. The outstanding requests are those of which a message waits.
fn check_queues<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    let outbox = &links.outbox;
    let (mut queued, mut caused, mut rests) = (0, 0, 0);
    for (to, message) in queues(store, links) {
        queued += 1;
        caused += u32::from(message.has_cause());
        rests += u32::from(Outbox::is_told(store, to, message));
    }
    let used = outbox.messages().arena().used();
    if queued != used || rests != store.waiting_to_hear() {
        report(format_args!(
            "{queued} messages are in queues but {used} are in use, or {rests} stand for too many"
        ));
    }
    let indexed = outbox.messages().iter().count() as u32;
    if indexed != used {
        report(format_args!("{indexed} messages are indexed but {used} are in use"));
    }
    let (mut causes, mut waiting, mut owed) = (0, 0, 0);
    for (domain, life, messages) in outbox.causes() {
        causes += 1;
        waiting += messages;
        if store.domains.get(domain).life == life {
            owed = mark(owed, domain.index(), 1);
        }
    }
    let causes_used = outbox.causes_in_use();
    if causes != causes_used || waiting != caused {
        report(format_args!(
            "{causes} causes of {waiting} messages are known, {} are in use, {caused} messages have one",
            causes_used
        ));
    }
    let mut counted = 0;
    for (id, _) in store.domains.iter() {
        counted = mark(counted, id.index(), store.held.of(id).usage.outstanding);
    }
    if counted != owed {
        report(format_args!("the outstanding requests that domains count are not those that wait"));
    }
}

/// Every chunk in use belongs to one byte string.
fn check_chunks<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    let chunk = Blob::memory(CHUNK);
    let mut bytes = store.spilled();
    bytes += queues(store, links).map(|(_, message)| Blob::memory(message.bytes.len())).sum::<u32>();
    bytes += links.iter().map(|connection| connection.memory()).sum::<u32>();
    let used = store.blobs.arena().used();
    if bytes != used * chunk {
        report(format_args!("{} chunks are held but {used} are in use", bytes / chunk));
    }
}

/// What domains count of slots that lie in no list of theirs, and what is promised of each kind.
fn check_shares<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut held = store.recount_shares();
    for (to, message) in queues(store, links) {
        if let Some(payer) = links.outbox.payer(store, to, message) {
            held.add(store, payer, Share::Messages, 1);
            held.add(store, payer, Share::Chunks, Blob::memory(message.bytes.len()) / Blob::memory(CHUNK));
        }
    }
    for id in links.domains(store) {
        let partial = links.get(id).map_or(0, |connection| connection.memory());
        held.add(store, id, Share::Chunks, partial / Blob::memory(CHUNK));
    }
    store.check_shares(&held, report);
}

/// Each connection belongs to a domain on record, and the ports and the schedule agree with that.
fn check_connections<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    let (mut introduced, mut bound) = (0, 0);
    for (id, domain) in store.domains.iter() {
        let Some(connection) = links.get(id) else { continue };
        introduced += 1;
        let Some(port) = connection.port else { continue };
        bound += 1;
        if links.port_owner(port) != Some(id) {
            report(format_args!("the port of domain {} is not known as its own", domain.domid));
        }
    }
    let connections = links.iter().count();
    let ports = links.ports();
    if connections != introduced || ports != bound {
        report(format_args!(
            "{introduced} domains have {connections} connections, {bound} of them {ports} ports"
        ));
    }
    links.schedule.check(report);
}

/// Each domain's memory charge equals the bytes that its things take.
fn check_memory<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    for (id, domain) in store.domains.iter() {
        let connection = links.get(id);
        let queued = links.outbox.memory(id);
        let partial = connection.map_or(0, |connection| connection.memory());
        let counted = store.recount_memory(id, report).wrapping_add(queued).wrapping_add(partial);
        let charged = store.held.of(id).usage.memory;
        if counted != charged {
            report(format_args!("domain {} holds {counted} bytes but is charged {charged}", domain.domid));
        }
    }
}

/// What is not in use is free: nothing is lost.
fn check_free_lists<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    for (what, balance) in store.balances().into_iter().chain(links.outbox.balances()) {
        let Balance { capacity, used, free } = balance;
        if used + free != capacity {
            report(format_args!("of {capacity} {what} {used} are in use and {free} free"));
        }
    }
}
