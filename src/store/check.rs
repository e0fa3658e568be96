//! The consistency check of the store: recounts everything from the tree and the lists, and compares.
//!
//! It changes nothing. Each finding is one sentence. Its time is bounded by the size of the store.

use core::fmt::{self, Arguments};

use super::Store;
use super::domain::DomainId;
use super::holdings::Usage;
use super::node::{Node, NodeId};
use super::share::{Promise, Promises, Share};
use super::transaction::{Mark, Transaction};
use super::watch::Watch;
use crate::path::{Path, PathBuf};
use crate::slots::{Blob, CHUNK, Text};

impl Store {
    /// Calls `report` for everything that is not as it must be.
    pub fn check(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        check_tree(self, report);
        check_domains(self, report);
        check_watches(self, report);
        check_transactions(self, report);
        check_permission_lists(self, report);
    }

    /// Bytes of memory that a domain's nodes, watches and transactions take. Calls `report` for transactions that
    /// count something else.
    pub fn recount_memory(&self, id: DomainId, report: &mut dyn FnMut(Arguments<'_>)) -> u32 {
        let nodes: u32 = owned(self, id)
            .map(|(_, node)| Node::memory(node.name.spilled(), node.value.len()))
            .fold(0, u32::wrapping_add);
        let mut watches = 0;
        for (id, watch) in self.held.of(id).watches.iter(&self.watches.arena) {
            let path = self.path_of_watch(id).map_or(0, Text::len);
            watches += Watch::memory(path, watch.token.len());
        }
        let mut transactions = 0;
        for (tx, open) in self.held.of(id).transactions.iter(&self.transactions.open) {
            let copies: u32 = self.copies(tx).map(|(_, copy)| copy.held()).sum();
            let counted = copies + Transaction::MEMORY;
            if counted != open.memory {
                report(format_args!(
                    "transaction {} of domain {} holds {counted} bytes but is charged {}",
                    open.id.0,
                    self.domains.get(id).domid,
                    open.memory
                ));
            }
            transactions += counted;
        }
        nodes.wrapping_add(watches).wrapping_add(transactions)
    }

    /// What lies in the store of the slots that each domain counts and that are in no list of the domain's.
    pub fn recount_shares(&self) -> Held {
        const CHUNK_BYTES: u32 = Blob::memory(CHUNK);
        let mut held = Held::default();
        for (id, node) in self.nodes.iter() {
            if let Some(owner) = self.owner_of(id) {
                held.add(
                    self,
                    owner,
                    Share::Chunks,
                    (node.name.spilled() + node.value.spilled()) / CHUNK_BYTES,
                );
            }
        }
        for (_, acl) in self.acls.table().iter() {
            if let Some(owner) = self.domains.owner(acl.owner) {
                held.add(self, owner, Share::Acls, 1);
                held.add(self, owner, Share::Chunks, acl.spilled() / CHUNK_BYTES);
            }
        }
        for (tx, _) in self.transactions.open.iter() {
            let Some(payer) = self.payer_of(tx) else { continue };
            held.add(self, payer, Share::Transactions, 1);
            for (_, copy) in self.copies(tx) {
                held.add(self, payer, Share::Copies, 1);
                held.add(self, payer, Share::Chunks, copy.spilled() / CHUNK_BYTES);
            }
        }
        for (domain, _) in self.domains.iter() {
            for (id, watch) in self.held.of(domain).watches.iter(&self.watches.arena) {
                let path = self.path_of_watch(id).map_or(0, Text::len);
                let spilled = Watch::memory(path, watch.token.len()) - Watch::memory(0, 0);
                held.add(self, domain, Share::Chunks, spilled / CHUNK_BYTES);
            }
        }
        held
    }

    /// Compares what domains count with what has been found of each kind, and recounts the promises.
    pub fn check_shares(&self, held: &Held, report: &mut dyn FnMut(Arguments<'_>)) {
        let (mut counted, mut promised) = (Held::default(), Promises::default());
        for (id, _) in self.domains.iter() {
            let usage = &self.held.of(id).usage;
            for (kind, promised) in Share::ALL.into_iter().zip(&mut promised) {
                counted.add(self, id, kind, usage.held(kind));
                *promised = promised.shifted(Promise::default(), Promise::to(usage, kind));
            }
        }
        for (n, kind) in Share::ALL.into_iter().enumerate() {
            // The others are compared domain by domain.
            let hidden = !matches!(kind, Share::Nodes | Share::Watches);
            if hidden && counted.0.get(n) != held.0.get(n) {
                report(format_args!("the {kind:?} that domains count are not those that they have"));
            }
            if promised.get(n) != self.promises.get().get(n) {
                report(format_args!("the {kind:?} that are promised are not those that guests lack"));
            }
        }
    }

    /// Bytes of blob memory that all records take beside their slots.
    pub fn spilled(&self) -> u32 {
        let nodes = self.nodes.iter().map(|(_, node)| node.name.spilled() + node.value.spilled());
        let lists = self.acls.table().iter().map(|(_, acl)| acl.spilled());
        let copies = self.transactions.nodes.iter().map(|(_, copy)| copy.spilled());
        nodes.chain(lists).chain(copies).sum::<u32>() + self.watches.spilled()
    }
}

/// Of each kind, which guest has how many slots, as sums that equal lists share, see [`mark`].
#[derive(Default)]
pub struct Held([u64; Share::ALL.len()]);

impl Held {
    #[inline(never)]
    pub fn add(&mut self, store: &Store, domain: DomainId, kind: Share, count: u32) {
        let sum = self.0.get_mut(kind as usize).filter(|_| !store.domains.is_privileged(domain));
        if let Some(sum) = sum {
            *sum = mark(*sum, domain.index(), count);
        }
    }
}

/// The nodes of a domain. A broken list is followed for as many steps as there are nodes at most.
fn owned(store: &Store, domain: DomainId) -> impl Iterator<Item = (NodeId, &Node)> {
    store.held.of(domain).nodes.iter(&store.nodes).take(store.nodes.arena().capacity() as usize + 1)
}

/// A node by its path, for a report.
struct Shown<'a>(&'a Store, NodeId);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.path_of(self.1, &mut PathBuf::new()) {
            Ok(path) => path.as_bytes().escape_ascii().fmt(f),
            Err(_) => write!(f, "node {:?}", self.1),
        }
    }
}

