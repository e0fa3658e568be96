//! The operation table: every message type, who may send it, and what handles it.
//!
//! Checks come in one order: unknown type ENOSYS, privilege EACCES, transaction ENOENT; then the handler.

use super::Server;
use super::context::{Context, Outcome, Request};
use super::core::Core;
use super::handlers::{control, domains, nodes, quotas, transactions, watches};
use super::scratch::{Exchange, Reply, Stage, payload};
use crate::platform::Platform;
use crate::store::{Answer, Current, DomainId, Room, View};
use crate::trace::{Kind, Record, Tally, log_exchange};
use crate::wire::{Header, MessageType, TxId, XsError};

/// Decides a request. See [`Outcome`].
pub type Handler<P> = fn(&mut Context<'_, P>, &Request<'_>, &mut Reply) -> Result<Outcome, XsError>;

/// One row of the table.
pub struct Operation<P: Platform> {
    pub who: Who,
    pub tx: Tx,
    /// Serving it twice changes no more than serving it once.
    pub repeatable: bool,
    /// Its purpose is to change a node.
    pub changes_nodes: bool,
    pub handler: Handler<P>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Anyone,
    Privileged,
}

/// How the header's transaction identifier is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tx {
    /// Not at all.
    Ignored,
    /// It must be 0 or an open transaction of this connection.
    Checked,
}

const fn row<P: Platform>(who: Who, tx: Tx, handler: Handler<P>) -> Operation<P> {
    Operation { who, tx, repeatable: false, changes_nodes: false, handler }
}

impl<P: Platform> Operation<P> {
    const fn repeatable(self) -> Operation<P> {
        Operation { repeatable: true, ..self }
    }

    const fn changes_nodes(self) -> Operation<P> {
        Operation { changes_nodes: true, ..self }
    }

    /// The types that may be served again, a bit each.
    const REPEATABLE: u32 = {
        let (mut all, mut types) = (0, MessageType::ALL);
        while let [first, rest @ ..] = types {
            if let Some(Operation { repeatable: true, .. }) = Self::of(*first) {
                all |= 1 << *first as u32;
            }
            types = rest;
        }
        all
    };

    /// Whether a request of this type, as sent, may be served again if its answer finds no room.
    pub fn may_repeat(msg_type: u32) -> bool {
        const { assert!(MessageType::END <= u32::BITS as usize) };
        Self::REPEATABLE.checked_shr(msg_type).is_some_and(|types| types & 1 != 0)
    }

    /// The row for a message type; none for those that only the server sends.
    pub const fn of(message: MessageType) -> Option<Operation<P>> {
        use MessageType as M;
        use Tx::{Checked, Ignored};
        use Who::{Anyone, Privileged};
        Some(match message {
            M::Control => row(Privileged, Checked, control::control),
            M::Directory => row(Anyone, Checked, nodes::directory).repeatable(),
            M::Read => row(Anyone, Checked, nodes::read).repeatable(),
            M::GetPerms => row(Anyone, Checked, nodes::get_perms).repeatable(),
            M::Watch => row(Anyone, Ignored, watches::watch),
            M::Unwatch => row(Anyone, Ignored, watches::unwatch),
            M::TransactionStart => row(Anyone, Checked, transactions::start),
            M::TransactionEnd => row(Anyone, Checked, transactions::end),
            M::Introduce => row(Privileged, Checked, domains::introduce),
            M::Release => row(Privileged, Checked, domains::release),
            M::GetDomainPath => row(Anyone, Checked, domains::get_domain_path),
            M::Write => row(Anyone, Checked, nodes::write).changes_nodes(),
            M::Mkdir => row(Anyone, Checked, nodes::mkdir).changes_nodes(),
            M::Rm => row(Anyone, Checked, nodes::rm).changes_nodes(),
            M::SetPerms => row(Anyone, Checked, nodes::set_perms).changes_nodes(),
            M::WatchEvent | M::Error => return None,
            M::IsDomainIntroduced => row(Privileged, Checked, domains::is_domain_introduced),
            M::Resume => row(Privileged, Checked, domains::resume),
            M::SetTarget => row(Privileged, Checked, domains::set_target),
            M::ResetWatches => row(Anyone, Checked, watches::reset_watches),
            M::DirectoryPart => row(Anyone, Checked, nodes::directory_part).repeatable(),
            M::GetFeature => row(Anyone, Checked, quotas::get_feature),
            M::SetFeature => row(Privileged, Checked, quotas::set_feature),
            M::GetQuota => row(Privileged, Checked, quotas::get_quota),
            M::SetQuota => row(Privileged, Checked, quotas::set_quota),
        })
    }
}

