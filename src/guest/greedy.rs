//! Guests that keep to the protocol and ask for more of everything than they may have. One round each: up to the
//! refusal, and back.

use heapless::Vec;
use xenstore::client::{Answer, Failure};
use xenstore::wire::{MessageType, TxId, XsError};

use crate::Client;
use crate::honest::text;
use crate::roles::Guest;

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

/// All quotas in turn.
pub fn quotas(guest: &mut Guest) -> Answer<()> {
    let large = [b'v'; 1900];
    let own = u32::from(guest.domid.0);
    match guest.counts.rounds % 8 {
        0 => watch_flood(guest),
        1 => transaction_flood(guest),
        2 => deep(guest),
        3 => {
            // Memory: large values in as many nodes as can be.
            until_refused(guest, |client, n| client.write(&numbered(b"data/m/", n), &large))?;
            guest.client.tell(MessageType::Rm, &[b"data/m\0"])
        }
        4 => until_refused(guest, |client, n| {
            // A node's size.
            client.write(b"data/size", large.get(..n as usize * 64).unwrap_or(&[b'v'; 4000]))
        }),
        5 => {
            // Entries of a permission list.
            let mut list = Vec::<u8, 200>::new();
            // Ends with the refusal long before it is full.
            let _ = list.extend_from_slice(b"data/hello\0");
            until_refused(guest, |client, n| {
                let _ = list.push(if n == 0 { b'n' } else { b'r' });
                let _ = list.extend_from_slice(text(own + n).as_bytes());
                let _ = list.push(0);
                client.tell(MessageType::SetPerms, &[&list])
            })
        }
        6 => {
            // A path's length.
            let mut path = [b'p'; 4000];
            path[..5].copy_from_slice(b"data/");
            until_refused(guest, |client, n| {
                let path = path.get(..8 + 100 * n as usize).unwrap_or(&path);
                client.tell(MessageType::Mkdir, &[path, b"\0"])?;
                client.tell(MessageType::Rm, &[path, b"\0"])
            })
        }
        _ => {
            // Nodes of one transaction.
            let id = guest.client.begin()?;
            until_refused(guest, |client, n| {
                client.ask(MessageType::Write, id, &[&numbered(b"data/n", n), b"\0x"]).map(drop)
            })?;
            // Refused or not, it is over.
            let _ = guest.client.ask(MessageType::TransactionEnd, id, &[b"F\0"]);
            Ok(())
        }
    }
}

/// Does it until it is refused, which has to happen; more than that is not our business.
fn until_refused(guest: &mut Guest, mut more: impl FnMut(&mut Client, u32) -> Answer<()>) -> Answer<()> {
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
