//! Messages as bytes: header, types, errors and payload parsing (io/xs_wire.h, xenstore.txt).
//!
//! It uses `abi` and `words` only and knows no store. Invariant: no payload, however malformed, makes it panic.

mod args;
mod error;
mod header;
mod message;

pub use args::{Strings, decimal, number, one_string, plain_number, strict_domid, strings, terminated};
pub use error::XsError;
pub use header::{Header, MessageType, PAYLOAD_MAX, TxId};
pub use message::MessageBuf;
