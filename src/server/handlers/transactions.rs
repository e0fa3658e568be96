//! TRANSACTION_START, TRANSACTION_END. xenstore.txt, "Transactions".

use crate::abi::DomId;
use crate::platform::Platform;
use crate::quota::Quota;
use crate::server::context::{Context, Outcome, Request};
use crate::server::core::{Core, Deed};
use crate::server::scratch::Reply;
use crate::slots::Claim;
use crate::store::{Answer, Transaction, TransactionId};
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
    let usage = core.store.held.of(request.from).usage;
    let waits = core.updates.session.is_some() || core.growth.is_under_way();
    if waits && core.updates.can_put_off(usage.transactions) {
        return cx.leave(Deed::PutOff);
    }
    core.store.check_quota(view, Quota::TRANSACTIONS, usage.transactions as usize + 1)?;
    core.store.check_quota(view, Quota::MEMORY, usage.memory as usize + Transaction::MEMORY as usize)?;
    let now = core.clock.now;
    let id = core.store.decide(Ok(Answer::Data), view.claim(), |store| {
        let id = store.open_transaction(request.from, now)?;
        reply.push_short(decimal(id.0, &mut [0; 10]))?;
        Ok(id)
    })?;
    core.note_transaction(Kind::TransactionStarted, view.caller.domid, id, 0);
    Ok(Outcome::DATA)
}

/// Applies a transaction or drops it.
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
    let refused = if commit { core.store.may_commit(tx, &request.view).err() } else { None };
    if refused == Some(XsError::EAGAIN) {
        note_conflict(core, request, tx);
    }
    let answer = refused.map_or(Ok(Answer::Ok), Err);
    // What has been decided is not refused for lack of reserves.
    core.store.decide(answer, Claim::Answer, |store| match (commit, refused) {
        (true, None) => store.begin_apply(tx).map(|_| ()),
        (_, Some(XsError::EAGAIN)) => store.end_transaction(tx, None),
        _ => store.end_transaction(tx, Some(Kind::TransactionAborted)),
    })?;
    core.note_ended();
    answer.map(Outcome::Answer)
}

/// Records a conflict, and finds out whose change it was.
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