/// Every node in the index is where its links and its path say.
fn check_tree(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut found = 0;
    let mut buf = PathBuf::new();
    for (id, node) in store.nodes.iter() {
        found += 1;
        let shown = Shown(store, id);
        if node.is_gone() {
            if !node.parent.is_some_and(|parent| store.node(parent).origin().has_gone_below()) {
                report(format_args!("{shown} is gone, and what was above it does not know"));
            }
            continue;
        }
        // Each node is looked for by its path beside its siblings, so that the path above them is put together once.
        let looks = node.parent.is_none() || !node.children.is_empty();
        if looks && store.path_of(id, &mut buf).is_err() {
            report(format_args!("{shown} has a path that is too long"));
            continue;
        }
        if node.parent.is_none() && !is_found(store, id, &buf) {
            report(format_args!("{shown} is not found by its path"));
        }
        if buf.as_slice() == Path::ROOT.as_bytes() {
            buf.clear();
        }
        let above = buf.len();
        let (mut bytes, mut last, mut count) = (0, None, 0);
        for (child, below) in store.children(id) {
            bytes += below.name.len() as u32 + 1;
            count += 1;
            let fits = buf.push(b'/').is_ok() && below.name.append(&store.blobs, &mut buf).is_ok();
            if !fits || !is_found(store, child, &buf) {
                report(format_args!("{} is not found by its path", Shown(store, child)));
            }
            buf.truncate(above);
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
        // Listed once: the sibling before it links here, or the parent's list begins here.
        let listed = match (node.siblings.prev, node.parent) {
            (Some(prev), Some(_)) => {
                let prev = store.node(prev);
                prev.siblings.next == Some(id) && prev.parent == node.parent
            }
            (None, Some(parent)) => store.first_child(parent) == Some(id),
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

/// Whether the node is the one with this path.
fn is_found(store: &Store, id: NodeId, path: &[u8]) -> bool {
    store.node_hashed(Path::from_canonical(path).hash(&store.key)) == Some(id)
}

/// Each domain's counters equal a recount of its lists.
fn check_domains(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut sums = [0; 3];
    for (id, domain) in store.domains.iter() {
        if owned(store, id).any(|(node, _)| store.owner_of(node) != Some(id)) {
            report(format_args!("domain {} has nodes that another owns", domain.domid));
        }
        let held = store.held.of(id);
        if !held.most.has_been(&held.usage) {
            report(format_args!("domain {} holds more than the most that it has held", domain.domid));
        }
        // The server recounts the other two: it knows what waits for each domain.
        let Usage { nodes, watches, transactions, .. } = held.usage;
        let counted = [
            ("nodes", owned(store, id).count(), nodes),
            ("watches", held.watches.iter(&store.watches.arena).count(), watches),
            ("transactions", held.transactions.iter(&store.transactions.open).count(), transactions),
        ];
        for ((what, has, counts), sum) in counted.into_iter().zip(&mut sums) {
            if has != counts as usize {
                report(format_args!("domain {} has {has} {what} but counts {counts}", domain.domid));
            }
            *sum += has as u32;
        }
    }
    let [nodes, watches, transactions] = sums;
    let gone = store.nodes.iter().filter(|(_, node)| node.is_gone()).count() as u32;
    let ended = store.transactions.open.iter().filter(|(_, open)| open.has_ended()).count() as u32;
    for (what, counted, used) in [
        ("nodes", nodes + gone, store.nodes.arena().used()),
        ("watches", watches, store.watches.arena.used()),
        ("transactions", transactions + ended, store.transactions.open.arena().used()),
        ("domains", store.domains.iter().count() as u32, store.domains.table().arena().used()),
    ] {
        if counted != used {
            report(format_args!("{counted} {what} belong to domains but {used} are in use"));
        }
    }
}

/// Every watch is on the record of its path, which is found by that path.
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
        if !node.is_watched() && store.watches.paths.find(node.hash, |_| true).is_some() {
            report(format_args!("a watched node does not know that it is"));
        }
    }
    let (used, watched) = (store.watches.arena.used(), store.watches.paths.arena().used());
    if (watches, paths) != (used, watched) {
        report(format_args!(
            "{watches} watches on {paths} paths are indexed but {used} on {watched} are in use"
        ));
    }
}

/// Every transaction is found by its identifier, every copy belongs to one.
fn check_transactions(store: &Store, report: &mut dyn FnMut(Arguments<'_>)) {
    let mut copies = 0;
    for (tx, open) in store.transactions.open.iter() {
        let count = store.copies(tx).take_while(|(_, copy)| copy.tx == tx).count() as u32;
        copies += count;
        let found = open.has_ended() || store.transactions.find(open.domain, open.id) == Some(tx);
        if count != open.node_count || !found {
            report(format_args!("transaction {} has {count} nodes, or is not found", open.id.0));
        }
        let made =
            store.copies(tx).filter(|(_, copy)| !open.has_ended() && copy.mark.contains(Mark::MADE)).count();
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
        for acl in [copy.acl, copy.seen_acl, copy.above].into_iter().flatten() {
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
pub fn mark(sum: u64, number: usize, times: u32) -> u64 {
    let spread = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let spread = (spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum.wrapping_add((spread ^ (spread >> 32)).wrapping_mul(u64::from(times)))
}
