//! The records of a stream that is a layer: NODE, and LAYER for what that has no place for. All others are passed over.

use super::format::{END, LAYER, Layer, NODE, VERSIONS};
use super::reader::{Reader, Source};

pub use super::fault::Fault;
pub use super::format::{IDENT, Node, Permission};

/// What a record says. What it has besides is read next.
pub enum What {
    /// The layer's name has so many bytes.
    Name(usize),
    /// So has the path of a node that is removed, or only what is below it.
    Removal { len: usize, below_only: bool },
    /// The next node's value is that of the layers below.
    KeepsValue,
    /// Entries, the path with its NUL, and the value.
    Node(Node),
    /// Nothing that a layer has.
    Other,
}

/// The records of one stream, in order.
pub struct Records<'a> {
    reader: Reader<'a>,
}

/// Reads the header. Returns whether numbers are big-endian.
pub fn header(source: &mut dyn Source) -> Result<bool, Fault> {
    let mut reader = Reader::new(source);
    let version = reader.header()?;
    if VERSIONS.contains(&version) { Ok(reader.is_big_endian()) } else { Err(Fault::BadVersion) }
}

impl<'a> Records<'a> {
    /// Those from there on.
    pub fn at(source: &'a mut dyn Source, big_endian: bool) -> Records<'a> {
        Records { reader: Reader::within(source, big_endian, 0) }
    }

    /// Passes over what is left of a record.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.reader.finish()
    }

    /// The next record; `None` at the end of the stream.
    pub fn record(&mut self) -> Result<Option<What>, Fault> {
        match self.reader.next()?.record {
            END => Ok(None),
            NODE => {
                let node: Node = self.reader.part()?;
                Ok(Some(if node.transaction == 0 { What::Node(node) } else { What::Other }))
            }
            LAYER => {
                let Layer { kind, len, .. } = self.reader.part()?;
                let len = usize::from(len);
                Ok(Some(match kind {
                    0 => What::Name(len),
                    1 | 2 => What::Removal { len, below_only: kind == 2 },
                    3 => What::KeepsValue,
                    _ => What::Other,
                }))
            }
            _ => Ok(Some(What::Other)),
        }
    }

    pub fn entry(&mut self) -> Result<Permission, Fault> {
        self.reader.part()
    }

    /// So many bytes, in the buffer, in place of what was there.
    #[inline(never)]
    pub fn text<const N: usize>(&mut self, len: usize, buf: &mut heapless::Vec<u8, N>) -> Result<(), Fault> {
        self.reader.gather(len, buf, Fault::LongPath)
    }
}
