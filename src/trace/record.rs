//! One trace record: 32 bytes, written without formatting, printed on demand.

use super::{Kind, Stall, Stop};
use crate::abi::DomId;
use crate::platform::Cycles;
use crate::quota::QUOTAS;
use crate::wire::{MessageType, TxId, XsError};

/// One record. Its kind says what its fields mean; those that mean nothing are zero. Invariant: 32 bytes, as its
/// [wire form](Record::to_bytes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Record {
    pub time: Cycles,
    /// Hash of a path or text, keyed anew at each start; 0 if there is none.
    pub hash: u64,
    pub tx: TxId,
    /// Bytes.
    pub size: u16,
    pub error: Option<XsError>,
    pub detail: u8,
    pub amount: u32,
    pub domid: DomId,
    pub kind: Kind,
    /// Message type of a request, as sent; 255 for those above.
    pub msg_type: u8,
}

const _: () = assert!(size_of::<Record>() == Record::SIZE);

impl Record {
    pub const SIZE: usize = 32;

    pub const fn new(kind: Kind, domid: DomId) -> Record {
        Record {
            time: Cycles(0),
            hash: 0,
            tx: TxId::NONE,
            amount: 0,
            domid,
            kind,
            msg_type: 0,
            error: None,
            detail: 0,
            size: 0,
        }
    }

    /// The wire form: the fields in their order, little-endian; the error as its number, 0 for none.
    pub fn to_bytes(&self) -> [u8; Record::SIZE] {
        let error = self.error.map_or(0, XsError::number);
        let [low, third, fourth] = [self.tx.0, u32::from(self.size), self.amount].map(u64::from);
        let words = [
            self.time.0,
            self.hash,
            low | third << 32 | u64::from(error) << 48 | u64::from(self.detail) << 56,
            fourth
                | u64::from(self.domid.0) << 32
                | u64::from(self.kind as u8) << 48
                | u64::from(self.msg_type) << 56,
        ];
        let mut bytes = [0; Record::SIZE];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// `None` if this version does not know the kind or the error.
    pub fn from_bytes(bytes: &[u8; Record::SIZE]) -> Option<Record> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let [time, hash, third, fourth] = *words.as_array()?;
        let [third, fourth] = [third, fourth].map(u64::from_le_bytes);
        let error = match (third >> 48) as u8 {
            0 => None,
            number => Some(XsError::from_number(number)?),
        };
        Some(Record {
            time: Cycles(u64::from_le_bytes(time)),
            hash: u64::from_le_bytes(hash),
            tx: TxId(third as u32),
            size: (third >> 32) as u16,
            error,
            detail: (third >> 56) as u8,
            amount: fourth as u32,
            domid: DomId((fourth >> 32) as u16),
            kind: Kind::from_wire((fourth >> 48) as u8)?,
            msg_type: (fourth >> 56) as u8,
        })
    }

    /// The name of the quota that refused a request; none for lack of room.
    pub fn quota(&self) -> Option<&'static str> {
        let place = usize::from(self.detail).checked_sub(1)?;
        QUOTAS.get(place).map(|quota| quota.name)
    }

    /// Name of the message type.
    pub fn type_name(&self) -> &'static str {
        MessageType::from_wire(u32::from(self.msg_type)).map_or("?", MessageType::name)
    }
}

