//! Layers laid over a store that nobody is served from yet: each is looked at as a whole, and then applied or left out.

use super::buffers::Buffers;
use super::fault::{Fault, Trouble};
use super::item::{Item, Node, PERMISSIONS_MAX, Permission};
use super::module::{End, Module, Section};
use crate::abi::DomId;
use crate::perms::{Entry, Life};
use crate::state::Source;
use crate::store::{LAYERS_MAX, Laid, Layer, Laying, Origin, Store, Wanted};
use crate::wire::XsError;

/// Lays the layers of a module over the store, the lowest first. `tell` is told of each that is left out.
pub fn fuse<S: Source + Clone>(
    store: &mut Store,
    source: S,
    buffers: &mut Buffers,
    tell: &mut dyn FnMut(&[u8], Trouble),
) {
    let mut module = match Module::new(source) {
        Ok(module) => module,
        Err(fault) => return leave_out(store, fault, tell),
    };
    while let Some(section) = module.next(buffers) {
        let mut layer = Layer { name: section.name.clone(), ..Layer::default() };
        let number = store.origins.layers.len();
        let trouble = if number < LAYERS_MAX {
            match lay(store, &section, buffers, number, &mut layer) {
                Ok(end) => {
                    module.go_on(end);
                    None
                }
                Err(trouble) => Some(trouble),
            }
        } else {
            Some(section.trouble(Fault::TooMany))
        };
        note(store, layer, trouble, tell);
    }
    store.note_fused();
}

/// Notes that a module as a whole is left out.
#[cold]
#[inline(never)]
pub fn leave_out(store: &mut Store, fault: Fault, tell: &mut dyn FnMut(&[u8], Trouble)) {
    note(store, Layer::default(), Some(Trouble { fault, line: 0, column: 0 }), tell);
}

/// Notes what has become of a layer.
#[cold]
#[inline(never)]
fn note(store: &mut Store, mut layer: Layer, trouble: Option<Trouble>, tell: &mut dyn FnMut(&[u8], Trouble)) {
    if let Some(trouble) = trouble {
        tell(&layer.name, trouble);
        layer.left_out = (trouble.fault.number(), trouble.line, trouble.column);
    }
    // One for which there is no place has been told of.
    let _counted = store.origins.layers.push(layer);
}

/// A permission list as it is stored, and what it was made of.
struct Entries {
    list: heapless::Vec<Permission, 8>,
    bytes: heapless::Vec<u8, { PERMISSIONS_MAX * Entry::SIZE }>,
}

impl Entries {
    const NONE: Entries = Entries { list: heapless::Vec::new(), bytes: heapless::Vec::new() };

    /// Makes them of a list. All domains that it names must be there. True if it was the latest, too.
    #[inline(always)] // Mostly it was.
    fn be(&mut self, store: &Store, list: &[Permission]) -> Result<bool, Fault> {
        if !list.is_empty() && self.list == list {
            return Ok(true);
        }
        self.make(store, list).map(|()| false)
    }

    #[inline(never)]
    fn make(&mut self, store: &Store, list: &[Permission]) -> Result<(), Fault> {
        self.list.clear();
        self.bytes.clear();
        for (n, (access, domid)) in list.iter().enumerate() {
            let life = match store.domains.find(*domid) {
                Some(id) => store.domains.get(id).life,
                None if *domid == DomId::ANY && n > 0 => Life::ANY,
                None => return Err(Fault::UnknownDomain),
            };
            let entry = Entry { access: *access, domid: *domid, life };
            self.bytes.extend_from_slice(&entry.to_bytes()).map_err(|_| Fault::LongList)?;
        }
        // A longer one is made each time.
        let _fits = self.list.extend_from_slice(list);
        Ok(())
    }
}

/// Decides whether a layer can be, and applies it. The result is where it ends.
fn lay<S: Source + Clone>(
    store: &mut Store,
    section: &Section<S>,
    buffers: &mut Buffers,
    number: usize,
    layer: &mut Layer,
) -> Result<End<S>, Trouble> {
    let decided = decide(store, section, buffers, layer);
    store.end_weighing();
    let end = decided?;
    let laid = apply(store, section, buffers, number, layer.removals > 0);
    debug_assert!(laid.is_ok(), "a layer for which there is room: {laid:?}");
    laid.map(|()| end)
}

/// Lays a layer over the store, for which there is room.
fn apply<S: Source + Clone>(
    store: &mut Store,
    section: &Section<S>,
    buffers: &mut Buffers,
    number: usize,
    removes: bool,
) -> Result<(), Trouble> {
    if removes {
        section.read(true, buffers, &mut |item| {
            let removed = match item {
                Item::Whiteout(path) => store.fuse_removal(path, false),
                Item::Opaque(path) => store.fuse_removal(path, true),
                Item::Node(_) => Ok(()),
            };
            removed.map_err(|_| Fault::NoRoom)
        })?;
    }
    let (mut entries, mut laying) = (Entries::NONE, Laying::default());
    let origin = Origin::layer(number);
    let laid = section.read(true, buffers, &mut |item| {
        let Item::Node(Node { path, value, permissions }) = item else { return Ok(()) };
        let entries = match permissions {
            Some(list) => {
                let again = entries.be(store, list)?;
                Some((entries.bytes.as_slice(), again))
            }
            None => None,
        };
        store.lay(&mut laying, Laid { path, value, entries, origin }).map_err(|_| Fault::NoRoom)
    });
    let ended = store.end_laying(&mut laying);
    laid?;
    ended.map_err(|_| section.trouble(Fault::NoRoom))
}

/// Looks at all that a layer says, and counts it. The result is where it ends.
fn decide<S: Source + Clone>(
    store: &mut Store,
    section: &Section<S>,
    buffers: &mut Buffers,
    layer: &mut Layer,
) -> Result<End<S>, Trouble> {
    let mut wanted = Wanted::of(store);
    let mut entries = Entries::NONE;
    section.read(false, buffers, &mut |item| match item {
        Item::Whiteout(_) | Item::Opaque(_) => {
            layer.removals += 1;
            Ok(())
        }
        Item::Node(node) => {
            layer.nodes += 1;
            let again = node.permissions.map_or(Ok(false), |list| entries.be(store, list))?;
            let list = node.permissions.map(|_| entries.bytes.as_slice());
            let value = node.value.unwrap_or_default().len();
            store.weigh(&mut wanted, node.path, value, list, again).map_err(|error| match error {
                XsError::ENOSPC => Fault::Quota,
                _ => Fault::NoRoom,
            })
        }
    })
}
