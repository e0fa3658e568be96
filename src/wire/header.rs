//! The 16-byte message header, `struct xsd_sockmsg` (io/xs_wire.h).

/// Longest payload in either direction, `XENSTORE_PAYLOAD_MAX` (io/xs_wire.h).
pub const PAYLOAD_MAX: usize = 4096;

/// Transaction identifier, chosen by the server per connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxId(pub u32);

impl TxId {
    /// Outside any transaction, `XBT_NULL` (xenstore.h).
    pub const NONE: TxId = TxId(0);
}

/// `struct xsd_sockmsg`. `msg_type` is kept as sent: unknown types are answered, not refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub msg_type: u32,
    pub req_id: u32,
    pub tx_id: TxId,
    pub len: u32,
}

impl Header {
    pub const SIZE: usize = 16;

    /// The header of no message.
    pub const NONE: Header = Header { msg_type: 0, req_id: 0, tx_id: TxId::NONE, len: 0 };

    pub fn parse(bytes: &[u8; Header::SIZE]) -> Header {
        let [a, b, c, d] = [0, 4, 8, 12]
            .map(|at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        Header { msg_type: a, req_id: b, tx_id: TxId(c), len: d }
    }

    pub fn emit(self) -> [u8; Header::SIZE] {
        let words = [self.msg_type, self.req_id, self.tx_id.0, self.len];
        let mut bytes = [0; Header::SIZE];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }
}

macro_rules! message_types {
    ($($number:literal $name:ident $wire:literal,)*) => {
        /// `enum xsd_sockmsg_type` (io/xs_wire.h).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum MessageType {
            $($name = $number,)*
        }

        impl MessageType {
            pub const ALL: &[MessageType] = &[$(MessageType::$name,)*];

            /// One above the highest number.
            pub const END: usize = {
                let mut end = 0;
                $(if end <= $number { end = $number + 1 })*
                end
            };

            pub const fn from_wire(number: u32) -> Option<MessageType> {
                match number {
                    $($number => Some(MessageType::$name),)*
                    _ => None,
                }
            }

            /// The name in io/xs_wire.h without its `XS_`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(MessageType::$name => $wire,)*
                }
            }
        }
    };
}

message_types! {
    0 Control "CONTROL",
    1 Directory "DIRECTORY",
    2 Read "READ",
    3 GetPerms "GET_PERMS",
    4 Watch "WATCH",
    5 Unwatch "UNWATCH",
    6 TransactionStart "TRANSACTION_START",
    7 TransactionEnd "TRANSACTION_END",
    8 Introduce "INTRODUCE",
    9 Release "RELEASE",
    10 GetDomainPath "GET_DOMAIN_PATH",
    11 Write "WRITE",
    12 Mkdir "MKDIR",
    13 Rm "RM",
    14 SetPerms "SET_PERMS",
    15 WatchEvent "WATCH_EVENT",
    16 Error "ERROR",
    17 IsDomainIntroduced "IS_DOMAIN_INTRODUCED",
    18 Resume "RESUME",
    19 SetTarget "SET_TARGET",
    21 ResetWatches "RESET_WATCHES",
    22 DirectoryPart "DIRECTORY_PART",
    23 GetFeature "GET_FEATURE",
    24 SetFeature "SET_FEATURE",
    25 GetQuota "GET_QUOTA",
    26 SetQuota "SET_QUOTA",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let header = Header { msg_type: 11, req_id: 0xdead_beef, tx_id: TxId(7), len: 4096 };
        let bytes = header.emit();
        assert_eq!(bytes[..5], [11, 0, 0, 0, 0xef]);
        assert_eq!(Header::parse(&bytes), header);
    }

    #[test]
    fn every_type_is_found_by_its_number() {
        for t in MessageType::ALL {
            assert_eq!(MessageType::from_wire(*t as u32), Some(*t));
        }
        assert_eq!(MessageType::from_wire(20), None);
        assert_eq!(MessageType::from_wire(27), None);
        assert_eq!(MessageType::END, 27);
    }
}
