//! NODE, and of ours GENERATIONS and OWNED: the tree, the numbers that clients may have seen of it, and in which order
//! each domain got its nodes.

use heapless::Vec;

use super::domains::know;
use super::fault::Fault;
use super::format::{Fixed, GENERATIONS, Generations, NOBODY, NODE, Node, OWNED, Owned, Permission, STALE};
use super::reader::Reader;
use super::writer::Writer;
use crate::abi::DomId;
use crate::path::{Path, PathBuf, Special, canonicalize};
use crate::perms::{Access, Entry, Life, access_of, letter};
use crate::quota::Quotas;
use crate::slots::Full;
use crate::store::{self, AclBuf, AclId, NodeId, Store};
use crate::wire::{Header, PAYLOAD_MAX};

/// The nodes above which there is none, in the order of the stream.
const TOPS: [Path<'static>; 3] = [Path::ROOT, Path::RELEASE_DOMAIN, Path::INTRODUCE_DOMAIN];

/// Permission lists as the stream has them. Neighbours in the tree often have the same.
pub struct Lists {
    of: Option<AclId>,
    bytes: Vec<u8, { store::ENTRIES_MAX * Permission::SIZE }>,
}

impl Lists {
    pub const NONE: Lists = Lists { of: None, bytes: Vec::new() };

    /// The entries of a list, without those of the dead, which nobody sees.
    pub fn entries(&mut self, store: &Store, acl: Option<AclId>) -> &[u8] {
        if self.of != acl || acl.is_none() {
            self.of = acl;
            self.bytes.clear();
            let entries = acl.into_iter().flat_map(|acl| store.acls.entries(&store.blobs, acl));
            for (n, entry) in entries.enumerate() {
                let known = store.domains.find(entry.domid).is_some();
                let flags = match entry.life {
                    Life::ANY => 0,
                    life if life != Life::NONE && store.domains.owner(entry).is_some() => 0,
                    // The first says what all may do whom no other names. A node's owner lives.
                    life if life != Life::NONE && n > 0 => continue,
                    _ if known => STALE | NOBODY,
                    _ => NOBODY,
                };
                let [low, high] = entry.domid.0.to_le_bytes();
                // A list has no more entries than there is room for.
                let _fits = self.bytes.extend_from_slice(&[letter(entry.access), flags, low, high]);
            }
        }
        &self.bytes
    }
}

/// Calls `each` with all nodes: with its path each node before those below it.
fn each_node<E>(
    store: &Store,
    mut each: impl FnMut(NodeId, &store::Node, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut path = PathBuf::new();
    for top in TOPS {
        let Some(first) = store.lookup(top) else { continue };
        each(first, store.node(first), top.as_bytes())?;
        path.clear();
        let mut next = store.next_in_preorder(first, first, 0);
        while let Some((id, len)) = next {
            let node = store.node(id);
            path.truncate(len.saturating_sub(node.name.len() + 1));
            // No path is longer than there is room for.
            let _fits = path.push(b'/').is_ok() && node.name.append(&store.blobs, &mut path).is_ok();
            each(id, node, &path)?;
            next = store.next_in_preorder(first, id, len);
        }
    }
    Ok(())
}

pub fn save(writer: &mut Writer<'_>, store: &Store, lists: &mut Lists) -> Result<(), Full> {
    each_node(store, |_, node, path| {
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
    })
}

/// The numbers of all nodes in order of the stream, so that no client takes up a list of children that has changed.
pub fn save_generations(writer: &mut Writer<'_>, store: &Store) -> Result<(), Full> {
    let count = store.in_use().nodes;
    writer.begin(GENERATIONS, count * Generations::SIZE)?;
    each_node(store, |_, node, _| {
        writer.part(&Generations {
            value: node.value_generation,
            list: node.list_generation,
            permissions: node.acl_changes(),
            ..Generations::default()
        })
    })?;
    writer.end()
}

pub fn save_owned(writer: &mut Writer<'_>, store: &Store) -> Result<(), Full> {
    for (id, domain) in store.domains.known() {
        // The privileged domain's nodes are never removed for its end.
        if domain.is_privileged() || domain.usage.nodes < 2 {
            continue;
        }
        let head = Owned { domid: domain.domid.0, ..Owned::default() };
        writer.begin_with(OWNED, &head, domain.usage.nodes as usize * size_of::<u64>())?;
        for node in store.owned_by(id) {
            writer.bytes(&node.value_generation.to_le_bytes())?;
        }
        writer.end()?;
    }
    Ok(())
}

/// Reads a permission list.
pub fn read_entries(
    reader: &mut Reader<'_>,
    store: &mut Store,
    quotas: &Quotas,
    count: usize,
    entries: &mut AclBuf,
) -> Result<(), Fault> {
    entries.clear();
    for n in 0..count {
        let Permission { letter, flags, domid } = reader.part()?;
        let domid = DomId(domid);
        let access = access_of(letter).unwrap_or(Access::empty());
        let life = match flags & (STALE | NOBODY) {
            0 if domid == DomId::ANY && n > 0 => Life::ANY,
            0 if domid < DomId::FIRST_RESERVED => {
                let id = know(store, domid, quotas)?;
                store.domains.get(id).life
            }
            // Upstream shows what has no effect, too.
            _ => Life::NONE,
        };
        let entry = Entry { access, domid, life };
        entries.extend_from_slice(&entry.to_bytes()).map_err(|_| Fault::LongList)?;
    }
    Ok(())
}

/// What records are read into, so that each needs little stack of its own.
pub struct Buffers {
    pub entries: AclBuf,
    pub path: PathBuf,
    pub absolute: PathBuf,
    pub text: Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
}

impl Buffers {
    pub const EMPTY: Buffers =
        Buffers { entries: AclBuf::new(), path: PathBuf::new(), absolute: PathBuf::new(), text: Vec::new() };
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

/// The node that was restored last. Most are near the one before, with the same permission list.
pub struct Last {
    node: Option<NodeId>,
    path: PathBuf,
    list: Option<AclId>,
    /// The entries of the list as they are in the stream, unless there are many.
    entries: Vec<u8, 64>,
}

impl Last {
    pub const NONE: Last = Last { node: None, path: PathBuf::new(), list: None, entries: Vec::new() };

    /// The node above, if it is this one or above it.
    fn parent(&self, store: &Store, parent: &[u8]) -> Option<NodeId> {
        let parent = if parent == b"/" { b"" } else { parent };
        let below = self.path.strip_prefix(parent)?;
        if !matches!(below.first(), None | Some(b'/')) {
            return None;
        }
        let steps = below.iter().filter(|byte| **byte == b'/').count();
        (0..steps).try_fold(self.node?, |node, _| store.node(node).parent)
    }
}

/// Reads a node. In an attempt, in which a few others may be read.
pub fn restore(
    reader: &mut Reader<'_>,
    store: &mut Store,
    quotas: &Quotas,
    buffers: &mut Buffers,
    last: &mut Last,
) -> Result<(), Fault> {
    let head: Node = reader.part()?;
    if head.transaction != 0 {
        // Upstream's daemons do not write it, and pass over it.
        return Ok(());
    }
    let acl = restore_list(reader, store, quotas, head.entries.into(), &mut buffers.entries, last)?;
    let Buffers { path, absolute, text: value, .. } = buffers;
    let path = read_path(reader, head.path, DomId::INVALID, path, absolute)?;
    reader.gather(head.value.into(), value, Fault::LongValue)?;
    let hash = path.hash(&store.key());
    if store.lookup_by_names(path, hash).is_some() {
        return Err(Fault::NodeTwice);
    }
    let parent = match path.parent() {
        None if TOPS.contains(&path) => None,
        None => return Err(Fault::NoSpecial),
        Some(parent) => {
            let near = last.parent(store, parent.as_bytes());
            Some(near.or_else(|| store.lookup(parent)).ok_or(Fault::NoParent)?)
        }
    };
    let value = store.text(value)?;
    last.node = Some(store.create(parent, path.name(), hash, value, acl)?);
    last.path.clear();
    let below_root = if path.is_root() { b"" } else { path.as_bytes() };
    last.path.extend_from_slice(below_root).map_err(|_| Fault::BadPath)
}

/// The permission list of a node, held once more.
fn restore_list(
    reader: &mut Reader<'_>,
    store: &mut Store,
    quotas: &Quotas,
    count: usize,
    entries: &mut AclBuf,
    last: &mut Last,
) -> Result<AclId, Fault> {
    let raw = reader.peek(count * Permission::SIZE);
    if let Some(list) = last.list.filter(|_| raw == Some(&*last.entries)) {
        reader.skip(last.entries.len())?;
        return Ok(store.acls.retain(list)?);
    }
    last.entries.clear();
    let fits = raw.is_some_and(|raw| last.entries.extend_from_slice(raw).is_ok());
    read_entries(reader, store, quotas, count, entries)?;
    let owner = entries.first_chunk().map(|first| Entry::from_bytes(*first));
    owner.and_then(|owner| store.domains.owner(owner)).ok_or(Fault::NoOwner)?;
    let list = store.intern(entries)?;
    last.list = Some(list).filter(|_| fits);
    Ok(list)
}

pub fn restore_generations(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    for top in TOPS {
        let Some(top) = store.lookup(top) else { continue };
        let mut next = Some(top);
        while let Some(id) = next {
            if reader.left() < Generations::SIZE {
                return Ok(());
            }
            let Generations { value, list, permissions, .. } = reader.part()?;
            store.restore_generations(id, value, list, permissions);
            next = store.next_in_preorder(top, id, 0).map(|(next, _)| next);
        }
    }
    Ok(())
}

pub fn restore_owned(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    let Owned { domid, .. } = reader.part()?;
    let id = store.domains.find(DomId(domid)).ok_or(Fault::UnknownDomain)?;
    while reader.left() >= size_of::<u64>() {
        let generation = reader.number()?;
        store.own_last(id, generation)?;
    }
    Ok(())
}

/// Whether the nodes are there that every store has.
pub fn is_whole(store: &Store) -> bool {
    TOPS.into_iter().all(|top| store.lookup(top).is_some())
}
