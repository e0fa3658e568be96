//! The log: which of the server's work goes to its console as it happens, and how.

use bitflags::bitflags;

use super::Kind;

bitflags! {
    /// Kinds of work, by upstream's names.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Switches: u8 {
        /// Domains come and go.
        const OBJ = 1;
        /// Requests and answers, in full, and events.
        const IO = 2;
        /// Domains that are held back for others' transactions.
        const WRL = 4;
        /// Requests refused for quotas and lack of room.
        const ACC = 8;
        /// Transactions that failed for others' changes.
        const TDB = 16;
    }
}

/// Whether work is logged, and which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogSwitches {
    pub on: bool,
    pub kinds: Switches,
}

impl LogSwitches {
    pub const DEFAULT: LogSwitches = LogSwitches { on: false, kinds: Switches::OBJ.union(Switches::IO) };

    /// Whether records of this kind are logged.
    pub fn shows(&self, kind: Kind) -> bool {
        let switch = match kind {
            Kind::Ended | Kind::Event | Kind::Dropped => Switches::IO,
            Kind::Introduced | Kind::Released | Kind::RingError => Switches::OBJ,
            Kind::Held => Switches::WRL,
            Kind::Refused => Switches::ACC,
            Kind::TransactionConflict => Switches::TDB,
            _ => return false,
        };
        self.on && self.kinds.contains(switch)
    }
}

/// Bytes of a message that one line shows. Escaped they may be four times as many, and Xen's log breaks lines
/// at 199.
const PIECE: usize = 40;

/// Logs the payloads of a request and of its answer. `number` is that of its record. Each line begins with the number
/// of bytes left, so that a reader notices a missing line.
#[cold]
#[inline(never)]
pub fn log_exchange(number: u64, request: &[u8], answer: &[u8]) {
    for (way, message) in [('<', request), ('>', answer)] {
        let mut left = message.len();
        for piece in message.chunks(PIECE) {
            ::log::info!("#{number} {way}{left} {}", piece.escape_ascii());
            left -= piece.len();
        }
    }
}
