//! Transactions: what each has read, and what it is to change.
//!
//! A transaction has a copy of every node that it has touched, taken at first touch, and works on the copies. At its
//! end all that it has *read* must still be as it was: values, permission lists, lists of children, whether paths
//! exist. Then its changes are applied to the tree. What it only wrote is no conflict, so two transactions that create
//! different children of one node both succeed. xenstore.txt, "Transactions".

use bitflags::bitflags;

use super::acl::AclId;
use super::domain::DomainId;
use super::node::Value;
use super::watch::Change;
use crate::config::Capacities;
use crate::perms::Life;
use crate::platform::Instant;
use crate::slots::{Attempt, Id, Linked, Links, List, Queue, Queued, Slot, Table, Text, chained};
use crate::wire::TxId;

/// Bytes of a path that a copy holds without a blob.
pub const PATH_INLINE: usize = 58;

pub type TransactionId = Id<Transaction>;
pub type TxNodeId = Id<TxNode>;

#[derive(Clone, Copy)]
pub struct Transaction {
    hash: u64,
    chain: Option<TransactionId>,
    pub id: TxId,
    pub domain: DomainId,
    /// When it was. Of one that has ended: until then it is told of although its room is wanted; 0 as long as nobody wants it.
    pub started: Instant,
    /// Nodes touched, in order of first touch.
    pub touched: Queue<TxNode, Touched>,
    /// Nodes that it has created and not removed, in order of creation.
    pub made: List<TxNode, Made>,
    pub node_count: u32,
    /// Bytes of memory it holds, charged to its domain.
    pub memory: u32,
    /// It ran out of room, so its end fails with ENOMEM.
    pub failed: bool,
    /// How many lives had ended when it was started.
    pub deaths: u32,
    /// The target whose rights its domain had at its latest access to a node.
    pub target: Life,
    /// The life of the guest whose share its slots are of, if it is a guest's.
    pub payer: Life,
    /// Receivers that have not heard all that it did, see `layer::telling`.
    pub waiting: u32,
    /// The newest watch that hears of it.
    pub newest: u64,
    /// The number of the change that it is now, see `Collected::number`; 0 if no more is told of it.
    pub number: u64,
    of_domain: Links<Transaction>,
}

impl Transaction {
    /// Bytes of memory an empty transaction takes.
    pub const MEMORY: u32 = size_of::<Transaction>() as u32 + 16;

    /// The record of a single change that a domain has caused, to have one copy.
    pub fn record(domain: DomainId, payer: Life, number: u64) -> Self {
        let hash = Self::hash_of(domain, TxId(number as u32));
        Transaction { hash, domain, payer, memory: 0, node_count: 1, ..Self::EMPTY }
    }

    pub fn new(id: TxId, domain: DomainId, payer: Life, started: Instant, deaths: u32) -> Self {
        Transaction { hash: Self::hash_of(domain, id), id, domain, payer, started, deaths, ..Self::EMPTY }
    }

    /// Whether it has taken effect and nobody's it is any more: it is there to be told of.
    pub fn has_ended(&self) -> bool {
        self.id == TxId::NONE
    }

