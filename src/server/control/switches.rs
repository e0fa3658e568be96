//! `log`: what of the server's work goes to its console as it happens.

use bitflags::bitflags;

use super::{finish, line, no_more};
use crate::platform::Platform;
use crate::server::Server;
use crate::server::operations::Outcome;
use crate::server::output::Reply;
use crate::trace::Kind;
use crate::wire::{Strings, XsError};

bitflags! {
    /// Kinds of work, by upstream's names.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Switches: u8 {
        /// Domains come and go.
        const OBJ = 1;
        /// Requests and answers, in full, and events.
        const IO = 2;
        /// Domains held back for others' transactions.
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

/// Logs what a request said, and what it was told beyond how it ended. `number` is that of its record. Each
/// line begins with how many bytes are left, so that a reader knows when one is missing.
#[cold]
#[inline(never)]
pub fn log_exchange(number: u64, request: &[u8], answer: &[u8]) {
    for (way, message) in [('<', request), ('>', answer)] {
        let mut left = message.len();
        for piece in message.chunks(PIECE) {
            log::info!("#{number} {way}{left} {}", piece.escape_ascii());
            left -= piece.len();
        }
    }
}

impl<P: Platform> Server<P> {
    pub(super) fn control_log(
        &mut self,
        _: &P,
        mut args: Strings<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let Some(arg) = args.next() else {
            line(reply, format_args!("Log switch settings:"))?;
            for (name, switch) in Switches::all().iter_names() {
                let state = if self.log.kinds.contains(switch) { "on" } else { "off" };
                let mut name = heapless::String::<8>::try_from(name).map_err(|_| XsError::EIO)?;
                name.make_ascii_lowercase();
                line(reply, format_args!("{name:<8}: {state}"))?;
            }
            return finish(reply);
        };
        no_more(args)?;
        match arg {
            b"on" => self.log.on = true,
            b"off" => self.log.on = false,
            [sign @ (b'+' | b'-'), name @ ..] => {
                let lower = |n: &'static str| n.bytes().map(|byte| byte.to_ascii_lowercase());
                let named = Switches::all().iter_names().find(|(n, _)| lower(n).eq(name.iter().copied()));
                let (_, switch) = named.ok_or(XsError::EINVAL)?;
                self.log.kinds.set(switch, *sign == b'+');
            }
            _ => return Err(XsError::EINVAL),
        }
        Ok(Outcome::Ok)
    }
}
