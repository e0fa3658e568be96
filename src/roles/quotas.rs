//! A guest that uses up each quota of the store, one in each round: it asks until it is refused, and frees everything.

use heapless::Vec;

use super::greedy::{transaction_flood, watch_flood};
use super::guest::Guest;
use super::hoard::LONG;
use super::text::{spread, text};
use crate::client::{Answer, Machine};
use crate::quota::Quota;
use crate::wire::{Header, MessageType, TxId};

/// A round that uses up one quota.
type Round<M> = fn(&mut Guest<M>) -> Answer<()>;

/// Answers that are left unread at a time: far more than ring and quota allow together.
const UNREAD: u32 = 400;

/// Time within which the store takes a request if it takes any, microseconds.
const MOMENT: u64 = 100_000;

/// All quotas in turn.
pub fn quotas<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    // Upstream's quotas in the order of `xenstore-control quota`.
    let kinds: [Round<M>; Quota::HARD] = [
        nodes,
        watch_flood,
        outstanding,
        memory,
        transaction_flood,
        transaction_nodes,
        node_permissions,
        path_max,
        node_size,
    ];
    kinds[guest.counts.rounds as usize % kinds.len()](guest)
}

fn nodes<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.until_refused(|client, n| client.tell(MessageType::Mkdir, &[&spread(b"data/q/", n), b"\0"]))?;
    guest.client.tell(MessageType::Rm, &[b"data/q\0"])
}

/// Leaves answers unread until the store takes no more requests, which is the refusal here. Then takes them all.
fn outstanding<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let client = &mut guest.client;
    let path = b"data/hello\0";
    let mut request = [0; Header::SIZE + 11];
    let (head, payload) = request.split_at_mut(Header::SIZE);
    payload.copy_from_slice(path);
    let mut header =
        Header { msg_type: MessageType::Read as u32, req_id: 0, tx_id: TxId::NONE, len: path.len() as u32 };
    head.copy_from_slice(&header.emit());
    // Whole requests, and bytes of the next one, that are sent.
    let mut part = 0;
    while header.req_id < UNREAD {
        let mut sent = client.push(&request[part..]);
        if sent == 0 {
            client.pause(MOMENT);
            sent = client.push(&request[part..]);
        }
        if sent == 0 {
            break;
        }
        part += sent;
        if part == request.len() {
            part = 0;
            header.req_id += 1;
            request[..Header::SIZE].copy_from_slice(&header.emit());
        }
    }
    let deadline = client.deadline();
    for req_id in 0..header.req_id {
        client.answer_to(req_id, deadline)?;
    }
    if part > 0 {
        client.send(&request[part..], deadline)?;
        client.answer_to(header.req_id, deadline)?;
    }
    if header.req_id == UNREAD {
        guest.counts.wrong += 1;
    } else {
        guest.counts.refused += 1;
    }
    Ok(())
}

/// Large values in most of the nodes that it may have, and in transactions over them again and again.
fn memory<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    const NODES: u32 = 600;
    let mut tx_id = TxId::NONE;
    guest.until_refused(|client, n| {
        if n >= NODES && n % NODES == 0 {
            tx_id = client.begin()?;
        }
        client.ask(MessageType::Write, tx_id, &[&spread(b"data/q/", n % NODES), b"\0", &LONG]).map(drop)
    })?;
    // Ends the transactions.
    guest.start_over()?;
    guest.client.tell(MessageType::Rm, &[b"data/q\0"])
}

fn transaction_nodes<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let id = guest.client.begin()?;
    guest.until_refused(|client, n| {
        client.ask(MessageType::Write, id, &[&spread(b"data/q/", n), b"\0x"]).map(drop)
    })?;
    // It ends, refused or not.
    let _ = guest.client.ask(MessageType::TransactionEnd, id, &[b"F\0"]);
    Ok(())
}

fn node_permissions<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let own = u32::from(guest.domid.0);
    let mut list = Vec::<u8, 200>::new();
    // Ends with the refusal long before it is full.
    let _ = list.extend_from_slice(b"data/hello\0");
    guest.until_refused(|client, n| {
        let _ = list.push(if n == 0 { b'n' } else { b'r' });
        let _ = list.extend_from_slice(text(own + n).as_bytes());
        let _ = list.push(0);
        client.tell(MessageType::SetPerms, &[&list])
    })
}

fn path_max<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let mut path = [b'p'; 4000];
    path[..5].copy_from_slice(b"data/");
    guest.until_refused(|client, n| {
        let path = path.get(..8 + 100 * n as usize).unwrap_or(&path);
        client.tell(MessageType::Mkdir, &[path, b"\0"])?;
        client.tell(MessageType::Rm, &[path, b"\0"])
    })
}

fn node_size<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let value = [b'v'; 4000];
    guest
        .until_refused(|client, n| client.write(b"data/size", value.get(..n as usize * 64).unwrap_or(&value)))
}
