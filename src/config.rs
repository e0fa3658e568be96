//! Limits and defaults in one place.
//!
//! Quotas bound what one domain may hold, [`Capacities`] what the whole store may hold. Capacities
//! follow from the memory the image has (`server::sizing`); tests hand in their own to reach every "full" answer.
//! Plain numbers: this module knows none of the things that they count.

use crate::abi::DomId;
use crate::quota::Quotas;

/// What the server is configured with at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub quotas: Quotas,
    /// Microseconds of each second of the processor's time that each guest may use; 0 sets no bound.
    pub budget: u32,
    /// Seconds after which a watch event that a guest does not read is dropped; 0 keeps it for ever.
    pub watch_event_timeout: u32,
    /// A dead domain's nodes go to the privileged domain instead of being removed (`--keep-orphans`).
    pub keep_orphans: bool,
    /// Work is logged from the start, without CONTROL `log on`.
    pub log: bool,
}

impl Settings {
    pub const DEFAULT: Settings = Settings {
        quotas: Quotas::DEFAULT,
        budget: 1000,
        watch_event_timeout: 20,
        keep_orphans: false,
        log: false,
    };
}

/// How much is done in one go: the rest waits until others have had their turns. What a client sees and hears does not
/// depend on it. The image has the default; tests set less, so that every change takes many goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Attempts that a step of what was decided may take.
    pub attempts: u64,
    /// Events that such a step may send.
    pub events: u64,
    /// Copies that a request in a transaction takes.
    pub copies: u32,
    /// Watches that are looked at for receivers, for their places, or to tell them what they have missed. More than 64.
    pub watches: u32,
    /// Work that the events of a change may be before its receivers hear of it in turns of their own: watches that are
    /// looked at.
    pub told: u32,
}

impl Limits {
    pub const DEFAULT: Limits = Limits { attempts: 16, events: 140, copies: 100, watches: 2000, told: 2000 };
}

/// Slots of each kind, for the whole store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacities {
    pub domains: usize,
    pub nodes: usize,
    /// Pieces of 40 bytes for names, values, tokens and messages that do not fit their slot.
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
    /// Slots of one kind that an attempt may change.
    pub const JOURNAL: usize = 64;
    /// Chunks that an attempt may free: two values of full length and two permission lists, and some more.
    pub const CHUNKS_FREED: usize = 768;

    /// Least memory that makes sense: dom0 and a few guests.
    pub const MIN_MEMORY: usize = 2 << 20;

    /// The default size of the trace, bytes, in a store of `memory` bytes.
    pub fn default_trace(memory: usize) -> usize {
        memory / 16
    }

    /// Capacities in the proportions of a host full of guests. An ordinary one, with a console, a disk and a
    /// network interface (examples/scale), has 178 nodes, 39 chunks, 3 permission lists and 15 watches, and
    /// even one without devices has 64 nodes. Beyond that there is room for guests that use more than their
    /// share, and for what few of them do at the same time; the smallest store has enough of it for dom0.
    pub fn for_nodes(nodes: usize) -> Capacities {
        let domains = (nodes / 64).clamp(16, DomId::COUNT);
        Capacities {
            domains,
            nodes,
            chunks: 4608 + nodes / 16 * 9,
            acls: 512 + nodes / 32,
            watches: 256 + nodes / 9,
            transactions: 256 + nodes / 128,
            tx_nodes: (2304 + nodes / 30).max(nodes / 21),
            messages: 768 + nodes / 20,
            trace: 64,
            names: 16,
        }
    }
}
