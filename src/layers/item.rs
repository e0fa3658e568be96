//! What a layer says, and how long it may be.

use crate::abi::DomId;
use crate::path::Path;
use crate::perms::Access;

/// Longest path, bytes: what a request has room for.
pub const PATH_MAX: usize = 4095;
/// Longest value, bytes: what an answer has room for.
pub const VALUE_MAX: usize = 4096;
/// Longest line, bytes without its end: the longest path, the longest value with an escape for each byte, and the
/// longest permission list.
pub const LINE_MAX: usize = 24 * 1024;
/// Most entries of one list.
pub const PERMISSIONS_MAX: usize = 512;

/// What a layer says, one thing after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// The lower layers' node is not there, nor what is below it.
    Whiteout(Path<'a>),
    /// What the lower layers have below it is not there.
    Opaque(Path<'a>),
    Node(Node<'a>),
}

/// A node of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node<'a> {
    pub path: Path<'a>,
    /// `None`: the lower layers', or empty.
    pub value: Option<&'a [u8]>,
    /// The owner first. `None`: the lower layers', or those of the node above.
    pub permissions: Option<&'a [Permission]>,
}

/// An entry of a permission list, by the number of the domain.
pub type Permission = (Access, DomId);

const _: () = assert!(PATH_MAX + 4 * VALUE_MAX + 7 * PERMISSIONS_MAX + 16 <= LINE_MAX);
