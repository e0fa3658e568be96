//! Which nodes were there before the first record: those that were found, and that nobody had made.

use std::collections::{BTreeMap, BTreeSet};

use xenstore::wire::{MessageType, PAYLOAD_MAX};

use super::message::path;
use crate::dump::Dump;
use crate::requests::requests;

/// Their paths, with the sizes of their values as far as those were read and fit a message with the whole path.
pub fn nodes(dump: &Dump) -> BTreeMap<String, usize> {
    let mut before = BTreeMap::new();
    // Nodes that were touched: what they are now says nothing of what they were.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for request in requests(dump) {
        let (Some(msg_type), Some(path)) =
            (MessageType::from_wire(request.ended.msg_type.into()), path(dump, &request))
        else {
            continue;
        };
        let found = match msg_type {
            MessageType::Read => Some(usize::from(request.ended.size)),
            MessageType::Directory
            | MessageType::DirectoryPart
            | MessageType::GetPerms
            | MessageType::SetPerms
            | MessageType::Rm => Some(0),
            MessageType::Write | MessageType::Mkdir => None,
            _ => continue,
        };
        if !path.starts_with('/') || !seen.insert(path.to_owned()) {
            continue;
        }
        if request.ended.error.is_some() {
            continue;
        }
        if let Some(size) = found {
            before.insert(path.to_owned(), size.min(PAYLOAD_MAX.saturating_sub(path.len() + 1)));
        }
        // What is there has those above it, too.
        let above = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        seen.extend(above.filter(|above| !above.is_empty()).map(str::to_owned));
    }
    before.remove("/");
    before
}
