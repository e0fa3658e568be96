//! Live update: what an operator has sent of a new image, who waits for it, and when it takes over.
//!
//! A session begins with the size of the image and ends when that has taken over, is refused, or is given up. In it, no
//! connection begins a first transaction: the request is put off until the session's end. Invariant: what has been put
//! off is consumed and not answered, and is answered once, here or by the new image.

use core::fmt::{Arguments, Write};
use core::ops::Range;

use super::Server;
use super::context::{Context, Outcome, Request};
use super::core::Core;
use super::handlers::transactions;
use super::operations::finish;
use super::scratch::Stage;
use super::session::{PUT_OFF, Prepared, Session, Start, Updates};
use crate::abi::DomId;
use crate::connection::{Sent, outbox};
use crate::platform::{Instant, Platform};
use crate::slots::Claim;
use crate::state::least;
use crate::store::{Answer, Current, DomainId, View};
use crate::trace::{Kind, Record};
use crate::update::{Program, examine};
use crate::wire::{Header, XsError};

/// The answer to a request to start whose session has been given up.
const ABORTED: &str = "live-update session aborted.";

/// What is to take over.
pub struct Order<'a> {
    /// The image as a file.
    pub image: &'a [u8],
    pub program: Program,
    /// `None` for the present one's.
    pub command_line: Option<&'a [u8]>,
    /// The version of the state that it reads.
    pub version: u32,
    pub prepared: Option<Prepared>,
}

