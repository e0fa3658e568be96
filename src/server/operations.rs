//! The operation table: every message type, who may send it, and what handles it.
//!
//! Checks come in one order: unknown type ENOSYS, privilege EACCES, transaction ENOENT; then the handler.

use super::Server;
use super::scratch::{Exchange, Reply};
use crate::connection::Arrived;
use crate::platform::Platform;
use crate::store::{Current, DomainId, View};
use crate::trace::{Kind, Record, log_exchange};
use crate::wire::{Header, MessageType, TxId, XsError};

/// A request that has passed the table's checks.
pub struct Request<'a> {
    pub header: Header,
    pub payload: &'a [u8],
    pub from: DomainId,
    pub view: View,
}

/// What a handler has done.
pub enum Outcome {
    /// Done; the answer is `OK`.
    Ok,
    /// The answer is in the reply buffer.
    Data,
    /// A watch was registered: after `OK`, its first event names this path and token.
    Watching,
}

pub type Handler<P> = fn(&mut Server<P>, &mut P, &Request<'_>, &mut Reply) -> Result<Outcome, XsError>;

/// One row of the table.
pub struct Operation<P: Platform> {
    pub message: MessageType,
    pub who: Who,
    pub tx: Tx,
    /// The request only asks: served twice, it changes no more than served once.
    pub repeatable: bool,
    /// The request is there to change a node.
    pub changes_nodes: bool,
    pub handler: Handler<P>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Anyone,
    Privileged,
}

/// What the header's transaction identifier means to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tx {
    /// Not looked at.
    Ignored,
    /// Must be 0 or an open transaction of this connection.
    Checked,
}

const fn row<P: Platform>(message: MessageType, who: Who, tx: Tx, handler: Handler<P>) -> Operation<P> {
    Operation { message, who, tx, repeatable: false, changes_nodes: false, handler }
}

impl<P: Platform> Operation<P> {
    const fn repeatable(self) -> Operation<P> {
        Operation { repeatable: true, ..self }
    }

    const fn changes_nodes(self) -> Operation<P> {
        Operation { changes_nodes: true, ..self }
    }

    /// Whether a request of this type, as sent, may be served again if its answer finds no room.
    pub fn may_repeat(msg_type: u32) -> bool {
        MessageType::from_wire(msg_type).and_then(Self::of).is_some_and(|operation| operation.repeatable)
    }

    /// The row for a message type; none for those that only the server sends.
    pub fn of(message: MessageType) -> Option<Operation<P>> {
        use MessageType as M;
        use Tx::{Checked, Ignored};
        use Who::{Anyone, Privileged};
        Some(match message {
            M::Control => row(message, Privileged, Checked, Server::control),
            M::Directory => row(message, Anyone, Checked, Server::directory).repeatable(),
            M::Read => row(message, Anyone, Checked, Server::read).repeatable(),
            M::GetPerms => row(message, Anyone, Checked, Server::get_perms).repeatable(),
            M::Watch => row(message, Anyone, Ignored, Server::watch),
            M::Unwatch => row(message, Anyone, Ignored, Server::unwatch),
            M::TransactionStart => row(message, Anyone, Checked, Server::transaction_start),
            M::TransactionEnd => row(message, Anyone, Checked, Server::transaction_end),
            M::Introduce => row(message, Privileged, Checked, Server::introduce),
            M::Release => row(message, Privileged, Checked, Server::release),
            M::GetDomainPath => row(message, Anyone, Checked, Server::get_domain_path),
            M::Write => row(message, Anyone, Checked, Server::write).changes_nodes(),
            M::Mkdir => row(message, Anyone, Checked, Server::mkdir).changes_nodes(),
            M::Rm => row(message, Anyone, Checked, Server::rm).changes_nodes(),
            M::SetPerms => row(message, Anyone, Checked, Server::set_perms).changes_nodes(),
            M::WatchEvent | M::Error => return None,
            M::IsDomainIntroduced => row(message, Privileged, Checked, Server::is_domain_introduced),
            M::Resume => row(message, Privileged, Checked, Server::resume),
            M::SetTarget => row(message, Privileged, Checked, Server::set_target),
            M::ResetWatches => row(message, Anyone, Checked, Server::reset_watches),
            M::DirectoryPart => row(message, Anyone, Checked, Server::directory_part).repeatable(),
            M::GetFeature => row(message, Anyone, Checked, Server::get_feature),
            M::SetFeature => row(message, Privileged, Checked, Server::set_feature),
            M::GetQuota => row(message, Privileged, Checked, Server::get_quota),
            M::SetQuota => row(message, Privileged, Checked, Server::set_quota),
        })
    }
}

