//! Rows about domains that begin and end, and about the order of their events.

use super::{Facts, plain_number, reads_again, requests, strings};
use crate::compare::Difference;
use crate::seen::Item;
use crate::side::BEGINNING_TAKEN;
use conformance::message::{self, GET_PERMS, SET_PERMS};
use conformance::page::Word;
use conformance::step::{Step, absolute};

/// One request to release a domain, answered before or after the events that it causes.
pub fn release_order(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let one = matches!(requests(step), [request] if request.kind == message::RELEASE);
    one && matches!(difference, Difference::Order { who: 0, .. })
}

/// In which order domains that changed at once are looked at, and in which order a domain's nodes are
/// removed, is free, as long as no node goes before those below it. One `@releaseDomain` may stand for all
/// shutdowns, and the one for a death also for the shutdown before it.
pub fn order_of_removal(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    let removal = matches!(step, Step::Virq | Step::Domain(..))
        || requests(step).iter().any(|request| request.kind == message::RELEASE);
    let is_release = |item: &Item| item.path().is_some_and(|path| path.starts_with(b"@releaseDomain"));
    let sorted = |items: &[Item], release: bool| {
        let mut some: Vec<Item> = items.iter().filter(|item| is_release(item) == release).cloned().collect();
        some.sort();
        some
    };
    let (mut theirs, mut ours) = (sorted(expected, true), sorted(got, true));
    if !facts.shut_down.is_empty() {
        theirs.dedup();
        ours.dedup();
    }
    removal && sorted(expected, false) == sorted(got, false) && children_first(got) && theirs == ours
}

/// No event of one watch is followed by one from below its path.
fn children_first(events: &[Item]) -> bool {
    let parts = |item: &Item| match item {
        Item::Event(payload) => {
            let mut parts = payload.split(|byte| *byte == 0).map(<[u8]>::to_vec);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        }
        _ => Default::default(),
    };
    let events: Vec<(Vec<u8>, Vec<u8>)> = events.iter().map(parts).collect();
    let below = |low: &[u8], high: &[u8]| low.strip_prefix(high).is_some_and(|rest| rest.starts_with(b"/"));
    (0..events.len()).all(|at| {
        !events[at + 1..].iter().any(|later| later.1 == events[at].1 && below(&later.0, &events[at].0))
    })
}

/// The server may notify the guest that the beginning of a request has left the ring together with the answer.
pub fn untold_beginning(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Note { expected, got } = difference else { return false };
    matches!(step, Step::Pieces(..) | Step::Bytes(..))
        && expected.is_empty()
        && got.ends_with(BEGINNING_TAKEN)
}

/// A domain that was released and introduced again has its old rights on nodes that were the last to be
/// written before: the C daemon's counter has not moved since.
pub fn stale_entry(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let home = format!("/local/domain/{who}/");
    facts.lost.contains(who)
        && request.path(*who).is_some_and(|path| !path.starts_with(&home))
        && expected.is_success()
        && got.error() == Some("EACCES")
}

/// A node given to a domain that is dead, though its remains still exist, or a quota or features of such a domain.
pub fn dead_owner(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let named = match request.kind {
        SET_PERMS => request.new_owner(),
        message::GET_FEATURE..=message::SET_QUOTA => Some(strings(request)[0]),
        _ => None,
    };
    named.and_then(plain_number).is_some_and(|domid| facts.lost.contains(&domid))
        // The daemon goes on to look at the value.
        && (request.kind != SET_PERMS || expected.error() != Some("EINVAL"))
        && got.error() == Some("ENOENT")
}

/// The permissions that GET_PERMS shows, or that a line of the store shows, without those of lost domains.
pub fn dead_entries(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Some((expected, got)) = shown_entries(step, difference) else { return false };
    // The reference shows all that we show, and we leave out only entries of domains that have ended.
    let mut ours = got.split('|').peekable();
    let gone = |entry: &str| {
        entry.get(1..).and_then(|digits| digits.parse().ok()).is_some_and(|domid| facts.lost.contains(&domid))
    };
    let left_out = expected.split('|').filter(|entry| ours.next_if(|next| next == entry).is_none());
    left_out.into_iter().all(gone) && ours.next().is_none()
}

