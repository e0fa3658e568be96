//! A request as it can be asked again: what a record does not have is made up, of the same size.

use std::collections::BTreeMap;

use xenstore::trace::Kind;
use xenstore::wire::{MessageType, PAYLOAD_MAX};

use crate::dump::Dump;
use crate::requests::Request;

pub enum Message {
    Ask(MessageType, Vec<u8>),
    /// With the reason.
    LeaveOut(&'static str),
}

/// How many watches each domain has on each path, so that each has a token of its own.
#[derive(Default)]
pub struct Watches(BTreeMap<(u16, String), usize>);

impl Watches {
    /// The token of a WATCH or UNWATCH, of `len` bytes if so many are enough. One that fails names what others have left: a
    /// WATCH the last watch that is there, an UNWATCH none that is. An UNWATCH of a watch that nobody has set has none.
    fn token(&mut self, domid: u16, path: &str, len: usize, is_watch: bool, failed: bool) -> Option<String> {
        let count = self.0.entry((domid, path.to_owned())).or_default();
        if *count == 0 && !is_watch && !failed {
            return None;
        }
        let last = count.saturating_sub(1);
        let number = if is_watch != failed { *count } else { last };
        if !failed {
            *count = if is_watch { *count + 1 } else { last };
        }
        Some(format!("{number:0>len$}"))
    }

    pub fn forget(&mut self, domid: u16) {
        self.0.retain(|(other, _), _| *other != domid);
    }
}

/// A path as the store takes one; records may have only its beginning, or nothing but its hash.
pub fn path<'a>(dump: &'a Dump, request: &Request<'_>) -> Option<&'a str> {
    let path = dump.path(request.ended.hash);
    let is_path = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte));
    (is_path && path.starts_with(['/', '@'])).then_some(path)
}

pub fn message(dump: &Dump, request: &Request<'_>, watches: &mut Watches) -> Message {
    match made_up(dump, request, watches) {
        // A relative path may have been shorter.
        Message::Ask(_, payload) if payload.len() > PAYLOAD_MAX => {
            Message::LeaveOut("longer than a message may be, with its whole path")
        }
        message => message,
    }
}

fn made_up(dump: &Dump, request: &Request<'_>, watches: &mut Watches) -> Message {
    use MessageType::*;
    let Some(msg_type) = MessageType::from_wire(request.ended.msg_type.into()) else {
        return Message::LeaveOut("no type that there is");
    };
    let domid = request.ended.domid.0;
    let ask = |words: &[&str]| {
        let payload = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
        Message::Ask(msg_type, payload)
    };
    match msg_type {
        TransactionStart => return ask(&[""]),
        ResetWatches => {
            watches.forget(domid);
            return ask(&[""]);
        }
        TransactionEnd => {
            let given_up = request.inside.iter().any(|n| dump.records[*n].kind == Kind::TransactionAborted);
            // One that was refused at its end was to be committed.
            return ask(&[if given_up && request.ended.error.is_none() { "F" } else { "T" }]);
        }
        Control => return Message::LeaveOut("an operator's"),
        Introduce | Release | Resume | SetTarget | GetDomainPath | IsDomainIntroduced => {
            return Message::LeaveOut("no domains are behind a socket");
        }
        GetFeature | SetFeature | GetQuota | SetQuota | WatchEvent | Error => {
            return Message::LeaveOut("records do not have what it says");
        }
        _ => {}
    }
    let Some(path) = path(dump, request) else { return Message::LeaveOut("its path is not known") };
    // What the payload had besides the path, if it was absolute or the begin is there at all.
    let home = format!("/local/domain/{domid}/");
    let named = path.strip_prefix(&home).filter(|_| domid != 0).unwrap_or(path).len() + 1;
    let size = request.begun.map_or(named, |begun| begun.size.into());
    let rest = size.saturating_sub(named);
    match msg_type {
        Write => {
            let value = vec![b'v'; rest];
            Message::Ask(msg_type, [path.as_bytes(), &[0], &value].concat())
        }
        Watch | Unwatch => {
            let token = watches.token(
                domid,
                path,
                rest.saturating_sub(1),
                msg_type == Watch,
                request.ended.error.is_some(),
            );
            token.map_or(Message::LeaveOut("its watch was set before"), |token| ask(&[path, &token]))
        }
        SetPerms => ask(&[path, "n0"]),
        DirectoryPart => ask(&[path, "0"]),
        _ => ask(&[path]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_watch_on_a_path_has_its_own_token() {
        let mut watches = Watches::default();
        let mut token = |len, is_watch, failed| {
            watches.token(1, "/a", len, is_watch, failed).unwrap_or_else(|| "none".into())
        };
        assert_eq!([token(3, true, false), token(1, true, false)], ["000", "1"]);
        assert_eq!([token(0, true, true), token(0, false, true)], ["1", "2"]);
        assert_eq!([token(1, false, false), token(3, false, false)], ["1", "000"]);
        assert_eq!([token(3, false, false), token(3, true, false)], ["none", "000"]);
        watches.forget(1);
        assert_eq!(watches.token(2, "/a", 0, true, false).as_deref(), Some("0"));
        assert_eq!(watches.token(1, "/a", 0, true, false).as_deref(), Some("0"));
    }
}
