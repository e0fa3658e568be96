//! The allowed differences: one row of docs/differences.md each, and when it applies.
//!
//! A row says exactly what may differ. A difference that no row describes is a failure.

mod life;
mod limits;
mod older;

use std::collections::BTreeSet;

use crate::compare::Difference;
use crate::message::{self, SET_PERMS};
use crate::seen::Item;
use crate::step::{Request, Step};

/// What the session has done so far that rows need to know.
#[derive(Default)]
pub struct Facts {
    /// Domids that died, were released or were given to another domain.
    pub lost: BTreeSet<u16>,
    /// Domains that exist, as far as they were built in this session.
    pub built: BTreeSet<u16>,
    /// Domains that have shut down and were not resumed since.
    pub shut_down: BTreeSet<u16>,
    /// The session has a quota of nodes that it can reach.
    pub few_nodes: bool,
    /// What the last transaction to end has done: messages and paths.
    pub ended: Vec<(u32, String)>,
    /// CONTROL has changed a quota.
    pub quota_changed: bool,
    /// A special node was given to a guest.
    pub special_given: bool,
    /// A transaction holds changes of special nodes.
    pub special_in_transaction: bool,
    /// Some node has a permission entry for everybody.
    pub any_domain: bool,
}

/// What becomes of a session after a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// Both peers are still in the same state.
    GoOn,
    /// They are not: the session ends here.
    Stop,
}

pub struct Row {
    pub id: &'static str,
    pub after: After,
    applies: fn(&Facts, &Step, &Difference) -> bool,
}

/// Rows that the run itself decides on, having asked the reference again.
pub const RETRIED_COMMIT: &str = "commit-without-conflict";
pub const DOOMED_VIEW: &str = "view-of-a-lost-transaction";
pub const SPECIAL_IN_TRANSACTION: &str = "special-in-transaction";
pub const OWNER_GONE: &str = "owner-gone";
pub const FAILED_IN_TRANSACTION: &str = "failed-request-in-transaction";
pub const DOMAINS_IN_TRANSACTION: &str = "domains-changed-in-transaction";
pub const CRASH: &str = "reference-crash";

pub const ROWS: &[Row] = &[
    Row { id: "malformed-string", after: After::GoOn, applies: older::malformed_string },
    Row { id: "special-get-perms", after: After::GoOn, applies: older::special_get_perms },
    Row { id: "special-set-perms", after: After::GoOn, applies: older::special_set_perms },
    Row { id: "special-owner", after: After::Stop, applies: older::special_owner },
    Row { id: "special-set-perms-event", after: After::GoOn, applies: older::special_set_perms_event },
    Row { id: "release-visible", after: After::GoOn, applies: older::release_visible },
    Row { id: "release-perms", after: After::GoOn, applies: older::release_perms },
    Row { id: "special-root-watch", after: After::GoOn, applies: older::special_root_watch },
    Row { id: "event-merge", after: After::GoOn, applies: life::event_merge },
    Row { id: "unwatch-path", after: After::GoOn, applies: older::unwatch_path },
    Row { id: "watch-special-name", after: After::Stop, applies: older::watch_special_name },
    Row { id: "domid-syntax", after: After::Stop, applies: older::domid_syntax },
    Row { id: "path-length", after: After::Stop, applies: older::path_length },
    Row { id: "newer-message", after: After::GoOn, applies: older::newer_message },
    Row { id: "watch-depth", after: After::Stop, applies: older::watch_depth },
    Row { id: "any-domain", after: After::Stop, applies: older::any_domain },
    Row { id: "release-order", after: After::GoOn, applies: life::release_order },
    Row { id: "order-of-removal", after: After::GoOn, applies: life::order_of_removal },
    Row { id: "stale-entry", after: After::Stop, applies: life::stale_entry },
    Row { id: "dead-owner", after: After::Stop, applies: life::dead_owner },
    Row { id: "untold-beginning", after: After::GoOn, applies: life::untold_beginning },
    Row { id: "reconnection", after: After::Stop, applies: life::reconnection },
    Row { id: "control-commands", after: After::GoOn, applies: limits::control_commands },
    Row { id: "server-features", after: After::GoOn, applies: older::server_features },
    Row { id: "dead-entries", after: After::GoOn, applies: life::dead_entries },
    Row { id: "watch-quota-error", after: After::GoOn, applies: older::watch_quota_error },
    Row { id: "memory-charged", after: After::Stop, applies: limits::memory_charged },
    Row { id: "node-quota-in-transaction", after: After::Stop, applies: limits::node_quota_in_transaction },
    Row { id: "node-quota-at-commit", after: After::Stop, applies: limits::node_quota_at_commit },
    Row { id: "quota-of-new-domains", after: After::Stop, applies: limits::quota_of_new_domains },
    Row { id: "special-node-counted", after: After::Stop, applies: limits::special_node_counted },
    Row { id: "commit-event-order", after: After::GoOn, applies: life::commit_event_order },
    Row { id: "commit-all-at-once", after: After::GoOn, applies: life::commit_all_at_once },
    Row { id: "which-refusal", after: After::GoOn, applies: limits::which_refusal },
];

