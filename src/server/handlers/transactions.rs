//! TRANSACTION_START, TRANSACTION_END. xenstore.txt, "Transactions".

use crate::abi::DomId;
use crate::platform::Platform;
use crate::quota::Quota;
use crate::server::context::{Context, Outcome, Request};
use crate::server::core::Core;
use crate::server::core::Deed;
use crate::server::scratch::Reply;
use crate::store::{Transaction, TransactionId};
use crate::trace::{Kind, Record};
use crate::wire::{XsError, decimal};

pub fn start<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let (core, view) = (&mut *cx.core, &request.view);
    if view.tx.is_some() {
        return Err(XsError::EBUSY);
    }
    let usage = core.store.domains.get(request.from).usage;
    view.check(Quota::TRANSACTIONS, usage.transactions as usize + 1)?;
    view.check(Quota::MEMORY, usage.memory as usize + Transaction::MEMORY as usize)?;
    if core.store.transactions.open.arena().available_to(view.claim()) == 0 {
        return Err(XsError::ENOMEM);
    }
    let id = core.store.open_transaction(request.from, core.clock.now)?;
    core.note_transaction(Kind::TransactionStarted, view.caller.domid, id, 0);
    reply.push_string(decimal(id.0, &mut [0; 10]))?;
    Ok(Outcome::Data)
}

/// Applies a transaction or drops it. What is applied is announced before it is answered.
pub fn end<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let core = &mut *cx.core;
    let commit = match request.payload {
        b"T\0" => true,
        b"F\0" => false,
        _ => return Err(XsError::EINVAL),
    };
    let tx = request.view.tx.ok_or(XsError::ENOENT)?;
    if !commit {
        core.end_transaction(tx, Kind::TransactionAborted)?;
        return Ok(Outcome::Ok);
    }
    let done = core.store.decide(tx, &request.view).and_then(|()| core.store.apply(tx));
    match done {
        Ok(()) => return cx.leave(Deed::Announce(tx)),
        Err(XsError::EAGAIN) => {
            note_conflict(core, request, tx);
            core.forget_transaction(tx, false)?;
        }
        Err(_) => core.end_transaction(tx, Kind::TransactionAborted)?,
    }
    done.map(|()| Outcome::Ok)
}

/// Follows up on a transaction that has read what has changed since.
fn note_conflict(core: &mut Core, request: &Request<'_>, tx: TransactionId) {
    let first = core.find_suspects(tx, request.from);
    let (hash, writer) = first.map_or((0, DomId::INVALID), |first| (first.hash, first.writer));
    core.note(Record {
        hash,
        tx: request.header.tx_id,
        amount: writer.0.into(),
        ..Record::new(Kind::TransactionConflict, request.view.caller.domid)
    });
    for tally in core.tallies(request.from) {
        tally.conflicts = tally.conflicts.wrapping_add(1);
    }
}
