//! Rows where Xen 4.17 or 4.20 answers otherwise than 4.22, which we follow.

use super::{Facts, is_malformed, plain_number, reads_again, requests, strings, surplus};
use crate::compare::Difference;
use crate::seen::Item;
use conformance::message::{self, GET_PERMS, SET_PERMS, UNWATCH, WATCH};
use conformance::page::Word;
use conformance::programs::Release;
use conformance::step::Step;

pub fn malformed_string(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    is_malformed(request) && expected.error().is_some() && got.error() == Some("EINVAL")
}

/// What a guest has no memory for is refused for whatever reason came up last, where the node is there already; also
/// to dom0, which ours lets give it, and as permissions, which take none for ours.
pub fn memory_for_what_is_there(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    facts.has_little_memory()
        && matches!(request.kind, message::WRITE | SET_PERMS)
        && expected.error().is_some()
        && if *who == 0 || request.kind == SET_PERMS { got.is_success() } else { got.error() == Some("EIO") }
}

pub fn special_get_perms(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == GET_PERMS
        && request.payload.starts_with(b"@")
        && expected.error() == Some("EINVAL")
        && !matches!(got, Item::Stray(_))
}

pub fn special_set_perms(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let refusal = match *who {
        0 => "ENOENT",
        _ if is_path_of_guests(strings(request)[0]) => "EACCES",
        _ => "EINVAL",
    };
    request.kind == SET_PERMS
        && request.payload.starts_with(b"@")
        // Rights that a transaction is about to give are given at once.
        && (expected.error().is_some() || facts.special_in_transaction)
        && got.error() == Some(refusal)
}

/// A guest that was given a special node gives it to another.
pub fn special_owner(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    *who != 0
        && request.kind == SET_PERMS
        && request.payload.starts_with(b"@")
        && expected.is_success()
        && got.error() == Some("EPERM")
}

pub fn special_set_perms_event(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    let sets_special = requests(step).iter().any(|request| match request.kind {
        SET_PERMS => request.payload.starts_with(b"@"),
        message::TRANSACTION_END => facts.special_in_transaction,
        _ => false,
    });
    sets_special && surplus(expected, got).is_some_and(|extra| extra.into_iter().all(Item::is_special))
}

pub fn release_visible(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Events { who, expected, got } = difference else { return false };
    *who != 0
        && surplus(expected, got)
            .is_some_and(|extra| extra.iter().all(|item| item.path() == Some(b"@releaseDomain")))
}

/// Who may read `/` hears of domains that begin, too.
pub fn special_by_root(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Events { who, expected, got } = difference else { return false };
    *who != 0
        && facts.root_given
        && surplus(expected, got)
            .is_some_and(|extra| extra.iter().all(|item| item.path() == Some(b"@introduceDomain")))
}

/// What everybody may see of `@releaseDomain` makes GET_PERMS of it different, too.
pub fn release_perms(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    let shown = |item: &Item| match item {
        Item::Reply { error: None, payload, .. } => payload.clone(),
        _ => Vec::new(),
    };
    request.kind == GET_PERMS
        && request.payload == b"@releaseDomain\0"
        && shown(got).ends_with(b"\0r32757\0")
        && (expected.error() == Some("EACCES")
            || [&shown(expected), b"r32757\0".as_slice()].concat() == shown(got))
}

/// SET_PERMS of a special node, in a transaction or not, makes watches on `/` fire.
pub fn special_root_watch(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let Difference::Events { expected, got, .. } = difference else { return false };
    let kinds = [SET_PERMS, message::TRANSACTION_END];
    (requests(step).iter().any(|request| kinds.contains(&request.kind)) || reads_again(step))
        && surplus(got, expected).is_some_and(|extra| extra.into_iter().all(Item::is_special))
}

fn valid_path(path: &[u8]) -> bool {
    let text = path.strip_prefix(b"/").unwrap_or(path);
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(byte);
    path == b"/" || (text.iter().all(good) && text.split(|byte| *byte == b'/').all(|part| !part.is_empty()))
}