/// Turns an answer into its message. Only here errors become bytes.
#[inline(always)] // The end of every request.
pub fn finish(reply: &mut Reply, request: Header, answer: Result<Answer, XsError>) -> &[u8] {
    // Both texts fit a message. Of the first the length is known here, so that it takes no loop.
    let (_fits, msg_type) = match answer {
        Ok(Answer::Data) => return reply.finish(request),
        Ok(_) => (reply.set_string(b"OK"), request.msg_type),
        Err(error) => (reply.set_string(error.name().as_bytes()), MessageType::Error as u32),
    };
    reply.finish(Header { msg_type, ..request })
}

/// How a request goes on.
enum Then {
    Answer(Result<Answer, XsError>),
    /// There is room now: it is decided again.
    Again,
    /// It has no answer now, and must be served again if it has not been.
    Return {
        served: bool,
    },
}

impl<P: Platform> Server<P> {
    /// Serves one whole request: checks, handler, events, reply. False if it must be served again, or is set aside.
    pub(super) fn answer(&mut self, platform: &mut P, from: DomainId) -> bool {
        let exchange = &mut *self.exchange;
        let header = exchange.request.header;
        exchange.reply.clear();
        let domid = self.core.store.domains.get(from).domid;
        let msg_type = header.msg_type.min(255) as u8;
        self.core.store.current = Current::begin(from, domid, header.msg_type);
        self.begun = self.core.clock.latest;
        self.core.record(Record {
            tx: header.tx_id,
            msg_type,
            size: header.len as u16,
            ..Record::new(Kind::Begun, domid)
        });
        let answer = loop {
            match self.dispatch(platform, from, header) {
                Ok(Outcome::Answer(answer)) => break Ok(answer),
                result => match self.follow(platform, from, result) {
                    Then::Answer(answer) => break answer,
                    Then::Again => {}
                    Then::Return { served } => return served,
                },
            }
        };
        self.core.store.current.answer = Some(answer);
        self.complete(platform, from, answer)
    }

    /// Goes on where a handler's result is no answer yet, or a refusal.
    #[inline(never)] // Most requests are answered.
    fn follow(&mut self, platform: &mut P, from: DomainId, result: Result<Outcome, XsError>) -> Then {
        let result = if let Ok(Outcome::Then) = result { self.carry_out(platform) } else { result };
        match result {
            Ok(Outcome::Answer(answer)) => Then::Answer(Ok(answer)),
            Ok(Outcome::Then) => Then::Answer(Ok(Answer::Ok)),
            Ok(Outcome::Aside) => Then::Return { served: false },
            Ok(Outcome::Later) => Then::Return { served: self.leave_unanswered(from) },
            Err(XsError::ENOMEM) if self.core.store.wants_room() => match self.make_room(from) {
                Room::Made => Then::Again,
                Room::At(_) => {
                    self.core.store.current.end();
                    Then::Return { served: false }
                }
                Room::None => Then::Answer(Err(XsError::ENOMEM)),
            },
            Err(_) if self.core.store.current.pauses => {
                self.core.store.current.end();
                Then::Return { served: false }
            }
            Err(error) => Then::Answer(Err(error)),
        }
    }

    /// Makes room for a request that has been refused for want of it, by giving up what is kept to be told. For the privileged,
    /// what has changed since the server was woken stays: nobody could read of it yet.
    #[cold]
    #[inline(never)] // Mostly nothing is kept.
    fn make_room(&mut self, from: DomainId) -> Room {
        let Server { core, exchange, .. } = self;
        let room = match core.store.has_to_forget() {
            true => Room::Made,
            false => core.store.give_up_oldest(from, core.changes, core.clock.now),
        };
        match room {
            Room::None => return room,
            Room::At(then) => core.throttle.look_at(then),
            Room::Made => {}
        }
        exchange.reply.clear();
        core.store.forget_all(from, exchange.request.header.tx_id);
        room
    }

    /// Carries out a request that has been decided, and answers it. False if it must be served again, or is set aside.
    #[inline(always)] // The end of every request.
    fn complete(&mut self, platform: &mut P, from: DomainId, answer: Result<Answer, XsError>) -> bool {
        if self.work(platform) {
            self.set_aside();
            return false;
        }
        self.conclude(platform, from, answer, false)
    }

