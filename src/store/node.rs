//! One node of the tree: little more than a cache line, linked to parent, siblings, children, owner's list and index.

use super::acl::AclId;
use super::name::Name;
use super::origin::Origin;
use crate::path::{ABSOLUTE_MAX, PREFIXES_MAX};
use crate::slots::{Id, Linked, Links, Ring, Slot, Text, chained};

pub type NodeId = Id<Node>;

/// Bytes of a node's value that need no blob.
pub const VALUE_INLINE: usize = 7;

/// Room for the longest name, which is nearly a whole path, and for any token.
pub type NameBuf = heapless::Vec<u8, ABSOLUTE_MAX>;

pub type Value = Text<VALUE_INLINE>;

/// Its numbers of eight bytes need not lie at multiples of eight: so four bytes of the arena go beside it without a gap.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
pub struct Node {
    /// Of its path.
    pub hash: u64,
    /// Changes with the value. No two values have the same, not even of two nodes. Above it: whether there may be watches on
    /// its path, and where it comes from.
    pub(super) value_number: Numbered,
    /// Changes with the list of children. Two nodes share one only if one was just made below the other, and
    /// then its list is empty. Above it: its [`AclChanges`].
    pub(super) list_number: Numbered,
    pub(super) chain: Option<NodeId>,
    /// `None` for the root and for special nodes.
    pub parent: Option<NodeId>,
    /// Oldest first.
    pub children: Ring<Node, Siblings>,
    pub siblings: Links<Node>,
    pub(super) owned: Links<Node>,
    pub(super) acl: Option<AclId>,
    /// Names of the children, each with its NUL.
    pub children_bytes: u32,
    pub name: Name,
    pub value: Value,
}

const _: () = assert!(size_of::<Node>() == 76);

/// Whether there may be watches on a node's path, beside its [`Origin`].
const WATCHED: u8 = 1 << 7;

/// A generation, which has 56 bits, and a byte of another matter above it.
#[derive(Clone, Copy)]
pub(super) struct Numbered(u64);

impl Numbered {
    const BITS: u32 = u64::BITS - u8::BITS;

    #[inline(always)]
    fn generation(self) -> u64 {
        self.0 & ((1 << Self::BITS) - 1)
    }

    /// As a comparison of generations, in fewer steps.
    #[inline(always)]
    fn is_of(self, generation: u64) -> bool {
        (self.0 ^ generation) << u8::BITS == 0
    }

    #[inline(always)]
    fn with_generation(self, generation: u64) -> Numbered {
        Numbered(self.0 >> Self::BITS << Self::BITS | generation)
    }

    #[inline(always)]
    fn byte(self) -> u8 {
        (self.0 >> Self::BITS) as u8
    }

    #[inline(always)]
    fn with_byte(self, byte: u8) -> Numbered {
        Numbered(self.generation() | u64::from(byte) << Self::BITS)
    }
}

/// Counts changes of a node's permissions, and whether a privileged domain made the latest. The count comes round, but never
/// back to 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AclChanges(u8);

impl AclChanges {
    pub const NONE: AclChanges = AclChanges(0);

    const PRIVILEGED: u8 = 1 << 7;

    /// The count, and in the highest bit whether a privileged domain made the latest.
    pub fn bits(self) -> u16 {
        u16::from(self.0 & !Self::PRIVILEGED) | u16::from(self.0 & Self::PRIVILEGED) << u8::BITS
    }

    /// Of a higher count only what there is room for is kept.
    pub fn from_bits(bits: u16) -> AclChanges {
        AclChanges(bits as u8 & !Self::PRIVILEGED | (bits >> u8::BITS) as u8 & Self::PRIVILEGED)
    }

    /// Counts one more. True if the count starts over.
    pub fn count(&mut self, privileged: bool) -> bool {
        let count = self.0.wrapping_add(1) & !Self::PRIVILEGED;
        self.0 = count.max(1) | if privileged { Self::PRIVILEGED } else { 0 };
        count == 0
    }

    pub fn by_privileged(self) -> bool {
        self.0 & Self::PRIVILEGED != 0
    }
}

impl Node {
    /// Bytes of memory a node takes beside what spills: its slot, arena bookkeeping, index head, its part of the cache.
    pub const MEMORY: u32 = 84;

    /// The generation of a change has so many bits, those of its writer included.
    pub const GENERATION_BITS: u32 = Numbered::BITS;

