//! Bytes as a guest may send them. Every parser takes any bytes without a panic, and what it accepts keeps its meaning
//! when it is written again.

use xenstore::abi::DomId;
use xenstore::hash::Key;
use xenstore::path::{Path, PathBuf, Special, canonicalize};
use xenstore::perms::{self, Access, Caller, Entry, Life};
use xenstore::wire::{Header, MessageType, number, one_string, strict_domid, strings};

pub fn run(data: &[u8]) {
    if let Some((bytes, payload)) = data.split_first_chunk::<{ Header::SIZE }>() {
        header(bytes);
        arguments(payload);
    }
    if let Some((settings, rest)) = data.split_first_chunk::<4>() {
        let [low, high, max, special] = *settings;
        let special = if special.is_multiple_of(2) { Special::Allowed } else { Special::Refused };
        let max = (max != 0).then_some(u32::from(max) * 16);
        paths(rest, DomId(u16::from_le_bytes([low, high])), max, special);
    }
    permissions(data);
}

fn header(bytes: &[u8; Header::SIZE]) {
    let header = Header::parse(bytes);
    assert_eq!(header.emit(), *bytes);
    if let Some(msg_type) = MessageType::from_wire(header.msg_type) {
        assert_eq!(msg_type as u32, header.msg_type);
        assert!(!msg_type.name().is_empty());
    }
}

fn arguments(payload: &[u8]) {
    let args = strings(payload);
    let all: Vec<&[u8]> = args.collect();
    assert_eq!(all.len(), args.remaining());
    let mut rest = args;
    while rest.next().is_some() {}
    let mut again = Vec::new();
    for string in &all {
        assert!(!string.contains(&0));
        again.extend_from_slice(string);
        again.push(0);
    }
    again.extend_from_slice(rest.rest());
    assert_eq!(again, payload);
    if let Ok(string) = one_string(payload) {
        assert_eq!((all.as_slice(), rest.rest()), (&[string][..], &b""[..]));
    }
    for string in all {
        let value = number(string);
        assert_eq!(number(value.to_string().as_bytes()), value);
        if let Ok(domid) = strict_domid(string) {
            assert_eq!(strict_domid(domid.to_string().as_bytes()), Ok(domid));
            assert_eq!(i64::from(domid.0), value);
        }
    }
}

fn paths(input: &[u8], domid: DomId, max: Option<u32>, special: Special) {
    let mut buf = PathBuf::new();
    let Ok(path) = canonicalize(input, domid, max, special, &mut buf) else { return };
    let bytes = path.as_bytes();
    let mut other = PathBuf::new();
    assert_eq!(canonicalize(bytes, DomId(domid.0 ^ 1), max, special, &mut other), Ok(path));
    assert!(bytes.starts_with(b"/") || (path.is_special() && special == Special::Allowed));

    let key = Key::new(7);
    let mut prefixes: Vec<(Path<'_>, u64)> = Vec::new();
    let told = path.each_prefix(&key, None, |prefix, hash| {
        prefixes.push((prefix, hash));
        Ok::<(), ()>(())
    });
    assert_eq!(told, Ok(()));
    let mut at = Some(path);
    for (n, (prefix, hash)) in prefixes.iter().rev().enumerate() {
        assert_eq!((at, *hash), (Some(*prefix), prefix.hash(&key)));
        assert_eq!(path.depth_below(*prefix), Some(n));
        at = prefix.parent();
    }
    assert_eq!(at, None);
    let names: Vec<&[u8]> = path.components_reversed().collect();
    assert!(path.is_special() || names.len() == prefixes.len() - 1);
    assert_eq!(names.first().copied().unwrap_or_default(), path.name());
    assert!(bytes.ends_with(path.relative_to_home()));
    let relative = path.relative_to_home();
    if relative.len() < bytes.len() && !relative.starts_with(b"@") {
        let home = &bytes[..bytes.len() - relative.len() - 1];
        let digits = home.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if let Ok(home) = strict_domid(digits)
            && home.to_string().as_bytes() == digits
        {
            assert_eq!(canonicalize(relative, home, max, special, &mut other), Ok(path));
        }
    }
}

fn permissions(data: &[u8]) {
    for string in data.split(|byte| *byte == 0) {
        if let Ok((access, domid)) = perms::parse(string) {
            let again = format!("{}{domid}", char::from(perms::letter(access)));
            assert_eq!(perms::parse(again.as_bytes()), Ok((access, domid)));
        }
    }
    let (chunks, _) = data.as_chunks::<{ Entry::SIZE }>();
    let list = || chunks.iter().map(|bytes| Entry::from_bytes(*bytes)).map(written);
    for entry in list() {
        assert_eq!(Entry::from_bytes(entry.to_bytes()), entry);
    }
    let guest = Caller { domid: DomId(1), life: Life(2), target: Life::NONE };
    let granted = guest.access(list());
    assert!(!granted.contains(Access::OWNER) || granted == Access::all());
    assert_eq!(Caller { life: Life::PRIVILEGED, ..guest }.access(list()), Access::all());
}

/// Entries as clients write them never say `OWNER`.
fn written(entry: Entry) -> Entry {
    Entry { access: entry.access & (Access::READ | Access::WRITE), ..entry }
}