impl core::fmt::Display for Record {
    /// Everything but the time and the path.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Record { domid, kind, tx, amount, size, .. } = *self;
        match kind {
            Kind::Started | Kind::WokeUp | Kind::Panic | Kind::Recovered | Kind::Updated => {}
            Kind::Fault if domid == DomId::INVALID => {}
            _ => write!(f, "d{domid} ")?,
        }
        match kind {
            Kind::Begun => {
                write!(f, "{} begun, tx {}, {size} bytes", self.type_name(), tx.0)
            }
            Kind::Ended => {
                let end = self.error.map_or("ok", XsError::name);
                write!(f, "{} tx {} {end}, {amount} cycles, {size} bytes", self.type_name(), tx.0)
            }
            Kind::Event | Kind::Dropped => write!(f, "{}, {size} bytes", kind.name()),
            Kind::TransactionStarted | Kind::TransactionAborted => write!(f, "{} {}", kind.name(), tx.0),
            Kind::TransactionCommitted => write!(f, "{} {}, {amount} nodes", kind.name(), tx.0),
            Kind::TransactionConflict if amount == u32::from(DomId::INVALID.0) => {
                write!(f, "{} {}", kind.name(), tx.0)
            }
            Kind::TransactionConflict => write!(f, "{} {} with d{amount}", kind.name(), tx.0),
            Kind::Introduced => write!(f, "introduced, port {amount}"),
            Kind::Refused => {
                let error = self.error.map_or("?", XsError::name);
                write!(f, "{} refused, tx {}, {error}: ", self.type_name(), tx.0)?;
                match self.quota() {
                    Some(quota) => write!(f, "quota {quota}, {amount} allowed"),
                    None => f.write_str("no room"),
                }
            }
            Kind::Stalled => {
                write!(f, "stalled: {}", Stall::from_wire(self.detail).map_or("?", Stall::name))?;
                if amount > 0 { write!(f, ", {amount} cycles") } else { Ok(()) }
            }
            Kind::Held => write!(f, "held for d{amount}"),
            Kind::WokeUp if amount == u32::MAX => write!(f, "woke-up after more than {} cycles", amount - 1),
            Kind::WokeUp => write!(f, "woke-up after {amount} cycles"),
            Kind::RingError => write!(f, "ring-error {amount}"),
            Kind::Updated => {
                let who = match self.detail {
                    0 => "updated",
                    1 => "taken back",
                    3 => "grown",
                    _ => "repaired",
                };
                write!(f, "{who} after {amount} us")
            }
            Kind::Panic => write!(f, "panic in line {amount}"),
            Kind::Fault => {
                f.write_str("fault: ")?;
                match Stop::from_record(self.detail, amount) {
                    Some(stop) => write!(f, "{stop}")?,
                    None => f.write_str("?")?,
                }
                if domid == DomId::INVALID { Ok(()) } else { write!(f, ", in {}", self.type_name()) }
            }
            Kind::Recovered => write!(f, "recovered in {amount} cycles"),
            Kind::Started | Kind::Released | Kind::Restarted | Kind::Notified | Kind::Mark | Kind::Missed => {
                f.write_str(kind.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn what_is_not_known_is_not_told() {
        let told = |kind, amount| Record { amount, tx: TxId(7), ..Record::new(kind, DomId(5)) }.to_string();
        assert_eq!(told(Kind::TransactionConflict, 3), "d5 tx-conflict 7 with d3");
        assert_eq!(told(Kind::TransactionConflict, DomId::INVALID.0.into()), "d5 tx-conflict 7");
        assert_eq!(told(Kind::WokeUp, 3), "woke-up after 3 cycles");
        assert_eq!(told(Kind::WokeUp, u32::MAX), "woke-up after more than 4294967294 cycles");
    }

    #[test]
    fn bytes_and_back() {
        for kind in Kind::ALL {
            let record = Record {
                time: Cycles(0x0102_0304_0506_0708),
                hash: u64::MAX - 5,
                tx: TxId(7),
                amount: 0xdead_beef,
                msg_type: 11,
                error: Some(XsError::EISCONN),
                detail: 3,
                size: 4096,
                ..Record::new(*kind, DomId(32751))
            };
            let bytes = record.to_bytes();
            assert_eq!(bytes[..2], [8, 7]);
            assert_eq!(Record::from_bytes(&bytes), Some(record));
        }
        let mut unknown = Record::new(Kind::Mark, DomId(0)).to_bytes();
        unknown[30] = 200;
        assert_eq!(Record::from_bytes(&unknown), None);
    }
}