/// How a server came to be made from a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way<'a> {
    /// Its image has taken over.
    Updated,
    /// Another has given way to it, for this reason.
    TakenBack(&'a str),
    /// A fault had left something wrong, and what is sound has been saved; so it says.
    Repaired(&'a str),
    /// It has more memory.
    Grown,
}

/// What an image that takes over has to know of updates beside the state.
pub struct Handed {
    /// How many there have been.
    pub updates: u64,
    /// Whose request to start it is, which it answers.
    pub starter: (DomId, Header),
    /// Beginnings of transactions that it serves.
    pub put_off: heapless::Vec<(DomId, Header), PUT_OFF>,
}

impl Handed {
    pub const NONE: Handed =
        Handed { updates: 0, starter: (DomId::INVALID, Header::NONE), put_off: heapless::Vec::new() };
}

impl Core {
    /// Ends the session, whose memory is the store's again. Whoever waits for it is answered at the next look.
    pub fn end_update(&mut self) {
        self.end_save();
        self.updates.due = false;
        self.updates.prepared = None;
        self.store.take_back();
        if let Some(Session { whose, start: Some(start), .. }) = self.updates.session.take() {
            self.updates.given_up = Some((whose, start.header));
        }
    }

    /// Forgets what a connection wants that loses its session.
    pub fn forget_update(&mut self, id: DomainId) {
        self.end_save_of(id);
        if self.updates.session.as_ref().is_some_and(|session| session.whose == id) {
            self.end_update();
        }
        self.updates.given_up.take_if(|(whose, _)| *whose == id);
        self.updates.put_off.retain(|(from, _)| *from != id);
    }

    /// Why the update cannot wait any longer, as upstream says it.
    fn tell_who_is_in_the_way(&self, start: &Start, text: &mut dyn Write) -> core::fmt::Result {
        let mut told = false;
        for (id, domain) in self.store.domains.iter() {
            let Some(began) = self.store.first_transaction_of(id) else { continue };
            let seconds = self.clock.now.0.saturating_sub(began.0) / 1_000_000_000;
            if seconds >= u64::from(start.patience) {
                if !core::mem::replace(&mut told, true) {
                    text.write_str("Domains with long running transactions:")?;
                }
                write!(text, "\nDomain {}: {seconds} s", domain.domid)?;
            }
        }
        if told { Ok(()) } else { text.write_str("Overlapping transactions") }
    }
}

impl<P: Platform> Server<P> {
    /// The request to start waits from now on.
    pub(super) fn begin_update(&mut self, start: Start) -> Result<Outcome, XsError> {
        let session = self.core.updates.session.as_mut().ok_or(XsError::EINVAL)?;
        session.start = Some(Start { header: self.exchange.request.header, ..start });
        Ok(Outcome::Later)
    }

    /// Consumes the request at hand, which is answered later.
    #[inline(never)] // It happens seldom.
    pub(super) fn leave_unanswered(&mut self, from: DomainId) -> bool {
        self.links.consume(from, &self.exchange.request);
        // What had come of it before is still to be dropped.
        self.exchange.stage = Stage::Told;
        self.links.outbox.end_request();
        self.core.store.current.end();
        true
    }

    /// Begins a transaction that has been put off.
    #[inline(never)] // It happens seldom.
    fn begin_late(&mut self, platform: &mut P, from: DomainId, header: Header) {
        self.take_up_request(from, header);
        let Server { core, links, exchange, .. } = self;
        let caller = core.store.domains.caller(from);
        let view = View { domain: from, caller, tx: None, changes_nodes: false };
        let request = Request { header, payload: b"\0", from, view };
        let mut context = Context { core, platform, roster: links.roster() };
        let begun = transactions::start(&mut context, &request, &mut exchange.reply);
        self.answer_late(begun.map(|_| Answer::Data));
    }

    /// A request that has been consumed is at hand again.
    fn take_up_request(&mut self, from: DomainId, header: Header) {
        let domid = self.core.store.domains.get(from).domid;
        self.core.store.current = Current::begin(from, domid, header.msg_type);
        self.exchange.request.set_earlier(header);
        (self.exchange.from, self.exchange.stage) = (from, Stage::Consumed);
        self.exchange.reply.clear();
    }

    /// Answers it.
    fn answer_late(&mut self, answer: Result<Answer, XsError>) {
        let Server { core, links, exchange, .. } = self;
        let (from, header) = (exchange.from, exchange.request.header);
        let message = finish(&mut exchange.reply, header, answer);
        let what = outbox::What::Message(message);
        let queued = links.queue(&mut core.store, from, Claim::Answer, outbox::Kind::Reply, what);
        exchange.stage = Stage::Answered;
        core.recorder.counters.requests += 1;
        debug_assert!(queued == Sent::Queued || !links.is_heard(from), "an answer always has room");
        links.follow_up(&mut core.store, core.clock.now, from);
        self.links.outbox.end_request();
        self.core.store.current.end();
        self.exchange.stage = Stage::None;
    }

    /// Looks whether the new image can take over now, and answers who waits for a session that is over. Forgets a state that
    /// nobody asks for any more. All that waits until nothing is under way: beside a request that is set aside no other is at
    /// hand than one that only looks, or after a fault one would be answered for the other.
    #[inline(never)] // There is hardly ever one.
    pub(super) fn look_at_updates(&mut self, platform: &mut P) {
        if self.is_under_way() {
            return;
        }
        if let Some((whose, header)) = self.core.updates.given_up.take() {
            self.answer_update(whose, header, &mut |_, text| text.write_str(ABORTED));
        }
        if self.core.updates.held.as_ref().is_some_and(|held| self.core.clock.now >= held.until) {
            self.core.end_save();
        }
        let Some(session) = &self.core.updates.session else {
            if self.core.growth.is_under_way() {
                self.core.updates.due = self.core.may_grow_now(self.links.outbox.level());
                return;
            }
            self.serve_put_off(platform);
            let Updates { held, put_off, active, .. } = &mut self.core.updates;
            *active = held.is_some() || !put_off.is_empty();
            return;
        };
        let is_late = self.core.clock.now >= session.deadline();
        let Some(start) = session.start else {
            if is_late {
                self.core.end_update();
                self.serve_put_off(platform);
            }
            return;
        };
        self.core.updates.due = !self.core.store.has_transactions() || (is_late && start.force);
        if !self.core.updates.due && !is_late {
            return;
        }
        let least = u32::from(least(&self.core.store, &self.links));
        if start.records < least || !self.core.updates.due {
            self.refuse_update(platform, &mut |core, text| {
                if start.records >= least {
                    return core.tell_who_is_in_the_way(&start, text);
                }
                write!(
                    text,
                    "the new image reads own records up to version {}; until all clients have read what waits, the state has \
                     version {least}",
                    start.records
                )
            });
        }
    }

    /// When an update that waits, or a state that is held, is looked at again.
    pub(super) fn update_deadline(&self) -> Option<Instant> {
        let Updates { session, held, .. } = &self.core.updates;
        session
            .as_ref()
            .map(Session::deadline)
            .or(self.core.growth.deadline())
            .or(held.as_ref().map(|held| held.until))
    }

    /// What is to take over now, if anything is.
    pub fn order<'a>(&'a self, platform: &'a P) -> Option<Order<'a>> {
        let session = self.core.updates.session.as_ref().filter(|_| self.core.updates.due)?;
        let bounds = platform.bounds()?;
        let image = platform.kept(session.room.clone()).get(..session.size)?;
        let start = session.start?;
        let program = examine(image, &bounds, start.force).ok()?;
        let promised = program.promise.and_then(|promise| promise.version(&bounds));
        let version = start.version.or(promised).unwrap_or(*bounds.states.end());
        let command_line = session.has_line.then_some(&self.core.updates.command_line[..]);
        Some(Order { image, program, command_line, version, prepared: self.core.updates.prepared })
    }

    /// This has been written to [`Server::untouched`] memory, and is there for as long as that stays so.
    pub fn note_prepared(&mut self, prepared: Prepared) {
        self.core.updates.prepared = Some(prepared);
    }

    /// The latest of that.
    pub fn prepared(&self) -> Option<Prepared> {
        self.core.updates.prepared
    }

    /// Whether something is to take over now.
    pub fn is_to_be_replaced(&self) -> bool {
        self.core.updates.due
    }

    /// All rings, in the order in which a state has their connections.
    pub fn rings(&self) -> impl Iterator<Item = &P::Ring> {
        let links = &self.links;
        self.core.store.domains.iter().filter_map(|(id, _)| links.get(id)).map(|connection| &connection.ring)
    }

    /// Addresses of memory that has been reserved and never used, and that stays so until the next `poll`.
    pub fn untouched(&self) -> impl Iterator<Item = Range<usize>> {
        self.core.store.untouched().into_iter().chain([self.links.outbox.untouched()])
    }

    /// What an image that takes over has to know beside the state.
    pub fn handed(&self) -> Handed {
        let Updates { session, put_off, count, .. } = &self.core.updates;
        let named = |(id, header): (DomainId, Header)| (self.core.store.domains.get(id).domid, header);
        let starter = session.as_ref().and_then(|session| Some((session.whose, session.start?.header)));
        let starter = starter.map_or(Handed::NONE.starter, named);
        let mut handed = Handed { updates: *count, starter, ..Handed::NONE };
        for request in put_off {
            // There is room for as many as can have been put off.
            let _handed = handed.put_off.push(named(*request));
        }
        handed
    }

    /// Goes on from there after `restore` and `resume`, `microseconds` after the image before began to hand over.
    pub fn take_up(&mut self, platform: &mut P, handed: Handed, microseconds: u64, way: Way<'_>) {
        let Handed { updates, starter: (starter, header), put_off } = handed;
        let (detail, told) = match way {
            Way::Updated => (0, "OK"),
            Way::TakenBack(why) => (1, why),
            Way::Repaired(why) => (2, why),
            Way::Grown => (3, ""),
        };
        if let Way::Repaired(_) = way {
            // The fault may have come before.
            self.have_all_looked_at(true);
        }
        self.core.updates.count = updates + u64::from(detail == 0);
        let growths = &mut self.core.recorder.counters.growths;
        *growths = growths.wrapping_add(u32::from(detail == 3));
        self.core.updates.microseconds = microseconds;
        let amount = u32::try_from(microseconds).unwrap_or(u32::MAX);
        self.core.note(Record { amount, detail, ..Record::new(Kind::Updated, DomId::INVALID) });
        if let Some(id) = self.core.store.domains.find(starter) {
            self.answer_update(id, header, &mut |_, text| text.write_str(told));
        }
        for (domid, header) in put_off {
            if let Some(id) = self.core.store.domains.find(domid) {
                self.begin_late(platform, id, header);
            }
        }
    }

    /// The new image does not take over: says so to who has sent it, and serves on. A store that was to grow does so later.
    pub fn refuse(&mut self, platform: &mut P, why: Arguments<'_>) {
        self.refuse_update(platform, &mut |_, text| text.write_fmt(why));
    }

    fn refuse_update(
        &mut self,
        platform: &mut P,
        why: &mut dyn FnMut(&Core, &mut dyn Write) -> core::fmt::Result,
    ) {
        let grows = self.grows();
        self.core.end_update();
        if grows {
            self.have_no_memory(true);
        }
        if let Some((whose, header)) = self.core.updates.given_up.take() {
            self.answer_update(whose, header, why);
        }
        self.serve_put_off(platform);
    }

    /// Answers the request to start with a text.
    fn answer_update(
        &mut self,
        whose: DomainId,
        header: Header,
        text: &mut dyn FnMut(&Core, &mut dyn Write) -> core::fmt::Result,
    ) {
        self.take_up_request(whose, header);
        // What does not fit is left out.
        let _fits = text(&self.core, &mut self.exchange.reply);
        let _ends = self.exchange.reply.push(b"\0");
        self.answer_late(Ok(Answer::Data));
    }

    /// Begins the transactions that have been put off, unless they wait for the store's growth, too. Nothing is under way.
    fn serve_put_off(&mut self, platform: &mut P) {
        while !self.core.growth.is_under_way()
            && let Some((from, header)) = self.core.updates.next_put_off()
        {
            self.begin_late(platform, from, header);
        }
    }
}
