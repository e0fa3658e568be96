//! The consistency check: the store's own, then memory, queues and connections are recounted and compared.
//!
//! It changes nothing, and goes through the store in parts. Others who only look are served between two of them, so what
//! waits for domains may change; all that is compared with that is read in one part. Each finding is one sentence.

use core::fmt::Arguments;

use super::Server;
use super::core::Core;
use super::handlers::control::{self, tell};
use crate::abi::DomId;
use crate::config::Capacities;
use crate::connection::Links;
use crate::connection::outbox::{Message, Outbox};
use crate::platform::Platform;
use crate::slots::{Balance, Blob, CHUNK};
use crate::store::check::{Report, Walk, mark};
use crate::store::{Answer, DomainId, Share, Store, Usage};
use crate::wire::XsError;

/// Goes on with a check by a part, and calls `report` for everything that is not as it must be. `aside` is whose request is
/// set aside. False if there was no part left.
fn check_more<R>(
    core: &Core,
    links: &Links<R>,
    aside: Option<DomainId>,
    walk: &mut Walk,
    report: Report<'_>,
) -> bool {
    let store = &core.store;
    if store.check_more(walk, &|id| links.memory(id), report) {
        return true;
    }
    match walk.pass.saturating_sub(Walk::PASSES) {
        0 => {
            check_free_lists(store, links, report);
            check_queues(store, links, report);
        }
        1 => check_chunks(store, links, walk.spilled(), report),
        2 => check_shares(store, links, walk, report),
        3 => {
            check_connections(store, links, report);
            let under_way = !store.intents.get().is_empty() || store.collected.late.is_some();
            if !under_way && (aside.is_some() || links.schedule.has_put_off()) {
                report(format_args!("requests wait for nothing"));
            }
        }
        _ => return false,
    }
    walk.go_on();
    true
}

impl<P: Platform> Server<P> {
    /// Calls `report` for everything that is not as it must be.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let mut walk = Walk::default();
        while check_more(&self.core, &self.links, self.aside.whose(), &mut walk, report) {}
    }

    /// Checks all in one go. What is wrong is logged. True if nothing is.
    pub(super) fn is_sound(&mut self) -> bool {
        self.aside.walk = Walk::default();
        self.exchange.reply.clear();
        while self.check_part() {}
        self.aside.walk = Walk::default();
        self.exchange.reply.is_empty()
    }

    /// Goes on with the check by a part. What is wrong is logged, and in the reply as far as it fits there. False if there was
    /// no part left.
    #[inline(never)] // It is large.
    fn check_part(&mut self) -> bool {
        let Server { core, links, exchange, aside, .. } = self;
        check_more(core, links, aside.whose(), &mut aside.walk, &mut |finding| {
            tell(&mut exchange.reply, finding)
        })
    }

    /// Goes on with the check that the request at hand asks for.
    pub(super) fn check_some(&mut self) -> Result<(), XsError> {
        let more = self.check_part();
        if !more && !self.exchange.reply.is_empty() {
            control::finish(&mut self.exchange.reply)?;
            self.core.store.current.answer = Some(Ok(Answer::Data));
        }
        if !more {
            self.aside.walk = Walk::default();
        }
        self.core.store.begin(None, |intent| intent.check = more)
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
fn check_chunks<R>(store: &Store, links: &Links<R>, spilled: u32, report: Report<'_>) {
    let chunk = Blob::memory(CHUNK);
    let mut bytes = spilled;
    bytes += queues(store, links).map(|(_, message)| Blob::memory(message.bytes.len())).sum::<u32>();
    bytes += links.iter().map(|connection| connection.memory()).sum::<u32>();
    let used = store.blobs.arena().used();
    if bytes != used * chunk {
        report(format_args!("{} chunks are held but {used} are in use", bytes / chunk));
    }
}

/// What domains count of slots that lie in no list of theirs, and what is promised of each kind.
fn check_shares<R>(store: &Store, links: &Links<R>, walk: &mut Walk, report: Report<'_>) {
    let held = walk.held();
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
    store.check_shares(held, report);
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

/// What is not in use is free: nothing is lost.
fn check_free_lists<R>(store: &Store, links: &Links<R>, report: &mut dyn FnMut(Arguments<'_>)) {
    for (what, balance) in store.balances().into_iter().chain(links.outbox.balances()) {
        let Balance { capacity, used, free } = balance;
        if used + free != capacity {
            report(format_args!("of {capacity} {what} {used} are in use and {free} free"));
        }
    }
}
