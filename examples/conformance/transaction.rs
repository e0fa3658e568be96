//! What the run remembers of each open transaction, so that it can judge and repeat it.
//!
//! The reference refuses a commit when anything near what the transaction touched has changed, our server
//! only when something that it read has. A client that is refused tries again; so does the run, on the
//! reference's side, and then both stores must be the same, and all answers, too.

use std::collections::BTreeMap;

use crate::compare::Difference;
use crate::seen::Item;
use conformance::message;
use conformance::step::{Request, Step, Tx};

/// One open transaction.
#[derive(Default)]
pub struct Open {
    /// Requests made in it, and what our server answered.
    pub done: Vec<(Request, Item)>,
    /// Differences between the answers, to be judged when the transaction's end is known.
    pub pending: Vec<Difference>,
    /// Paths that others changed since its start.
    pub changed_outside: Vec<String>,
    /// Domains came or went since its start.
    pub domains_changed: bool,
}

impl Open {
    /// What it has done: messages and paths. What failed has looked at its node all the same, unless everybody was
    /// to own it.
    pub fn touched(&self, who: u16) -> Vec<(u32, String)> {
        let touch = |(request, answer): &(Request, Item)| {
            if request.kind == message::SET_PERMS && request.new_owner() == Some(b"32757") {
                return None;
            }
            let kind = if answer.is_success() { request.kind } else { message::READ };
            Some((kind, request.path(who)?))
        };
        self.done.iter().filter_map(touch).collect()
    }

    /// True if others changed something at, above or below what the difference is about.
    pub fn explains(&self, difference: &Difference) -> bool {
        let Difference::Reply { who, request, .. } = difference else { return false };
        let Some(path) = request.path(*who) else { return false };
        self.changed_outside.iter().any(|changed| is_related(changed, &path))
    }
}

/// One path is the other or is below it.
fn is_related(a: &str, b: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(a, b) || below(b, a)
}

/// All open transactions, by client and slot.
#[derive(Default)]
pub struct Ledger {
    open: BTreeMap<(u16, u8), Open>,
}

impl Ledger {
    /// Whether no transaction is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn is_open(&self, who: u16, tx: Tx) -> bool {
        matches!(tx, Tx::Slot(slot) if self.open.contains_key(&(who, slot)))
    }

    pub fn get_mut(&mut self, who: u16, tx: Tx) -> Option<&mut Open> {
        match tx {
            Tx::Slot(slot) => self.open.get_mut(&(who, slot)),
            _ => None,
        }
    }

    pub fn take(&mut self, who: u16, tx: Tx) -> Option<Open> {
        match tx {
            Tx::Slot(slot) => self.open.remove(&(who, slot)),
            _ => None,
        }
    }

    /// The transactions of a client, which are over.
    pub fn take_all(&mut self, who: u16) -> Vec<Open> {
        let (over, open) = std::mem::take(&mut self.open).into_iter().partition(|(key, _)| key.0 == who);
        self.open = open;
        let over: BTreeMap<(u16, u8), Open> = over;
        over.into_values().collect()
    }

    /// Notes a request that both peers answered.
    pub fn note(&mut self, who: u16, request: &Request, answer: &Item) {
        let succeeded = answer.error().is_none();
        if let (message::TRANSACTION_START, true, Some(slot)) = (request.kind, succeeded, request.opens) {
            self.open.insert((who, slot), Open::default());
        } else if message::is_about_a_node(request.kind) {
            if let Some(open) = self.get_mut(who, request.tx) {
                open.done.push((request.clone(), answer.clone()));
            } else if succeeded && message::changes_a_node(request.kind) {
                self.changed(request.path(who));
            }
        }
    }

    /// Requests were sent whose answers are not known yet.
    pub fn may_have_changed(&mut self, who: u16, requests: &[Request]) {
        for request in requests {
            if request.tx == Tx::None && message::changes_a_node(request.kind) {
                self.changed(request.path(who));
            }
        }
    }

    /// A path was changed for everybody to see.
    fn changed(&mut self, path: Option<String>) {
        let path = path.unwrap_or_else(|| "/".to_string());
        // A node may have been created together with those above it, but homes were there before.
        let fixed = if path.starts_with("/local/domain/") { 3 } else { 1 };
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let above = (fixed + 1..parts.len()).map(|depth| format!("/{}", parts[..depth].join("/")));
        let changed: Vec<String> = above.chain([path.clone()]).collect();
        for open in self.open.values_mut() {
            open.changed_outside.extend_from_slice(&changed);
        }
    }

    /// The transaction's changes became visible.
    pub fn committed(&mut self, who: u16, open: &Open) {
        for (request, answer) in &open.done {
            if answer.error().is_none() && message::changes_a_node(request.kind) {
                self.changed(request.path(who));
            }
        }
    }

    /// Which domains there are has changed, and so may the answers of SET_PERMS.
    pub fn domain_changed(&mut self) {
        for open in self.open.values_mut() {
            open.domains_changed = true;
        }
    }

    /// A domain has ended, and its nodes are gone.
    pub fn domain_lost(&mut self) {
        self.changed(None);
    }
}

/// The client and its request, if the step ends one transaction and does nothing else.
pub fn end_of(step: &Step) -> Option<(u16, &Request)> {
    match step {
        Step::Requests(who, requests) => match requests.as_slice() {
            [request] if request.kind == message::TRANSACTION_END => Some((*who, request)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_related;

    #[test]
    fn paths_are_related_by_whole_components() {
        assert!(is_related("/a/b", "/a"));
        assert!(is_related("/a", "/a/b"));
        assert!(is_related("/", "/a"));
        assert!(!is_related("/ab", "/a"));
    }
}