/// Turns an outcome into the message that answers: the only place where errors become bytes.
fn finish<'a>(reply: &'a mut Reply, request: Header, result: &Result<Outcome, XsError>) -> &'a [u8] {
    let (text, msg_type) = match result {
        Ok(Outcome::Data) => return reply.finish(request),
        Ok(Outcome::Ok | Outcome::Watching) => (&b"OK"[..], request.msg_type),
        Err(error) => (error.name().as_bytes(), MessageType::Error as u32),
    };
    reply.clear();
    // Neither is longer than a page.
    let _fits = reply.push_string(text);
    reply.finish(Header { msg_type, ..request })
}

impl<P: Platform> Server<P> {
    /// Serves one whole request: checks, handler, events, reply. False if it must be served again.
    pub(super) fn answer(
        &mut self,
        platform: &mut P,
        from: DomainId,
        request: &Arrived,
        exchange: &mut Exchange,
    ) -> bool {
        let header = request.header;
        let Exchange { message, reply } = exchange;
        let payload = message.get(Header::SIZE..Header::SIZE + header.len as usize).unwrap_or_default();
        reply.clear();
        self.links.outbox.end_request();
        let domid = self.store.domains.get(from).domid;
        let msg_type = header.msg_type.min(255) as u8;
        self.store.current = Current::begin(from, domid, header.msg_type);
        let begun = self.clock.latest;
        self.record(Record {
            tx: header.tx_id,
            msg_type,
            size: header.len as u16,
            ..Record::new(Kind::Begun, domid)
        });
        let result = self.dispatch(platform, from, header, payload, reply);
        let error = result.as_ref().err().copied();
        let message = finish(reply, header, &result);
        let size = if error.is_none() { (message.len() - Header::SIZE) as u32 } else { 0 };
        let answered = self.reply(from, request, message);
        if let Ok(Outcome::Watching) = result {
            self.send_first_event(from, payload);
        }
        self.store.account(from, self.store.current.largest, self.clock.now);
        self.links.outbox.end_request();
        if answered {
            if let Some(error) = error {
                self.note_error(from, header, error);
            }
            self.clock.latest = platform.cycles();
            let cycles = self.clock.latest.since(begun);
            self.tallies(from).for_each(|tally| tally.add(header.len, size, cycles));
            let ended = Record {
                hash: self.store.current.named,
                tx: header.tx_id,
                amount: cycles,
                msg_type,
                error,
                size: size as u16,
                ..Record::new(Kind::Ended, domid)
            };
            if let Some(number) = self.record(ended) {
                let told = if matches!(result, Ok(Outcome::Data)) { reply.payload() } else { &[] };
                log_exchange(number, payload, told);
            }
        }
        self.store.current.end();
        answered
    }

    /// Records that a request has failed.
    #[cold]
    #[inline(never)]
    fn note_error(&mut self, from: DomainId, header: Header, error: XsError) {
        for tally in self.tallies(from) {
            tally.add_error(error);
        }
        if error.is_refusal() {
            self.note(Record {
                hash: self.store.current.named,
                tx: header.tx_id,
                msg_type: header.msg_type.min(255) as u8,
                error: Some(error),
                ..Record::new(Kind::Refused, self.store.domains.get(from).domid)
            });
        }
    }

    fn dispatch(
        &mut self,
        platform: &mut P,
        from: DomainId,
        header: Header,
        payload: &[u8],
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let operation =
            MessageType::from_wire(header.msg_type).and_then(Operation::<P>::of).ok_or(XsError::ENOSYS)?;
        let caller = self.caller(from);
        if operation.who == Who::Privileged && !caller.privileged {
            return Err(XsError::EACCES);
        }
        let tx = match (operation.tx, header.tx_id) {
            (Tx::Ignored, _) | (_, TxId::NONE) => None,
            (Tx::Checked, id) => Some(self.store.transactions.find(from, id).ok_or(XsError::ENOENT)?),
        };
        let quotas = self.store.domains.get(from).quotas;
        let Operation { changes_nodes, .. } = operation;
        let view = View { domain: from, caller, quotas, tx, greedy: self.is_greedy(from), changes_nodes };
        (operation.handler)(self, platform, &Request { header, payload, from, view }, reply)
    }
}
