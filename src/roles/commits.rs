//! Guests that make the store do as much as possible for one request. One round each.

use super::guest::Guest;
use super::text::{node, numbered, text};
use crate::client::{Answer, Failure, Machine};
use crate::wire::{MessageType, TxId, XsError};

/// A path of nearly the greatest length.
const LONG_PATH: [u8; 1800] = {
    let mut path = [b'p'; 1800];
    let (start, _) = path.split_at_mut(7);
    start.copy_from_slice(b"data/x/");
    path[1799] = b'/';
    path
};

/// The deepest path: `data/x/d` and then a level every two bytes.
const DEEP: [u8; 1800] = {
    let mut path = [b'a'; 1800];
    let (start, rest) = path.split_at_mut(8);
    start.copy_from_slice(b"data/x/d");
    let mut n = 0;
    while n < rest.len() {
        rest[n] = b'/';
        n += 2;
    }
    path
};

/// All nodes that it may have in one commit, each seen by all watches that it may have.
pub fn commits<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    commit_watched(guest, b"data/x/c/", 900)
}

/// The same with the longest paths.
pub fn long_paths<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    commit_watched(guest, &LONG_PATH, 300)
}

fn commit_watched<M: Machine>(guest: &mut Guest<M>, path: &[u8], nodes: u32) -> Answer<()> {
    watch_up_to_quota(guest)?;
    let id = guest.client.begin()?;
    // If it is refused, everything is still there.
    let _ = guest.flood(MessageType::Write, id, 0..nodes, |n| node(path, n, b"x"));
    guest.end(id, b"T")
}

/// All watches that it may have, on what it writes.
pub fn watch_up_to_quota<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.until_refused(|client, n| client.watch(b"data", text(n).as_bytes()))
}

/// Several commits that come at once.
pub fn prepared<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    const COMMITS: u32 = 8;
    let mut begun = heapless::Vec::<TxId, { COMMITS as usize }>::new();
    for number in 0..COMMITS {
        let Ok(id) = guest.client.begin() else { break };
        let path = numbered(b"data/x/p", number);
        let _ = guest.flood(MessageType::Write, id, 0..100, |n| {
            super::text::joined(&[&path, b"/", &node(b"", n, b"x")])
        });
        // There is room for all that are begun.
        let _ = begun.push(id);
    }
    let deadline = guest.client.deadline();
    let mut last = None;
    for id in begun {
        last = Some(guest.client.submit(MessageType::TransactionEnd as u32, id, &[b"T\0"], deadline)?);
    }
    last.map_or(Ok(()), |last| guest.client.answer_to(last, deadline).map(drop))
}

/// A tree of hundreds of levels that is removed in a transaction.
pub fn deep_removal<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.client.write(&DEEP, b"x")?;
    let id = guest.client.begin()?;
    let _ = guest.client.ask(MessageType::Rm, id, &[b"data/x/d\0"]);
    guest.end(id, b"T")
}

/// A transaction that has to fail.
pub fn losing<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let id = guest.client.begin()?;
    let _ = guest.client.ask(MessageType::Read, id, &[b"data/x/k\0"]);
    let _ = guest.client.write(b"data/x/k", b"x");
    match guest.end(id, b"T") {
        // Where there was no room, it could not fail either.
        Err(Failure::Refused(XsError::EAGAIN | XsError::ENOMEM)) => Ok(()),
        other => other,
    }
}
