//! Guests that do little themselves and try to make others wait or miss something. One round each.

use super::commits::watch_up_to_quota;
use super::guest::Guest;
use super::text::{joined, node, text};
use crate::client::{Answer, Machine};
use crate::wire::{Header, MessageType, TxId};

/// How long it is silent, microseconds.
const SILENCE: u64 = 500_000;

/// Watches what it writes, writes, and reads nothing for a while.
pub fn unread<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    watch_up_to_quota(guest)?;
    for n in 0..8 {
        let payload = node(b"data/x/u", n, b"x");
        let len = payload.len() as u32;
        let header = Header { msg_type: MessageType::Write as u32, req_id: 0, tx_id: TxId::NONE, len };
        guest.client.push(&joined(&[&header.emit(), &payload]));
    }
    guest.client.pause(SILENCE);
    Ok(())
}

/// Watches the special nodes for domains, and reads nothing for a while.
pub fn deaths<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    guest.until_refused(|client, n| client.watch(b"@releaseDomain", text(n).as_bytes()))?;
    guest.client.pause(SILENCE);
    Ok(())
}

/// Sends half of a message, and never the rest.
pub fn half<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    let header = Header { msg_type: MessageType::Write as u32, req_id: 0, tx_id: TxId::NONE, len: 4000 };
    guest.client.push(&joined(&[&header.emit(), b"data/x/h\0", &[b'h'; 900]]));
    guest.client.pause(SILENCE);
    guest.start_over()
}

/// Sets permissions for domains that do not exist, of nodes that are not its own or do not exist.
pub fn strangers<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    const LIST: &[u8] = b"\0n0\0r32001\0r32002\0r32003\0r32004\0";
    let paths: [&[u8]; 4] = [b"/local/domain/0", b"//", b"data/x/s", b"@releaseDomain"];
    guest.flood(MessageType::SetPerms, TxId::NONE, 0..16, |n| {
        joined(&[paths.get(n as usize % paths.len()).copied().unwrap_or_default(), LIST])
    })
}

/// Lets all others read and write its nodes, watches its neighbours' nodes, and writes there.
pub fn crowd<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    /// Domids below and above its own.
    const NEAR: u32 = 16;
    let own = u32::from(guest.domid.0);
    let near = move |n: u32| (own + n % (2 * NEAR)).saturating_sub(NEAR);
    let home = |n: u32| joined(&[b"/local/domain/", text(near(n)).as_bytes(), b"/data"]);
    guest.client.tell(MessageType::SetPerms, &[b"data\0b", text(own).as_bytes(), b"\0"])?;
    guest.until_refused(|client, n| client.watch(&home(n), text(n).as_bytes()))?;
    guest.flood(MessageType::Write, TxId::NONE, 0..2 * NEAR, |n| joined(&[&home(n), b"/x/n\0x"]))
}
