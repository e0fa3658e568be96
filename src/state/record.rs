//! NODE, as it is written: put together from the record of the node before, of which the permission list and most of the path
//! stay where they are.

use super::format::{Fixed, Head, NODE, Node, Permission};
use super::lists::Lists;
use super::writer::put;
use crate::path::ABSOLUTE_MAX;
use crate::slots::CHUNK;
use crate::store::{self, AclId, NAME_INLINE, NameBuf, Store};

/// Bytes of a permission list that there is room for.
const LIST_MAX: usize = 16 * Permission::SIZE;

/// Where the path begins. Before it is the list, and before that the fixed parts.
const PATH: usize = Head::SIZE + Node::SIZE + LIST_MAX;

/// Bytes behind a path that are written at once: its NUL, the longest value and padding.
const BEHIND: usize = 1 + CHUNK + 8;

pub struct Record {
    bytes: [u8; PATH + ABSOLUTE_MAX + BEHIND],
    /// Where the path ends. The root's is empty.
    end: usize,
    /// Whose entries are in place, and how many bytes they are.
    acl: Option<AclId>,
    list: usize,
}

impl Record {
    pub fn new() -> Record {
        Record { bytes: [0; PATH + ABSOLUTE_MAX + BEHIND], end: PATH, acl: None, list: 0 }
    }

    /// Has this path in place, of a node that is there; the root's is empty.
    pub fn begin(&mut self, path: &[u8]) {
        self.end = PATH + path.len();
        if let Some(place) = self.bytes.get_mut(PATH..self.end) {
            place.copy_from_slice(path);
        }
    }

    pub fn path(&self) -> &[u8] {
        self.bytes.get(PATH..self.end).unwrap_or_default()
    }

    /// Makes the path of the node before, by what [`each_node`](super::each_node) tells, that of this one.
    #[inline(always)] // As the next two: of each node.
    pub fn extend_path(&mut self, store: &Store, node: &store::Node, left: usize) {
        self.end = self.end.saturating_sub(left).max(PATH);
        if let (Some(name), Some(_)) = (node.name.in_place(), node.parent)
            && let Some([slash, place @ ..]) = self.rest().first_chunk_mut::<{ 1 + NAME_INLINE }>()
        {
            *slash = b'/';
            *place = *name;
            self.end += 1 + node.name.len();
        } else {
            self.extend_by_long(store, node);
        }
    }

    /// By the name of any node.
    #[inline(never)]
    fn extend_by_long(&mut self, store: &Store, node: &store::Node) {
        let mut buf = NameBuf::new();
        let name = node.name.contiguous(&store.blobs, &mut buf);
        let slash: &[u8] = if node.parent.is_some() { b"/" } else { b"" };
        for part in [slash, name] {
            // No path is longer than there is room for.
            if let Some(place) = self.rest().get_mut(..part.len()) {
                place.copy_from_slice(part);
                self.end += part.len();
            }
        }
    }

    fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Has the node's permission list in place, unless it is too long.
    #[inline(always)]
    pub fn take_list(&mut self, store: &Store, node: &store::Node, lists: &mut Lists) {
        if self.acl != node.acl() {
            self.change_list(lists.entries(store, node.acl()), node.acl());
        }
    }

    #[inline(never)]
    fn change_list(&mut self, entries: &[u8], acl: Option<AclId>) {
        self.acl = None;
        if let Some(start) = PATH.checked_sub(entries.len())
            && let Some(place) = self.bytes.get_mut(start..PATH)
            && entries.len() <= LIST_MAX
        {
            place.copy_from_slice(entries);
            (self.acl, self.list) = (acl, entries.len());
        }
    }

    /// The record of a node whose path and list are in place. None if it is another kind of one: the list or the value is long,
    /// or there is none above it.
    #[inline(always)]
    pub fn whole(&mut self, store: &Store, node: &store::Node) -> Option<&[u8]> {
        let (end, acl) = (self.end, self.acl);
        let behind: &mut [u8; BEHIND] = self.rest().first_chunk_mut()?;
        let [nul, place @ ..] = behind;
        *nul = 0;
        let len = match node.value.in_place() {
            Some(value) => {
                *place.first_chunk_mut()? = *value;
                node.value.len()
            }
            None => {
                let (chunk, len) = node.value.only_chunk(&store.blobs)?;
                *place.first_chunk_mut()? = *chunk;
                len
            }
        };
        *place.get_mut(len..)?.first_chunk_mut()? = [0; 8];
        let start = (PATH - Head::SIZE - Node::SIZE).checked_sub(self.list)?;
        let body = (end + 1 + len - start - Head::SIZE).next_multiple_of(8);
        let record = self.bytes.get_mut(start..start + Head::SIZE + body)?;
        let rest = put(record, &Head { record: NODE, len: body as u32 });
        let head = Node {
            path: (end - PATH) as u16 + 1,
            value: len as u16,
            entries: (self.list / Permission::SIZE) as u16,
            ..Node::default()
        };
        put(rest, &head);
        (acl.is_some() && node.parent.is_some()).then_some(record)
    }
}
