//! Paths: checked, made absolute, and cut into components.
//!
//! Every request's path passes [`canonicalize`] before anything looks at a node, so root, special names
//! and both spellings of a relative path meet the same rules. xenstore.txt, "Paths"; xs_wire.h.

use heapless::Vec;

use crate::abi::DomId;
use crate::hash::Key;
use crate::wire::XsError;

/// Longest payload, hence longest path as sent.
const PAYLOAD: usize = 4096;
/// Room for a payload behind `/local/domain/<domid>/`.
pub const ABSOLUTE_MAX: usize = PAYLOAD + 24;

/// Most prefixes of a path, the root included.
pub const PREFIXES_MAX: usize = ABSOLUTE_MAX / 2 + 1;

/// Storage of a relative path made absolute.
pub type PathBuf = Vec<u8, ABSOLUTE_MAX>;

/// A canonical absolute path: `/`, or components of valid characters each led by `/`, or a special name
/// that starts with `@`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path<'a>(&'a [u8]);

/// Whether names starting with `@` are welcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    Allowed,
    Refused,
}

/// Checks `input` as sent by `domid` and makes it absolute.
///
/// `path_max` is the longest length allowed, a leading `/local/domain/<domid>/` not counted; `None` for
/// the privileged. Fails with EINVAL.
pub fn canonicalize<'a>(
    input: &'a [u8],
    domid: DomId,
    path_max: Option<u32>,
    special: Special,
    buf: &'a mut PathBuf,
) -> Result<Path<'a>, XsError> {
    let absolute = match input.first() {
        None => return Err(XsError::EINVAL),
        Some(b'@') if special == Special::Refused => return Err(XsError::EINVAL),
        Some(b'/' | b'@') => input,
        Some(_) => {
            buf.clear();
            home(domid, buf)?;
            buf.extend_from_slice(b"/")
                .and_then(|()| buf.extend_from_slice(input))
                .map_err(|_| XsError::EINVAL)?;
            buf.as_slice()
        }
    };
    if !is_canonical(absolute) {
        return Err(XsError::EINVAL);
    }
    if path_max.is_some_and(|max| counted_len(absolute) > max as usize) {
        return Err(XsError::EINVAL);
    }
    Ok(Path(absolute))
}

/// What a byte may be in a path.
const INVALID: u8 = 1;
const SLASH: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [INVALID; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'@') {
            classes[byte] = 0;
        }
        byte += 1;
    }
    classes[b'/' as usize] = SLASH;
    classes
};

/// Valid characters only, and no component empty; the root alone may end in a slash.
fn is_canonical(absolute: &[u8]) -> bool {
    let (mut before, mut bad) = (0, 0);
    for byte in absolute {
        let class = CLASSES[usize::from(*byte)];
        bad |= (class & INVALID) | (class & before);
        before = class;
    }
    bad == 0 && (before != SLASH || absolute.len() == 1)
}

/// Writes `/local/domain/<domid>`, the directory that relative paths of that domain start from.
pub fn home<const N: usize>(domid: DomId, out: &mut Vec<u8, N>) -> Result<(), XsError> {
    use core::fmt::Write;
    write!(out, "/local/domain/{domid}").map_err(|_| XsError::EINVAL)
}

/// Length of a leading `/local/domain/<digits>/`, with its slash; 0 if there is none.
fn home_len(absolute: &[u8]) -> usize {
    const PREFIX: &[u8] = b"/local/domain/";
    let Some(rest) = absolute.strip_prefix(PREFIX) else { return 0 };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=5).contains(&digits) && rest.get(digits) == Some(&b'/') { PREFIX.len() + digits + 1 } else { 0 }
}

fn counted_len(absolute: &[u8]) -> usize {
    absolute.len() - home_len(absolute)
}

impl<'a> Path<'a> {
    pub const ROOT: Path<'static> = Path(b"/");
    pub const INTRODUCE_DOMAIN: Path<'static> = Path(b"@introduceDomain");
    pub const RELEASE_DOMAIN: Path<'static> = Path(b"@releaseDomain");

