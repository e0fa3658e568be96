//! Guests that keep to the protocol and ask for more of everything than they may have. In each round they ask
//! until they are refused, and free everything.

use heapless::Vec;

use super::guest::Guest;
use super::text::{numbered, text};
use crate::client::{Answer, Failure, Machine};
use crate::wire::{MessageType, TxId, XsError};

/// Registers watches up to the quota, then removes them.
pub fn watch_flood<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.until_refused(|client, n| client.watch(b"data", text(n).as_bytes()))?;
    forget_all(guest)
}

/// Many watches on a node that it keeps writing.
pub fn event_storm<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    if guest.counts.rounds.is_multiple_of(16) {
        guest.until_refused(|client, n| client.watch(b"data", text(n).as_bytes()))?;
    }
    let round = guest.counts.rounds % 16;
    guest.client.write(&numbered(b"data/storm", round), b"x")
}

/// Opens transactions up to the quota, each with a change. Then all of them end, some with success.
pub fn transaction_flood<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let mut begun = Vec::<TxId, 64>::new();
    guest.until_refused(|client, n| {
        let id = client.begin()?;
        client.ask(MessageType::Write, id, &[&numbered(b"data/t", n % 8), b"\0x"])?;
        // Quotas are far below this number.
        let _ = begun.push(id);
        Ok(())
    })?;
    for id in begun {
        let commit = guest.random.below(2) == 0;
        let ended =
            guest.client.ask(MessageType::TransactionEnd, id, &[if commit { b"T\0" } else { b"F\0" }]);
        if !matches!(ended, Ok(_) | Err(Failure::Refused(XsError::EAGAIN))) {
            guest.counts.wrong += 1;
        }
    }
    Ok(())
}

/// Makes the deepest tree, and removes it.
pub fn deep<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let mut path = Vec::<u8, 4000>::new();
    // Room for the refusal's path.
    let _ = path.extend_from_slice(b"data/deep");
    guest.until_refused(|client, _| {
        let _ = path.extend_from_slice(b"/a");
        client.tell(MessageType::Mkdir, &[&path, b"\0"])
    })?;
    guest.client.tell(MessageType::Rm, &[b"data/deep\0"])
}

/// Makes the widest tree, and removes it.
pub fn wide<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.until_refused(|client, n| client.write(&numbered(b"data/wide/", n), b"x"))?;
    guest.client.tell(MessageType::Rm, &[b"data/wide\0"])
}

/// Drops all watches and transactions, and registers the watch for `xl shutdown` again.
fn forget_all<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.client.tell(MessageType::ResetWatches, &[b"\0"])?;
    guest.client.watch_shutdown()
}
