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
use crate::store::{self, AclChanges, NodeId, Order, Origin, Store};
use crate::wire::{Header, PAYLOAD_MAX};

/// The nodes above which there is none, in the order of the stream.
pub const TOPS: [Path<'static>; 3] = [Path::ROOT, Path::RELEASE_DOMAIN, Path::INTRODUCE_DOMAIN];

/// Calls `each` with all nodes, each before those below it, and with how many bytes fewer than the latest's have those of its
/// path that are not its name and the slash before that.
#[inline(always)] // As the inner loop of all that.
pub fn each_node<E>(
    store: &Store,
    mut each: impl FnMut(&store::Node, usize) -> Result<(), E>,
) -> Result<(), E> {
    for top in TOPS {
        let mut next = store.lookup(top);
        let mut left = usize::MAX;
        while let Some(id) = next {
            let node = store.node(id);
            each(node, left)?;
            (next, left) = node_after(store, node);
        }
    }
    Ok(())
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

/// Writes all nodes. The result is how many there are: what the store has counted may be wrong after a fault.
pub fn save(writer: &mut Writer<'_>, store: &Store, lists: &mut Lists) -> Result<usize, Full> {
    let mut record = Record::new();
    let mut count = 0;
    each_node(store, |node, left| {
        count += 1;
        record.extend_path(store, node, left);
        record.take_list(store, node, lists);
        match record.whole(store, node) {
            Some(record) => writer.raw(record),
            None => save_long(writer, store, node, record.path(), lists),
        }
    })?;
    Ok(count)
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

/// The numbers of all nodes, so many of them, in order of the stream, so that no client takes up a list of children that has changed.
pub fn save_generations(writer: &mut Writer<'_>, store: &Store, count: usize) -> Result<(), Full> {
    writer.begin(GENERATIONS, count * Generations::SIZE)?;
    each_node(store, |node, _| {
        writer.part_in_place(&Generations {
            value: node.value_generation(),
            list: node.list_generation(),
            permissions: node.acl_changes().bits(),
            origin: node.origin().bits().into(),
            ..Generations::default()
        })
    })?;
    writer.end()
}

pub fn save_owned(writer: &mut Writer<'_>, store: &Store) -> Result<(), Full> {
    for (id, domain) in store.domains.known() {
        // The privileged domain's nodes are never removed for its end.
        let count = if domain.is_privileged() { 0 } else { store.owned_by(id).count() };
        if count < 2 {
            continue;
        }
        let head = Owned { domid: domain.domid.0, ..Owned::default() };
        writer.begin_with(OWNED, &head, count * OwnedNode::SIZE)?;
        for node in store.owned_by(id) {
            writer.part_in_place(&OwnedNode { generation: node.value_generation() })?;
        }
        writer.end()?;
    }
    Ok(())
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

/// Longest value that is taken, bytes.
pub const VALUE_MAX: usize = Header::SIZE + PAYLOAD_MAX;

/// What records are read into, so that each needs little stack of its own.
pub struct Buffers {
    pub path: PathBuf,
    pub absolute: PathBuf,
    pub text: Vec<u8, VALUE_MAX>,
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
