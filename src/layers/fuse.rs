//! Layers laid over a store that nobody is served from yet: each is looked at as a whole, and then applied or left out.

use super::buffers::Buffers;
use super::fault::{Fault, Trouble};
use super::item::{Item, PERMISSIONS_MAX, Permission};
use super::module::{Module, Section};
use crate::abi::DomId;
use crate::perms::{Entry, Life};
use crate::state::Source;
use crate::store::{LAYERS_MAX, Layer, Origin, Store, Wanted};
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
            lay(store, &section, buffers, number, &mut layer).err()
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

/// A permission list as it is stored.
type EntryBuf = heapless::Vec<u8, { PERMISSIONS_MAX * Entry::SIZE }>;

/// Decides whether a layer can be, and applies it.
fn lay<S: Source + Clone>(
    store: &mut Store,
    section: &Section<S>,
    buffers: &mut Buffers,
    number: usize,
    layer: &mut Layer,
) -> Result<(), Trouble> {
    decide(store, section, buffers, layer)?;
    let mut entries = EntryBuf::new();
    let mut done = Ok(());
    if layer.removals > 0 {
        section.read(buffers, &mut |item| {
            match item {
                Item::Whiteout(path) => done = done.and(store.fuse_removal(path, false)),
                Item::Opaque(path) => done = done.and(store.fuse_removal(path, true)),
                Item::Node(_) => {}
            }
            Ok(())
        })?;
    }
    section.read(buffers, &mut |item| {
        if let Item::Node(node) = item {
            let list = node.permissions.map(|list| entries_of(store, list, &mut entries)).transpose()?;
            done = done.and(store.fuse_node(node.path, node.value, list, Origin::layer(number)));
        }
        Ok(())
    })?;
    debug_assert!(done == Ok(()), "a layer for which there is room");
    Ok(())
}

/// Looks at all that a layer says, and counts it.
fn decide<S: Source + Clone>(
    store: &Store,
    section: &Section<S>,
    buffers: &mut Buffers,
    layer: &mut Layer,
) -> Result<(), Trouble> {
    let mut wanted = Wanted::NOTHING;
    let mut entries = EntryBuf::new();
    section.read(buffers, &mut |item| match item {
        Item::Whiteout(_) | Item::Opaque(_) => {
            layer.removals += 1;
            Ok(())
        }
        Item::Node(node) => {
            layer.nodes += 1;
            let list = node.permissions.map(|list| entries_of(store, list, &mut entries)).transpose()?;
            let value = node.value.unwrap_or_default().len();
            store.weigh(&mut wanted, node.path, value, list).map_err(|error| match error {
                XsError::ENOSPC => Fault::Quota,
                _ => Fault::NoRoom,
            })
        }
    })
}

/// A permission list as it is stored. All domains that it names must be there.
#[inline(never)]
fn entries_of<'a>(store: &Store, list: &[Permission], entries: &'a mut EntryBuf) -> Result<&'a [u8], Fault> {
    entries.clear();
    for (n, (access, domid)) in list.iter().enumerate() {
        let life = match store.domains.find(*domid) {
            Some(id) => store.domains.get(id).life,
            None if *domid == DomId::ANY && n > 0 => Life::ANY,
            None => return Err(Fault::UnknownDomain),
        };
        let entry = Entry { access: *access, domid: *domid, life };
        entries.extend_from_slice(&entry.to_bytes()).map_err(|_| Fault::LongList)?;
    }
    Ok(entries)
}
