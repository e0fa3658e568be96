//! Files of layers, read and put together.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};

use xenstore::state::Source;

/// What layers of records begin with.
const RECORDS: &[u8] = b"xenstore\0";

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's name for a terminal: what could steer that is told by its number.
pub fn shown(file: &Path) -> String {
    let name = file.display().to_string();
    name.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// The text of a file, whichever form it has. One with more behind its end is refused, such as files that were put together by
/// hand, or a text of two bytes for each letter.
pub fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|all| bytes = all)
    };
    let name = shown(file);
    read.map_err(|error| format!("{name}: {error}"))?;
    if bytes.starts_with(RECORDS) {
        return text_of_records(&bytes).map_err(|why| format!("{name}: {why}"));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(format!("{name}: gzip is not unpacked"));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(format!(
            "{name}:1: it begins with a byte order mark, as some editors write: have plain ASCII"
        ));
    }
    // What the parser says of them tells nobody who sees only an ordinary line.
    let returns = |line: &[u8]| line.ends_with(b"\r\n") && !line.starts_with(b"#");
    if let Some(at) = body(&bytes).position(returns) {
        let line = at + 1;
        return Err(format!(
            "{name}:{line}: the line ends with a carriage return, as Windows writes: tr -d '\\r' takes them away"
        ));
    }
    let read: usize = body(&bytes).map(<[u8]>::len).sum();
    let (end, behind) = match bytes[read..].strip_prefix(b"end") {
        Some(behind) => ("the line 'end'", behind),
        None => ("a byte 0", &bytes[read..]),
    };
    if let Some(at) = something_in(behind) {
        let before = &bytes[..bytes.len() - behind.len() + at];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        return Err(format!("{name}:{line}: {}", unread(end)));
    }
    Ok(bytes)
}

/// Where the first byte is that says something: modules are filled up with zeros.
fn something_in(behind: &[u8]) -> Option<usize> {
    behind.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0)
}

fn unread(end: &str) -> String {
    format!("nobody reads what is behind {end}: pack puts files together")
}

/// Bytes that are read, and how many are left.
struct Counted<'a> {
    rest: &'a [u8],
    left: &'a Cell<usize>,
}

impl Source for Counted<'_> {
    fn next(&self) -> &[u8] {
        self.rest
    }

    fn pass(&mut self, count: usize) {
        self.rest.pass(count);
        self.left.set(self.rest.len());
    }
}

/// The text that says what records say.
fn text_of_records(records: &[u8]) -> Result<Vec<u8>, String> {
    let left = Cell::new(records.len());
    let text = support::layers::text_from(Counted { rest: records, left: &left })?;
    let behind = &records[records.len() - left.get()..];
    if something_in(behind).is_some() { Err(unread("the last record")) } else { Ok(text) }
}

/// The lines before the end of a text.
fn body(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    text.split_inclusive(|byte| *byte == b'\n')
        .take_while(|line| line.strip_suffix(b"\n").unwrap_or(line) != b"end")
}

/// The layers of a text, each with its name.
pub fn sections(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut sections: Vec<(String, Vec<u8>)> = Vec::new();
    let mut before = Vec::new();
    for line in body(text) {
        let name =
            line.strip_prefix(b"layer ").map(|name| String::from_utf8_lossy(name).trim_end().to_string());
        let is_blank = matches!(line.first(), Some(b'#' | b'\n'));
        match (name, sections.last_mut()) {
            (Some(name), _) => sections.push((name, std::mem::take(&mut before))),
            (None, None) if is_blank => {
                before.extend_from_slice(line);
                continue;
            }
            (None, None) => sections.push(("unnamed".to_string(), std::mem::take(&mut before))),
            (None, Some(_)) => {}
        }
        if let Some((_, layer)) = sections.last_mut() {
            layer.extend_from_slice(line);
        }
    }
    sections
}

/// Several files in one text, and which of its lines are whose.
pub struct Pack {
    pub text: Vec<u8>,
    /// For each file its first line, and how many were put before its own.
    starts: Vec<(u32, u32, PathBuf)>,
}

impl Pack {
    /// A layer without a name is called as its file.
    pub fn of(files: &[PathBuf]) -> Result<Pack, String> {
        let (mut text, mut starts, mut lines) = (Vec::new(), Vec::new(), 0);
        for file in files {
            let from = read(file)?;
            let is_named = sections(&from).first().is_some_and(|(_, layer)| {
                layer.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"layer "))
            });
            let mut part = Vec::new();
            if !is_named {
                part.extend(format!("layer {}\n", name_of(file)).into_bytes());
            }
            body(&from).for_each(|line| part.extend_from_slice(line));
            if part.last() != Some(&b'\n') {
                part.push(b'\n');
            }
            starts.push((lines, u32::from(!is_named), file.clone()));
            lines += part.iter().filter(|byte| **byte == b'\n').count() as u32;
            text.extend(part);
        }
        text.extend(b"end\n");
        Ok(Pack { text, starts })
    }

    /// The same with one more layer on top, which has a name and an end and comes from there.
    pub fn with(mut self, layer: &[u8], from: &Path) -> Pack {
        let whole = self.text.len() - b"end\n".len();
        self.text.truncate(whole);
        let lines = self.text.iter().filter(|byte| **byte == b'\n').count() as u32;
        self.starts.push((lines, 0, from.to_path_buf()));
        self.text.extend_from_slice(layer);
        self
    }

    /// One file, with nothing added.
    pub fn as_it_is(file: &Path) -> Result<Pack, String> {
        Ok(Pack { text: read(file)?, starts: vec![(0, 0, file.to_path_buf())] })
    }

    /// The file of a line, and which of its lines that is.
    pub fn place(&self, line: u32) -> (String, u32) {
        let start = self.starts.iter().rfind(|(first, ..)| *first < line.max(1));
        start.map_or_else(Default::default, |(first, added, file)| {
            (shown(file), line.saturating_sub(first + added))
        })
    }
}

/// What a layer is called that has no name: as its file, without what a name cannot have.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let valid = |byte: &char| byte.is_ascii_alphanumeric() || "-_.+".contains(*byte);
    let name: String = stem.chars().filter(valid).take(31).collect();
    if name.is_empty() { "unnamed".to_string() } else { name }
}
