//! The allowed differences: one row of docs/differences.md each, and when it applies.
//!
//! A row says exactly what may differ. A difference that no row describes is a failure.

mod life;
mod limits;
mod newest;
mod older;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::compare::Difference;
use crate::seen::Item;
use conformance::message::{self, SET_PERMS};
use conformance::programs::Release;
use conformance::step::{Request, Step};

/// What the session has done so far that rows need to know.
pub struct Facts {
    /// What the reference is.
    pub release: Release,
    /// Domids that died, were released or were given to another domain.
    pub lost: BTreeSet<u16>,
    /// Domains that exist, as far as they were built in this session.
    pub built: BTreeSet<u16>,
    /// Domains that have shut down and were not resumed since.
    pub shut_down: BTreeSet<u16>,
    /// The session has a quota of nodes that it can reach.
    pub few_nodes: bool,
    /// The session has a quota of memory that it can reach.
    pub little_memory: bool,
    /// What the last transaction to end has done: messages and paths.
    pub ended: Vec<(u32, String)>,
    /// CONTROL has changed a quota.
    pub quota_changed: bool,
    /// Quotas that were set since the start, by CONTROL or SET_QUOTA.
    pub quotas_set: BTreeSet<String>,
    /// The reference does not know a message that sets something, or makes a domain known.
    pub newer_unknown: bool,
    /// The session has quotas from the start.
    pub quotas: BTreeSet<String>,
    /// Somebody watches `@`.
    pub watches_bare_at: bool,
    /// Somebody watches with a depth.
    pub watches_with_depth: bool,
    /// The permissions of `/` have been set.
    pub root_given: bool,
    /// Domains that had shut down when they were introduced or said to have resumed.
    pub shut_down_early: BTreeSet<u16>,
    /// Domains whose introduction was refused.
    pub refused: BTreeSet<u16>,
    /// Domains that others were given as their target.
    pub targets: BTreeSet<u16>,
    /// The reference has updated itself when some domain had a target.
    pub updated_with_targets: bool,
    /// A special node was given to a guest.
    pub special_given: bool,
    /// A transaction holds changes of special nodes.
    pub special_in_transaction: bool,
    /// Some node has a permission entry for everybody.
    pub any_domain: bool,
}

impl Facts {
    /// Some domain can reach its quota of memory.
    pub fn has_little_memory(&self) -> bool {
        self.little_memory || self.quotas_set.contains("memory")
    }

    /// Some domain can reach its quota of nodes.
    pub fn has_few_nodes(&self) -> bool {
        self.few_nodes || self.quotas_set.contains("nodes")
    }

    pub fn of(release: Release) -> Facts {
        Facts {
            release,
            lost: BTreeSet::new(),
            built: BTreeSet::new(),
            shut_down: BTreeSet::new(),
            few_nodes: false,
            little_memory: false,
            ended: Vec::new(),
            quota_changed: false,
            quotas_set: BTreeSet::new(),
            newer_unknown: false,
            quotas: BTreeSet::new(),
            watches_bare_at: false,
            watches_with_depth: false,
            root_given: false,
            shut_down_early: BTreeSet::new(),
            refused: BTreeSet::new(),
            targets: BTreeSet::new(),
            updated_with_targets: false,
            special_given: false,
            special_in_transaction: false,
            any_domain: false,
        }
    }
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
    /// The releases whose daemons differ so.
    of: RangeInclusive<Release>,
    pub after: After,
    applies: fn(&Facts, &Step, &Difference) -> bool,
}

const ALL: RangeInclusive<Release> = Release::Xen4_17..=Release::Xen4_22;
const OF_4_17: RangeInclusive<Release> = Release::Xen4_17..=Release::Xen4_17;
const UNTIL_4_21: RangeInclusive<Release> = Release::Xen4_17..=Release::Xen4_21;
const FROM_4_20: RangeInclusive<Release> = Release::Xen4_20..=Release::Xen4_22;
const FROM_4_21: RangeInclusive<Release> = Release::Xen4_21..=Release::Xen4_22;
const FROM_4_22: RangeInclusive<Release> = Release::Xen4_22..=Release::Xen4_22;

/// Rows that the run itself decides on, having asked the reference again.
pub const RETRIED_COMMIT: &str = "commit-without-conflict";
pub const DOOMED_VIEW: &str = "view-of-a-lost-transaction";
pub const SPECIAL_IN_TRANSACTION: &str = "special-in-transaction";
pub const OWNER_GONE: &str = "owner-gone";
pub const FAILED_IN_TRANSACTION: &str = "failed-request-in-transaction";
pub const DOMAINS_IN_TRANSACTION: &str = "domains-changed-in-transaction";
pub const CRASH: &str = "reference-crash";