/// Two lists of permissions that differ, or two lines of the store, which have them too.
pub fn shown_entries(step: &Step, difference: &Difference) -> Option<(String, String)> {
    match difference {
        Difference::Reply { request, expected, got, .. } if request.kind == GET_PERMS => {
            Some((expected.to_string(), got.to_string()))
        }
        Difference::Note { expected, got } if *step == Step::Store => Some((expected.clone(), got.clone())),
        _ => None,
    }
}

/// The guest asks for a new connection; our server gives it one.
pub fn reconnection(_: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Peek(_, Word::Connection), Difference::Note { expected, got }) => {
            expected.ends_with("Some(1)") && got.ends_with("Some(0)")
        }
        _ => false,
    }
}

/// An event that still waits is not queued again; what waits depends on how fast the ring is served.
pub fn event_merge(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    let once = |items: &[Item]| {
        let mut once: Vec<Item> = Vec::new();
        for item in items {
            if !once.contains(item) {
                once.push(item.clone());
            }
        }
        once
    };
    (requests(step).len() > 1 || reads_again(step)) && once(expected) == once(got)
}

/// Who may see the events of a commit is judged by what the whole commit has made of the store, not by what
/// it has got so far: only events right below nodes whose permissions it has set can differ.
pub fn commit_all_at_once(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { who, expected, got } = difference else { return false };
    let one_sided = |some: &[Item], others: &[Item]| {
        some.iter().filter(|item| !others.contains(item)).all(|item| {
            let path = item.path().and_then(|path| absolute(*who, path)).unwrap_or_default();
            path.rsplit_once('/').is_some_and(|(parent, _)| sets_permissions(facts, parent))
        })
    };
    let in_common = |some: &[Item], others: &[Item]| -> Vec<Item> {
        some.iter().filter(|item| others.contains(item)).cloned().collect()
    };
    (ends_transaction(step) || reads_again(step))
        && *who != 0
        && one_sided(expected, got)
        && one_sided(got, expected)
        && in_common(expected, got) == in_common(got, expected)
}

fn ends_transaction(step: &Step) -> bool {
    requests(step).iter().any(|request| request.kind == message::TRANSACTION_END)
}

/// The transaction has set the node's permissions, or may have created it on the way to one below.
fn sets_permissions(facts: &Facts, path: &str) -> bool {
    facts.ended.iter().any(|(kind, named)| match *kind {
        SET_PERMS => named == path,
        message::WRITE | message::MKDIR => named.starts_with(&format!("{path}/")),
        _ => false,
    })
}

/// A commit's events come in the order in which the transaction has first touched their nodes. For the C
/// daemon, that includes looking at a node to find out about one below it.
pub fn commit_event_order(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { who, expected, got } = difference else { return false };
    let touched = |item: &Item, made_on_the_way: bool| {
        let path = item.path().and_then(|path| absolute(*who, path)).unwrap_or_default();
        let below = |low: &str, high: &str| low.starts_with(&format!("{high}/"));
        let by = |(kind, named): &(u32, String)| {
            let makes = made_on_the_way && matches!(*kind, message::WRITE | message::MKDIR);
            *named == path || (*kind == message::RM && below(&path, named)) || (makes && below(named, &path))
        };
        facts.ended.iter().position(by)
    };
    let ordered = |made_on_the_way: bool| {
        let mut ordered = expected.clone();
        ordered.sort_by_key(|item| touched(item, made_on_the_way));
        ordered
    };
    (ends_transaction(step) || reads_again(step)) && (ordered(false) == *got || ordered(true) == *got)
}

/// Its own state does not say whose shutdown has been told, nor does it read that in ours.
pub fn update_tells_again(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    matches!(step, Step::Update { take: false, .. })
        && !facts.shut_down.is_empty()
        && got.is_empty()
        && expected.iter().all(Item::is_special)
}

/// It finds the target by a connection that may come later in the state.
pub fn update_forgets_target(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let told_more = match difference {
        Difference::Reply { expected, .. } => expected.error() == Some("EACCES"),
        Difference::Events { expected, got, .. } => expected.len() < got.len(),
        _ => false,
    };
    facts.updated_with_targets && told_more
}
