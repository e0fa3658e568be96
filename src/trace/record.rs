//! One trace record: 32 bytes, written without formatting, printed on demand.

use crate::abi::DomId;
use crate::platform::Instant;
use crate::wire::{MessageType, TxId, XsError};

/// What a record tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A request was answered: type, error, transaction, size of the answer, hash of nothing.
    Request,
    /// A watch event was written or queued for the domain; size of the message.
    Event,
    /// A watch event for the domain found no room, or waited too long.
    Dropped,
    /// The domain was introduced.
    Introduced,
    /// The domain was released, or is dead or gone.
    Released,
    /// The domain broke the ring protocol; size is the error field's value.
    RingError,
    /// The domain made another's commit fail and is held; size is how often its hold has doubled.
    Held,
}

/// One record. Invariant: 32 bytes, so that a dump is an array.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Record {
    /// When the server woke to do this, nanoseconds.
    pub time: Instant,
    pub sequence: u64,
    pub tx: TxId,
    pub size: u32,
    pub domid: DomId,
    pub kind: Kind,
    /// Message type of a request, as sent.
    pub msg_type: u8,
    pub error: Option<XsError>,
}

const _: () = assert!(size_of::<Record>() == 32);

impl Record {
    pub const EMPTY: Record = Record {
        time: Instant(0),
        sequence: 0,
        tx: TxId::NONE,
        size: 0,
        domid: DomId(0),
        kind: Kind::Request,
        msg_type: 0,
        error: None,
    };

    pub fn new(kind: Kind, time: Instant, domid: DomId, size: u32) -> Record {
        Record { kind, time, domid, size, ..Record::EMPTY }
    }
}

impl core::fmt::Display for Record {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (seconds, micros) = (self.time.0 / 1_000_000_000, self.time.0 / 1000 % 1_000_000);
        write!(f, "{seconds}.{micros:06} #{} d{} ", self.sequence, self.domid)?;
        match self.kind {
            Kind::Request => {
                let name = MessageType::from_wire(u32::from(self.msg_type)).map_or("?", MessageType::name);
                let end = self.error.map_or("ok", XsError::name);
                write!(f, "{name} tx {} {end}, {} bytes", self.tx.0, self.size)
            }
            Kind::Event => write!(f, "event, {} bytes", self.size),
            Kind::Dropped => write!(f, "event dropped, {} bytes", self.size),
            Kind::Introduced => write!(f, "introduced"),
            Kind::Released => write!(f, "released"),
            Kind::RingError => write!(f, "ring error {}", self.size),
            Kind::Held => write!(f, "held, doubled {} times", self.size),
        }
    }
}
