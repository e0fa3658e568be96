//! Paths: checked, made absolute, and cut into components.
//!
//! Every request's path passes [`canonicalize`] before anything looks at a node. So the same rules hold for the root,
//! for special names and for both spellings of a relative path. xenstore.txt, "Paths"; xs_wire.h.

use heapless::Vec;

use crate::abi::DomId;
use crate::hash::Key;
use crate::wire::{XsError, decimal};

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

/// Whether names that start with `@` are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    Allowed,
    Refused,
}

/// Checks `input` as sent by `domid` and makes it absolute.
///
/// `path_max` is the longest length allowed, a leading `/local/domain/<domid>/` not counted; `None` for
/// the privileged. Fails with EINVAL.
#[inline]
pub fn canonicalize<'a>(
    input: &'a [u8],
    domid: DomId,
    path_max: Option<u32>,
    special: Special,
    buf: &'a mut PathBuf,
) -> Result<Path<'a>, XsError> {
    let absolute = match input.first() {
        Some(b'/') => input,
        Some(b'@') if special == Special::Allowed => input,
        Some(b'@') | None => return Err(XsError::EINVAL),
        Some(_) => make_absolute(input, domid, buf)?,
    };
    let fits = path_max.is_none_or(|max| counted_len(absolute) <= max as usize);
    if fits && is_canonical(absolute) { Ok(Path(absolute)) } else { Err(XsError::EINVAL) }
}

#[inline(never)]
fn make_absolute<'a>(relative: &[u8], domid: DomId, buf: &'a mut PathBuf) -> Result<&'a [u8], XsError> {
    buf.clear();
    let mut digits = [0; 10];
    let [above, number] = home(domid, &mut digits);
    for part in [above, number, b"/", relative] {
        buf.extend_from_slice(part).map_err(|_| XsError::EINVAL)?;
    }
    Ok(buf)
}

/// Bytes that are checked at once: as many as a vector register holds.
const LANES: usize = 16;

fn is_valid(byte: u8) -> bool {
    // `/` comes before the digits, `@` before the capital letters.
    matches!(byte, b'a'..=b'z' | b'/'..=b'9' | b'@'..=b'Z' | b'-' | b'_')
}

/// Whether the bytes behind the last slash, `name`, may be in a path whose others may.
#[inline(always)] // Mostly it is some vector instructions.
pub fn ends_in_valid(path: &[u8], name: &[u8]) -> bool {
    match path.last_chunk::<LANES>() {
        Some(end) if name.len() <= LANES => end.iter().fold(true, |valid, byte| valid & is_valid(*byte)),
        _ => name.iter().all(|byte| is_valid(*byte)),
    }
}

/// Whether the second byte may follow the first in a path.
fn are_valid(byte: u8, next: u8) -> bool {
    is_valid(byte) & !((byte == b'/') & (next == b'/'))
}

fn all_valid(bytes: &[u8; LANES], next: &[u8; LANES]) -> bool {
    bytes.iter().zip(next).fold(true, |valid, (byte, next)| valid & are_valid(*byte, *next))
}

/// Valid characters only, and no component empty; the root alone may end in a slash.
fn is_canonical(absolute: &[u8]) -> bool {
    let Some((last, before)) = absolute.split_last() else { return false };
    if !is_valid(*last) || (*last == b'/' && !before.is_empty()) {
        return false;
    }
    let next = absolute.get(1..).unwrap_or_default();
    match (before.last_chunk(), next.last_chunk()) {
        // The last pairs are checked first, some of them twice, so that no shorter piece is left over.
        (Some(end), Some(end_next)) => {
            let chunks = before.as_chunks().0.iter().zip(next.as_chunks().0);
            chunks.fold(all_valid(end, end_next), |valid, (bytes, next)| valid & all_valid(bytes, next))
        }
        _ => before.iter().zip(next).fold(true, |valid, (byte, next)| valid & are_valid(*byte, *next)),
    }
}

/// The directory of all domains' homes.
const HOMES: &[u8] = b"/local/domain/";

/// `/local/domain/<domid>`, the directory that relative paths of that domain start from, in two parts.
pub fn home(domid: DomId, digits: &mut [u8; 10]) -> [&[u8]; 2] {
    [HOMES, decimal(u32::from(domid.0), digits)]
}

