//! Reads the whole store, as dom0 sees it, so that two peers' stores can be compared.

use crate::seen::{Item, Seen};
use crate::side::Side;
use conformance::message::{Brief, DIRECTORY, GET_PERMS, READ, Spelled};
use conformance::peer::Gone;
use conformance::step::Request;

/// One line for each node, parents first, children in their order.
pub fn walk(side: &mut Side) -> Result<Seen, Gone> {
    let mut seen = Seen::default();
    let mut ahead = vec!["/".to_string()];
    while let Some(path) = ahead.pop() {
        let payload = [path.as_bytes(), b"\0"].concat();
        let requests = [READ, GET_PERMS, DIRECTORY].map(|kind| Request::new(kind, payload.clone()));
        let answers = side.requests(0, &requests)?;
        let replies = answers.replies(0);
        let line = replies.iter().map(|item| Brief(item, 200).to_string()).collect::<Vec<_>>().join(" ");
        if let Some(Item::Reply { error: None, payload, .. }) = replies.get(2) {
            let base = if path == "/" { "" } else { &path };
            let names = payload.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            ahead.extend(names.map(|name| format!("{base}/{}", Spelled(name))).rev());
        }
        seen.notes.push(format!("{path}: {line}"));
    }
    Ok(seen)
}