pub const ROWS: &[Row] = &[
    Row { id: "malformed-string", of: OF_4_17, after: After::GoOn, applies: older::malformed_string },
    Row { id: "special-get-perms", of: OF_4_17, after: After::GoOn, applies: older::special_get_perms },
    Row { id: "special-set-perms", of: OF_4_17, after: After::GoOn, applies: older::special_set_perms },
    Row { id: "special-owner", of: OF_4_17, after: After::Stop, applies: older::special_owner },
    Row {
        id: "special-set-perms-event",
        of: OF_4_17,
        after: After::GoOn,
        applies: older::special_set_perms_event,
    },
    Row { id: "release-visible", of: UNTIL_4_21, after: After::GoOn, applies: older::release_visible },
    Row { id: "release-perms", of: UNTIL_4_21, after: After::GoOn, applies: older::release_perms },
    Row { id: "special-root-watch", of: UNTIL_4_21, after: After::GoOn, applies: older::special_root_watch },
    Row { id: "special-by-root", of: OF_4_17, after: After::GoOn, applies: older::special_by_root },
    Row { id: "below-special", of: FROM_4_20, after: After::GoOn, applies: newest::below_special },
    Row { id: "event-merge", of: ALL, after: After::GoOn, applies: life::event_merge },
    Row { id: "unwatch-path", of: OF_4_17, after: After::GoOn, applies: older::unwatch_path },
    Row { id: "watch-special-name", of: OF_4_17, after: After::Stop, applies: older::watch_special_name },
    Row { id: "domid-syntax", of: ALL, after: After::Stop, applies: older::domid_syntax },
    Row { id: "domid-syntax", of: ALL, after: After::Stop, applies: older::domid_of_a_home },
    Row { id: "path-length", of: OF_4_17, after: After::Stop, applies: older::path_length },
    Row { id: "newer-message", of: UNTIL_4_21, after: After::GoOn, applies: older::newer_message },
    Row { id: "newer-message", of: UNTIL_4_21, after: After::Stop, applies: older::newer_setting },
    Row { id: "watch-depth", of: UNTIL_4_21, after: After::Stop, applies: older::watch_depth },
    Row { id: "any-domain", of: UNTIL_4_21, after: After::Stop, applies: older::any_domain },
    Row { id: "update-tells-again", of: ALL, after: After::GoOn, applies: life::update_tells_again },
    Row { id: "update-forgets-target", of: ALL, after: After::Stop, applies: life::update_forgets_target },
    Row { id: "release-order", of: ALL, after: After::GoOn, applies: life::release_order },
    Row { id: "order-of-removal", of: ALL, after: After::GoOn, applies: life::order_of_removal },
    Row { id: "stale-entry", of: ALL, after: After::Stop, applies: life::stale_entry },
    Row { id: "dead-owner", of: ALL, after: After::Stop, applies: life::dead_owner },
    Row { id: "untold-beginning", of: ALL, after: After::GoOn, applies: life::untold_beginning },
    Row { id: "reconnection", of: ALL, after: After::Stop, applies: life::reconnection },
    Row { id: "control-commands", of: ALL, after: After::GoOn, applies: limits::control_commands },
    Row { id: "server-features", of: ALL, after: After::GoOn, applies: older::server_features },
    Row { id: "dead-entries", of: ALL, after: After::GoOn, applies: life::dead_entries },
    Row { id: "watch-quota-error", of: UNTIL_4_21, after: After::GoOn, applies: older::watch_quota_error },
    Row { id: "memory-charged", of: ALL, after: After::Stop, applies: limits::memory_charged },
    Row {
        id: "node-quota-in-transaction",
        of: ALL,
        after: After::Stop,
        applies: limits::node_quota_in_transaction,
    },
    Row { id: "node-quota-at-commit", of: ALL, after: After::Stop, applies: limits::node_quota_at_commit },
    Row {
        id: "quota-of-new-domains",
        of: UNTIL_4_21,
        after: After::Stop,
        applies: limits::quota_of_new_domains,
    },
    Row {
        id: "special-node-counted",
        of: OF_4_17,
        after: After::Stop,
        applies: limits::special_node_counted,
    },
    Row { id: "commit-event-order", of: ALL, after: After::GoOn, applies: life::commit_event_order },
    Row { id: "commit-all-at-once", of: ALL, after: After::GoOn, applies: life::commit_all_at_once },
    Row { id: "quota-edge", of: FROM_4_22, after: After::GoOn, applies: newest::quota_told },
    Row { id: "quota-edge", of: FROM_4_22, after: After::Stop, applies: newest::quota_edge },
    Row {
        id: "node-quota-overshoot",
        of: FROM_4_22,
        after: After::Stop,
        applies: newest::node_quota_overshoot,
    },
    Row { id: "memory-quota-below", of: ALL, after: After::Stop, applies: limits::memory_quota_below },
    Row { id: "memory-in-transaction", of: ALL, after: After::Stop, applies: limits::memory_in_transaction },
    Row { id: "memory-for-answers", of: ALL, after: After::GoOn, applies: limits::memory_for_answers },
    Row { id: "quota-number", of: ALL, after: After::Stop, applies: limits::quota_number },
    Row { id: "large-number", of: ALL, after: After::Stop, applies: limits::large_number },
    Row { id: CRASH, of: OF_4_17, after: After::Stop, applies: older::memory_for_what_is_there },
    Row { id: "introduce-dom0", of: ALL, after: After::Stop, applies: newest::introduce_dom0 },
    Row { id: "permission-syntax", of: ALL, after: After::Stop, applies: newest::permission_syntax },
    Row { id: "entry-of-a-later-domain", of: FROM_4_22, after: After::GoOn, applies: newest::later_domain },
    Row { id: "early-shutdown", of: FROM_4_21, after: After::GoOn, applies: newest::early_shutdown },
    Row { id: "bare-at", of: FROM_4_22, after: After::GoOn, applies: newest::bare_at },
    Row { id: "death-of-a-target", of: ALL, after: After::Stop, applies: newest::death_of_a_target },
    Row { id: "owner-anybody", of: FROM_4_22, after: After::GoOn, applies: newest::owner_anybody },
    Row { id: "owner-unheard-of", of: ALL, after: After::GoOn, applies: limits::owner_unheard_of },
    Row { id: "which-refusal", of: ALL, after: After::GoOn, applies: limits::which_refusal },
];