    fn hash_of(domain: DomainId, id: TxId) -> u64 {
        // The server chooses both numbers, so spreading them is enough.
        ((domain.index() as u64) << 32 | u64::from(id.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Slot for Transaction {
    const EMPTY: Transaction = Transaction {
        hash: 0,
        chain: None,
        id: TxId::NONE,
        domain: DomainId::FIRST,
        started: Instant(0),
        touched: Queue::EMPTY,
        made: List::EMPTY,
        node_count: 0,
        memory: Self::MEMORY,
        failed: false,
        deaths: 0,
        target: Life::NONE,
        payer: Life::NONE,
        waiting: 0,
        newest: 0,
        number: 0,
        of_domain: Links::NONE,
    };
}

impl Transaction {
    /// The next of the same domain.
    pub fn after_in_domain(&self) -> Option<TransactionId> {
        self.of_domain.next
    }
}

/// The list of one domain's transactions, in order of their start, and of those that are nobody's any more.
pub enum OfDomain {}

impl Linked<OfDomain> for Transaction {
    fn links(&self) -> &Links<Transaction> {
        &self.of_domain
    }
    fn links_mut(&mut self) -> &mut Links<Transaction> {
        &mut self.of_domain
    }
}

chained!(Transaction);

bitflags! {
    /// What a transaction has read or done of one node.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Mark: u8 {
        /// The node was there at first touch.
        const EXISTED = 1;
        /// The node is there in the transaction's view.
        const EXISTS = 2;
        const READ_VALUE = 4;
        const READ_ACL = 8;
        const READ_LIST = 16;
        const WROTE_VALUE = 32;
        const WROTE_ACL = 64;
        /// Created in the transaction, perhaps after a removal.
        const MADE = 128;
    }
}

/// A transaction's copy of one node.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct TxNode {
    hash: u64,
    chain: Option<TxNodeId>,
    pub tx: TransactionId,
    next_touched: Option<TxNodeId>,
    pub(super) made: Links<TxNode>,
    /// Of a created node, the one above it.
    pub parent: Option<TxNodeId>,
    /// The copy at this path or above it that was removed last. It stays true that this one lies below.
    pub goes_with: Option<TxNodeId>,
    pub mark: Mark,
    /// The event to send at the end, see [`TxNode::tells`].
    pub fires: Option<Change>,
    pub seen_value: u64,
    pub seen_list: u64,
    /// Held as long as the copy is.
    pub seen_acl: Option<AclId>,
    /// The copy's list, held once more; `None` while the node is not there.
    pub acl: Option<AclId>,
    /// Once its event is to be told later, the list of the node above, held once more.
    pub above: Option<AclId>,
    pub children_bytes: u32,
    /// As they were at first touch.
    pub seen_children_bytes: u32,
    /// The one that the client sees: the transaction's own changes change it, too.
    pub generation: u64,
    pub value: Value,
    pub path: Text<PATH_INLINE>,
    /// Bytes of the text in the path's chunks. The path is its beginning.
    pub text_len: u16,
    /// The chunks belong to another copy of the same transaction.
    pub borrows_text: bool,
    /// Of a created node: chunks that the node is going to have for its name.
    pub name_chunks: u8,
}

impl TxNode {
    /// Bytes of memory that a copy takes.
    pub const fn memory(path: usize, value: usize) -> u32 {
        size_of::<TxNode>() as u32 + 12 + Text::<PATH_INLINE>::memory(path) + Value::memory(value)
    }

    /// Bytes of memory that this copy takes.
    pub fn held(&self) -> u32 {
        TxNode::memory(if self.borrows_text { 0 } else { usize::from(self.text_len) }, self.value.len())
    }

    /// Bytes of blob memory that it takes beside its slot.
    pub fn spilled(&self) -> u32 {
        self.held() - TxNode::memory(0, 0)
    }

    pub fn new(tx: TransactionId, path_hash: u64) -> Self {
        TxNode { hash: Self::hash_of(tx, path_hash), tx, ..Self::EMPTY }
    }

    pub fn hash_of(tx: TransactionId, path_hash: u64) -> u64 {
        path_hash ^ (tx.index() as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    /// The copy that the transaction took next.
    pub fn next_touched(&self) -> Option<TxNodeId> {
        self.next_touched
    }

    /// The event to send of it. Of a node that neither was there before nor is there in the end there is none.
    pub fn tells(&self) -> Option<Change> {
        self.fires.filter(|_| self.mark.intersects(Mark::EXISTED | Mark::EXISTS))
    }

    /// Hash of the node's path.
    pub fn path_hash(&self) -> u64 {
        Self::hash_of(self.tx, self.hash)
    }
}

impl Slot for TxNode {
    const EMPTY: TxNode = TxNode {
        hash: 0,
        chain: None,
        tx: TransactionId::FIRST,
        next_touched: None,
        made: Links::NONE,
        parent: None,
        goes_with: None,
        mark: Mark::empty(),
        fires: None,
        seen_value: 0,
        seen_list: 0,
        seen_acl: None,
        acl: None,
        above: None,
        children_bytes: 0,
        seen_children_bytes: 0,
        generation: 0,
        value: Text::EMPTY,
        path: Text::EMPTY,
        text_len: 0,
        borrows_text: false,
        name_chunks: 0,
    };
}

/// The queue of a transaction's copies, in order of first touch.
pub enum Touched {}

impl Queued<Touched> for TxNode {
    fn next(&self) -> Option<TxNodeId> {
        self.next_touched
    }
    fn set_next(&mut self, next: Option<TxNodeId>) {
        self.next_touched = next;
    }
}

/// The list of the nodes that a transaction has made, in order of creation.
pub enum Made {}

impl Linked<Made> for TxNode {
    fn links(&self) -> &Links<TxNode> {
        &self.made
    }
    fn links_mut(&mut self) -> &mut Links<TxNode> {
        &mut self.made
    }
}

chained!(TxNode);

pub struct Transactions {
    pub(super) open: Table<Transaction>,
    pub(super) nodes: Table<TxNode>,
}

impl Transactions {
    pub fn new(attempt: &Attempt, capacities: &Capacities) -> Self {
        Transactions {
            open: Table::new(attempt, capacities.transactions, Capacities::JOURNAL),
            nodes: Table::new(attempt, capacities.tx_nodes, Capacities::JOURNAL),
        }
    }

    /// Bytes of memory for as many transactions and copies as `capacities` say.
    pub const fn bytes(capacities: &Capacities) -> usize {
        Table::<Transaction>::bytes(capacities.transactions, Capacities::JOURNAL)
            + Table::<TxNode>::bytes(capacities.tx_nodes, Capacities::JOURNAL)
    }

    pub fn commit(&mut self) {
        self.nodes.commit();
        self.open.commit();
    }

    pub fn rollback(&mut self) {
        self.nodes.rollback();
        self.open.rollback();
    }

    /// The open transaction that `domain` calls `id`.
    pub fn find(&self, domain: DomainId, id: TxId) -> Option<TransactionId> {
        self.open.find(Transaction::hash_of(domain, id), |tx| tx.id == id && tx.domain == domain)
    }
}
