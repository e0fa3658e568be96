//! How a transaction begins, and how it goes with all that it held.

use crate::platform::Instant;
use crate::slots::Text;
use crate::store::Store;
use crate::store::domain::DomainId;
use crate::store::share::Share;
use crate::store::steps::Next;
use crate::store::transaction::{Transaction, TransactionId, TxNode};
use crate::wire::{TxId, XsError};

impl Store {
    /// Opens a transaction for `domain` under the next identifier that is free. In an attempt.
    pub fn open_transaction(&mut self, domain: DomainId, now: Instant) -> Result<TxId, XsError> {
        let mut id = TxId(self.held.of(domain).last_tx);
        loop {
            id = TxId(id.0.wrapping_add(1));
            if id != TxId::NONE && self.transactions.find(domain, id).is_none() {
                break;
            }
        }
        self.forget_stop_amid_copies(domain);
        let payer = self.domains.get(domain).payer();
        let open = Transaction::new(id, domain, payer, now, self.domains.deaths());
        let tx = self.transactions.open.insert(open)?;
        let held = self.held.modify(domain)?;
        held.transactions.append(&mut self.transactions.open, tx)?;
        held.last_tx = id.0;
        held.usage.transactions += 1;
        held.usage.memory += Transaction::MEMORY;
        held.note_most();
        self.take(domain, Share::Transactions, 1)?;
        Ok(id)
    }

    /// The open transaction that `domain` calls `id`.
    #[inline(never)] // Its hash would be made for every request, also outside transactions.
    pub fn find_transaction(&self, domain: DomainId, id: TxId) -> Option<TransactionId> {
        self.transactions.find(domain, id)
    }

    /// The identifier of the domain's youngest open transaction.
    pub fn newest_transaction(&self, domain: DomainId) -> Option<TxId> {
        let newest = self.held.of(domain).transactions.last()?;
        Some(self.transactions.open.get(newest).id)
    }

    /// Forgets a transaction and gives back what it held, until the journals are full; `done` slots have been given
    /// back already. What is left is nobody's, and is forgotten later. The only way a transaction goes.
    pub(in crate::store) fn forget_more(&mut self, tx: TransactionId, done: usize) -> Result<Next, XsError> {
        let ended = self.transactions.open.get(tx).has_ended();
        let payer = self.payer_of(tx);
        let (mut copies, mut spilled) = (0, 0);
        let mut rest = self.transactions.open.get(tx).touched.first();
        while let Some(id) = rest
            && self.has_room_for_more(done + copies as usize)
        {
            let copy = self.transactions.nodes.get(id);
            let TxNode { seen_acl, acl, above, value, .. } = *copy;
            let path = if copy.borrows_text { Text::EMPTY } else { copy.path };
            let copy_after = copy.next_touched();
            copies += 1;
            spilled += if payer.is_some() { copy.spilled() } else { 0 };
            match (seen_acl, acl) {
                (Some(seen), Some(acl)) if seen == acl => self.acls.release_times(2, acl)?,
                _ => [seen_acl, acl].into_iter().flatten().try_for_each(|acl| self.acls.release(acl))?,
            }
            if let Some(above) = above {
                self.acls.release(above)?;
            }
            value.free(&mut self.blobs)?;
            path.free(&mut self.blobs)?;
            rest = copy_after;
            self.transactions.nodes.remove(id)?;
        }
        if let Some(payer) = payer {
            self.give(payer, Share::Copies, copies)?;
            self.move_chunks(payer, spilled, 0)?;
            self.give(payer, Share::Transactions, u32::from(rest.is_none()))?;
        }
        if let Some(first) = rest {
            let open = self.transactions.open.modify(tx)?;
            open.touched.drop_before(first);
            open.node_count -= copies;
            if !ended {
                self.retire(tx)?;
                self.intents.modify()?.over.append(&mut self.transactions.open, tx)?;
            }
            return Ok(Next::Step);
        }
        if ended {
            self.intents.modify()?.over.remove(&mut self.transactions.open, tx)?;
        } else {
            self.take_from_domain(tx)?;
        }
        self.transactions.open.remove(tx)?;
        Ok(Next::Step)
    }
}
