//! Layers: what a store is like that begins with them.

mod control;
mod difference;
mod naive;
mod properties;
mod records;
mod room;
mod rows;
mod text;

use std::collections::BTreeMap;

use support::Host;
use support::layers::Pieces;
use xenstore::config::{Capacities, Settings};

/// All nodes of a store, each with its value and its permissions, as clients see them.
pub type Tree = BTreeMap<String, (String, String)>;

/// A host that begins with these layers, none of which is left out.
#[track_caller]
fn fused(module: &str) -> Host {
    let (host, left_out) = Host::with_layers(&Capacities::for_nodes(2048), module.as_bytes());
    assert_eq!(left_out, Vec::<String>::new(), "{module}");
    host.check();
    host
}

/// A host that begins with a file, which comes in pieces of this size, and what is said of layers that are left out.
fn begun_with(file: &[u8], size: usize) -> (Host, Vec<String>) {
    let mut host = Host::started(Settings::DEFAULT, &Capacities::for_nodes(2048));
    let left_out = host.fuse(Pieces { bytes: file, at: 0, size });
    host.poll();
    host.check();
    (host, left_out)
}

/// What dom0 sees of a store, but for what every store has.
fn seen(host: &mut Host) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![String::new()];
    while let Some(above) = open.pop() {
        let path = if above.is_empty() { "/" } else { &above };
        for name in host.ask(0, 0, &format!("DIRECTORY {path}|")).split_terminator('|') {
            let path = format!("{above}/{name}");
            let value = host.ask(0, 0, &format!("READ {path}|"));
            let permissions = host.ask(0, 0, &format!("GET_PERMS {path}|"));
            let permissions = permissions.trim_end_matches('|').replace('|', ",");
            if !path.starts_with("/tool") {
                tree.insert(path.clone(), (value, permissions));
            }
            open.push(path);
        }
    }
    tree
}

/// A tree as lines, which is how a layer has it.
fn lines(tree: &Tree) -> String {
    let line = |(path, (value, permissions)): (&String, &(String, String))| {
        format!("{path} = \"{value}\"   ({permissions})\n")
    };
    tree.iter().map(line).collect()
}

/// What the client has read, from how it is shown: there are no other characters that have escapes.
fn unescaped(shown: &str) -> String {
    let mut rest = shown.chars();
    let unescaped = std::iter::from_fn(|| match rest.next()? {
        '\\' => rest.next().map(|escape| if escape == 'n' { '\n' } else { escape }),
        other => Some(other),
    });
    unescaped.collect()
}
