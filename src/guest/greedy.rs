//! Guests that keep to the protocol and ask for more of everything than they may have. One round each: up to the
//! refusal, and back.

use heapless::Vec;
use xenstore::client::{Answer, Failure};
use xenstore::wire::{MessageType, TxId, XsError};

use crate::Client;
use crate::honest::text;
use crate::life::Guest;

/// More than any quota of numbers allows.
const MANY: u32 = 5000;

/// Watches up to the quota, then none.
pub fn watch_flood(guest: &mut Guest) -> Answer<()> {
    until_refused(guest, |client, n| client.watch(b"data", text(n).as_bytes()))?;
    forget_all(guest)
}

/// Many watches on a node that it keeps writing.
pub fn event_storm(guest: &mut Guest) -> Answer<()> {
    if guest.counts.rounds == 0 {
        until_refused(guest, |client, n| client.watch(b"data", text(n).as_bytes()))?;
    }
    let round = guest.counts.rounds % 16;
    guest.client.write(&numbered(b"data/storm", round), b"x")
}

/// Transactions up to the quota, each with a change; then all of them end, some with success.
pub fn transaction_flood(guest: &mut Guest) -> Answer<()> {
    let mut begun = Vec::<TxId, 64>::new();
    until_refused(guest, |client, n| {
        let id = client.begin()?;
        client.ask(MessageType::Write, id, &[&numbered(b"data/t", n % 8), b"\0x"])?;
        // Quotas are far below; what does not fit would end with the connection.
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

/// A tree as deep as can be, and its end.
pub fn deep(guest: &mut Guest) -> Answer<()> {
    let mut path = Vec::<u8, 4000>::new();
    // Room for the refusal's path.
    let _ = path.extend_from_slice(b"data/deep");
    until_refused(guest, |client, _| {
        let _ = path.extend_from_slice(b"/a");
        client.tell(MessageType::Mkdir, &[&path, b"\0"])
    })?;
    guest.client.tell(MessageType::Rm, &[b"data/deep\0"])
}

/// A tree as wide as can be, and its end.
pub fn wide(guest: &mut Guest) -> Answer<()> {
    until_refused(guest, |client, n| client.write(&numbered(b"data/wide/", n), b"x"))?;
    guest.client.tell(MessageType::Rm, &[b"data/wide\0"])
}

/// Does it until it is refused, which has to happen; more than that is not our business.
pub fn until_refused(guest: &mut Guest, mut more: impl FnMut(&mut Client, u32) -> Answer<()>) -> Answer<()> {
    for n in 0..MANY {
        match more(&mut guest.client, n) {
            Ok(()) => {}
            Err(Failure::Refused(_)) => {
                guest.counts.refused += 1;
                return Ok(());
            }
            Err(Failure::Silent) => return Err(Failure::Silent),
        }
    }
    guest.counts.wrong += 1;
    Ok(())
}

/// All watches and transactions go; the one for `xl shutdown` comes back.
fn forget_all(guest: &mut Guest) -> Answer<()> {
    guest.client.tell(MessageType::ResetWatches, &[b"\0"])?;
    guest.client.watch_shutdown()
}

/// A path with a number at its end.
fn numbered(path: &[u8], number: u32) -> Vec<u8, 40> {
    // Paths here are short.
    let mut whole = Vec::from_slice(path).unwrap_or_default();
    let _ = whole.extend_from_slice(text(number).as_bytes());
    whole
}
