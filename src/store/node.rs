//! One node of the tree: two cache lines, linked to parent, siblings, children, owner's list and index.

use super::acl::AclId;
use super::origin::Origin;
use crate::slots::{Id, Linked, Links, List, Slot, Text, chained};

pub type NodeId = Id<Node>;

/// Bytes of a node's name that need no blob.
pub const NAME_INLINE: usize = 18;
/// Bytes of a node's value that need no blob.
pub const VALUE_INLINE: usize = 22;

/// Room for the longest name.
pub type NameBuf = heapless::Vec<u8, 4096>;

pub type Name = Text<NAME_INLINE>;
pub type Value = Text<VALUE_INLINE>;

#[derive(Clone, Copy)]
pub struct Node {
    /// Of its path.
    pub hash: u64,
    /// Changes with the value. No two values have the same, not even of two nodes.
    pub value_generation: u64,
    /// Changes with the list of children. Two nodes share one only if one was just made below the other, and
    /// then its list is empty.
    pub list_generation: u64,
    pub(super) chain: Option<NodeId>,
    /// `None` for the root and for special nodes.
    pub parent: Option<NodeId>,
    /// Oldest first.
    pub children: List<Node, Siblings>,
    pub siblings: Links<Node>,
    pub(super) owned: Links<Node>,
    pub(super) acl: Option<AclId>,
    /// Names of the children, each with its NUL.
    pub children_bytes: u32,
    pub name: Name,
    pub value: Value,
    /// How often its permissions were set, see [`Node::generation`].
    pub(super) acl_changes: AclChanges,
    /// Whether there may be watches on its path. Invariant: true if there is one.
    pub watched: bool,
    pub origin: Origin,
}

const _: () = assert!(size_of::<Node>() <= 112);

/// Counts changes of a node's permissions, and whether a privileged domain made the latest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AclChanges(u16);

impl AclChanges {
    pub const NONE: AclChanges = AclChanges(0);

    const PRIVILEGED: u16 = 1 << 15;

    /// The count, and above it whether a privileged domain made the latest.
    pub fn bits(self) -> u16 {
        self.0
    }

    pub fn from_bits(bits: u16) -> AclChanges {
        AclChanges(bits)
    }

    /// Counts one more. True if the count starts over.
    pub fn count(&mut self, privileged: bool) -> bool {
        let count = self.0.wrapping_add(1) % Self::PRIVILEGED;
        self.0 = count | if privileged { Self::PRIVILEGED } else { 0 };
        count == 0
    }

    pub fn by_privileged(self) -> bool {
        self.0 & Self::PRIVILEGED != 0
    }
}

impl Node {
    /// Bytes of memory a node takes beside what spills: its slot, arena bookkeeping, index head.
    pub const MEMORY: u32 = 128;

    /// Bytes of memory that a node with a name and a value of these lengths takes.
    pub const fn memory(name: usize, value: usize) -> u32 {
        Node::MEMORY + Name::memory(name) + Value::memory(value)
    }

    /// The generation that clients see. It differs after each change of the value, of the list of children or of the
    /// permissions. Changes of permissions are counted in the bits where the other two have their writer, because
    /// transactions conflict by those two. Invariant: a node never has the same generation twice. When the count of
    /// permission changes starts over, the list counts as changed.
    pub fn generation(&self) -> u64 {
        self.value_generation.max(self.list_generation) >> u16::BITS << u16::BITS
            | u64::from(self.acl_changes.0)
    }

    /// Whether it is gone, and only remembered: what the store began with, but for this. See `store::gone`.
    pub fn is_gone(&self) -> bool {
        self.acl.is_none() && !self.origin.is_client()
    }

    /// The permission list. Invariant: every node in use has one.
    pub fn acl(&self) -> Option<AclId> {
        self.acl
    }
}

impl Slot for Node {
    const EMPTY: Node = Node {
        hash: 0,
        value_generation: 0,
        list_generation: 0,
        chain: None,
        parent: None,
        children: List::EMPTY,
        siblings: Links::NONE,
        owned: Links::NONE,
        acl: None,
        children_bytes: 0,
        name: Text::EMPTY,
        value: Text::EMPTY,
        acl_changes: AclChanges::NONE,
        watched: false,
        origin: Origin::CLIENT,
    };
}

/// The list of one node's children.
pub enum Siblings {}

impl Linked<Siblings> for Node {
    fn links(&self) -> &Links<Node> {
        &self.siblings
    }
    fn links_mut(&mut self) -> &mut Links<Node> {
        &mut self.siblings
    }
}

/// The list of one domain's nodes.
pub enum Owned {}

impl Linked<Owned> for Node {
    fn links(&self) -> &Links<Node> {
        &self.owned
    }
    fn links_mut(&mut self) -> &mut Links<Node> {
        &mut self.owned
    }
}

chained!(Node);