/// Length of a leading `/local/domain/<digits>/`, with its slash; 0 if there is none.
fn home_len(absolute: &[u8]) -> usize {
    let Some(rest) = absolute.strip_prefix(HOMES) else { return 0 };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=5).contains(&digits) && rest.get(digits) == Some(&b'/') { HOMES.len() + digits + 1 } else { 0 }
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

    /// A path as it is, if it is a canonical one of a node that is not special.
    pub fn absolute(bytes: &'a [u8]) -> Option<Path<'a>> {
        (bytes.first() == Some(&b'/') && is_canonical(bytes)).then_some(Path(bytes))
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

    /// The prefix of `len` bytes, which must be a path; the root if `len` is 0.
    pub fn cut(self, len: usize) -> Path<'a> {
        match self.0.get(..len) {
            Some([]) => Path::ROOT,
            Some(prefix) => Path(prefix),
            None => self,
        }
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
        key.hash(self.0)
    }

    /// Calls `each` with the prefixes that are paths themselves, with their hashes, until it fails: from the
    /// root (for a special name: only the name) to the whole. With `above`, a prefix, only those below it.
    #[inline]
    pub fn each_prefix<E>(
        self,
        key: &Key,
        above: Option<Path<'_>>,
        mut each: impl FnMut(Path<'a>, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_special() {
            return if above.is_none() { each(self, self.hash(key)) } else { Ok(()) };
        }
        key.each_prefix(self.0, above.map_or(0, |above| above.0.len()), |len, hash| {
            each(Path(self.0.get(..len).unwrap_or_default()), hash)
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

    /// The path to the node so many components below `above`, which is above this one, or this one if there are not so
    /// many.
    pub fn cut_below(self, above: Path<'_>, components: usize) -> Path<'a> {
        let skip = if above.is_root() { 0 } else { above.0.len() };
        let slashes = self.0.iter().enumerate().skip(skip).filter(|(_, byte)| **byte == b'/');
        let end = slashes.map(|(at, _)| at).nth(components).unwrap_or(self.0.len());
        Path(self.0.get(..end).unwrap_or_default())
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
    fn homes() {
        let rows: [(&str, &str); 8] = [
            ("/local/domain/5/data", "data"),
            ("/local/domain/12345/a/b", "a/b"),
            ("/local/domain/123456/a", "/local/domain/123456/a"),
            ("/local/domain/1234567/a", "/local/domain/1234567/a"),
            ("/local/domain/12345678/a", "/local/domain/12345678/a"),
            ("/local/domain/5", "/local/domain/5"),
            ("/local/domain/5x/data", "/local/domain/5x/data"),
            ("/local/domain//data", "/local/domain//data"),
        ];
        for (path, relative) in rows {
            assert_eq!(Path(path.as_bytes()).relative_to_home(), relative.as_bytes(), "{path}");
        }
    }

    #[test]
    fn cutting() {
        let key = Key::new(7);
        let path = Path(b"/a/bc/d");
        let prefixes = |path: Path<'static>, above: Option<Path<'_>>| {
            let mut prefixes = vec![];
            let told = path.each_prefix(&key, above, |prefix, hash| {
                assert_eq!(prefix.hash(&key), hash);
                prefixes.push(prefix.as_bytes());
                Ok::<(), ()>(())
            });
            assert_eq!(told, Ok(()));
            prefixes
        };
        assert_eq!(prefixes(path, None), [&b"/"[..], b"/a", b"/a/bc", b"/a/bc/d"]);
        assert_eq!(prefixes(path, Some(Path::ROOT)), [&b"/a"[..], b"/a/bc", b"/a/bc/d"]);
        assert_eq!(prefixes(path, Some(Path(b"/a/bc"))), [b"/a/bc/d"]);
        assert_eq!(prefixes(Path::ROOT, None), [b"/"]);
        assert_eq!(prefixes(Path(b"@x/1"), None), [b"@x/1"]);
        assert_eq!(path.components_reversed().collect::<std::vec::Vec<_>>(), [&b"d"[..], b"bc", b"a"]);
        assert_eq!((path.name(), path.parent()), (&b"d"[..], Some(Path(b"/a/bc"))));
        assert_eq!(Path(b"/a").parent(), Some(Path::ROOT));
        assert_eq!((Path::ROOT.parent(), Path::ROOT.name()), (None, &b""[..]));
        assert_eq!(path.depth_below(Path(b"/a")), Some(2));
        assert_eq!(path.depth_below(Path(b"/a/b")), None);
        assert_eq!(path.depth_below(Path::ROOT), Some(3));
        assert_eq!(path.depth_below(path), Some(0));
    }
}
