//! The consistency check: recounts everything from the tree, the lists and the queues, and compares.
//!
//! It looks only; each finding is one sentence. Bounded by the size of the store.

use core::fmt::Arguments;

use super::Server;
use crate::abi::DomId;
use crate::config::Capacities;
use crate::connection::outbox::{Message, Queue};
use crate::path::{Path, PathBuf};
use crate::platform::Platform;
use crate::slots::{Balance, Blob, CHUNK};
use crate::store::{DomainId, Mark, Node, NodeId, Store, Usage};

impl<P: Platform> Server<P> {
    /// Calls `report` for everything that is not as it must be.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        check_tree(store, report);
        check_domains(store, report);
        check_free_lists(self, report);
        check_watches(store, report);
        check_transactions(store, report);
        check_permission_lists(store, report);
        self.check_memory(report);
        self.check_queues(report);
        self.check_chunks(report);
        self.check_connections(report);
    }

    /// What a domain holds now; `None` if there is no record of it.
    pub fn usage(&self, domid: DomId) -> Option<Usage> {
        self.store.domains.find(domid).map(|id| self.store.domains.get(id).usage)
    }

    /// Slots of each kind in use now.
    pub fn in_use(&self) -> Capacities {
        let store = &self.store;
        Capacities {
            domains: store.domains.arena.used() as usize,
            nodes: store.nodes.arena().used() as usize,
            chunks: store.blobs.arena().used() as usize,
            acls: store.acls.table().arena().used() as usize,
            watches: store.watches.arena.used() as usize,
            transactions: store.transactions.open.arena().used() as usize,
            tx_nodes: store.transactions.nodes.arena().used() as usize,
            messages: self.links.outbox.messages.arena().used() as usize,
            names: 0,
            trace: 0,
        }
    }

    fn queues(&self) -> impl Iterator<Item = (DomainId, &Message)> {
        let messages = &self.links.outbox.messages;
        self.store.domains.iter().flat_map(move |(id, _)| {
            let connection = self.links.get(id);
            let queue = connection.map_or(Queue::EMPTY, |connection| connection.queue);
            queue.iter(messages).map(move |(_, message)| (id, message))
        })
    }

    /// Every message is in one queue, and outstanding requests are those of which something waits.
    fn check_queues(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let outbox = &self.links.outbox;
        let (mut queued, mut caused) = (0, 0);
        for (_, message) in self.queues() {
            queued += 1;
            caused += u32::from(message.has_cause());
        }
        let used = outbox.messages.arena().used();
        if queued != used {
            report(format_args!("{queued} messages are in queues but {used} are in use"));
        }
        let indexed = outbox.messages.iter().count() as u32;
        if indexed != used {
            report(format_args!("{indexed} messages are indexed but {used} are in use"));
        }
        let (mut causes, mut waiting, mut owed, mut owed_messages) = (0, 0, 0, 0);
        for (domain, life, messages) in outbox.causes() {
            causes += 1;
            waiting += messages;
            if self.store.domains.get(domain).life == life {
                owed = mark(owed, domain.index(), 1);
                owed_messages = mark(owed_messages, domain.index(), messages);
            }
        }
        if causes != outbox.causes.used() || waiting != caused {
            report(format_args!(
                "{causes} causes of {waiting} messages are known, {} are in use, {caused} messages have one",
                outbox.causes.used()
            ));
        }
        let (mut counted, mut counted_messages) = (0, 0);
        for (id, domain) in self.store.domains.iter() {
            counted = mark(counted, id.index(), domain.usage.outstanding);
            counted_messages = mark(counted_messages, id.index(), domain.caused);
        }
        if (counted, counted_messages) != (owed, owed_messages) {
            report(format_args!("the outstanding requests that domains count are not those that wait"));
        }
    }

    /// Every chunk in use belongs to one byte string.
    fn check_chunks(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        let chunk = Blob::memory(CHUNK);
        let mut bytes = 0;
        for (_, node) in store.nodes.iter() {
            bytes += node.name.spilled() + node.value.spilled();
        }
        bytes += store.acls.table().iter().map(|(_, acl)| acl.spilled()).sum::<u32>();
        bytes += store.watches.spilled();
        for (_, copy) in store.transactions.nodes.iter() {
            bytes += copy.path.spilled() + copy.value.spilled();
        }
        bytes += self.queues().map(|(_, message)| Blob::memory(message.bytes.len())).sum::<u32>();
        bytes += self.links.iter().map(|connection| connection.partial.memory()).sum::<u32>();
        let used = store.blobs.arena().used();
        if bytes != used * chunk {
            report(format_args!("{} chunks are held but {used} are in use", bytes / chunk));
        }
    }

    /// Each connection is that of a domain on record, and ports and lists agree with them.
    fn check_connections(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let (mut introduced, mut bound) = (0, 0);
        for (id, domain) in self.store.domains.iter() {
            let Some(connection) = self.links.get(id) else { continue };
            introduced += 1;
            let Some(port) = connection.port else { continue };
            bound += 1;
            if self.links.port_owner(port) != Some(id) {
                report(format_args!("the port of domain {} is not known as its own", domain.domid));
            }
        }
        let connections = self.links.iter().count();
        let ports = self.links.ports();
        if connections != introduced || ports != bound {
            report(format_args!(
                "{introduced} domains have {connections} connections, {bound} of them {ports} ports"
            ));
        }
        self.links.schedule.check(report);
    }

    /// Each domain's memory charge equals the bytes that its things take.
    fn check_memory(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        for (id, domain) in store.domains.iter() {
            let nodes: u32 = owned(store, id)
                .map(|(_, node)| Node::memory(node.name.len(), node.value.len()))
                .fold(0, u32::wrapping_add);
            let mut watches = 0;
            for (id, watch) in store.watches.of_domain.of(id).iter(&store.watches.arena) {
                let path = store.path_of_watch(id).map_or(0, crate::slots::Text::len);
                watches += crate::store::Watch::memory(path, watch.token.len());
            }
            let mut transactions = 0;
            for (tx, open) in store.transactions.of_domain.of(id).iter(&store.transactions.open) {
                let copies: u32 = store
                    .copies(tx)
                    .map(|(_, copy)| crate::store::TxNode::memory(copy.path.len(), copy.value.len()))
                    .sum();
                let counted = copies + crate::store::Transaction::MEMORY;
                if counted != open.memory {
                    report(format_args!(
                        "transaction {} of domain {} holds {counted} bytes but is charged {}",
                        open.id.0, domain.domid, open.memory
                    ));
                }
                transactions += counted;
            }
            let connection = self.links.get(id);
            let queued = connection.map_or(0, |connection| self.links.outbox.memory(&connection.queue));
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
    store.owned.of(domain).iter(&store.nodes).take(store.nodes.arena().capacity() as usize + 1)
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
        if store.lookup_by_names(path, path.hash(&store.key)) != Some(id) {
            report(format_args!("{shown} is not found by its path"));
        }
        let (mut bytes, mut last, mut count) = (0, None, 0);
        for (child, below) in store.children(id) {
            bytes += below.name.len() as u32 + 1;
            count += 1;
            if below.parent != Some(id) || below.siblings.prev != last {
                report(format_args!("a child of {shown} is not linked to it"));
            }
            last = Some(child);
            if count > store.nodes.arena().capacity() {
                report(format_args!("the children of {shown} form a circle"));
                break;
            }
        }
        if bytes != node.children_bytes || last != node.children.last() {
            report(format_args!("{shown} lists {bytes} bytes of names but counts {}", node.children_bytes));
        }
        // Listed once: the link that leads here is that of the sibling before it, or the parent's first.
        let listed = match (node.siblings.prev, node.parent) {
            (Some(prev), Some(_)) => {
                let prev = store.node(prev);
                prev.siblings.next == Some(id) && prev.parent == node.parent
            }
            (None, Some(parent)) => store.node(parent).children.first() == Some(id),
            (prev, None) => prev.is_none() && node.siblings.next.is_none(),
        };
        if !listed {
            report(format_args!("{shown} is not listed by its parent"));
        }
        if store.owner_of(id).is_none() {
            report(format_args!("{shown} belongs to no known domain"));
        }
    }
    for (path, hash, id) in store.path_cache.iter() {
        if store.lookup_by_names(Path::from_canonical(path), hash) != Some(id) {
            report(format_args!("{} was found lately but is not there", path.escape_ascii()));
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
        let own = store.watches.of_domain.of(id).iter(&store.watches.arena).count() as u32;
        if own != domain.usage.watches {
            report(format_args!(
                "domain {} has {own} watches but counts {}",
                domain.domid, domain.usage.watches
            ));
        }
        let open = store.transactions.of_domain.of(id).iter(&store.transactions.open).count() as u32;
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

/// Every watch hangs on the record of its path, which is found by that path.
fn check_watches(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut watches = 0;
    let mut paths = 0;
    let mut buf = PathBuf::new();
    for (here, path) in store.watches.watched(&store.blobs, &mut buf, &store.key) {
        paths += 1;
        watches += here;
        if here == 0 || !path {
            report(format_args!("a watched path has {here} watches, or is not found by its name"));
        }
    }
    for (_, node) in store.nodes.iter() {
        if !node.watched && store.watches.paths.find(node.hash, |_| true).is_some() {
            report(format_args!("a watched node does not know that it is"));
        }
    }
    let used = (store.watches.arena.used(), store.watches.paths.arena().used());
    if (watches, paths) != used {
        report(format_args!("{watches} watches on {paths} paths are indexed but {used:?} are in use"));
    }
}

/// Every transaction is found by its identifier, every copy belongs to one.
fn check_transactions(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut copies = 0;
    for (tx, open) in store.transactions.open.iter() {
        let count = store.copies(tx).take_while(|(_, copy)| copy.tx == tx).count() as u32;
        copies += count;
        if count != open.node_count || store.transactions.find(open.domain, open.id) != Some(tx) {
            report(format_args!("transaction {} has {count} nodes, or is not found", open.id.0));
        }
        let made = store.copies(tx).filter(|(_, copy)| copy.mark.contains(Mark::MADE)).count();
        let listed = open.made.iter(&store.transactions.nodes);
        if listed.take(made + 1).count() != made {
            report(format_args!("transaction {} made {made} nodes but lists others", open.id.0));
        }
    }
    let used = store.transactions.nodes.arena().used();
    if copies != used || store.transactions.nodes.iter().count() as u32 != used {
        report(format_args!("{copies} copies belong to transactions but {used} are in use"));
    }
}

/// Every permission list is held as often as it counts.
fn check_permission_lists(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let (mut held, mut counted) = (0, 0);
    for (_, node) in store.nodes.iter() {
        held = node.acl().map_or(held, |acl| mark(held, acl.index(), 1));
    }
    for (_, copy) in store.transactions.nodes.iter() {
        for acl in [copy.acl, copy.seen_acl].into_iter().flatten() {
            held = mark(held, acl.index(), 1);
        }
    }
    let mut lists = 0;
    for (id, _) in store.acls.table().iter() {
        lists += 1;
        counted = mark(counted, id.index(), store.acls.refs(id));
        if store.acls.refs(id) == 0 {
            report(format_args!("permission list {id:?} is held by nobody"));
        }
    }
    if held != counted {
        report(format_args!("permission lists are not held as often as they count"));
    }
    let used = store.acls.table().arena().used();
    if lists != used {
        report(format_args!("{lists} permission lists are indexed but {used} are in use"));
    }
}

/// Adds `times` occurrences of a number to a sum that two equal collections share, and different ones, in
/// all likelihood, do not; so collections are compared without room for either.
fn mark(sum: u64, number: usize, times: u32) -> u64 {
    let spread = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let spread = (spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum.wrapping_add((spread ^ (spread >> 32)).wrapping_mul(u64::from(times)))
}

/// What is not in use is free: nothing is lost.
fn check_free_lists<P: Platform>(server: &Server<P>, report: &mut dyn FnMut(Arguments<'_>)) {
    let store = &server.store;
    for (what, balance) in [
        ("nodes", store.nodes.arena().balance()),
        ("chunks", store.blobs.arena().balance()),
        ("permission lists", store.acls.table().arena().balance()),
        ("domains", store.domains.arena.balance()),
        ("watches", store.watches.arena.balance()),
        ("watch paths", store.watches.paths.arena().balance()),
        ("transactions", store.transactions.open.arena().balance()),
        ("transaction nodes", store.transactions.nodes.arena().balance()),
        ("messages", server.links.outbox.messages.arena().balance()),
        ("causes", server.links.outbox.causes.balance()),
    ] {
        let Balance { capacity, used, free } = balance;
        if used + free != capacity {
            report(format_args!("of {capacity} {what} {used} are in use and {free} free"));
        }
    }
}