    /// A path known to be canonical when this was compiled.
    pub const fn from_static(bytes: &'static [u8]) -> Path<'static> {
        Path(bytes)
    }

    /// A path that is canonical by construction: a stored one, or a prefix of one.
    pub fn from_canonical(bytes: &'a [u8]) -> Path<'a> {
        Path(bytes)
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn is_root(self) -> bool {
        self.0 == b"/"
    }

    pub fn is_special(self) -> bool {
        self.0.first() == Some(&b'@')
    }

    /// The path without its last component; `None` for the root and for special names.
    pub fn parent(self) -> Option<Path<'a>> {
        if self.is_root() || self.is_special() {
            return None;
        }
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(0) => Some(Path::ROOT),
            Some(cut) => self.0.get(..cut).map(Path),
            None => None,
        }
    }

    /// The last component; the whole of a special name, nothing for the root.
    pub fn name(self) -> &'a [u8] {
        if self.is_special() {
            return self.0;
        }
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    pub fn hash(self, key: &Key) -> u64 {
        if self.is_special() {
            return key.child(key.root(), self.0);
        }
        let mut hash = key.root();
        let mut at = 1;
        while at < self.0.len() {
            (hash, at) = key.component(hash, self.0, at);
            at += 1;
        }
        hash
    }

    /// Each prefix that is itself a path, from the root (for a special name: only the name) to the whole,
    /// with its hash.
    pub fn prefixes(self, key: &Key) -> impl Iterator<Item = (Path<'a>, u64)> {
        let key = *key;
        let bytes = self.0;
        let special = self.is_special();
        let mut hash = key.root();
        let mut at = 0;
        let mut first = true;
        core::iter::from_fn(move || {
            if special {
                hash = key.child(hash, bytes);
                return core::mem::take(&mut first).then_some((Path(bytes), hash));
            }
            if core::mem::take(&mut first) {
                return Some((Path::ROOT, hash));
            }
            if at + 1 >= bytes.len() {
                return None;
            }
            (hash, at) = key.component(hash, bytes, at + 1);
            Some((Path(bytes.get(..at)?), hash))
        })
    }

    /// The components, from the last to the first.
    pub fn components_reversed(self) -> impl Iterator<Item = &'a [u8]> {
        let inner = if self.is_special() { self.0 } else { self.0.strip_prefix(b"/").unwrap_or_default() };
        let special = self.is_special();
        inner.rsplit(move |byte| *byte == b'/' && !special).filter(|name| !name.is_empty())
    }

    /// How many components lie between `ancestor` and this path; `None` if it is no ancestor.
    pub fn depth_below(self, ancestor: Path<'_>) -> Option<usize> {
        if ancestor.is_root() {
            return Some(self.components_reversed().count()).filter(|_| !self.is_special());
        }
        let rest = self.0.strip_prefix(ancestor.0)?;
        (rest.is_empty() || rest.first() == Some(&b'/'))
            .then(|| rest.iter().filter(|byte| **byte == b'/').count())
    }

    /// The path as a domain names it relative to its home: without `/local/domain/<domid>/`.
    pub fn relative_to_home(self) -> &'a [u8] {
        self.0.get(home_len(self.0)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(input: &[u8], max: Option<u32>) -> Result<std::vec::Vec<u8>, XsError> {
        let mut buf = PathBuf::new();
        canonicalize(input, DomId(5), max, Special::Allowed, &mut buf).map(|path| path.as_bytes().to_vec())
    }

    #[test]
    fn syntax() {
        let good: [(&[u8], &[u8]); 6] = [
            (b"/", b"/"),
            (b"/a/b-_9", b"/a/b-_9"),
            (b"/a/@b", b"/a/@b"),
            (b"data", b"/local/domain/5/data"),
            (b"@releaseDomain", b"@releaseDomain"),
            (b"@releaseDomain/7", b"@releaseDomain/7"),
        ];
        for (input, output) in good {
            assert_eq!(canonical(input, None).as_deref(), Ok(output));
        }
        let bad: [&[u8]; 9] =
            [b"", b"//", b"/a/", b"/a//b", b"a//b", b"a/", b"/a b", b"/a.b", b"/local/domain/"];
        for input in bad {
            assert_eq!(canonical(input, None), Err(XsError::EINVAL), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn length_is_counted_below_the_home() {
        let relative = vec![b'a'; 2048];
        assert!(canonical(&relative, Some(2048)).is_ok());
        assert!(canonical(&relative, Some(2047)).is_err());
        assert!(canonical(&[b"/local/domain/32000/", relative.as_slice()].concat(), Some(2048)).is_ok());
        assert!(canonical(&[b"/local/domain/320000/", relative.as_slice()].concat(), Some(2048)).is_err());
        assert!(canonical(&vec![b'a'; 4096], None).is_ok());
    }

    #[test]
    fn cutting() {
        let key = Key::new(7);
        let path = Path(b"/a/bc/d");
        let prefixes: std::vec::Vec<_> = path.prefixes(&key).map(|(path, _)| path.as_bytes()).collect();
        assert_eq!(prefixes, [&b"/"[..], b"/a", b"/a/bc", b"/a/bc/d"]);
        for (prefix, hash) in path.prefixes(&key) {
            assert_eq!(prefix.hash(&key), hash);
        }
        assert_eq!(path.components_reversed().collect::<std::vec::Vec<_>>(), [&b"d"[..], b"bc", b"a"]);
        assert_eq!((path.name(), path.parent()), (&b"d"[..], Some(Path(b"/a/bc"))));
        assert_eq!(Path(b"/a").parent(), Some(Path::ROOT));
        assert_eq!((Path::ROOT.parent(), Path::ROOT.name()), (None, &b""[..]));
        assert_eq!(Path(b"@x/1").prefixes(&key).count(), 1);
        assert_eq!(path.depth_below(Path(b"/a")), Some(2));
        assert_eq!(path.depth_below(Path(b"/a/b")), None);
        assert_eq!(path.depth_below(Path::ROOT), Some(3));
        assert_eq!(path.depth_below(path), Some(0));
    }
}