/// Whether a guest may name it: a path is well formed, and no longer than guests' may be.
fn is_path_of_guests(path: &[u8]) -> bool {
    valid_path(path) && counted_length(path) < 2048
}

pub fn unwatch_path(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, got, .. } = difference else { return false };
    request.kind == UNWATCH
        && expected.error() == Some("ENOENT")
        && got.error() == Some("EINVAL")
        && !is_path_of_guests(strings(request)[0])
}

pub fn watch_special_name(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let [request] = requests(step) else { return false };
    let path = strings(request)[0];
    request.kind == WATCH && path.starts_with(b"@") && !valid_path(path) && refused_by_ours_only(difference)
}

/// Our server answered EINVAL, or sent no initial event for that reason.
fn refused_by_ours_only(difference: &Difference) -> bool {
    match difference {
        Difference::Reply { expected, got, .. } => {
            expected.error().is_none() && got.error() == Some("EINVAL")
        }
        Difference::Events { got, .. } => got.is_empty(),
        _ => false,
    }
}

/// Requests whose first string is a domid that is not a plain decimal one. 4.22 lets only blanks and a sign pass.
pub fn domid_syntax(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, got, .. } = difference else { return false };
    let strings = strings(request);
    let number = strings[0];
    if request.kind == message::CONTROL {
        // As in all versions. Other words than a domid are no row of this.
        let whose = strings.get(1).filter(|whose| ![&b"set"[..], b"max"].contains(whose));
        return number == b"quota"
            && whose.is_some_and(|whose| plain_number(whose).is_none())
            && got.error() == Some("EINVAL");
    }
    let after_sign = std::str::from_utf8(number).unwrap_or("?").trim_start().trim_start_matches(['+', '-']);
    matches!(
        request.kind,
        message::INTRODUCE
            | message::RELEASE
            | message::GET_DOMAIN_PATH
            | message::IS_DOMAIN_INTRODUCED
            | message::RESUME
            | message::SET_TARGET
            | message::GET_FEATURE..=message::SET_QUOTA
    ) && got.error() == Some("EINVAL")
        && plain_number(number).is_none()
        && (facts.release < Release::Xen4_22 || after_sign.parse::<u16>().is_ok())
}

/// The domid of a home, which does not count for the length of a path, may have a sign.
pub fn domid_of_a_home(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let path = strings(request)[0];
    *who != 0
        && path.starts_with(b"/local/domain/-")
        && counted_length(path) > 2048
        && expected.error() != Some("EINVAL")
        && got.error() == Some("EINVAL")
}

/// Bytes of a path that count towards the limit.
pub fn counted_length(path: &[u8]) -> usize {
    let home = path.strip_prefix(b"/local/domain/").and_then(|rest| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0 && rest.get(digits) == Some(&b'/')).then(|| rest.len() - digits - 1)
    });
    home.unwrap_or(path.len())
}

pub fn path_length(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, request, expected, got } = difference else { return false };
    let length = counted_length(strings(request)[0]);
    if *who == 0 {
        // Nothing limits dom0 but the payload.
        length > 2048 && expected.error() == Some("EINVAL") && got.error() != Some("EINVAL")
    } else {
        length == 2048 && expected.error() != Some("EINVAL") && got.error() == Some("EINVAL")
    }
}

pub fn newer_message(_: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { request, expected, .. } = difference else { return false };
    (message::GET_FEATURE..=message::SET_QUOTA).contains(&request.kind) && expected.error() == Some("ENOSYS")
}

/// What a message that the daemon does not know has set: a quota, or that a domain is known.
pub fn newer_setting(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    let shows = match (step, difference) {
        (Step::Fill(..), Difference::Note { .. }) => !facts.quotas_set.is_empty(),
        (_, Difference::Reply { request, expected, got, .. }) => {
            request.kind == message::CONTROL
                && strings(request)[0] == b"quota"
                && expected.error() == Some("ENOENT")
                && got.is_success()
        }
        _ => false,
    };
    facts.newer_unknown && shows
}

