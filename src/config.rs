//! Limits and defaults in one place.
//!
//! [`Quotas`] bound what one domain may hold, [`Capacities`] what the whole store may hold. Capacities
//! follow from the memory the image has (`server::sizing`); tests hand in their own to reach every "full" answer.
//! Plain numbers: what they are the numbers of is defined further up.

use crate::abi::DomId;

/// Per-domain quotas, upstream's names and defaults (xenstored(8), `--quota`). Zero switches a check off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quotas {
    /// Nodes owned by the domain.
    pub nodes: u32,
    /// Registered watches.
    pub watches: u32,
    /// Requests taken but not fully answered, counting the watch events they caused.
    pub outstanding: u32,
    /// Bytes held on the domain's behalf, refused above.
    pub memory: u32,
    /// Bytes held on the domain's behalf, logged above.
    pub soft_memory: u32,
    /// Open transactions.
    pub transactions: u32,
    /// Nodes used in one transaction.
    pub transaction_nodes: u32,
    /// Permission entries per node.
    pub node_permissions: u32,
    /// Bytes of a path, a leading `/local/domain/<domid>/` not counted.
    pub path_max: u32,
    /// Bytes of a node: value, permissions and names of its children.
    pub node_size: u32,
}

impl Quotas {
    pub const DEFAULT: Quotas = Quotas {
        nodes: 1000,
        watches: 128,
        outstanding: 20,
        memory: 2_621_440,
        soft_memory: 2_097_152,
        transactions: 10,
        transaction_nodes: 1024,
        node_permissions: 5,
        path_max: 2048,
        node_size: 2048,
    };

    /// Nothing of anything, where this counts what is held instead of what may be.
    pub const NOTHING: Quotas = Quotas {
        nodes: 0,
        watches: 0,
        outstanding: 0,
        memory: 0,
        soft_memory: 0,
        transactions: 0,
        transaction_nodes: 0,
        node_permissions: 0,
        path_max: 0,
        node_size: 0,
    };

    /// Of what one request uses, whether none is greater than in `limit`.
    pub fn is_within(&self, limit: &Quotas) -> bool {
        self.transaction_nodes <= limit.transaction_nodes
            && self.node_permissions <= limit.node_permissions
            && self.path_max <= limit.path_max
            && self.node_size <= limit.node_size
    }

    /// The greater of each.
    pub fn max(self, other: Quotas) -> Quotas {
        Quotas {
            nodes: self.nodes.max(other.nodes),
            watches: self.watches.max(other.watches),
            outstanding: self.outstanding.max(other.outstanding),
            memory: self.memory.max(other.memory),
            soft_memory: self.soft_memory.max(other.soft_memory),
            transactions: self.transactions.max(other.transactions),
            transaction_nodes: self.transaction_nodes.max(other.transaction_nodes),
            node_permissions: self.node_permissions.max(other.node_permissions),
            path_max: self.path_max.max(other.path_max),
            node_size: self.node_size.max(other.node_size),
        }
    }
}

/// What the server is told at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub quotas: Quotas,
    /// Seconds after which a watch event that a guest does not read is dropped; 0 keeps it for ever.
    pub watch_event_timeout: u32,
    /// A dead domain's nodes go to the privileged domain instead of being removed (`--keep-orphans`).
    pub keep_orphans: bool,
    /// Work is logged from the start, not only from CONTROL `log on` on.
    pub log: bool,
}

impl Settings {
    pub const DEFAULT: Settings =
        Settings { quotas: Quotas::DEFAULT, watch_event_timeout: 20, keep_orphans: false, log: false };
}

/// Slots of each kind, for the whole store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacities {
    pub domains: usize,
    pub nodes: usize,
    /// Pieces of 60 bytes for names, values, tokens and messages that do not fit their slot.
    pub chunks: usize,
    /// Distinct permission lists.
    pub acls: usize,
    pub watches: usize,
    pub transactions: usize,
    /// Nodes that open transactions have touched.
    pub tx_nodes: usize,
    /// Replies and events that wait for their ring.
    pub messages: usize,
    /// Records of the trace ring.
    pub trace: usize,
    /// Paths and other texts that the trace keeps.
    pub names: usize,
}

impl Capacities {
    /// Slots of one kind that a request may change before it is decided.
    pub const JOURNAL: usize = 64;
    /// Chunks that a request may free before it is decided: two values of full length.
    pub const CHUNK_JOURNAL: usize = 160;
    /// Transaction nodes that a request may change before it is decided: a path of as many components.
    pub const TX_JOURNAL: usize = 512;

    /// Least memory that makes sense: dom0 and a few guests.
    pub const MIN_MEMORY: usize = 2 << 20;

    /// Bytes that the trace ring has of `memory` if nobody says how many.
    pub fn default_trace(memory: usize) -> usize {
        memory / 16
    }

    /// Capacities in the proportions of a host full of guests. An ordinary one, with a console, a disk and a
    /// network interface (examples/scale), has 178 nodes, 33 chunks, 3 permission lists and 15 watches, and
    /// even one without devices has 64 nodes. Beyond that there is room for guests that use more than their
    /// share, and for what few of them do at the same time; the smallest store has enough of it for dom0.
    pub fn for_nodes(nodes: usize) -> Capacities {
        let domains = (nodes / 64).clamp(16, DomId::COUNT);
        Capacities {
            domains,
            nodes,
            chunks: 2048 + nodes / 2,
            acls: 512 + nodes / 24,
            watches: 256 + nodes / 6,
            transactions: 512 + nodes / 128,
            tx_nodes: 1536 + nodes / 16,
            messages: 1024 + nodes / 16,
            trace: 64,
            names: 16,
        }
    }
}
