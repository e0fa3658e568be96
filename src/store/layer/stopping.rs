//! Requests in a transaction that take more copies than are taken in one go: where one has stopped, and where it goes on.
//!
//! Invariant: what is passed over has its copies. Others may have changed it since, but then the transaction has lost.

use crate::store::transaction::{Mark, TransactionId, TxNodeId};
use crate::store::view::{Stop, View};
use crate::store::{DomainId, NodeId, Store};

impl Store {
    /// The copy below the one that comes next, how long its path is, and how many levels are left, if this transaction's
    /// request has stopped on its way up from the path with this hash.
    #[inline(never)] // What is missing is looked for seldom.
    pub(in crate::store) fn stopped_above(
        &self,
        view: &View,
        hash: Option<u64>,
    ) -> Option<(TxNodeId, usize, usize)> {
        let open = self.transactions.open.get(view.tx?);
        let Some(Stop::Above { tx, path, copy, left }) = *self.stops.get(view.domain.index())? else {
            return None;
        };
        if tx != open.id || Some(path) != hash {
            return None;
        }
        let below = self.transactions.nodes.get(copy);
        // What has been missing below it still is.
        (!below.mark.contains(Mark::EXISTS)).then(|| (copy, below.path.len(), left))
    }

    /// For a transaction that begins: its number may be that of an earlier one, whose copies are others'.
    pub(super) fn forget_stop_amid_copies(&mut self, domain: DomainId) {
        if self.cursor(domain).is_none() {
            self.forget_stop(domain);
        }
    }

    /// Notes that the request at hand stops above this copy.
    #[cold]
    #[inline(never)]
    pub(in crate::store) fn stop_above(
        &mut self,
        view: &View,
        hash: Option<u64>,
        copy: Option<TxNodeId>,
        left: usize,
    ) {
        if let (true, Some(tx), Some(path), Some(copy)) = (self.current.pauses, view.tx, hash, copy) {
            let tx = self.transactions.open.get(tx).id;
            self.set_stop(view.domain, Some(Stop::Above { tx, path, copy, left }));
        }
    }

    /// The node below `top` at which the removal has stopped, if it is still there.
    pub(super) fn stopped_below(&self, view: &View, tx: TransactionId, top: TxNodeId) -> Option<NodeId> {
        match *self.stops.get(view.domain.index())? {
            Some(Stop::Below { tx: id, top: of, node, path }) => {
                let same = (id, of) == (self.transactions.open.get(tx).id, top);
                self.node_hashed(path).filter(|at| same && *at == node)
            }
            _ => None,
        }
    }

    /// Notes that the removal at hand stops at this node.
    #[cold]
    #[inline(never)]
    pub(super) fn stop_below(&mut self, view: &View, tx: TransactionId, top: TxNodeId, node: NodeId) {
        if self.current.pauses {
            let (tx, path) = (self.transactions.open.get(tx).id, self.node(node).hash);
            self.set_stop(view.domain, Some(Stop::Below { tx, top, node, path }));
        }
    }
}
