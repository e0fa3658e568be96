//! Guests that take as much of one kind of slot as they may and keep it, asking for ever more. One round each.

use super::guest::{Guest, Payload};
use super::text::{joined, node, text};
use crate::client::{Answer, Machine};
use crate::wire::{MessageType, TxId};

/// A value or token that does not fit its owner's slot and takes dozens of chunks.
pub const LONG: [u8; 1900] = [b'v'; 1900];

/// The nth hundred of a thousand, at random.
fn hundred<M: Machine>(guest: &mut Guest<M>) -> core::ops::Range<u32> {
    let first = 100 * guest.random.below(10);
    first..first + 100
}

/// One more transaction, which reads a thousand names that do not exist.
pub fn open_reads<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let id = guest.client.begin()?;
    guest.flood(MessageType::Read, id, 0..1000, |n| node(b"data/x/none/", n, b""))
}

/// Transactions that are never used.
pub fn idle_start<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.client.pause(1000);
    guest.client.begin().map(drop)
}

/// Values that take many slots each.
pub fn large_values<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let numbers = hundred(guest);
    guest.flood(MessageType::Write, TxId::NONE, numbers, |n| node(b"data/x/v/", n, &LONG))
}

/// Gives each node a permission list that no other has, of domains that exist.
pub fn many_lists<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let numbers = hundred(guest);
    let own = u32::from(guest.domid.0);
    guest.flood(MessageType::Write, TxId::NONE, numbers.clone(), |n| node(b"data/x/l/", n, b""))?;
    guest.flood(MessageType::SetPerms, TxId::NONE, numbers, |n| {
        let mut list = node(b"data/x/l/", n, b"n");
        let _ = list.extend_from_slice(text(own).as_bytes());
        for place in 0..4 {
            entry(&mut list, n >> (3 * place), own);
        }
        let _ = list.push(0);
        list
    })
}

/// One of eight entries: four letters, two domains.
fn entry(list: &mut Payload, which: u32, own: u32) {
    let letter = b"nrwb".get(which as usize & 3).copied().unwrap_or(b'n');
    let domid = if which & 4 == 0 { 0 } else { own };
    let _ = list.extend_from_slice(&[0, letter]);
    let _ = list.extend_from_slice(text(domid).as_bytes());
}

/// All watches that it may have, with tokens that take many slots each.
pub fn long_watches<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.flood(MessageType::Watch, TxId::NONE, 0..130, |n| {
        joined(&[b"data/x/w\0", text(n).as_bytes(), &LONG, b"\0"])
    })
}
