//! Rows about quotas, failed commits and what our server does not have.

use super::{Facts, strings};
use crate::compare::Difference;
use crate::seen::Item;
use conformance::message;
use conformance::programs::Release;
use conformance::step::{Step, Tx};

/// How many bytes a node or a watch is charged with: up to a quarter more than the C daemon says if they are large. The
/// smallest node has 128 instead of some 40.
pub fn memory_charged(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let (Step::Fill(_, _, template), Difference::Note { expected, got }) = (step, difference) else {
        return false;
    };
    let read = |note: &str| -> Option<(usize, String)> {
        let (count, error) = note.split_once(" times, then ")?;
        Some((count.parse().ok()?, error.to_string()))
    };
    let least = |theirs: usize| if template.starts_with("MKDIR") { theirs / 3 } else { theirs * 3 / 4 };
    match (read(expected), read(got)) {
        (Some((theirs, error)), Some((ours, same))) => {
            matches!(error.as_str(), "EIO" | "ENOMEM")
                && error == same
                && (least(theirs)..=theirs).contains(&ours)
        }
        _ => false,
    }
}

/// A guest that holds more memory than it may is not read.
pub fn memory_quota_below(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let unheard = match difference {
        Difference::Replies { who, expected, got } => *who != 0 && expected.len() < got.len(),
        Difference::Waiting { who, expected, got } => *who != 0 && expected > got,
        _ => false,
    };
    unheard && facts.has_little_memory()
}

/// What a transaction looks at and removes, and what a commit gives to others, is beyond what a guest may have; or
/// the transaction itself is.
pub fn memory_in_transaction(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Fill(_, _, template), Difference::Note { expected, got }) => {
            facts.has_little_memory()
                && template.starts_with("TRANSACTION_START")
                && expected.ends_with("then ENOSPC")
                && got.ends_with("then ENOMEM")
        }
        (_, Difference::Reply { who, request, expected, got }) => {
            let changes = [message::WRITE, message::MKDIR, message::RM, message::SET_PERMS];
            let refusal = if changes.contains(&request.kind) { "EIO" } else { "ENOMEM" };
            facts.has_little_memory()
                && *who != 0
                && (request.tx != Tx::None || request.kind == message::TRANSACTION_START)
                && expected.is_success()
                && got.error() == Some(refusal)
        }
        _ => false,
    }
}

/// A guest names an owner that exists, and that has neither been introduced nor named by those who may.
pub fn owner_unheard_of(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let owner = strings(request).get(1).and_then(|entry| super::plain_number(entry.get(1..)?));
    *who != 0
        && request.kind == message::SET_PERMS
        && matches!(expected.error(), Some("EPERM" | "EACCES" | "EINVAL"))
        && got.error() == Some("ENOENT")
        && owner.is_some_and(|owner| facts.built.contains(&owner))
}

/// An answer of some length is refused for want of memory.
pub fn memory_for_answers(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, expected, got, .. } = difference else { return false };
    let long = matches!(got, Item::Reply { error: None, payload, .. } if payload.len() > 16);
    facts.has_little_memory() && *who != 0 && expected.error() == Some("ENOMEM") && long
}

/// What is no number, or too large a one, is taken for one that fits.
pub fn quota_number(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let (value, most) = match (request.kind, strings(request).as_slice()) {
        (message::SET_QUOTA, [_, value, b""] | [_, _, value, b""]) => (*value, u32::MAX - 1),
        (message::SET_FEATURE, [_, value, b""]) => (*value, u32::MAX),
        (message::CONTROL, [b"quota" | b"quota-soft", b"set", _, value, b""]) => (*value, i32::MAX as u32),
        _ => return false,
    };
    let number = std::str::from_utf8(value).ok().filter(|_| value.iter().all(u8::is_ascii_digit));
    number.and_then(|digits| digits.parse().ok()).is_none_or(|number: u32| number > most)
        && expected.is_success()
        && got.error() == Some("EINVAL")
}

