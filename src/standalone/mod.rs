//! The image under plain `xl create`: it tries whether its own store works on this machine, and how fast.
//!
//! The store runs as it does on a host, but its domains are two clients in the image itself, dom0 and one guest. Each
//! is at the other end of a ring page in ordinary memory. It uses the server and the client and does not know Xen.
//! [`host`] has the report in the host's own store.

pub mod bench;
pub mod host;
pub mod selftest;

use crate::abi::DomId;
use crate::client::{Answer, Client, Failure, Machine};
use crate::wire::{Header, MessageType, TxId};

/// The store's domains here: the privileged one, and a guest.
pub const DOMIDS: [DomId; 2] = [DomId(0), DomId(1)];

/// Most calls of the server for one request: more than its answer and events need to pass the ring.
const ROUNDS: usize = 32;

/// The server and its clients.
pub struct Loopback<'a, M: Machine> {
    /// In the order of [`DOMIDS`].
    pub clients: &'a mut [Client<M>; 2],
    /// Lets the server work until it has nothing more to do.
    pub poll: &'a mut dyn FnMut(),
}

impl<M: Machine> Loopback<'_, M> {
    /// Sends a request of one client, has it served, and passes on all that the client then finds in its ring.
    pub fn exchange(
        &mut self,
        who: usize,
        msg_type: u32,
        tx_id: TxId,
        payload: &[u8],
        heard: &mut dyn FnMut(&Header, &[u8]),
    ) -> Answer<()> {
        if let Some(client) = self.clients.get_mut(who) {
            let deadline = client.deadline();
            client.submit(msg_type, tx_id, &[payload], deadline)?;
        }
        self.listen(who, heard);
        Ok(())
    }

    /// Has the server work, and passes on what one client then finds in its ring.
    pub fn listen(&mut self, who: usize, heard: &mut dyn FnMut(&Header, &[u8])) {
        let Some(client) = self.clients.get_mut(who) else { return };
        for _ in 0..ROUNDS {
            (self.poll)();
            while let Some(header) = client.receive() {
                heard(&header, client.payload(&header));
            }
            if !client.is_receiving() {
                break;
            }
        }
    }

    /// Makes a request that must succeed.
    #[inline(never)]
    fn tell(&mut self, who: usize, what: MessageType, payload: &[u8]) -> Answer<()> {
        let mut answer = Err(Failure::Silent);
        self.exchange(who, what as u32, TxId::NONE, payload, &mut |header, _| {
            if header.msg_type == what as u32 {
                answer = Ok(());
            }
        })?;
        answer
    }

    /// Nanoseconds of the machine's clock.
    fn now(&self) -> u64 {
        let [first, _] = &*self.clients;
        first.now()
    }
}
