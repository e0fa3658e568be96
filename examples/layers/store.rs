//! A running store: what has changed of it, or all that it has, as it is at one moment.

use std::path::Path;
use std::time::Duration;

use store_client::{Problem, Store};
use xenstore::abi::DomId;
use xenstore::perms;
use xenstore::state::page::{Head, What};
use xenstore::wire::{MessageType, TxId};

use crate::tree::{Node, Tree};

const CHANGES: What = What::Layer { all: false };

/// What has changed since a store began, as a layer: the store keeps it while its pages are fetched. None if it is a server
/// that does not know.
pub fn changes(place: &Path, patience: Duration) -> Result<Option<Vec<u8>>, String> {
    let mut store = open(place, patience)?;
    let (mut text, mut from) = (String::new(), String::new());
    loop {
        let page = store.request(MessageType::Control, format!("layers\0diff\0{from}").as_bytes());
        let page = match page {
            Err(problem) if ["EINVAL", "ENOSYS"].iter().any(|error| problem.is(error)) => return Ok(None),
            page => page.map_err(|problem| problem.to_string())?,
        };
        let page = String::from_utf8_lossy(page.strip_suffix(b"\0").unwrap_or(&page)).into_owned();
        if page == "OK" {
            // oxenstored says so to whatever it does not know.
            return Ok(None);
        }
        let Some((head, more)) = Head::parse(CHANGES, &page) else {
            return Err(format!("the store does not say what has changed: {}", page.trim_end()));
        };
        if head.first != text.len() || head.count != more.len() {
            return Err("the store answers with a page that is damaged".to_string());
        }
        text += more;
        if text.len() >= head.size {
            return Ok(Some(text.into_bytes()));
        }
        from = format!("{}\0{}\0", head.number, text.len());
    }
}

fn open(place: &Path, patience: Duration) -> Result<Store, String> {
    Store::open(Some(place), Some(patience)).map_err(|problem| problem.to_string())
}

/// A store that is read in one transaction.
struct Reader {
    store: Store,
    tx: TxId,
}

impl Reader {
    fn ask(&mut self, what: MessageType, words: &[&str]) -> Result<Vec<u8>, Problem> {
        let payload: String = words.iter().flat_map(|word| [word, "\0"]).collect();
        self.store.request_in(self.tx, what, payload.as_bytes())
    }

    /// The names of the nodes below one, each with its NUL, however long the list is.
    fn names(&mut self, path: &str) -> Result<Vec<u8>, Problem> {
        match self.ask(MessageType::Directory, &[path]) {
            Err(problem) if problem.is("E2BIG") => {}
            names => return names,
        }
        let mut names = Vec::new();
        loop {
            let part = self.ask(MessageType::DirectoryPart, &[path, &names.len().to_string()])?;
            // The generation, names, and one NUL more at the end of them.
            let part = part.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default();
            let last = part.ends_with(b"\0\0") || part == b"\0" || part.is_empty();
            names.extend_from_slice(if last { part.strip_suffix(b"\0").unwrap_or(part) } else { part });
            if last {
                return Ok(names);
            }
        }
    }
}

/// All that a store has.
pub fn tree(place: &Path, patience: Duration) -> Result<Tree, String> {
    let mut store = open(place, patience)?;
    let said = |problem: Problem| problem.to_string();
    let id = store.request(MessageType::TransactionStart, b"\0").map_err(said)?;
    let id = String::from_utf8_lossy(id.strip_suffix(b"\0").unwrap_or(&id)).parse();
    let tx = TxId(id.map_err(|_| "the store begins no transaction".to_string())?);
    let mut reader = Reader { store, tx };
    let mut tree = Tree::new();
    let mut open = vec!["/".to_string()];
    while let Some(path) = open.pop() {
        let value = reader.ask(MessageType::Read, &[&path]).map_err(said)?;
        let list = reader.ask(MessageType::GetPerms, &[&path]).map_err(said)?;
        let entries = list.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let permissions: Result<Vec<_>, _> = entries.map(perms::parse).collect();
        let mut permissions = permissions.map_err(|_| format!("{path}: its permissions are none"))?;
        // Other domains are not there yet when a store begins.
        if permissions.first().is_some_and(|(_, owner)| *owner == DomId(0)) {
            permissions.retain(|(_, domid)| [DomId(0), DomId::ANY].contains(domid));
        } else {
            permissions.clear();
        }
        let names = reader.names(&path).map_err(said)?;
        let above = if path == "/" { "" } else { &path };
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let below = names.map(|name| format!("{above}/{}", String::from_utf8_lossy(name)));
        let mut below: Vec<String> = below.collect();
        below.reverse();
        open.extend(below);
        tree.add(path, Node { value, permissions });
    }
    // It has changed nothing.
    reader.ask(MessageType::TransactionEnd, &["F"]).map_err(said)?;
    Ok(tree)
}
