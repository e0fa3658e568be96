//! Layers in their other form, and in pieces.

use xenstore::layers::{
    Buffers, Item, Line, PermissionBuf, ValueBuf, parse, permissions, quoted, read_records,
};
use xenstore::perms::letter;
use xenstore::state::Source;

/// Bytes that come in pieces of one size.
#[derive(Clone)]
pub struct Pieces<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    pub size: usize,
}

impl Source for Pieces<'_> {
    fn next(&self) -> &[u8] {
        let end = (self.at / self.size + 1) * self.size;
        self.bytes.get(self.at..end.min(self.bytes.len())).unwrap_or_default()
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
    }
}

fn record(kind: u32, body: &[u8], out: &mut Vec<u8>) {
    out.extend(kind.to_le_bytes());
    out.extend((body.len().next_multiple_of(8) as u32).to_le_bytes());
    out.extend(body);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// LAYER, see docs/state.md.
fn directive(kind: u16, text: &[u8], out: &mut Vec<u8>) {
    let head = [kind.to_le_bytes(), (text.len() as u16).to_le_bytes(), [0; 2], [0; 2]].concat();
    record(0x8000_000c, &[&head, text].concat(), out);
}

/// A layer in the form of records, from the same in the form of text. What is wrong is said with its line.
pub fn records(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = b"xenstore".to_vec();
    out.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    for (n, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let (mut value, mut permissions) = (ValueBuf::new(), PermissionBuf::new());
        let line = parse(line, &mut value, &mut permissions);
        match line.map_err(|(fault, _)| format!("line {}: {}", n + 1, fault.text()))? {
            Line::Nothing => {}
            Line::End => break,
            Line::Layer(name) => directive(0, name, &mut out),
            Line::Item(Item::Whiteout(path)) => directive(1, path.as_bytes(), &mut out),
            Line::Item(Item::Opaque(path)) => directive(2, path.as_bytes(), &mut out),
            Line::Item(Item::Node(node)) => {
                if node.value.is_none() {
                    directive(3, b"", &mut out);
                }
                let (value, list) = (node.value.unwrap_or_default(), node.permissions.unwrap_or_default());
                let path = node.path.as_bytes();
                let mut body = vec![0; 8];
                for number in [path.len() + 1, value.len(), 2, list.len()] {
                    body.extend((number as u16).to_le_bytes());
                }
                for (access, domid) in list {
                    body.extend([letter(*access), 0]);
                    body.extend(domid.0.to_le_bytes());
                }
                body.extend([path, b"\0", value].concat());
                record(5, &body, &mut out);
            }
        }
    }
    record(0, b"", &mut out);
    Ok(out)
}

/// The other way round, without `end`.
pub fn text(records: &[u8]) -> Result<Vec<u8>, String> {
    text_from(records)
}

/// The same of records that come from anywhere.
pub fn text_from(records: impl Source) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut put = |line: Line<'_>| {
        let bytes = match line {
            Line::Nothing | Line::End => Vec::new(),
            Line::Layer(name) => [b"layer ", name, b"\n"].concat(),
            Line::Item(Item::Whiteout(path)) => [b"whiteout ", path.as_bytes(), b"\n"].concat(),
            Line::Item(Item::Opaque(path)) => [b"opaque ", path.as_bytes(), b"\n"].concat(),
            Line::Item(Item::Node(node)) => {
                let mut rest = String::new();
                let said = match node.value {
                    Some(value) => {
                        rest += " = ";
                        quoted(value, &mut rest)
                    }
                    None => {
                        rest += ":";
                        Ok(())
                    }
                };
                let list = node.permissions.map(|list| permissions(list.iter().copied(), &mut rest));
                said.and(list.unwrap_or(Ok(()))).expect("a string has room");
                [node.path.as_bytes(), rest.as_bytes(), b"\n"].concat()
            }
        };
        out.extend(bytes);
        Ok(())
    };
    let mut buffers = Box::new(Buffers::EMPTY);
    read_records(records, &mut buffers, &mut put).map_err(|trouble| trouble.to_string())?;
    Ok(out)
}