/// A depth, an offset or a port has no more than 32 bits, of which the first is a sign.
pub fn large_number(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let number = strings(request).get(2).and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    let (number, answers) = match request.kind {
        message::WATCH => (number, expected.error() == Some("EINVAL") && got.is_success()),
        message::DIRECTORY_PART => {
            let offset =
                strings(request).get(1).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            (offset, expected.is_success() && got.is_success())
        }
        message::INTRODUCE => (number, expected.is_success() && got.error() == Some("EINVAL")),
        _ => return false,
    };
    answers && number.is_some_and(|number: u64| i32::try_from(number).is_err())
}

/// A transaction's new nodes count at once, rather than at the commit.
pub fn node_quota_in_transaction(_: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Fill(_, _, template), Difference::Note { expected, got }) => {
            template.starts_with('t') && expected.ends_with("then ENOSPC") && got.ends_with("then no error")
        }
        (_, Difference::Reply { who, request, expected, got }) => {
            *who != 0
                && request.tx != Tx::None
                && matches!(request.kind, message::WRITE | message::MKDIR)
                && expected.error() == Some("ENOSPC")
                && got.is_success()
        }
        _ => false,
    }
}

/// What a domain may own after a commit is one less than after other requests; in 4.22, one that dom0 has given too
/// much cannot commit what adds as many nodes as it removes.
pub fn node_quota_at_commit(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    facts.has_few_nodes()
        && *who != 0
        && request.kind == message::TRANSACTION_END
        && (facts.release < Release::Xen4_22 || facts.ended.iter().any(|(kind, _)| *kind == message::RM))
        && expected.error() == Some("ENOSPC")
        && got.is_success()
}

/// A special node counts as one of the nodes that its owner has.
pub fn special_node_counted(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, expected, got, .. } = difference else { return false };
    facts.has_few_nodes()
        && facts.special_given
        && *who != 0
        && expected.is_success()
        && got.error() == Some("ENOSPC")
}

/// A commit that fails for more than one reason.
pub fn which_refusal(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let refused = |item: &Item| matches!(item.error(), Some("EAGAIN" | "ENOSPC" | "ENOMEM"));
    request.kind == message::TRANSACTION_END && refused(expected) && refused(got)
}

/// A changed quota holds for domains to come.
pub fn quota_of_new_domains(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let (Step::Fill(..), Difference::Note { expected, got }) = (step, difference) else { return false };
    facts.quota_changed && expected.ends_with("then ENOSPC") && got.ends_with("then no error")
}

/// Texts for people.
pub fn control_commands(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == message::CONTROL
        && match strings(request)[0] {
            b"live-update" => expected.is_success() && got.is_success(),
            // For 4.17 that is a domid.
            b"quota" if strings(request)[1] == b"max" && facts.release == Release::Xen4_17 => true,
            b"quota" => expected.is_success() && got.is_success() && told_alike(expected, got),
            b"help" | b"quota-soft" | b"logfile" => expected.is_success() && got.is_success(),
            b"memreport" => got.is_success() && (expected.is_success() || expected.error() == Some("EINVAL")),
            b"log" => expected.error() == Some("EINVAL") && got.is_success(),
            _ => false,
        }
}

/// What domains have and have had is counted in one way, where that is not bytes. The daemon shows 0 for what has
/// not been counted again since `max -r`.
fn told_alike(expected: &Item, got: &Item) -> bool {
    let told = |item: &Item, name: &str| -> Vec<u64> {
        let Item::Reply { payload, .. } = item else { return Vec::new() };
        let text = String::from_utf8_lossy(payload).into_owned();
        let settings = text.starts_with("Quota settings");
        let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name));
        let numbers = line.filter(|_| !settings).unwrap_or_default();
        let words = numbers.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    ["nodes", "watches", "transactions"].iter().all(|name| {
        told(expected, name)
            .into_iter()
            .zip(told(got, name))
            .all(|(theirs, ours)| theirs == ours || theirs == 0)
    })
}
