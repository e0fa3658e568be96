//! The nodes that come of layers, or that a store has.

use std::collections::{BTreeMap, BTreeSet};

use support::Host;
use xenstore::config::{Capacities, Settings};
use xenstore::layers::{
    Buffers, Fault, Item, Line, Permission, PermissionBuf, Trouble, ValueBuf, is_anew, parse, permissions,
    quoted,
};

use xenstore::server::sizing;

use crate::Problem;
use crate::arguments::MOST_MEMORY;
use crate::files::Pack;

/// Room for whatever layers in a text may make of an empty store.
fn room_for(text: &[u8], domains: usize) -> Capacities {
    let count = |wanted: u8| text.iter().filter(|byte| **byte == wanted).count();
    let (slashes, lines) = (count(b'/'), count(b'\n'));
    // What is kept for answers is a 32nd.
    let beside = |wanted: usize| 2048 + wanted + wanted / 16;
    // More than the largest store has room for is not needed, whatever file it is.
    let most = sizing::of_image(MOST_MEMORY << 20).map_or(slashes, |largest| largest.nodes);
    let usual = Capacities::for_nodes(beside(slashes).min(most));
    Capacities {
        domains: usual.domains.max(domains + 16),
        // Of 40 bytes; each name, each line's value and list may begin one. A list takes four times its text.
        chunks: beside(slashes + 2 * lines + text.len() / 10).min(2 * most),
        acls: beside(lines).min(most),
        ..usual
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    pub value: Vec<u8>,
    /// None if who owns it will not be there when a store begins.
    pub permissions: Vec<Permission>,
}

/// Nodes in the order in which `xenstore-ls` shows them.
pub struct Tree {
    order: Vec<String>,
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    pub fn new() -> Tree {
        Tree { order: Vec::new(), nodes: BTreeMap::new() }
    }

    pub fn add(&mut self, path: String, node: Node) {
        self.order.push(path.clone());
        self.nodes.insert(path, node);
    }

    /// What the server makes of layers; or what is wrong with them, a line for each.
    pub fn fused(pack: &Pack, domains: &BTreeSet<u16>) -> Result<Tree, Problem> {
        Tree::fused_in(&room_for(&pack.text, domains.len()), pack, domains)
    }

    /// The same of the image's server in so many MiB.
    pub fn fused_in_memory(mib: usize, pack: &Pack, domains: &BTreeSet<u16>) -> Result<Tree, Problem> {
        let capacities = sizing::of_image(mib << 20).ok_or(format!("{mib} MiB are too little"))?;
        let host = Host::with(Settings::DEFAULT, &capacities);
        if pack.text.len() > host.server.room_beside_nodes() {
            return Err(Problem::Layers(format!("{}: {}\n", pack.place(1).0, Fault::LargeModule.text())));
        }
        Tree::fused_in(&capacities, pack, domains)
    }

    fn fused_in(capacities: &Capacities, pack: &Pack, domains: &BTreeSet<u16>) -> Result<Tree, Problem> {
        // Of these one is dom0.
        if domains.len() >= capacities.domains {
            let room = capacities.domains - 1;
            return Err(format!("--domains: this store has room for {room} besides dom0").into());
        }
        let mut host = Host::with(Settings::DEFAULT, capacities);
        for domid in domains {
            host.create(*domid);
            host.ok(0, 0, "WRITE /known|");
            host.ok(0, 0, &format!("SET_PERMS /known|n{domid}|"));
            host.ok(0, 0, "RM /known|");
        }
        let mut wrong = String::new();
        let mut buffers = Box::new(Buffers::EMPTY);
        host.server.fuse(&*pack.text, &mut buffers, &mut |name: &[u8], trouble: Trouble| {
            let (file, line) = pack.place(trouble.line);
            // One whose name is no name has none.
            let layer = if name.is_empty() { String::new() } else { format!("{}: ", name.escape_ascii()) };
            wrong += &format!("{file}:{line}:{}: {layer}{}\n", trouble.column, trouble.fault.text());
        });
        if wrong.is_empty() { Ok(Tree::of_server(&host)?) } else { Err(Problem::Layers(wrong)) }
    }

    fn of_server(host: &Host) -> Result<Tree, String> {
        let text = support::layers::text(&host.save(1))?;
        let mut tree = Tree::new();
        let (mut value, mut permissions) = (ValueBuf::new(), PermissionBuf::new());
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(Line::Item(Item::Node(node))) = parse(line, &mut value, &mut permissions) {
                let path = String::from_utf8_lossy(node.path.as_bytes()).into_owned();
                let (value, list) = (node.value.unwrap_or_default(), node.permissions.unwrap_or_default());
                tree.add(path, Node { value: value.to_vec(), permissions: list.to_vec() });
            }
        }
        Ok(tree)
    }

    /// All but what every store has.
    pub fn nodes(&self) -> impl Iterator<Item = &String> {
        let every = ["/", "/tool", "/tool/xenstored"];
        self.order.iter().filter(move |path| !every.contains(&path.as_str()) && !path.starts_with('@'))
    }

    /// As `xenstore-ls -f -p` prints it.
    pub fn listing(&self) -> String {
        let shown = self.order.iter().filter(|path| *path != "/" && !path.starts_with('@'));
        shown
            .map(|path| line(path, Some(&self.nodes[path].value), Some(&self.nodes[path].permissions)))
            .collect()
    }
}

fn line(path: &str, value: Option<&Vec<u8>>, list: Option<&Vec<Permission>>) -> String {
    let mut line = path.to_string();
    match value {
        Some(value) => {
            line += " = ";
            quoted(value, &mut line).expect("a string has room");
        }
        None => line += ":",
    }
    if let Some(list) = list {
        permissions(list.iter().copied(), &mut line).expect("a string has room");
    }
    line + "\n"
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(above, _)| if above.is_empty() { "/" } else { above }).filter(|_| path != "/")
}

/// The layer that makes `now` of `low`. Of a running store, what toolstacks make anew is not looked at. A new node whose owner
/// will not be there is left out with all below it.
pub fn difference(low: &Tree, now: &Tree, running: bool) -> String {
    let mut text = "layer changes\n".to_string();
    for path in &low.order {
        let above_is_there = parent(path).is_none_or(|above| now.nodes.contains_key(above));
        let stays = path.starts_with('@') || (running && is_anew(path.as_bytes()));
        if !now.nodes.contains_key(path) && above_is_there && !stays {
            text += &format!("whiteout {path}\n");
        }
    }
    // With the slash behind it.
    let mut left_out = None;
    for path in now.order.iter().filter(|path| !path.starts_with('@') || low.nodes.contains_key(*path)) {
        if left_out.as_ref().is_some_and(|top: &String| path.starts_with(top)) {
            continue;
        }
        let new = &now.nodes[path];
        match low.nodes.get(path) {
            None if running && is_anew(path.as_bytes()) => {}
            None if new.permissions.is_empty() => left_out = Some(format!("{path}/")),
            None => text += &line(path, Some(&new.value), Some(&new.permissions)),
            Some(old) if old == new => {}
            Some(old) => {
                let value = Some(&new.value).filter(|_| new.value != old.value);
                let list = Some(&new.permissions);
                let list = list.filter(|list| !list.is_empty() && **list != old.permissions);
                if value.is_some() || list.is_some() {
                    text += &line(path, value, list);
                }
            }
        }
    }
    text + "end\n"
}
