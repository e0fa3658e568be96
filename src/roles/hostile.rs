//! Guests that break the rules of the ring and of the event channel. One round each. Nothing here waits for an answer
//! that might never come.

use core::sync::atomic::Ordering::{Relaxed, Release};

use super::guest::{Domain, Guest};
use crate::abi::RING_SIZE;
use crate::client::{Answer, Machine};
use crate::wire::{Header, MessageType, PAYLOAD_MAX, TxId};

/// Rounds after which a store must still serve the ring. After the later ones it need not.
const TOLERABLE: u32 = 200;

/// Time between two rounds, microseconds, so that the store sees each.
const BREATH: u64 = 1000;

/// Moves indexes: first so that garbage becomes requests, then out of range.
pub fn indexes<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let (which, how, value) = (guest.random.below(4), guest.random.below(4), guest.random.number());
    if guest.counts.rounds < TOLERABLE {
        // Zeros ask for nothing that exists, so that the connection lasts.
        let msg_type = guest.random.below(64);
        guest.client.push(&Header { msg_type, req_id: 0, tx_id: TxId(value), len: 0 }.emit());
        let page = guest.client.machine.page();
        let ahead = page.rsp_prod.load(Relaxed).wrapping_sub(page.rsp_cons.load(Relaxed));
        page.rsp_cons.fetch_add(guest.random.below(ahead.clamp(1, RING_SIZE)), Release);
    } else {
        let page = guest.client.machine.page();
        let index = match which {
            0 => &page.req_prod,
            1 => &page.req_cons,
            2 => &page.rsp_cons,
            _ => &page.rsp_prod,
        };
        let value = match how {
            0 => value,
            1 => index.load(Relaxed).wrapping_add(RING_SIZE + 1),
            2 => index.load(Relaxed).wrapping_sub(1),
            _ => u32::MAX,
        };
        index.store(value, Release);
    }
    guest.client.notify();
    guest.client.pause(BREATH);
    Ok(())
}

/// Sends requests in random pieces, notifies after each, and abandons some of them for a new connection.
pub fn torn<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let mut message = [b'x'; Header::SIZE + 200];
    let header = Header { msg_type: MessageType::Write as u32, req_id: 0, tx_id: TxId::NONE, len: 200 };
    let (head, payload) = message.split_at_mut(Header::SIZE);
    head.copy_from_slice(&header.emit());
    payload[..10].copy_from_slice(b"data/torn\0");
    let mut rest = &message[..];
    let given_up = if guest.random.below(4) == 0 { guest.random.below(200) as usize } else { 0 };
    while rest.len() > given_up {
        let piece = 1 + guest.random.below(40) as usize;
        let sent = guest.client.push(&rest[..piece.min(rest.len())]);
        rest = &rest[sent..];
        guest.client.drain();
        if sent == 0 {
            guest.client.pause(BREATH);
        }
    }
    guest.client.drain();
    if rest.is_empty() { Ok(()) } else { guest.client.reconnect() }
}

/// The longest messages, whose ends are sent only when the ring is full; then one without an end.
pub fn endless<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let len = if guest.counts.rounds < TOLERABLE { PAYLOAD_MAX as u32 } else { u32::MAX };
    let header = Header { msg_type: guest.random.below(64), req_id: 0, tx_id: TxId::NONE, len };
    let junk = [b'y'; RING_SIZE as usize];
    guest.client.push(&header.emit());
    let mut left = PAYLOAD_MAX;
    for _ in 0..2 * PAYLOAD_MAX / junk.len() {
        left -= guest.client.push(&junk[..left.min(junk.len())]);
        guest.client.drain();
        if left == 0 {
            return Ok(());
        }
        guest.client.pause(BREATH);
    }
    // The store takes no more of it.
    Ok(())
}

/// Makes more requests than its ring has room for, and never takes an answer.
pub fn deaf<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let header = Header { msg_type: MessageType::Read as u32, req_id: 0, tx_id: TxId::NONE, len: 11 };
    let mut request = [0; Header::SIZE + 11];
    request[..Header::SIZE].copy_from_slice(&header.emit());
    request[Header::SIZE..].copy_from_slice(b"data/hello\0");
    let mut sent = 0;
    // Whole requests as long as there is room. The last one is cut off, and its end never comes.
    while sent < 4 * RING_SIZE as usize && guest.client.push(&request) == request.len() {
        sent += request.len();
    }
    guest.client.pause(BREATH);
    Ok(())
}

/// Closes its end of the event channel and binds another one, with a request under way.
pub fn rebind<M: Domain>(guest: &mut Guest<M>) -> Answer<()> {
    let deadline = guest.client.deadline();
    let header = Header { msg_type: MessageType::Directory as u32, req_id: 0, tx_id: TxId::NONE, len: 5 };
    guest.client.push(&header.emit());
    if !guest.client.machine.rebind() {
        guest.counts.wrong += 1;
    }
    guest.client.push(b"data\0");
    guest.client.answer_to(header.req_id, deadline)?;
    guest.client.write(b"data/rebound", b"x")
}

/// Notifies without a reason.
pub fn kick<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    for _ in 0..100 {
        guest.client.notify();
    }
    Ok(())
}
