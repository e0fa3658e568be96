//! Guests that behave, each in its own way. One round each.

use core::sync::atomic::Ordering::Relaxed;

use super::guest::Guest;
use super::text::text;
use crate::client::{Answer, Failure, Machine};
use crate::wire::{Header, MessageType, TxId};

const SECOND: u64 = 1_000_000_000;

/// Waits to be asked to go.
pub fn hello<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.client.listen(guest.client.now() + SECOND);
    Ok(())
}

/// Uses its vCPU and asks nothing of the store: what such guests cost others is not the store's fault.
pub fn spin<M: Machine>(_: &mut Guest<M>) -> Answer<()> {
    for step in 0..1_000_000_u32 {
        core::hint::black_box(step);
    }
    Ok(())
}

/// Wakes about a thousand times in a second for 20 µs, about as long as a round of attackers that sleep, and asks nothing of
/// the store: what guests that sleep and wake cost others is not the store's fault.
pub fn nap<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let until = guest.client.now() + 20_000;
    while guest.client.now() < until {
        core::hint::spin_loop();
    }
    guest.client.pause(1000);
    Ok(())
}

/// Writes and reads a node, with watches on it, and checks all answers and events.
pub fn load<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    if guest.counts.rounds == 0 {
        for number in 0..guest.watches {
            guest.client.watch(b"data/load", text(number).as_bytes())?;
            guest.events_due += 1;
        }
        await_events(guest);
        write_number(guest, 0)?;
    }
    let round = guest.counts.rounds;
    if guest.random.below(100) < guest.writes { write_number(guest, round) } else { read_number(guest) }
}

/// The number of a round that wrote; the next reading has to find it.
fn write_number<M: Machine>(guest: &mut Guest<M>, number: u32) -> Answer<()> {
    guest.client.write(b"data/load", text(number).as_bytes())?;
    guest.last_written = number;
    guest.events_due += guest.watches;
    await_events(guest);
    Ok(())
}

/// Takes the events that are due: while one waits unread, another one like it is not sent.
fn await_events<M: Machine>(guest: &mut Guest<M>) {
    let deadline = guest.client.now() + 10 * SECOND;
    guest.client.listen_for(guest.events_due, deadline);
}

fn read_number<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let wanted = text(guest.last_written);
    let found = guest.client.ask(MessageType::Read, TxId::NONE, &[b"data/load\0"])?;
    if found != wanted.as_bytes() {
        guest.counts.wrong += 1;
    }
    Ok(())
}

/// Leaves watches, a transaction and half a request behind and asks for a new connection, which must be empty and work.
pub fn reconnect<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let client = &mut guest.client;
    client.watch(b"data/load", b"left")?;
    let begun = client.begin()?;
    let header = Header { msg_type: MessageType::Write as u32, req_id: 0, tx_id: begun, len: 500 };
    client.push(&header.emit());
    client.reconnect()?;
    let seen = client.events;
    client.write(b"data/load", b"after")?;
    let ended = client.ask(MessageType::TransactionEnd, begun, &[b"T\0"]).map(drop);
    // Neither an event of the watch nor the transaction may have survived.
    if client.events != seen || !matches!(ended, Err(Failure::Refused(_))) {
        guest.counts.wrong += 1;
    }
    client.watch_shutdown()
}

/// Leaves the ring as hvmloader does for the next one to use it.
pub fn hvmloader_reset<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let page = guest.client.machine.page();
    for word in page.req.iter().chain(&page.rsp) {
        word.store(u64::MAX, Relaxed);
    }
    for index in [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod] {
        index.store(0, Relaxed);
    }
    let number = guest.counts.rounds;
    write_number(guest, number)?;
    read_number(guest)
}
