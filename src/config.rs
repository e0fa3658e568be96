//! Limits and defaults in one place.
//!
//! [`Quotas`] bound what one domain may hold, [`Capacities`] what the whole store may hold. Capacities
//! follow from the memory the image has; tests hand in their own to reach every "full" answer.

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
}

/// What the server is told at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub quotas: Quotas,
    /// Seconds after which a watch event that a guest does not read is dropped; 0 keeps it for ever.
    pub watch_event_timeout: u32,
    /// A dead domain's nodes go to the privileged domain instead of being removed (`--keep-orphans`).
    pub keep_orphans: bool,
}

impl Settings {
    pub const DEFAULT: Settings =
        Settings { quotas: Quotas::DEFAULT, watch_event_timeout: 20, keep_orphans: false };
}