pub fn watch_depth(_: &Facts, step: &Step, difference: &Difference) -> bool {
    let [request] = requests(step) else { return false };
    let three = request.payload.iter().filter(|byte| **byte == 0).count() == 3;
    request.kind == WATCH
        && three
        && match difference {
            Difference::Reply { expected, got, .. } => {
                expected.error() == Some("EINVAL") && !matches!(got, Item::Stray(_))
            }
            Difference::Events { expected, got, .. } => expected.is_empty() && got.len() == 1,
            _ => false,
        }
}

/// What is offered, in the ring page and by GET_FEATURE, and what SET_FEATURE takes: the daemon has no
/// reconnection; 4.21 has only the error word and does not announce it to guests; older ones announce nothing.
pub fn server_features(facts: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Peek(_, Word::Features), Difference::Note { expected, got }) => {
            facts.release < Release::Xen4_22 || (expected.ends_with("Some(14)") && got.ends_with("Some(15)"))
        }
        (_, Difference::Reply { who, request, expected, got }) => match request.kind {
            message::GET_FEATURE if facts.release == Release::Xen4_21 => {
                got.number().is_some()
                    && (expected.number() == Some(2) || (*who != 0 && expected.error() == Some("EACCES")))
            }
            message::SET_FEATURE if facts.release == Release::Xen4_21 => {
                expected.error() == Some("EINVAL") && got.is_success()
            }
            message::GET_FEATURE => expected.number() == Some(14) && got.number() == Some(15),
            message::SET_FEATURE => {
                let value = strings(request).get(1).and_then(|value| plain_number(value));
                value.is_some_and(|value| value & 1 != 0)
                    && expected.error() == Some("EINVAL")
                    && got.is_success()
            }
            _ => false,
        },
        _ => false,
    }
}

pub fn any_domain(facts: &Facts, _: &Step, difference: &Difference) -> bool {
    let Difference::Reply { who, expected, got, .. } = difference else { return false };
    facts.any_domain
        && *who != 0
        && matches!(expected.error(), Some("EACCES" | "ENOENT"))
        && got.error() != Some("EACCES")
}

pub fn watch_quota_error(_: &Facts, step: &Step, difference: &Difference) -> bool {
    match (step, difference) {
        (Step::Fill(_, _, template), Difference::Note { expected, got }) => {
            template.starts_with("WATCH ") && expected.replace("E2BIG", "ENOSPC") == *got
        }
        (_, Difference::Reply { request, expected, got, .. }) => {
            request.kind == WATCH && expected.error() == Some("E2BIG") && got.error() == Some("ENOSPC")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use conformance::step::Request;

    #[test]
    fn only_a_domid_of_quota_may_be_odd() {
        let facts = Facts::of(Release::Xen4_17);
        for (payload, applies) in [
            (&b"quota\0junk\0"[..], true),
            (b"quota\0max\0", false),
            (b"quota\0set\0nodes\x005\0", false),
            (b"quota", false),
        ] {
            let request = Request::new(message::CONTROL, payload);
            let reply = |error: Option<&str>| Item::Reply {
                to: Rc::new(request.clone()),
                error: error.map(str::to_string),
                payload: Vec::new(),
            };
            let difference = Difference::Reply {
                who: 0,
                request: request.clone(),
                expected: reply(None),
                got: reply(Some("EINVAL")),
            };
            let step = Step::Requests(0, vec![request.clone()]);
            assert_eq!(domid_syntax(&facts, &step, &difference), applies, "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn a_path_below_a_home_counts_from_there() {
        assert_eq!(counted_length(b"/local/domain/12/abc"), 3);
        assert_eq!(counted_length(b"/local/domain/abc"), 17);
    }
}
