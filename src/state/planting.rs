//! NODE, as it is read: each node's place is mostly found from that of the one before.

use heapless::Vec;

use super::fault::Fault;
use super::format::{Fixed, NODE, Node, Permission};
use super::nodes::{Buffers, TOPS, VALUE_MAX, read_entries};
use super::reader::{Reader, first_record, parse};
use crate::path::{ABSOLUTE_MAX, Path, PathBuf, ends_in_valid};
use crate::quota::Quotas;
use crate::slots::Claim;
use crate::store::{Name, NodeId, Origin, Planted, Sapling, Store, Value};
use crate::words::{equal, position_of_last_slash};

/// What follows the fixed part of a record.
#[derive(Clone, Copy)]
struct Body<'a> {
    /// Entries of the permission list.
    list: &'a [u8],
    /// With its NUL.
    path: &'a [u8],
    value: &'a [u8],
}

/// Nodes that are being restored.
pub struct Planting {
    /// The path of the latest, without the root's slash.
    path: PathBuf,
    near: Near,
}

/// What is known of the latest node.
struct Near {
    node: Option<NodeId>,
    /// The node above it, and bytes of that one's path.
    parent: Option<NodeId>,
    cut: usize,
    /// Nodes with the same permission list that have not been counted yet.
    planted: Option<Planted>,
    /// The entries of that list as they are in the stream; none if there are many, or if there is no such list.
    list: Vec<u8, 64>,
}

/// What nodes are made in.
pub struct Ground<'a> {
    pub store: &'a mut Store,
    pub quotas: &'a Quotas,
    pub big_endian: bool,
}

impl Planting {
    pub const NONE: Planting = Planting {
        path: PathBuf::new(),
        near: Near { node: None, parent: None, cut: 0, planted: None, list: Vec::new() },
    };

    /// Reads one node.
    pub fn read(
        &mut self,
        reader: &mut Reader<'_>,
        store: &mut Store,
        quotas: &Quotas,
        buffers: &mut Buffers,
    ) -> Result<(), Fault> {
        let head: Node = reader.part()?;
        let Buffers { path, text, list, .. } = buffers;
        reader.gather(usize::from(head.entries) * Permission::SIZE, list, Fault::LongList)?;
        reader.gather(head.path.into(), path, Fault::BadPath)?;
        reader.gather(head.value.into(), text, Fault::LongValue)?;
        let body = Body { list, path, value: text };
        let mut ground = Ground { store, quotas, big_endian: reader.is_big_endian() };
        let latest = self.near.plant(&self.path, &head, body, &mut ground)?;
        self.path.clear();
        self.path.extend_from_slice(latest).map_err(|_| Fault::BadPath)
    }

    /// Reads nodes from a little-endian piece of the stream, up to the first record that is another or does not end in the
    /// piece. The result is how many bytes have been read, and what is wrong with the record behind them.
    pub fn read_whole(&mut self, piece: &[u8], ground: &mut Ground<'_>) -> (usize, Result<(), Fault>) {
        let mut rest = piece;
        let mut latest = None;
        let mut done = Ok(());
        while let Some((NODE, record, later)) = first_record(rest) {
            let Some((head, body)) = split(record) else {
                done = Err(Fault::TooShort);
                break;
            };
            match self.near.plant(latest.unwrap_or(&self.path), &head, body, ground) {
                Ok(path) => latest = Some(path),
                Err(fault) => {
                    done = Err(fault);
                    break;
                }
            }
            rest = later;
        }
        if let Some(latest) = latest {
            self.path.clear();
            // It is no longer than there is room for.
            let _fits = self.path.extend_from_slice(latest);
        }
        (piece.len() - rest.len(), done)
    }

    /// Puts nodes that have been made on their owner's account.
    pub fn count(&mut self, store: &mut Store) -> Result<(), Fault> {
        self.near.count(store)
    }
}

