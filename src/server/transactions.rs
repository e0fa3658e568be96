//! TRANSACTION_START, TRANSACTION_END. xenstore.txt, "Transactions".

use super::Server;
use super::operations::{Outcome, Request};
use super::scratch::Reply;
use crate::abi::DomId;
use crate::path::{Path, PathBuf};
use crate::platform::Platform;
use crate::quota::Quota;
use crate::store::{DomainId, Mark, Transaction, TransactionId};
use crate::trace::{Kind, Record};
use crate::wire::{TxId, XsError, decimal};

impl<P: Platform> Server<P> {
    pub(super) fn transaction_start(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let view = &request.view;
        if view.tx.is_some() {
            return Err(XsError::EBUSY);
        }
        let usage = self.store.domains.get(request.from).usage;
        view.check(Quota::TRANSACTIONS, usage.transactions as usize + 1)?;
        view.check(Quota::MEMORY, usage.memory as usize + Transaction::MEMORY as usize)?;
        if self.store.transactions.open.arena().available_to(view.claim()) == 0 {
            return Err(XsError::ENOMEM);
        }
        let id = self.store.open_transaction(request.from, self.clock.now)?;
        self.note_transaction(Kind::TransactionStarted, view.caller.domid, id, 0);
        reply.push_string(decimal(id.0, &mut [0; 10]))?;
        Ok(Outcome::Data)
    }

    pub(super) fn transaction_end(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let commit = match request.payload {
            b"T\0" => true,
            b"F\0" => false,
            _ => return Err(XsError::EINVAL),
        };
        let tx = request.view.tx.ok_or(XsError::ENOENT)?;
        let (id, domid) = (request.header.tx_id, request.view.caller.domid);
        let ended = if commit { self.commit(request, tx) } else { Ok(()) };
        match ended {
            Err(XsError::EAGAIN) => self.note_conflict(request, tx),
            Ok(()) if commit => {
                let nodes = self.store.transactions.open.get(tx).node_count;
                self.note_transaction(Kind::TransactionCommitted, domid, id, nodes);
            }
            _ => self.note_transaction(Kind::TransactionAborted, domid, id, 0),
        }
        self.store.drop_transaction(tx)?;
        ended.map(|()| Outcome::Ok)
    }

    /// Follows up on a transaction that has read what has changed since.
    fn note_conflict(&mut self, request: &Request<'_>, tx: TransactionId) {
        let (hash, writer) = self.store.spoiler(tx).unwrap_or((0, DomId::INVALID));
        self.hold(writer, request.from);
        self.note(Record {
            hash,
            tx: request.header.tx_id,
            amount: writer.0.into(),
            ..Record::new(Kind::TransactionConflict, request.view.caller.domid)
        });
        for tally in self.tallies(request.from) {
            tally.conflicts = tally.conflicts.wrapping_add(1);
        }
    }

    /// Drops all transactions of a domain.
    pub(super) fn drop_transactions(&mut self, id: DomainId) -> Result<(), XsError> {
        let domid = self.store.domains.get(id).domid;
        while let Some(tx) = self.store.transactions.of_domain.of(id).first() {
            let client_id = self.store.transactions.open.get(tx).id;
            self.note_transaction(Kind::TransactionAborted, domid, client_id, 0);
            self.store.drop_transaction(tx)?;
        }
        Ok(())
    }

    fn note_transaction(&mut self, kind: Kind, domid: DomId, tx: TxId, amount: u32) {
        self.note(Record { tx, amount, ..Record::new(kind, domid) });
    }

    fn commit(&mut self, request: &Request<'_>, tx: TransactionId) -> Result<(), XsError> {
        self.store.decide(tx, &request.view)?;
        self.store.apply(tx)?;
        let mut buf = PathBuf::new();
        let mut next = self.store.transactions.open.get(tx).touched.first();
        while let Some(id) = next {
            let copy = *self.store.transactions.nodes.get(id);
            next = copy.next_touched();
            let Some(change) = copy.fires else { continue };
            copy.path.append_cleared(&self.store.blobs, &mut buf)?;
            let path = Path::from_canonical(&buf);
            let old = copy.seen_acl.filter(|_| copy.mark.contains(Mark::EXISTED));
            if copy.mark.contains(Mark::EXISTS) {
                let Some(id) = self.store.lookup_hashed(path, copy.path_hash()) else { continue };
                self.fire_for_node(id, path, change, old);
            } else if copy.mark.contains(Mark::EXISTED) {
                self.fire(path, None, change, &[old]);
            }
        }
        Ok(())
    }
}