/// The rows that allow this difference, none if it is not allowed.
pub fn find(facts: &Facts, step: &Step, difference: &Difference) -> Vec<&'static Row> {
    let rows = || ROWS.iter().filter(|row| row.of.contains(&facts.release));
    let one = |difference: &Difference| rows().find(|row| (row.applies)(facts, step, difference));
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

/// Requests that make Debian's 4.17.7 stop at an assertion of its own; the death of a domain that owns a special node,
/// a change of a node beyond a guest's memory, and the introduction of dom0 or of what follows a dead target, which newer
/// ones do not survive.
pub fn may_crash(facts: &Facts, step: &Step, how: &str) -> bool {
    if facts.release > Release::Xen4_17 {
        let beyond_memory = || changes_what_is_there(facts, step);
        if requests(step).iter().any(|request| request.kind == message::INTRODUCE) {
            let introduced = strings(&requests(step)[0])[0];
            let domid = plain_number(introduced);
            return domid == Some(0) || domid.is_some_and(|domid| facts.targets.contains(&domid));
        }
        return (how.starts_with("signal: 11") && facts.special_given)
            || (how.starts_with("signal: 6") && beyond_memory());
    }
    let special = |request: &Request| request.kind == SET_PERMS && request.payload.starts_with(b"@");
    how.starts_with("signal: 6")
        && requests(step).iter().any(|request| is_malformed(request) || special(request))
}

/// A guest, which may have used up its memory, asks for a change that a node which is there takes.
fn changes_what_is_there(facts: &Facts, step: &Step) -> bool {
    let by_guest = matches!(step, Step::Requests(1.., _) | Step::Pieces(1.., _, _));
    let changes = |request: &Request| matches!(request.kind, message::WRITE | SET_PERMS);
    facts.has_little_memory() && by_guest && requests(step).iter().any(changes)
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

/// A number as a decimal one is written, without sign or blank.
fn plain_number(text: &[u8]) -> Option<u16> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
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
        assert_eq!(surplus(std::slice::from_ref(&a), &[a.clone(), b.clone()]), Some(vec![&b]));
        assert_eq!(surplus(&[a.clone(), c], &[a, b]), None);
    }
}
