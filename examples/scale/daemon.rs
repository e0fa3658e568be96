//! Xen's own servers for simulated guests: real daemons, real rings, and a machine of files.

use std::collections::BTreeMap;

use tempfile::NamedTempFile;
use xenstore::wire::{Header, MessageType, TxId};

use conformance::client::Client;
use conformance::message::Packet;
use conformance::page::RING;
use conformance::peer::Peer;
use conformance::programs::Daemon as Program;
use conformance::step::Life;
use support::lives::{Answer, Recording, World, come_up};

pub struct Daemon {
    peer: Box<dyn Peer>,
    /// By domid.
    clients: BTreeMap<u16, Client>,
}

impl Daemon {
    /// A host that is up, and has no guest.
    pub fn start(program: &Program, recording: &Recording) -> Result<Daemon, String> {
        let peer = program.start(&[]).map_err(|error| format!("it does not start: {error}"))?;
        let dom0 = Client::new(peer.page(0).ok_or("dom0 has no page")?);
        let mut daemon = Daemon { peer, clients: BTreeMap::from([(0, dom0)]) };
        come_up(&mut daemon, recording)?;
        Ok(daemon)
    }

    /// What dom0 asks, whose answer is only that it is done.
    pub fn tell(&mut self, kind: MessageType, payload: &[u8]) -> Result<(), String> {
        let answer = self.ask(0, kind, TxId::NONE, payload)?;
        answer.error.map_or(Ok(()), |error| Err(format!("{}: {error}", kind.name())))
    }

    /// Bytes that it has allocated, as it reports itself.
    pub fn held(&mut self) -> Result<f64, String> {
        let file = NamedTempFile::new().map_err(|error| error.to_string())?;
        let path = file.path().to_str().ok_or("the temporary folder has a strange name")?;
        self.tell(MessageType::Control, format!("memreport\0{path}\0").as_bytes())?;
        // full talloc report on 'null_context' (total  82395 bytes in 1210 blocks)
        let report = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        let total =
            report.split_once("(total").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        total.ok_or_else(|| "memreport tells no total".to_string())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.peer.settle().map_err(|gone| gone.to_string())
    }
}

impl World for Daemon {
    /// All clients in dom0 share its ring, as they do behind its kernel.
    type Session = u16;

    fn dom0(&self) -> u16 {
        0
    }

    fn guest(&self, domid: u16) -> Option<u16> {
        self.clients.contains_key(&domid).then_some(domid)
    }

    fn made(&mut self, domid: u16) {
        self.peer.set_life(domid, Life::Built);
        self.clients.extend(self.peer.page(domid).map(|page| (domid, Client::new(page))));
    }

    fn gone(&mut self, domid: u16) -> Result<(), String> {
        self.clients.remove(&domid);
        for life in [Life::Dead, Life::Gone] {
            self.peer.set_life(domid, life);
            self.peer.virq();
            self.settle()?;
        }
        Ok(())
    }

    fn ask(&mut self, from: u16, kind: MessageType, tx: TxId, payload: &[u8]) -> Result<Answer, String> {
        let header = Header { msg_type: kind as u32, req_id: 1, tx_id: tx, len: payload.len() as u32 };
        let client = self.clients.get_mut(&from).ok_or("the client is not connected")?;
        client.send(&[&header.emit(), payload].concat());
        loop {
            let pushed = client.push();
            if pushed > 0 {
                self.peer.kick(from);
            }
            self.peer.settle().map_err(|gone| gone.to_string())?;
            let pulled = client.pull();
            let is_event = |packet: &Packet| packet.kind == MessageType::WatchEvent as u32;
            let answer = client.packets().into_iter().find(|packet| !is_event(packet));
            // Who empties a full ring says so.
            if pulled == RING {
                self.peer.kick(from);
            }
            if let Some(answer) = answer {
                return Ok(Answer { error: answer.error().map(str::to_string), payload: answer.payload });
            }
            if pushed + pulled == 0 {
                return Err(format!("{} was not answered", kind.name()));
            }
        }
    }
}