/// The rows that allow this difference, none if it is not allowed.
pub fn find(facts: &Facts, step: &Step, difference: &Difference) -> Vec<&'static Row> {
    let one = |difference: &Difference| ROWS.iter().find(|row| (row.applies)(facts, step, difference));
    if let Some(row) = one(difference) {
        return vec![row];
    }
    // Events of special nodes have reasons of their own to differ, besides those of other events.
    let Difference::Events { who, expected, got } = difference else { return Vec::new() };
    let part = |special: bool| {
        let of = |items: &[Item]| items.iter().filter(|item| item.is_special() == special).cloned().collect();
        Difference::Events { who: *who, expected: of(expected), got: of(got) }
    };
    let parts = [part(true), part(false)].into_iter().filter(|part| match part {
        Difference::Events { expected, got, .. } => expected != got,
        _ => false,
    });
    parts.map(|part| one(&part)).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Every id that docs/differences.md must have.
pub fn ids() -> Vec<&'static str> {
    ROWS.iter()
        .map(|row| row.id)
        .chain([
            RETRIED_COMMIT,
            DOOMED_VIEW,
            SPECIAL_IN_TRANSACTION,
            FAILED_IN_TRANSACTION,
            OWNER_GONE,
            DOMAINS_IN_TRANSACTION,
            CRASH,
        ])
        .collect()
}

/// Requests that make Debian's 4.17.7 stop at an assertion of its own, and the death of a domain that owns a
/// special node, which 4.20 does not survive.
pub fn may_crash(facts: &Facts, step: &Step, how: &str) -> bool {
    if how.starts_with("signal: 11") {
        return facts.special_given;
    }
    let special = |request: &Request| request.kind == SET_PERMS && request.payload.starts_with(b"@");
    how.starts_with("signal: 6")
        && requests(step).iter().any(|request| is_malformed(request) || special(request))
}

/// The requests of a step.
fn requests(step: &Step) -> &[Request] {
    match step {
        Step::Requests(_, requests) => requests,
        Step::Pieces(_, _, request) => std::slice::from_ref(request),
        _ => &[],
    }
}

/// Events that waited come late.
fn reads_again(step: &Step) -> bool {
    matches!(step, Step::Reading(_, true))
}

fn strings(request: &Request) -> Vec<&[u8]> {
    request.payload.split(|byte| *byte == 0).collect()
}

/// The only NUL is the last byte.
fn is_one_string(payload: &[u8]) -> bool {
    payload.iter().position(|byte| *byte == 0).is_some_and(|at| at + 1 == payload.len())
}

pub fn is_malformed(request: &Request) -> bool {
    message::takes_one_string(request.kind) && !is_one_string(&request.payload)
}

/// `got` without `expected`, if all of `expected` is there in the same order.
fn surplus<'a>(expected: &[Item], got: &'a [Item]) -> Option<Vec<&'a Item>> {
    let mut wanted = expected.iter().peekable();
    let extra = got.iter().filter(|item| wanted.next_if(|next| next == item).is_none()).collect();
    wanted.peek().is_none().then_some(extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_needs_all_that_was_expected() {
        let event = |path: &str| Item::Event(path.as_bytes().to_vec());
        let (a, b, c) = (event("a"), event("b"), event("c"));
        assert_eq!(surplus(&[a.clone()], &[a.clone(), b.clone()]), Some(vec![&b]));
        assert_eq!(surplus(&[a.clone(), c], &[a, b]), None);
    }
}
