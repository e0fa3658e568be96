//! `layers`: what the store began with, where a node comes from, and what has changed since.

use super::answer::{finish, line, no_more};
use super::state::hold;
use crate::layers::{Fault, Trouble};
use crate::path::Path;
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::scratch::Reply;
use crate::state::page::What;
use crate::store::{AclChanges, Layer, Store};
use crate::wire::{Strings, XsError};

pub fn layers<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let store = &cx.core.store;
    match args.next() {
        None => list(store, reply)?,
        Some(b"diff") => {
            let (mut behind, mut all) = (args, false);
            if behind.next() == Some(b"all") {
                (args, all) = (behind, true);
            }
            return hold(cx, What::Layer { all }, args, reply);
        }
        Some(path) => {
            no_more(args)?;
            origin(store, path, reply)?;
        }
    }
    finish(reply)
}

#[cold]
#[inline(never)]
fn list(store: &Store, reply: &mut Reply) -> Result<(), XsError> {
    if store.origins.layers.is_empty() {
        return line(reply, format_args!("The store began empty."));
    }
    for Layer { name, nodes, removals, left_out: (fault, at, column) } in &store.origins.layers {
        let name = name.escape_ascii();
        match Fault::from_number(*fault) {
            None => line(reply, format_args!("{name}: {nodes} nodes, {removals} removals"))?,
            Some(fault) => {
                let trouble = Trouble { fault, line: *at, column: *column };
                line(reply, format_args!("{name}: left out: {trouble}"))?;
            }
        }
    }
    Ok(())
}

/// ENOENT if there is no such node.
#[cold]
#[inline(never)]
fn origin(store: &Store, path: &[u8], reply: &mut Reply) -> Result<(), XsError> {
    let path = Path::absolute(path).ok_or(XsError::EINVAL)?;
    let id = store.lookup(path).ok_or(XsError::ENOENT)?;
    let node = store.node(id);
    let from = node.origin();
    let layer = from.number().and_then(|number| store.origins.layers.get(number));
    let name = match layer {
        Some(layer) => layer.name.as_slice(),
        None if from.is_client() => b"a client",
        None => b"every store",
    };
    let changed = |is: bool, what: &'static str| if is && !from.is_client() { what } else { "" };
    let value = changed(store.is_value_changed(node), ", value changed");
    let list = changed(node.acl_changes() != AclChanges::NONE, ", permissions changed");
    line(reply, format_args!("{}{value}{list}", name.escape_ascii()))
}
