//! The check of the tree: every node in the index is where its links and its path say.

use core::fmt;

use super::walk::{Report, Walk, mark};
use crate::path::{Path, PathBuf};
use crate::slots::{Blob, CHUNK};
use crate::store::share::Share;
use crate::store::{NodeId, Store};

/// A node by its path, for a report.
pub struct Shown<'a>(pub &'a Store, pub NodeId);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.path_of(self.1, &mut PathBuf::new()) {
            Ok(path) => path.as_bytes().escape_ascii().fmt(f),
            Err(_) => write!(f, "node {:?}", self.1),
        }
    }
}

/// Every node in the index is where its links and its path say.
pub fn check_nodes(store: &Store, walk: &mut Walk, report: Report<'_>) -> bool {
    if let Some(id) = walk.node.filter(|_| walk.child.is_some()) {
        check_children(store, walk, id, report);
    }
    while walk.child.is_none() {
        if walk.is_full(1) {
            return false;
        }
        let Some(id) = store.nodes.next_of_all(&mut walk.at, walk.node) else { return true };
        walk.node = Some(id);
        check_node(store, walk, id, report);
    }
    false
}

fn check_node(store: &Store, walk: &mut Walk, id: NodeId, report: Report<'_>) {
    let node = store.node(id);
    let totals = &mut walk.totals;
    totals.nodes += 1;
    totals.gone += u32::from(node.is_gone());
    let spilled = node.name.spilled() + node.value.spilled();
    totals.spilled += spilled;
    if let Some(owner) = store.owner_of(id) {
        totals.held.add(store, owner, Share::Chunks, spilled / Blob::memory(CHUNK));
    }
    totals.holds = node.acl().map_or(totals.holds, |acl| mark(totals.holds, acl.index(), 1));
    let shown = Shown(store, id);
    if !node.is_watched() && store.watches.paths.find(node.hash, |_| true).is_some() {
        report(format_args!("{shown} does not know that it is watched"));
    }
    if node.is_gone() {
        if !node.parent.is_some_and(|parent| store.node(parent).origin().has_gone_below()) {
            report(format_args!("{shown} is gone, and what was above it does not know"));
        }
        return;
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
    let mut buf = PathBuf::new();
    if node.parent.is_none() && !(store.path_of(id, &mut buf).is_ok() && is_found(store, id, &buf)) {
        report(format_args!("{shown} is not found by its path"));
    }
    (walk.child, walk.before, walk.count, walk.bytes) = (store.first_child(id), None, 0, 0);
    check_children(store, walk, id, report);
}

/// Each node is looked for by its path beside its siblings, so that the path above them is put together once.
fn check_children(store: &Store, walk: &mut Walk, id: NodeId, report: Report<'_>) {
    let (node, shown) = (store.node(id), Shown(store, id));
    let mut buf = PathBuf::new();
    if walk.child.is_some() && store.path_of(id, &mut buf).is_err() {
        report(format_args!("{shown} has a path that is too long"));
        walk.child = None;
        return;
    }
    if buf.as_slice() == Path::ROOT.as_bytes() {
        buf.clear();
    }
    let above = buf.len();
    for (child, below) in node.children.iter_from(&store.nodes, walk.child.take()) {
        if walk.is_full(1) {
            walk.child = Some(child);
            return;
        }
        walk.bytes += below.name.len() as u32 + 1;
        walk.count += 1;
        let fits = buf.push(b'/').is_ok() && below.name.append(&store.blobs, &mut buf).is_ok();
        if !fits || !is_found(store, child, &buf) {
            report(format_args!("{} is not found by its path", Shown(store, child)));
        }
        buf.truncate(above);
        if below.parent != Some(id) || below.siblings.prev != walk.before {
            report(format_args!("a child of {shown} is not linked to it"));
        }
        walk.before = Some(child);
        if walk.count > store.nodes.arena().capacity() {
            report(format_args!("the children of {shown} form a circle"));
            break;
        }
    }
    if walk.bytes != node.children_bytes || walk.before != node.children.last() {
        report(format_args!(
            "{shown} lists {} bytes of names but counts {}",
            walk.bytes, node.children_bytes
        ));
    }
}

pub fn check_cache(store: &Store, walk: &mut Walk, report: Report<'_>) -> bool {
    while let Some(kept) = store.path_cache.nth(walk.at) {
        walk.at += 1;
        if let Some((path, hash, id)) = kept
            && store.lookup_by_names(Path::from_canonical(path), hash) != Some(id)
        {
            report(format_args!("{} was found lately but is not there", path.escape_ascii()));
        }
        if walk.is_full(1) {
            return false;
        }
    }
    true
}

/// Whether the node is the one with this path.
fn is_found(store: &Store, id: NodeId, path: &[u8]) -> bool {
    store.node_hashed(Path::from_canonical(path).hash(&store.key)) == Some(id)
}