    /// Answers a request of which nothing is left to do; `late`, where that is rare. False if it must be served again.
    #[inline(always)] // The end of every request, and of one that was set aside.
    pub(super) fn conclude(
        &mut self,
        platform: &mut P,
        from: DomainId,
        answer: Result<Answer, XsError>,
        late: bool,
    ) -> bool {
        let header = self.exchange.request.header;
        let (answered, size) = self.reply(from, answer, late);
        if answer == Ok(Answer::Watching) && self.exchange.stage == Stage::Answered {
            self.send_first_event(from, header.len as usize);
        }
        self.core.store.watch_memory(from, self.core.clock.now);
        self.links.outbox.end_request();
        if answered {
            self.account_for(platform, from, answer, size);
        }
        self.core.store.current.end();
        answered
    }

    /// Records and counts a request that has been answered, in `size` bytes.
    #[inline(always)] // Its only use.
    fn account_for(&mut self, platform: &mut P, from: DomainId, answer: Result<Answer, XsError>, size: u32) {
        let header = self.exchange.request.header;
        if let Err(error) = answer {
            self.core.note_error(from, header, error);
        }
        self.core.clock.latest = platform.cycles();
        let cycles = self.core.clock.latest.since(self.begun);
        let step = Tally::step(cycles);
        self.core.tallies(from).for_each(|tally| tally.add(header.len, size, cycles, step));
        let ended = self.core.ended(header, answer, cycles, size);
        self.core.store.trace.push(ended);
        if self.core.recorder.log.shows(Kind::Ended) {
            self.log_answer(answer, cycles, size);
        }
    }

    /// Logs an answered request in full. Apart from its record, so that this is made in its place.
    #[cold]
    #[inline(never)]
    fn log_answer(&mut self, answer: Result<Answer, XsError>, cycles: u32, size: u32) {
        let header = self.exchange.request.header;
        let ended = self.core.ended(header, answer, cycles, size);
        if let Some(number) = self.core.recorder.log_record(ended) {
            let told = if answer == Ok(Answer::Data) { self.exchange.reply.payload() } else { &[] };
            log_exchange(number, payload(&self.exchange.message, header.len as usize), told);
        }
    }

    fn dispatch(&mut self, platform: &mut P, from: DomainId, header: Header) -> Result<Outcome, XsError> {
        let operation =
            MessageType::from_wire(header.msg_type).and_then(Operation::<P>::of).ok_or(XsError::ENOSYS)?;
        let Server { core, links, exchange, .. } = self;
        let caller = core.store.domains.caller(from);
        if operation.who == Who::Privileged && !caller.is_privileged() {
            return Err(XsError::EACCES);
        }
        let tx = match (operation.tx, header.tx_id) {
            (Tx::Ignored, _) | (_, TxId::NONE) => None,
            (Tx::Checked, id) => Some(core.store.find_transaction(from, id).ok_or(XsError::ENOENT)?),
        };
        let Operation { changes_nodes, .. } = operation;
        let view = View { domain: from, caller, tx, changes_nodes };
        let Exchange { message, reply, .. } = &mut **exchange;
        let payload = payload(message, header.len as usize);
        let mut context = Context { core, platform, roster: links.roster() };
        (operation.handler)(&mut context, &Request { header, payload, from, view }, reply)
    }
}

impl Core {
    /// The record of the request at hand that has been answered, now.
    #[inline(always)]
    fn ended(&self, header: Header, answer: Result<Answer, XsError>, cycles: u32, size: u32) -> Record {
        let current = &self.store.current;
        Record {
            time: self.clock.latest,
            hash: current.path_hash,
            tx: header.tx_id,
            amount: cycles,
            msg_type: header.msg_type.min(255) as u8,
            error: answer.err(),
            size: size as u16,
            ..Record::new(Kind::Ended, current.writer)
        }
    }

    /// Records that a request has failed.
    #[cold]
    #[inline(never)]
    fn note_error(&mut self, from: DomainId, header: Header, error: XsError) {
        for tally in self.tallies(from) {
            tally.add_error(error);
        }
        if error.is_refusal() {
            let refusal = self.store.take_refusal();
            self.note_refusal(Record {
                time: self.clock.latest,
                hash: self.store.current.path_hash,
                tx: header.tx_id,
                msg_type: header.msg_type.min(255) as u8,
                error: Some(error),
                detail: refusal.map_or(0, |refusal| refusal.quota + 1),
                amount: refusal.map_or(0, |refusal| refusal.limit),
                ..Record::new(Kind::Refused, self.store.domains.get(from).domid)
            });
        }
    }
}
