//! Rows where the C daemon of Xen 4.22, whose behaviour is our reference, still answers otherwise.

use super::life::shown_entries;
use super::older::counted_length;
use super::{Facts, plain_number, strings, surplus};
use crate::compare::Difference;
use crate::seen::Item;
use conformance::message::{self, GET_QUOTA, INTRODUCE, SET_PERMS};
use conformance::step::{Step, Tx};

/// The run has set the daemon's quotas one higher, so that it lets pass what ours does.
pub fn quota_told(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == GET_QUOTA
        && matches!((expected.number(), got.number()), (Some(theirs), Some(ours)) if theirs == ours + 1)
}

/// A quota is refused when it is reached, not when it is exceeded: that of paths, which cannot be set higher, and
/// those that a session has set.
pub fn quota_edge(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Fill(..), Difference::Note { expected, got }) => {
            let read = |note: &str| -> Option<(usize, String)> {
                let (count, error) = note.split_once(" times, then ")?;
                Some((count.parse().ok()?, error.to_string()))
            };
            !facts.quotas_set.is_empty()
                && matches!((read(expected), read(got)), (Some((theirs, refusal)), Some((ours, same)))
                    if refusal == same && ours == theirs + 1)
        }
        (_, Difference::Reply { who, request, expected, got }) => {
            let long = counted_length(strings(request)[0]) == 2048;
            let path = long && expected.error() == Some("EINVAL") && got.error() != Some("EINVAL");
            let quotas: &[&str] = match request.kind {
                message::WRITE | message::MKDIR => &["nodes", "node-size"],
                message::TRANSACTION_END => &["nodes"],
                message::TRANSACTION_START => &["transactions"],
                message::WATCH => &["watches"],
                SET_PERMS => &["node-permissions", "node-size"],
                _ => &[],
            };
            let set = quotas.iter().any(|name| facts.quotas_set.contains(*name));
            *who != 0
                && (path || (set && expected.error() == Some("ENOSPC") && got.error() != Some("ENOSPC")))
        }
        _ => false,
    }
}

/// One request that creates several nodes may exceed the quota of nodes: each is counted as if it were the first.
pub fn node_quota_overshoot(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let several = strings(request)[0].iter().skip(1).any(|byte| *byte == b'/');
    facts.has_few_nodes()
        && *who != 0
        && request.tx == Tx::None
        && matches!(request.kind, message::WRITE | message::MKDIR)
        && several
        && expected.is_success()
        && got.error() == Some("ENOSPC")
}

/// A node given to everybody is refused, for whatever reason is found first.
pub fn owner_anybody(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == SET_PERMS
        && request.new_owner() == Some(b"32757")
        && matches!(expected.error(), Some("EPERM" | "EACCES" | "ENOMEM" | "EINVAL"))
        && got.error() == Some("ENOENT")
}

/// What is below a special node is looked for there by who may read or write that; for ours it is below the root.
pub fn below_special(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    *who != 0
        && matches!(request.kind, message::GET_PERMS | SET_PERMS)
        && request.payload.starts_with(b"@")
        && strings(request)[0].contains(&b'/')
        && expected.error() == Some("ENOENT")
        && got.error() == Some("EACCES")
}

/// dom0 may introduce itself, and so lose what is in its ring.
pub fn introduce_dom0(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == INTRODUCE
        && plain_number(strings(request)[0]) == Some(0)
        && expected.is_success()
        && got.error() == Some("EINVAL")
}

/// The number of a permission entry may have a blank or a sign before it, and be larger than any domid.
pub fn permission_syntax(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let odd = |entry: &&[u8]| {
        let number = entry.get(1..).unwrap_or_default();
        let digits = std::str::from_utf8(number).unwrap_or_default().trim_start_matches([' ', '+', '-']);
        plain_number(number).is_none() && digits.parse::<u32>().is_ok()
    };
    request.kind == SET_PERMS
        && strings(request).iter().skip(1).any(odd)
        && expected.error() != Some("EINVAL")
        && got.error() == Some("EINVAL")
}

/// With a domain, and with what remains of an introduction that was refused, go entries for its number that were
/// written before it was there.
pub fn later_domain(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Some((expected, got)) = shown_entries(step, difference) else { return false };
    let others = |text: &str| -> Vec<String> {
        let gone = |entry: &&str| {
            let domid = entry.get(1..).and_then(|digits| digits.parse().ok());
            domid.is_some_and(|domid| facts.lost.contains(&domid) || facts.refused.contains(&domid))
        };
        text.split('|').filter(|entry| !gone(entry)).map(str::to_string).collect()
    };
    others(&expected) == others(&got)
}

/// A domain that had shut down before it was introduced, or that RESUME says to run though it does not.
pub fn early_shutdown(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    let announces = |item: &&Item| match item.path().and_then(|path| path.strip_prefix(b"@releaseDomain")) {
        Some(b"") => !facts.shut_down_early.is_empty(),
        Some([b'/', domid @ ..]) => plain_number(domid).is_some_and(|d| facts.shut_down_early.contains(&d)),
        _ => false,
    };
    // An event that came early is not repeated where it comes late.
    let others = |items: &[Item]| items.iter().filter(|item| !announces(item)).cloned().collect::<Vec<_>>();
    others(expected) == others(got)
}

/// A watch on `@` sees what is below it by its letters.
pub fn bare_at(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    facts.watches_bare_at
        && surplus(got, expected).is_some_and(|extra| extra.into_iter().all(Item::is_special))
}

/// A dead domain remains as long as another lives whose target it is: its nodes, its entries, its introduction.
pub fn death_of_a_target(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let about = match difference {
        Difference::Note { .. } => *step == Step::Store,
        Difference::Events { expected, got, .. } => surplus(expected, got).is_some(),
        Difference::Reply { who: 0, request, .. } => {
            message::is_about_a_node(request.kind)
                || matches!(request.kind, message::IS_DOMAIN_INTRODUCED | message::RELEASE | message::RESUME)
                || (message::GET_FEATURE..=message::SET_QUOTA).contains(&request.kind)
        }
        _ => false,
    };
    about && facts.targets.iter().any(|domid| facts.lost.contains(domid))
}
