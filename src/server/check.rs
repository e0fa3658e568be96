//! The consistency check: recounts everything from the tree, the lists and the queues, and compares.
//!
//! It looks only; each finding is one sentence. Bounded by the size of the store.

use core::fmt::Arguments;

use super::Server;
use crate::domain::DomainId;
use crate::path::PathBuf;
use crate::platform::Platform;
use crate::store::{Node, NodeId, Store};

impl<P: Platform> Server<P> {
    /// Calls `report` for everything that is not as it must be.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        check_tree(store, report);
        check_domains(store, report);
        check_free_lists(self, report);
        self.check_memory(report);
    }

    /// Each domain's memory charge equals the bytes that its things take.
    fn check_memory(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        for (id, domain) in store.domains.iter() {
            let nodes: u32 = owned(store, id)
                .map(|(_, node)| Node::memory(node.name.len(), node.value.len()))
                .fold(0, u32::wrapping_add);
            let mut watches = 0;
            let mut next = domain.watches.first;
            while let Some(watch) = next {
                let path = store.path_of_watch(watch).map_or(0, crate::store::Text::len);
                let token = store.watches.arena.get(watch).token.len();
                watches += crate::watch::Watch::memory(path, token);
                next = store.next_own_watch(watch);
            }
            let mut transactions = 0;
            let mut next = domain.transactions.first;
            while let Some(tx) = next {
                let open = store.transactions.open.get(tx);
                let copies: u32 = store
                    .copies(tx)
                    .map(|(_, copy)| crate::transaction::TxNode::memory(copy.path.len(), copy.value.len()))
                    .sum();
                let counted = copies + crate::transaction::Transaction::MEMORY;
                if counted != open.memory {
                    report(format_args!(
                        "transaction {} of domain {} holds {counted} bytes but is charged {}",
                        open.id.0, domain.domid, open.memory
                    ));
                }
                transactions += counted;
                next = open.next_own;
            }
            let connection = self.connections.get(id.index()).and_then(Option::as_ref);
            let queued = connection.map_or(0, |connection| self.outbox.memory(&connection.queue));
            let partial = connection.map_or(0, |connection| connection.partial.memory());
            let counted = nodes
                .wrapping_add(watches)
                .wrapping_add(transactions)
                .wrapping_add(queued)
                .wrapping_add(partial);
            if counted != domain.usage.memory {
                report(format_args!(
                    "domain {} holds {counted} bytes but is charged {}",
                    domain.domid, domain.usage.memory
                ));
            }
        }
    }
}

fn owned(store: &Store, domain: DomainId) -> impl Iterator<Item = (NodeId, &Node)> {
    let first = store.domains.get(domain).owned.first;
    core::iter::successors(first, |id| store.node(*id).next_owned)
        .take(store.nodes.arena().capacity() as usize + 1)
        .map(|id| (id, store.node(id)))
}

/// Every node in the index hangs where its links and its path say.
fn check_tree(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut found = 0;
    let mut buf = PathBuf::new();
    for (id, node) in store.nodes.iter() {
        found += 1;
        let Ok(path) = store.path_of(id, &mut buf) else {
            report(format_args!("node {id:?} has a path that is too long"));
            continue;
        };
        let shown = path.as_bytes().escape_ascii();
        if store.lookup(path) != Some(id) {
            report(format_args!("{shown} is not found by its path"));
        }
        let (mut bytes, mut last, mut count) = (0, None, 0);
        for (child, below) in store.children(id) {
            bytes += below.name.len() as u32 + 1;
            count += 1;
            if below.parent != Some(id) || below.prev_sibling != last {
                report(format_args!("a child of {shown} is not linked to it"));
            }
            last = Some(child);
            if count > store.nodes.arena().capacity() {
                report(format_args!("the children of {shown} form a circle"));
                break;
            }
        }
        if bytes != node.children_bytes || last != node.last_child {
            report(format_args!("{shown} lists {bytes} bytes of names but counts {}", node.children_bytes));
        }
        if let Some(parent) = node.parent
            && !store.children(parent).any(|(child, _)| child == id)
        {
            report(format_args!("{shown} is not listed by its parent"));
        }
        if store.owner_of(id).is_none() {
            report(format_args!("{shown} belongs to no known domain"));
        }
    }
    if found != store.nodes.arena().used() {
        report(format_args!("{found} nodes are indexed but {} are in use", store.nodes.arena().used()));
    }
}

/// Each domain's counters equal a recount of its lists.
fn check_domains(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut nodes = 0;
    let mut watches = 0;
    let mut transactions = 0;
    for (id, domain) in store.domains.iter() {
        let count = owned(store, id).count() as u32;
        if count != domain.usage.nodes || owned(store, id).any(|(node, _)| store.owner_of(node) != Some(id)) {
            report(format_args!(
                "domain {} owns {count} nodes but counts {}",
                domain.domid, domain.usage.nodes
            ));
        }
        let own = core::iter::successors(domain.watches.first, |id| store.next_own_watch(*id)).count() as u32;
        if own != domain.usage.watches {
            report(format_args!(
                "domain {} has {own} watches but counts {}",
                domain.domid, domain.usage.watches
            ));
        }
        let open =
            core::iter::successors(domain.transactions.first, |tx| store.transactions.open.get(*tx).next_own)
                .count() as u32;
        if open != domain.usage.transactions {
            report(format_args!(
                "domain {} has {open} transactions but counts {}",
                domain.domid, domain.usage.transactions
            ));
        }
        nodes += count;
        watches += own;
        transactions += open;
    }
    for (what, counted, used) in [
        ("nodes", nodes, store.nodes.arena().used()),
        ("watches", watches, store.watches.arena.used()),
        ("transactions", transactions, store.transactions.open.arena().used()),
        ("domains", store.domains.iter().count() as u32, store.domains.arena.used()),
    ] {
        if counted != used {
            report(format_args!("{counted} {what} belong to domains but {used} are in use"));
        }
    }
}

/// What is not in use is free: nothing is lost.
fn check_free_lists<P: Platform>(server: &Server<P>, report: &mut dyn FnMut(Arguments<'_>)) {
    let store = &server.store;
    macro_rules! arenas {
        ($($what:literal: $arena:expr,)*) => {
            [$(($what, $arena.capacity(), $arena.used(), $arena.count_free()),)*]
        };
    }
    for (what, capacity, used, free) in arenas! {
        "nodes": store.nodes.arena(),
        "chunks": store.blobs.arena(),
        "permission lists": store.acls.table().arena(),
        "domains": store.domains.arena,
        "watches": store.watches.arena,
        "watch paths": store.watches.paths.arena(),
        "transactions": store.transactions.open.arena(),
        "transaction nodes": store.transactions.nodes.arena(),
        "messages": server.outbox.messages.arena(),
        "causes": server.outbox.causes,
    } {
        if used + free != capacity {
            report(format_args!("of {capacity} {what} {used} are in use and {free} free"));
        }
    }
}
