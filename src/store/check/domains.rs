//! The check of what each domain has: its lists, and what it counts of them.

use super::nodes::Shown;
use super::walk::{OfDomain, Report, Walk};
use crate::slots::{Blob, CHUNK};
use crate::store::share::Share;
use crate::store::transaction::TransactionId;
use crate::store::{DomainId, Node, NodeId, Store, Watch, WatchId};

/// Each domain's counters equal a recount of its lists, and its memory charge the bytes that its things take.
pub fn check_domains(
    store: &Store,
    walk: &mut Walk,
    beside: &dyn Fn(DomainId) -> u32,
    report: Report<'_>,
) -> bool {
    while let Some(id) = store.domains.following(walk.domain) {
        let held = store.held.of(id);
        let domid = store.domains.get(id).domid;
        let what = match walk.of_domain {
            OfDomain::None => {
                if !held.most.has_been(&held.usage) {
                    report(format_args!("domain {domid} holds more than the most that it has held"));
                }
                (walk.bytes, walk.count) = (0, 0);
                walk.of_domain = OfDomain::Nodes(held.nodes.first());
                None
            }
            OfDomain::Nodes(next) => {
                let next = recount_nodes(store, walk, id, next, report);
                walk.of_domain =
                    next.map_or(OfDomain::Watches(held.watches.first()), |_| OfDomain::Nodes(next));
                next.is_none().then_some(("nodes", held.usage.nodes, 0))
            }
            OfDomain::Watches(next) => {
                let next = recount_watches(store, walk, id, next, report);
                let then = OfDomain::Transactions(held.transactions.first());
                walk.of_domain = next.map_or(then, |_| OfDomain::Watches(next));
                next.is_none().then_some(("watches", held.usage.watches, 1))
            }
            OfDomain::Transactions(next) => {
                let next = recount_transactions(store, walk, next);
                walk.of_domain = next.map_or(OfDomain::None, |_| OfDomain::Transactions(next));
                next.is_none().then_some(("transactions", held.usage.transactions, 2))
            }
        };
        if let Some((what, counts, n)) = what {
            let has = core::mem::take(&mut walk.count);
            if has != counts {
                report(format_args!("domain {domid} has {has} {what} but counts {counts}"));
            }
            if let Some(owned) = walk.totals.owned.get_mut(n) {
                *owned += has;
            }
            if n == 2 {
                let (counted, charged) = (walk.bytes.wrapping_add(beside(id)), held.usage.memory);
                if counted != charged {
                    report(format_args!("domain {domid} holds {counted} bytes but is charged {charged}"));
                }
                walk.domain = Some(id);
            }
        }
        if walk.is_full(1) {
            return false;
        }
    }
    true
}

/// Goes on along a domain's nodes, of which the next is returned. A broken list is followed for as many steps as there are
/// nodes at most.
fn recount_nodes(
    store: &Store,
    walk: &mut Walk,
    of: DomainId,
    mut next: Option<NodeId>,
    report: Report<'_>,
) -> Option<NodeId> {
    while let Some(id) = next.filter(|_| walk.count <= store.nodes.arena().capacity()) {
        if walk.is_full(1) {
            return next;
        }
        let node = store.node(id);
        walk.count += 1;
        walk.bytes = walk.bytes.wrapping_add(Node::memory(node.name.spilled(), node.value.len()));
        if store.owner_of(id) != Some(of) {
            report(format_args!("{} is another's than who has it", Shown(store, id)));
        }
        next = node.owned.next;
    }
    None
}

fn recount_watches(
    store: &Store,
    walk: &mut Walk,
    of: DomainId,
    mut next: Option<WatchId>,
    report: Report<'_>,
) -> Option<WatchId> {
    let watches = &store.watches.arena;
    while let Some(id) = next {
        if walk.is_full(1) {
            return next;
        }
        let watch = store.watch(id);
        let at = watch.at.map(|at| store.watches.paths.get(at));
        if !at.is_some_and(|at| at.watches.has(watches, id, |other| other.at == watch.at)) {
            report(format_args!("a watch is not listed by its path"));
        }
        let memory = Watch::memory(at.map_or(0, |at| at.path.len()), watch.token.len());
        let chunks = (memory - Watch::memory(0, 0)) / Blob::memory(CHUNK);
        walk.totals.held.add(store, of, Share::Chunks, chunks);
        walk.totals.spilled += watch.token.spilled();
        walk.count += 1;
        walk.bytes = walk.bytes.wrapping_add(memory);
        next = watch.of_domain.next;
    }
    None
}

fn recount_transactions(
    store: &Store,
    walk: &mut Walk,
    mut next: Option<TransactionId>,
) -> Option<TransactionId> {
    while let Some(tx) = next {
        if walk.is_full(1) {
            return next;
        }
        let open = store.transactions.open.get(tx);
        walk.count += 1;
        walk.bytes = walk.bytes.wrapping_add(open.memory);
        next = open.after_in_domain();
    }
    None
}