    /// A node that has just been made, of a path with this hash.
    #[inline(always)]
    pub fn new(hash: u64, generation: u64, origin: Origin, watched: bool) -> Node {
        let flags = origin.packed() | if watched { WATCHED } else { 0 };
        let value_number = Numbered(generation | u64::from(flags) << Numbered::BITS);
        Node { hash, value_number, list_number: Numbered(generation), ..Node::EMPTY }
    }

    /// The same node of another path, of which nothing has changed since it was made.
    #[inline(always)] // As `restore_numbers`.
    pub fn made(&self, hash: u64, generation: u64) -> Node {
        let value_number = self.value_number.with_generation(generation);
        Node { hash, value_number, list_number: Numbered(generation), ..*self }
    }

    /// Bytes of memory that a node takes whose name takes so many beside it, with a value of this length.
    pub const fn memory(name: u32, value: usize) -> u32 {
        Node::MEMORY + name + Value::memory(value)
    }

    /// The generation that clients see. It differs after each change of the value, of the list of children or of the
    /// permissions. Changes of permissions are counted in the bits where the other two have their writer, because
    /// transactions conflict by those two. Invariant: a node never has the same generation twice. When the count of
    /// permission changes starts over, the list counts as changed.
    pub fn generation(&self) -> u64 {
        let (value, list) = (self.value_number.0 << u8::BITS, self.list_number.0 << u8::BITS);
        value.max(list) >> (u8::BITS + u16::BITS) << u16::BITS | u64::from(self.list_number.byte())
    }

    /// Gives it the numbers of a state, as far as there is room for them.
    #[inline(always)] // Of each node that a state has.
    pub fn restore_numbers(&mut self, value: u64, list: u64, changes: AclChanges, origin: Origin) {
        self.value_number = Numbered(value).with_byte(self.value_number.byte() & WATCHED | origin.packed());
        self.list_number = Numbered(list).with_byte(changes.0);
    }

    pub fn value_generation(&self) -> u64 {
        self.value_number.generation()
    }

    /// Whether the value is of this generation.
    pub fn has_value_of(&self, generation: u64) -> bool {
        self.value_number.is_of(generation)
    }

    /// Whether the list of children is of this generation.
    pub fn has_list_of(&self, generation: u64) -> bool {
        self.list_number.is_of(generation)
    }

    pub fn set_value_generation(&mut self, generation: u64) {
        self.value_number = self.value_number.with_generation(generation);
    }

    pub fn list_generation(&self) -> u64 {
        self.list_number.generation()
    }

    pub fn set_list_generation(&mut self, generation: u64) {
        self.list_number = self.list_number.with_generation(generation);
    }

    /// How often its permissions were set, see [`Node::generation`].
    pub fn acl_changes(&self) -> AclChanges {
        AclChanges(self.list_number.byte())
    }

    pub fn set_acl_changes(&mut self, changes: AclChanges) {
        self.list_number = self.list_number.with_byte(changes.0);
    }

    /// Whether there may be watches on its path. Invariant: true if there is one.
    pub fn is_watched(&self) -> bool {
        self.value_number.byte() & WATCHED != 0
    }

    pub fn set_watched(&mut self, watched: bool) {
        let byte = self.value_number.byte() & !WATCHED;
        self.value_number = self.value_number.with_byte(byte | if watched { WATCHED } else { 0 });
    }

    pub fn origin(&self) -> Origin {
        Origin::unpacked(self.value_number.byte() & !WATCHED)
    }

    /// A node below it is gone that was no client's.
    pub fn note_gone_below(&mut self) {
        let mut origin = self.origin();
        origin.note_gone_below();
        self.set_origin(origin);
    }

    pub fn set_origin(&mut self, origin: Origin) {
        self.value_number = self.value_number.with_byte(self.value_number.byte() & WATCHED | origin.packed());
    }

    /// Whether it is gone, and only remembered: what the store began with, but for this. See `store::gone`.
    pub fn is_gone(&self) -> bool {
        self.acl.is_none() && !self.origin().is_client()
    }

    /// The permission list. Invariant: every node in use has one.
    pub fn acl(&self) -> Option<AclId> {
        self.acl
    }
}

impl Slot for Node {
    /// A request makes all nodes that are missing on its path.
    const TAKEN: usize = PREFIXES_MAX;
    const EMPTY: Node = Node {
        hash: 0,
        value_number: Numbered(0),
        list_number: Numbered(0),
        chain: None,
        parent: None,
        children: Ring::EMPTY,
        siblings: Links::NONE,
        owned: Links::NONE,
        acl: None,
        children_bytes: 0,
        name: Name::EMPTY,
        value: Text::EMPTY,
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
