//! Changes that are told later, put back from a state.

use crate::path::Path;
use crate::slots::{Claim, Full, Text};
use crate::store::domain::DomainId;
use crate::store::share::Share;
use crate::store::transaction::{Mark, Transaction, TransactionId, TxNode};
use crate::store::{Store, ToldCopy};
use crate::wire::XsError;

impl Store {
    /// A change with this number that `by` has made, of which nothing is known yet. In an attempt.
    pub fn keep_again(&mut self, by: DomainId, newest: u64, number: u64) -> Result<TransactionId, Full> {
        let mut open = Transaction::record(by, self.domains.get(by).payer(), number);
        (open.newest, open.number, open.node_count) = (newest, number, 0);
        let tx = self.transactions.open.insert(open)?;
        self.take(by, Share::Transactions, 1)?;
        self.intents.modify()?.told.append(&mut self.transactions.open, tx)?;
        Ok(tx)
    }

    /// What it has done next. Takes over the holds on the lists. In an attempt.
    pub fn keep_copy(&mut self, tx: TransactionId, path: &[u8], told: ToldCopy) -> Result<(), Full> {
        let path = Path::from_canonical(path);
        let mut copy = TxNode::new(tx, path.hash(&self.key));
        let lent = self.lent_path(tx, path);
        copy.borrows_text = lent.is_some();
        (copy.path, copy.text_len) = match lent {
            Some(lent) => lent,
            None => (Text::store(&mut self.blobs, path.as_bytes())?, path.as_bytes().len() as u16),
        };
        let ToldCopy { fires, lists: [old, own, above] } = told;
        copy.fires = fires;
        (copy.seen_acl, copy.acl, copy.above) = (old, own, above);
        copy.mark = Mark::EXISTED;
        if let Some(payer) = self.payer_of(tx) {
            self.take(payer, Share::Copies, 1)?;
            self.move_chunks(payer, 0, copy.spilled())?;
        }
        let id = self.transactions.nodes.insert(copy)?;
        let open = self.transactions.open.modify(tx)?;
        open.node_count += 1;
        open.touched.append(&mut self.transactions.nodes, id)
    }

    /// Forgets changes that nobody is to hear more of.
    pub fn forget_untold(&mut self) -> Result<(), XsError> {
        loop {
            let untold = self.told().find(|(_, open)| open.waiting == 0).map(|(tx, _)| tx);
            let Some(tx) = untold else { return Ok(()) };
            self.attempt(Claim::Answer, |store| Ok(store.finish_record(tx)?))?;
        }
    }
}
