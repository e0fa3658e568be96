//! The check of watched paths, transactions and permission lists.

use super::walk::{Report, Walk, mark};
use crate::path::{Path, PathBuf};
use crate::slots::{Blob, CHUNK, Chained};
use crate::store::Store;
use crate::store::share::Share;
use crate::store::transaction::{Mark, Transaction, TransactionId, TxNode};

/// Every watched path is found by its name, and has watches.
pub fn check_paths(store: &Store, walk: &mut Walk, report: Report<'_>) -> bool {
    let (mut buf, mut last) = (PathBuf::new(), None);
    while let Some(at) = store.watches.paths.next_of_all(&mut walk.at, last) {
        last = Some(at);
        let path = store.watches.paths.get(at);
        walk.totals.paths += 1;
        walk.totals.spilled += path.path.spilled();
        let read = path.path.append_cleared(&store.blobs, &mut buf).is_ok();
        let found = read && Path::from_canonical(&buf).hash(&store.key) == path.hash;
        if !found || path.watches.first().is_none() {
            report(format_args!("a watched path has no watches, or is not found by its name"));
        }
        if walk.is_full(1) && path.chain().is_none() {
            return false;
        }
    }
    true
}

/// Every transaction is found by its identifier, and counts the copies that it lists.
pub fn check_transactions(store: &Store, walk: &mut Walk, report: Report<'_>) -> bool {
    let (table, copies) = (&store.transactions.open, &store.transactions.nodes);
    while !walk.is_full(1) {
        let Some(tx) = walk.tx else {
            walk.tx = table.next_of_all(&mut walk.at, walk.last_tx);
            let Some(tx) = walk.tx else { return true };
            (walk.last_tx, walk.count, walk.bytes) = (walk.tx, 0, Transaction::MEMORY);
            walk.copy = table.get(tx).touched.first();
            continue;
        };
        let open = table.get(tx);
        let ended = open.has_ended();
        if let Some(id) = walk.copy.filter(|id| copies.get(*id).tx == tx) {
            let copy = copies.get(id);
            walk.copy = copy.next_touched();
            walk.count += 1;
            walk.bytes = walk.bytes.wrapping_add(copy.held());
            let is_made = |other: &TxNode| other.tx == tx && other.mark.contains(Mark::MADE);
            if !ended && is_made(copy) && !open.made.has(copies, id, is_made) {
                report(format_args!("transaction {} does not list what it has made", open.id.0));
            }
            continue;
        }
        if walk.count != open.node_count || !(ended || table_has(store, open, tx)) {
            report(format_args!("transaction {} has {} nodes, or is not found", open.id.0, walk.count));
        }
        if !ended && walk.bytes != open.memory {
            report(format_args!(
                "transaction {} of domain {} holds {} bytes but is charged {}",
                open.id.0,
                store.domains.get(open.domain).domid,
                walk.bytes,
                open.memory
            ));
        }
        let totals = &mut walk.totals;
        totals.listed += walk.count;
        totals.ended += u32::from(ended);
        if let Some(payer) = store.payer_of(tx) {
            totals.held.add(store, payer, Share::Transactions, 1);
        }
        walk.tx = None;
    }
    false
}

fn table_has(store: &Store, open: &Transaction, tx: TransactionId) -> bool {
    store.transactions.find(open.domain, open.id) == Some(tx)
}

pub fn check_copies(store: &Store, walk: &mut Walk) -> bool {
    let (copies, mut last) = (&store.transactions.nodes, None);
    while let Some(id) = copies.next_of_all(&mut walk.at, last) {
        last = Some(id);
        let copy = copies.get(id);
        let totals = &mut walk.totals;
        totals.copies += 1;
        totals.spilled += copy.spilled();
        for acl in [copy.acl, copy.seen_acl, copy.above].into_iter().flatten() {
            totals.holds = mark(totals.holds, acl.index(), 1);
        }
        if let Some(payer) = store.payer_of(copy.tx) {
            totals.held.add(store, payer, Share::Copies, 1);
            totals.held.add(store, payer, Share::Chunks, copy.spilled() / Blob::memory(CHUNK));
        }
        if walk.is_full(1) && copy.chain().is_none() {
            return false;
        }
    }
    true
}

/// Every permission list is held as often as it counts.
pub fn check_permission_lists(store: &Store, walk: &mut Walk, report: Report<'_>) -> bool {
    let mut last = None;
    while let Some(id) = store.acls.table().next_of_all(&mut walk.at, last) {
        last = Some(id);
        let (acl, refs) = (store.acls.table().get(id), store.acls.refs(id));
        let totals = &mut walk.totals;
        totals.lists += 1;
        totals.spilled += acl.spilled();
        totals.counts = mark(totals.counts, id.index(), refs);
        if refs == 0 {
            report(format_args!("permission list {id:?} is held by nobody"));
        }
        if let Some(owner) = store.domains.owner(acl.owner) {
            totals.held.add(store, owner, Share::Acls, 1);
            totals.held.add(store, owner, Share::Chunks, acl.spilled() / Blob::memory(CHUNK));
        }
        if walk.is_full(1) && acl.chain().is_none() {
            return false;
        }
    }
    true
}
