//! What has changed since the store began, as a layer: what clients have made, changed and removed.

use core::fmt::{self, Write};

use heapless::Vec;

use super::item::Permission;
use super::print::{escaped, permissions};
use crate::abi::DomId;
use crate::path::PathBuf;
use crate::perms::{Entry, Life};
use crate::slots::Full;
use crate::state::{Place, Sink, each_node, extend_path};
use crate::store::{AclChanges, Node, Store};

/// What the layer is called.
pub const NAME: &str = "changes";

/// What toolstacks make anew when a host starts, with all below it. So are the homes of guests.
const ANEW: [&str; 10] = [
    "/vm",
    "/libxl",
    "/tool/xenstored",
    "/local/pool",
    "/local/domain/0/backend",
    "/local/domain/0/control",
    "/local/domain/0/device-model",
    "/local/domain/0/domid",
    "/local/domain/0/memory",
    "/local/domain/0/name",
];

/// The nodes above those, which come with them.
const ABOVE: [&[u8]; 3] = [b"/local", b"/local/domain", b"/local/domain/0"];

/// Whether toolstacks make the node with this path anew when a host starts.
pub fn is_anew(path: &[u8]) -> bool {
    let is_within = |top: &str| {
        let below = path.strip_prefix(top.as_bytes());
        below.is_some_and(|below| matches!(below.first(), None | Some(b'/')))
    };
    let home =
        path.strip_prefix(b"/local/domain/").and_then(|below| below.split(|byte| *byte == b'/').next());
    home.is_some_and(|domid| domid != b"0") || ABOVE.contains(&path) || ANEW.into_iter().any(is_within)
}

/// What is done in one go: slots in which nodes may be that are gone, nodes that are there, bytes of text.
const SLOTS: usize = 4096;
const NODES: usize = 64;
const BYTES: usize = 2048;

/// Text on its way to a sink.
struct Text<'a> {
    sink: &'a mut dyn Sink,
    buffer: Vec<u8, 512>,
    /// Bytes that have gone to the sink.
    put: usize,
}

impl Text<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.buffer.extend_from_slice(bytes).is_ok() {
            return Ok(());
        }
        self.flush()?;
        self.put += bytes.len();
        self.sink.put(bytes)
    }

    /// Whether it is as much as is written in one go.
    fn is_much(&self) -> bool {
        self.put + self.buffer.len() >= BYTES
    }

    fn flush(&mut self) -> Result<(), Full> {
        let put = self.sink.put(&self.buffer);
        self.put += self.buffer.len();
        self.buffer.clear();
        put
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes()).map_err(|Full| fmt::Error)
    }
}

/// What is looked at.
pub struct Difference<'a> {
    pub store: &'a Store,
    /// The store's own domain, if it is a client of itself.
    pub own: Option<DomId>,
    /// Everything, also what comes anew when the host starts, and what is for domains that are not there then.
    pub all: bool,
}

/// How far a layer has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum At {
    #[default]
    Start,
    /// The node in this slot may be gone.
    Gone(usize),
    /// A node is next, and what has a path below one of this length is left out.
    Node {
        from: Place,
        left_out: Option<usize>,
    },
    End,
}

impl Difference<'_> {
    /// Writes some of the layer from there on, about as much as one go may take, and says how far it has come. Laid over what the
    /// store began with, the whole makes of that what the store is now. The store must not change before its end.
    #[cold]
    #[inline(never)]
    pub fn write_some(&self, at: At, sink: &mut dyn Sink) -> Result<At, Full> {
        let out = &mut Text { sink, buffer: Vec::new(), put: 0 };
        let at = match at {
            At::Start => {
                out.put(b"layer ")?;
                out.put(NAME.as_bytes())?;
                out.put(b"\n")?;
                At::Gone(0)
            }
            At::Gone(slot) => self.removals(slot, out)?,
            At::Node { from, left_out } => self.nodes(from, left_out, out)?,
            At::End => At::End,
        };
        out.flush()?;
        Ok(at)
    }

    /// Goes on with what is gone.
    fn removals(&self, slot: usize, out: &mut Text<'_>) -> Result<At, Full> {
        let mut buf = PathBuf::new();
        for slot in slot..slot.saturating_add(SLOTS) {
            let Some(id) = self.store.nth_node(slot) else {
                return Ok(At::Node { from: Place::default(), left_out: None });
            };
            if out.is_much() {
                return Ok(At::Gone(slot));
            }
            if self.store.is_gone(id) {
                let path = self.store.path_of(id, &mut buf).map_err(|_| Full)?.as_bytes();
                if self.all || !is_anew(path) {
                    out.put(b"whiteout ")?;
                    out.put(path)?;
                    out.put(b"\n")?;
                }
            }
        }
        Ok(At::Gone(slot.saturating_add(SLOTS)))
    }

    /// Goes on with what is there.
    fn nodes(&self, from: Place, mut left_out: Option<usize>, out: &mut Text<'_>) -> Result<At, Full> {
        let mut path = PathBuf::new();
        from.path_above(self.store, &mut path)?;
        let mut count = 0;
        let next = each_node(self.store, from, |node, left| {
            let is_below = left_out.is_some_and(|len| path.len().saturating_sub(left) >= len);
            extend_path(self.store, node, left, &mut path);
            if !is_below {
                let whole = if path.is_empty() { b"/" } else { &path[..] };
                left_out = if self.one(node, whole, out)? { None } else { Some(path.len()) };
            }
            count += 1;
            Ok(count < NODES && !out.is_much())
        })?;
        if let Some(from) = next {
            return Ok(At::Node { from, left_out });
        }
        out.put(b"end\n")?;
        Ok(At::End)
    }

    /// The line of a node that a client has made or changed. False if it is left out with all below it: laid over a store, what
    /// is below would make it anew, with another owner.
    fn one(&self, node: &Node, path: &[u8], out: &mut Text<'_>) -> Result<bool, Full> {
        let is_new = node.origin().is_client();
        let value = is_new || self.store.is_value_changed(node);
        let mut list = is_new || node.acl_changes() != AclChanges::NONE;
        if !(value || list) || (!self.all && is_anew(path)) {
            return Ok(true);
        }
        // Who owns it will not be there.
        let is_given = !self.entries(node).next().is_some_and(|owner| self.is_known(owner));
        if is_given && is_new {
            return Ok(false);
        }
        list &= !is_given;
        out.put(path)?;
        if value {
            out.put(b" = \"")?;
            let mut pieces = node.value.pieces(&self.store.blobs);
            pieces.try_for_each(|piece| escaped(piece, out)).map_err(|_| Full)?;
            out.put(b"\"")?;
        } else {
            out.put(b":")?;
        }
        if list {
            let entries = self.entries(node).filter(|entry| self.is_known(*entry));
            let entries = entries.map(|entry| -> Permission { (entry.access, entry.domid) });
            permissions(entries, out).map_err(|_| Full)?;
        }
        out.put(b"\n").map(|()| true)
    }

    fn entries(&self, node: &Node) -> impl Iterator<Item = Entry> {
        node.acl().into_iter().flat_map(|acl| self.store.acls.entries(&self.store.blobs, acl))
    }

    /// Whether an entry means anybody when the layer is laid over a store: any domain, or one that is there from the start.
    fn is_known(&self, entry: Entry) -> bool {
        let domains = &self.store.domains;
        let is_there = |id| self.all || domains.is_privileged(id) || self.own == Some(entry.domid);
        entry.life == Life::ANY || domains.owner(entry).is_some_and(is_there)
    }
}