impl Near {
    /// Makes a node, behind one with the path `latest`. The result is its own path, without the root's slash.
    #[inline(never)] // In two places.
    fn plant<'p>(
        &mut self,
        latest: &[u8],
        head: &Node,
        body: Body<'p>,
        ground: &mut Ground<'_>,
    ) -> Result<&'p [u8], Fault> {
        let path = body.path.strip_suffix(b"\0").filter(|path| path.len() < ABSOLUTE_MAX);
        let path = path.ok_or(Fault::BadPath)?;
        if head.transaction != 0 {
            // Upstream's daemons do not write it, and pass over it. So what is below it is not found.
            self.node = None;
            return Ok(path);
        }
        if body.list.is_empty() || !equal(body.list, &self.list) {
            self.change_list(body.list, ground)?;
        }
        if body.value.len() > VALUE_MAX {
            return Err(Fault::LongValue);
        }
        let store = &mut *ground.store;
        let (name, parent) = match position_of_last_slash(path).and_then(|slash| path.split_at_checked(slash))
        {
            Some((above, [b'/', name @ ..])) if !name.is_empty() && path.first() == Some(&b'/') => {
                let parent = self.above(store, latest, path, above, name)?;
                self.cut = above.len();
                (name, Some(parent))
            }
            _ => (self.top(path)?, None),
        };
        let hash = store.key().hash_here(path);
        if store.node_hashed(hash).is_some() {
            return Err(Fault::NodeTwice);
        }
        let planted = self.planted.as_mut().ok_or(Fault::NoOwner)?;
        let len = name.len();
        let name = Name::store_end(&mut store.blobs, path, name)?;
        let value = Value::store_fresh(&mut store.blobs, body.value)?;
        self.node = Some(store.plant(planted, Sapling { parent, hash, name, len, value })?);
        self.parent = parent;
        Ok(if path.len() == 1 { b"" } else { path })
    }

    /// The node with the path `above`, below which the one with `path` is `name`.
    #[inline(always)]
    fn above(
        &self,
        store: &Store,
        latest: &[u8],
        path: &[u8],
        above: &[u8],
        name: &[u8],
    ) -> Result<NodeId, Fault> {
        let (before, below) = latest.split_at_checked(above.len()).unwrap_or_default();
        if let Some(node) = self.node
            && equal(before, above)
        {
            if !ends_in_valid(path, name) {
                return Err(Fault::BadPath);
            }
            let parent = match below.first() {
                None => Some(node),
                Some(b'/') if above.len() == self.cut => self.parent,
                Some(b'/') => up(store, node, below),
                Some(_) => None,
            };
            if let Some(parent) = parent {
                return Ok(parent);
            }
        }
        look_up(store, path, above)
    }

    /// The root or a special node, above which there is none. Its name is the result.
    #[inline(never)]
    fn top<'p>(&mut self, path: &'p [u8]) -> Result<&'p [u8], Fault> {
        let top = TOPS.into_iter().find(|top| top.as_bytes() == path).ok_or(match path.first() {
            Some(b'@') => Fault::NoSpecial,
            _ => Fault::BadPath,
        })?;
        self.cut = 0;
        Ok(if top.is_root() { b"" } else { path })
    }

    /// Nodes have this permission list from now on.
    #[inline(never)]
    fn change_list(&mut self, list: &[u8], ground: &mut Ground<'_>) -> Result<(), Fault> {
        let Ground { store, quotas, big_endian } = ground;
        self.count(store)?;
        let mut source = list;
        let mut reader = Reader::within(&mut source, *big_endian, list.len());
        read_entries(&mut reader, store, quotas, list.len() / Permission::SIZE)?;
        let acl = store.attempt(Claim::Answer, |store| Ok(store.intern()?))?;
        self.planted = Some(store.begin_planting(acl, Origin::CLIENT).ok_or(Fault::NoOwner)?);
        // A longer one is read each time.
        let _fits = self.list.extend_from_slice(list);
        Ok(())
    }

    fn count(&mut self, store: &mut Store) -> Result<(), Fault> {
        self.list.clear();
        self.planted.take().map_or(Ok(()), |planted| Ok(store.count_planted(planted)?))
    }
}

/// The node above that one, of whose path `below` is what is below the other.
#[inline(never)]
fn up(store: &Store, node: NodeId, below: &[u8]) -> Option<NodeId> {
    let mut levels = below.iter().filter(|byte| **byte == b'/');
    levels.try_fold(node, |node, _| store.node(node).parent)
}

/// The node with the path `above`, wherever that is.
#[inline(never)]
fn look_up(store: &Store, path: &[u8], above: &[u8]) -> Result<NodeId, Fault> {
    let path = Path::absolute(path).ok_or(Fault::BadPath)?;
    store.lookup(path.cut(above.len())).ok_or(Fault::NoParent)
}

/// The parts of a whole record, little-endian.
#[inline(always)]
fn split(record: &[u8]) -> Option<(Node, Body<'_>)> {
    let (head, rest) = parse::<Node>(record)?;
    let (list, rest) = rest.split_at_checked(usize::from(head.entries) * Permission::SIZE)?;
    let (path, rest) = rest.split_at_checked(head.path.into())?;
    let value = rest.get(..head.value.into())?;
    Some((head, Body { list, path, value }))
}
