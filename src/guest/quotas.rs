//! A guest that uses up each quota that the store knows, one a round: up to the refusal, and back.

use heapless::Vec;
use xenstore::client::Answer;
use xenstore::quota::Quota;
use xenstore::wire::{Header, MessageType, TxId};

use crate::greedy::{transaction_flood, until_refused, watch_flood};
use crate::honest::text;
use crate::life::Guest;

/// Upstream's quotas in the order of `xenstore-control quota`, and a round that uses each up.
const KINDS: [fn(&mut Guest) -> Answer<()>; Quota::HARD] = [
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

/// A value that nearly fills a node.
const LARGE: [u8; 1900] = [b'v'; 1900];

/// Answers to leave unread at a time: far more than ring and quota hold together.
const UNREAD: u32 = 400;

/// Time within which the store takes a request if it takes any, microseconds.
const MOMENT: u64 = 100_000;

/// All quotas in turn.
pub fn quotas(guest: &mut Guest) -> Answer<()> {
    KINDS[guest.counts.rounds as usize % KINDS.len()](guest)
}

/// The path of the nth of many nodes: in groups, since the names of too many in one would use up that one's size.
fn spread(number: u32) -> Vec<u8, 40> {
    let mut path = Vec::new();
    for part in ["data/q/", &text(number / 100), "/", &text(number % 100)] {
        // Short: numbers here have four digits at most.
        let _ = path.extend_from_slice(part.as_bytes());
    }
    path
}

fn nodes(guest: &mut Guest) -> Answer<()> {
    until_refused(guest, |client, n| client.tell(MessageType::Mkdir, &[&spread(n), b"\0"]))?;
    guest.client.tell(MessageType::Rm, &[b"data/q\0"])
}

/// Leaves answers unread until the store takes no more requests, which is how it refuses here; then takes them all.
fn outstanding(guest: &mut Guest) -> Answer<()> {
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
fn memory(guest: &mut Guest) -> Answer<()> {
    const NODES: u32 = 600;
    let mut tx_id = TxId::NONE;
    until_refused(guest, |client, n| {
        if n >= NODES && n % NODES == 0 {
            tx_id = client.begin()?;
        }
        client.ask(MessageType::Write, tx_id, &[&spread(n % NODES), b"\0", &LARGE]).map(drop)
    })?;
    // Ends the transactions.
    guest.client.reconnect()?;
    guest.client.watch_shutdown()?;
    guest.client.tell(MessageType::Rm, &[b"data/q\0"])
}

fn transaction_nodes(guest: &mut Guest) -> Answer<()> {
    let id = guest.client.begin()?;
    until_refused(guest, |client, n| client.ask(MessageType::Write, id, &[&spread(n), b"\0x"]).map(drop))?;
    // Refused or not, it is over.
    let _ = guest.client.ask(MessageType::TransactionEnd, id, &[b"F\0"]);
    Ok(())
}

fn node_permissions(guest: &mut Guest) -> Answer<()> {
    let own = u32::from(guest.domid.0);
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

fn path_max(guest: &mut Guest) -> Answer<()> {
    let mut path = [b'p'; 4000];
    path[..5].copy_from_slice(b"data/");
    until_refused(guest, |client, n| {
        let path = path.get(..8 + 100 * n as usize).unwrap_or(&path);
        client.tell(MessageType::Mkdir, &[path, b"\0"])?;
        client.tell(MessageType::Rm, &[path, b"\0"])
    })
}

fn node_size(guest: &mut Guest) -> Answer<()> {
    let value = [b'v'; 4000];
    until_refused(guest, |client, n| {
        client.write(b"data/size", value.get(..n as usize * 64).unwrap_or(&value))
    })
}
