//! NODE, and of ours GENERATIONS and OWNED: the tree, the numbers that clients may have seen of it, and in which order
//! each domain got its nodes.

use heapless::Vec;

use super::domains::know;
use super::fault::Fault;
use super::format::{
    ENDED, Fixed, GENERATIONS, Generations, NOBODY, NODE, Node, OWNED, Owned, OwnedNode, Permission, STALE,
};
use super::lists::Lists;
use super::reader::Reader;
use super::record::Record;
use super::writer::Writer;
use crate::abi::DomId;
use crate::path::{Path, PathBuf, Special, canonicalize};
use crate::perms::{Access, Entry, Life, access_of};
use crate::quota::Quotas;
use crate::slots::Full;
use crate::store::{self, AclChanges, DomainId, NodeId, Order, Origin, Store};
use crate::wire::{Header, PAYLOAD_MAX};

/// The nodes above which there is none, in the order of the stream.
pub const TOPS: [Path<'static>; 3] = [Path::ROOT, Path::RELEASE_DOMAIN, Path::INTRODUCE_DOMAIN];

/// The node that is next in the order of the stream: the top of this number, or one below that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    top: usize,
    below: Option<NodeId>,
}

impl Place {
    /// The path above it, which is empty where that is the root's or there is none.
    #[inline(never)] // Where a go begins.
    pub fn path_above(&self, store: &Store, buf: &mut PathBuf) -> Result<(), Full> {
        buf.clear();
        if let Some(above) = self.below.and_then(|id| store.node(id).parent) {
            store.path_of(above, buf).map_err(|_| Full)?;
        }
        if buf.as_slice() == b"/" {
            buf.clear();
        }
        Ok(())
    }
}

/// Calls `each` with all nodes from a place on, each before those below it, until that returns false. It is told how many bytes
/// fewer than the latest's, at first than [`Place::path_above`], have those of the path that are not the node's name and the
/// slash before that. Returns the place of the next node, none if there is none.
#[inline(always)] // As the inner loop of all that.
pub fn each_node<E>(
    store: &Store,
    from: Place,
    mut each: impl FnMut(&store::Node, usize) -> Result<bool, E>,
) -> Result<Option<Place>, E> {
    let (mut next, mut left) = (from.below, 0);
    for (top, path) in TOPS.into_iter().enumerate().skip(from.top) {
        if next.is_none() {
            (next, left) = (store.lookup(path), usize::MAX);
        }
        while let Some(id) = next {
            let node = store.node(id);
            let more = each(node, left)?;
            (next, left) = node_after(store, node);
            if !more {
                let top = if next.is_none() { top + 1 } else { top };
                return Ok(Some(Place { top, below: next }));
            }
        }
    }
    Ok(None)
}

/// The node that [`each_node`] calls after this one, below the same top, and what it says of the path.
#[inline(always)] // As above.
pub fn node_after(store: &Store, node: &store::Node) -> (Option<NodeId>, usize) {
    let (mut node, mut left) = (node, 0);
    let mut next = store.first_child_of(node);
    while next.is_none() {
        left += node.name.len() + 1;
        next = store.sibling_after(node);
        match node.parent {
            Some(parent) if next.is_none() => node = store.node(parent),
            _ => break,
        }
    }
    (next, left)
}

/// Makes the path of the node before, by what [`each_node`] tells, that of this one. The root's is empty.
#[inline(always)]
pub fn extend_path(store: &Store, node: &store::Node, left: usize, buf: &mut PathBuf) {
    buf.truncate(buf.len().saturating_sub(left));
    if node.parent.is_some() {
        // No path is longer than there is room for.
        let _fits = buf.push(b'/');
    }
    let _fits = node.name.append(&store.blobs, buf);
}

/// Writes nodes from a place on. The result is the next place, and how many there were: what the store has counted may be wrong
/// after a fault.
#[inline(never)] // In several places.
pub fn save(writer: &mut Writer<'_>, store: &Store, from: Place) -> Result<(Option<Place>, usize), Full> {
    let (mut record, mut lists) = (Record::new(), Lists::new());
    let mut above = PathBuf::new();
    from.path_above(store, &mut above)?;
    record.begin(&above);
    let mut count = 0;
    let next = each_node(store, from, |node, left| {
        count += 1;
        record.extend_path(store, node, left);
        record.take_list(store, node, &mut lists);
        match record.whole(store, node) {
            Some(record) => writer.raw(record)?,
            None => save_long(writer, store, node, record.path(), &mut lists)?,
        }
        Ok(!writer.is_much())
    })?;
    Ok((next, count))
}

/// Writes a node whose record is not put together.
#[inline(never)]
fn save_long(
    writer: &mut Writer<'_>,
    store: &Store,
    node: &store::Node,
    path: &[u8],
    lists: &mut Lists,
) -> Result<(), Full> {
    let path = if path.is_empty() { b"/" } else { path };
    let entries = lists.entries(store, node.acl());
    let head = Node {
        path: path.len() as u16 + 1,
        value: node.value.len() as u16,
        entries: (entries.len() / Permission::SIZE) as u16,
        ..Node::default()
    };
    writer.begin_with(NODE, &head, entries.len() + path.len() + 1 + node.value.len())?;
    writer.bytes(entries)?;
    writer.bytes(path)?;
    writer.bytes(&[0])?;
    node.value.pieces(&store.blobs).try_for_each(|piece| writer.bytes(piece))?;
    writer.end()
}

