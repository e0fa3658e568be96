//! TRANSACTION_START, TRANSACTION_END. xenstore.txt, "Transactions".

use super::Server;
use super::operations::{Outcome, Request};
use super::output::Reply;
use crate::path::{Path, PathBuf};
use crate::platform::Platform;
use crate::transaction::{Mark, Transaction, TransactionId};
use crate::wire::{XsError, decimal};

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
        if view.exceeds(view.quotas.transactions, usage.transactions as usize + 1) {
            return Err(XsError::ENOSPC);
        }
        if view.exceeds(view.quotas.memory, usage.memory as usize + Transaction::MEMORY as usize) {
            return Err(XsError::ENOMEM);
        }
        if self.store.transactions.open.arena().available_to(view.claim()) == 0 {
            return Err(XsError::ENOMEM);
        }
        let id = self.store.open_transaction(request.from, self.now)?;
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
        let ended = if commit { self.commit(request, tx) } else { Ok(()) };
        if ended == Err(XsError::EAGAIN)
            && let Some(spoiler) = self.store.spoiler(tx)
        {
            self.hold(spoiler, request.from);
        }
        self.store.drop_transaction(tx)?;
        ended.map(|()| Outcome::Ok)
    }

    fn commit(&mut self, request: &Request<'_>, tx: TransactionId) -> Result<(), XsError> {
        self.store.decide(tx, &request.view)?;
        self.store.apply(tx)?;
        let mut buf = PathBuf::new();
        let mut next = self.store.transactions.open.get(tx).touched.first;
        while let Some(id) = next {
            let copy = *self.store.transactions.nodes.get(id);
            next = copy.next;
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