/// The numbers of nodes from a place on, in order of the stream, so that no client takes up a list of children that has changed.
/// There are `count` nodes in all. The result is the next place.
#[inline(never)] // As above.
pub fn save_generations(
    writer: &mut Writer<'_>,
    store: &Store,
    from: Place,
    count: usize,
) -> Result<Option<Place>, Full> {
    if from == Place::default() {
        writer.begin(GENERATIONS, count * Generations::SIZE)?;
    }
    let next = each_node(store, from, |node, _| {
        writer.part_in_place(&Generations {
            value: node.value_generation(),
            list: node.list_generation(),
            permissions: node.acl_changes().bits(),
            origin: node.origin().bits().into(),
            ..Generations::default()
        })?;
        Ok(!writer.is_much())
    })?;
    if next.is_none() {
        writer.end()?;
    }
    Ok(next)
}

pub fn save_owned(
    writer: &mut Writer<'_>,
    store: &Store,
    id: DomainId,
    domain: &store::Domain,
) -> Result<(), Full> {
    // The privileged domain's nodes are never removed for its end.
    let count = if domain.is_privileged() { 0 } else { store.owned_by(id).count() };
    if count < 2 {
        return Ok(());
    }
    let head = Owned { domid: domain.domid.0, ..Owned::default() };
    writer.begin_with(OWNED, &head, count * OwnedNode::SIZE)?;
    for node in store.owned_by(id) {
        writer.part_in_place(&OwnedNode { generation: node.value_generation() })?;
    }
    writer.end()
}

/// Reads a permission list into the store's.
pub fn read_entries(
    reader: &mut Reader<'_>,
    store: &mut Store,
    quotas: &Quotas,
    count: usize,
) -> Result<(), Fault> {
    store.list.clear();
    for n in 0..count {
        let Permission { letter, flags, domid } = reader.part()?;
        let (number, mut domid) = (domid, DomId(domid));
        let access = access_of(letter).unwrap_or(Access::empty());
        let life = match flags & (STALE | NOBODY) {
            _ if flags & ENDED != 0 => {
                domid = DomId::INVALID;
                Life::ended(number)
            }
            0 if domid == DomId::ANY && n > 0 => Life::ANY,
            0 if domid < DomId::FIRST_RESERVED => {
                let id = know(store, domid, quotas)?;
                store.domains.get(id).life
            }
            // Upstream shows what has no effect, too.
            _ => Life::NONE,
        };
        store.list.push(Entry { access, domid, life }).map_err(|_| Fault::LongList)?;
    }
    Ok(())
}

/// Longest value that is taken, bytes: no answer has more.
pub const VALUE_MAX: usize = PAYLOAD_MAX;

/// What records are read into, so that each needs little stack of its own.
pub struct Buffers {
    pub path: PathBuf,
    pub absolute: PathBuf,
    pub text: Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
    /// Entries of a permission list as they are in the stream.
    pub list: Vec<u8, { store::ENTRIES_MAX * Permission::SIZE }>,
}

impl Buffers {
    pub const EMPTY: Buffers =
        Buffers { path: PathBuf::new(), absolute: PathBuf::new(), text: Vec::new(), list: Vec::new() };
}

/// Reads a path with its NUL as a domain names it, `len` bytes.
pub fn read_path<'a>(
    reader: &mut Reader<'_>,
    len: u16,
    domid: DomId,
    buf: &'a mut PathBuf,
    absolute: &'a mut PathBuf,
) -> Result<Path<'a>, Fault> {
    reader.gather(len.into(), buf, Fault::BadPath)?;
    let path = buf.strip_suffix(b"\0").ok_or(Fault::BadPath)?;
    canonicalize(path, domid, None, Special::Allowed, absolute).map_err(|_| Fault::BadPath)
}

/// Gives the nodes of the stream their numbers, in the order in which they came.
pub fn restore_generations(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    let mut number = 0;
    reader.each_part(|Generations { value, list, permissions, origin, .. }| {
        let Some(node) = store.nth_node(number) else { return Ok(false) };
        number += 1;
        let (changes, origin) = (AclChanges::from_bits(permissions), Origin::from_bits(origin as u8));
        store.restore_generations(node, value, list, changes, origin);
        Ok(true)
    })
}

pub fn restore_owned(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    let Owned { domid, .. } = reader.part()?;
    let id = store.domains.find(DomId(domid)).ok_or(Fault::UnknownDomain)?;
    let mut order = Order::new(id);
    reader.each_part(|OwnedNode { generation }| {
        store.own_next(&mut order, generation)?;
        Ok(true)
    })?;
    Ok(store.own_rest(&mut order)?)
}

/// Whether the nodes are there that every store has.
pub fn is_whole(store: &Store) -> bool {
    TOPS.into_iter().all(|top| store.lookup(top).is_some())
}
