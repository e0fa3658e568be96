//! Bytes as a session: guests that keep to the protocol or not, a toolstack that does, and domains that die
//! at any time. Afterwards the store must be consistent, dom0 must be served, and nothing may be left of a
//! guest that is gone.

use crate::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::quota::Quotas;
use xenstore::wire::{MessageType, PAYLOAD_MAX, TxId};

const GUESTS: u16 = 3;

/// Little of everything except the memory for answers, so that "full" is reached often.
const CAPACITIES: Capacities = Capacities {
    domains: 6,
    nodes: 60,
    chunks: 5000,
    acls: 24,
    watches: 24,
    transactions: 6,
    tx_nodes: 40,
    messages: 64,
    trace: 64,
    names: 16,
};

const QUOTAS: Quotas = Quotas {
    nodes: 20,
    watches: 8,
    outstanding: 6,
    memory: 20_000,
    transactions: 3,
    transaction_nodes: 20,
    node_permissions: 6,
    ..Quotas::DEFAULT
};

const WORDS: &[&[u8]] = &[
    b"/",
    b"/a",
    b"/a/b",
    b"/a/b/c/d",
    b"x",
    b"x/y/z",
    b"/local/domain/1",
    b"/local/domain/2/x",
    b"/local/domain",
    b"/a-name-that-is-longer-than-its-slot/and-another-that-is-long/and-one-more-to-be-sure",
    b"@releaseDomain",
    b"@introduceDomain",
    b"@releaseDomain/1",
    b"bad path",
    b"",
    b"t",
    b"a-token-that-is-longer-than-its-slot",
    b"T",
    b"F",
    b"0",
    b"1",
    b"2",
    b"3",
    b"5",
    b"32752",
    b"65535",
    b"n0",
    b"b0",
    b"b1",
    b"r2",
    b"w3",
    b"r32757",
    b"check",
    b"nodes",
];

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (now, later) = self.0.split_at(count.min(self.0.len()));
        self.0 = later;
        now.to_vec()
    }

    /// A payload of a few words, often with NULs in the right places.
    fn payload(&mut self) -> Vec<u8> {
        let mut payload = Vec::new();
        let count = self.below(5);
        for n in 0..count {
            let word = self.byte();
            match WORDS.get(usize::from(word)) {
                Some(word) => payload.extend_from_slice(word),
                // A long one.
                None => payload.extend(std::iter::repeat_n(b'v', usize::from(word & 63) * 64)),
            }
            if n + 1 < count || !self.byte().is_multiple_of(4) {
                payload.push(0);
            }
        }
        payload.truncate(PAYLOAD_MAX);
        payload
    }

    fn request(&mut self) -> Vec<u8> {
        let types = MessageType::ALL;
        let msg_type = match self.below(types.len() + 2) {
            n if n < types.len() => types[n] as u32,
            n => 20 + (n - types.len()) as u32 * 13,
        };
        let tx = self.below(5) as u32;
        request(msg_type, 1, TxId(tx), &self.payload())
    }

    fn index(&mut self, now: u32) -> u32 {
        match self.below(6) {
            0 => 0,
            1 => now.wrapping_add(u32::from(self.byte())),
            2 => now.wrapping_sub(u32::from(self.byte())),
            3 => now.wrapping_add(u32::from(self.byte()) * 8),
            4 => u32::MAX - u32::from(self.byte()),
            _ => now.wrapping_add(1024),
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let settings = Settings { quotas: QUOTAS, keep_orphans: input.byte() == 7, ..Settings::DEFAULT };
    let mut host = Host::with(settings, &CAPACITIES);
    for guest in 1..=GUESTS {
        host.create(guest);
        host.ok(0, 0, &format!("WRITE /local/domain/{guest}|"));
        host.ok(0, 0, &format!("SET_PERMS /local/domain/{guest}|n{guest}|"));
        host.ok(0, 0, &format!("INTRODUCE {guest}|1|5|"));
    }
    while !input.0.is_empty() {
        step(&mut host, &mut input);
    }
    finish(host);
}

/// dom0 keeps to the protocol: it reads its messages and sends whole requests.
fn as_toolstack(host: &mut Host, bytes: &[u8]) {
    host.push(0, bytes);
    host.poll();
    host.received(0);
}

fn step(host: &mut Host, input: &mut Input<'_>) {
    let guest = 1 + input.below(usize::from(GUESTS)) as u16;
    let domid = DomId(guest);
    let here = host.clients.contains_key(&guest);
    match input.below(20) {
        0..5 if here => write(host, guest, &input.request()),
        5 if here => {
            let len = input.below(80);
            write(host, guest, &input.bytes(len));
        }
        // A message that is announced and does not come, or comes in pieces.
        6 if here => {
            let len = u32::from(input.byte()) * 17;
            let header = request(u32::from(input.byte()), 1, TxId(0), &[]);
            write(host, guest, &header[..12]);
            write(host, guest, &len.to_le_bytes());
        }
        7 if here => {
            let mut indexes = host.client(guest).indexes();
            let which = input.below(4);
            indexes[which] = input.index(indexes[which]);
            host.client(guest).set_indexes(indexes);
        }
        8 if here => {
            use std::sync::atomic::Ordering::SeqCst;
            let value = u32::from(input.byte() % 3);
            host.client(guest).page.connection.store(value, SeqCst);
        }
        9 if here => {
            let limit = u32::from(input.byte()) * 8;
            host.client(guest).read_some(limit);
            host.client(guest).forget();
        }
        10..12 => host.xen.kick(domid),
        12 => host.poll(),
        13 => as_toolstack(host, &input.request()),
        14 => {
            let message = [MessageType::Introduce, MessageType::Release, MessageType::Resume][input.below(3)];
            let payload = format!("{guest}\0{}\0{}\0", 1, input.below(4));
            let end = if message == MessageType::Introduce { payload.len() } else { 2 };
            as_toolstack(host, &request(message as u32, 1, TxId(0), &payload.as_bytes()[..end]));
        }
        15 if here => match input.below(4) {
            0 => host.xen.kill(domid),
            1 => host.xen.shut_down(domid),
            2 => host.xen.revive(domid),
            _ => host.xen.make_unmappable(domid),
        },
        16 => {
            if here {
                host.xen.vanish(domid);
                host.clients.remove(&guest);
            } else {
                host.create(guest);
            }
        }
        17 => host.xen.pass(u64::from(input.byte() % 32)),
        18 => match input.below(3) {
            0 => host.xen.legacy = !host.xen.legacy,
            1 => host.xen.virq(),
            _ => {
                let port = input.below(4) as u32;
                if !host.xen.unbindable.remove(&port) {
                    host.xen.unbindable.insert(port);
                }
            }
        },
        // Another server goes on, without open transactions.
        19 => host.update(1 + u32::from(input.byte() % 2)),
        _ => {}
    }
}

/// Writes what fits; nothing if the guest has put its own indexes out of range.
fn write(host: &mut Host, guest: u16, bytes: &[u8]) {
    if host.client(guest).unread() <= 1024 {
        host.client(guest).write(bytes);
    }
}

fn finish(mut host: Host) {
    host.xen.legacy = false;
    host.poll();
    host.received(0);
    host.check();
    assert_eq!(host.ask(0, 0, "GET_DOMAIN_PATH 7|"), "/local/domain/7|", "dom0 is served");
    for guest in 1..=GUESTS {
        if host.clients.remove(&guest).is_some() {
            host.xen.vanish(DomId(guest));
        }
    }
    host.poll();
    host.received(0);
    assert_eq!(host.ask(0, 0, "RESET_WATCHES |"), "OK|");
    host.check();
    let left = host.server.in_use();
    assert_eq!(
        (left.domains, left.watches, left.transactions, left.tx_nodes, left.messages),
        (1, 0, 0, 0, 0),
        "nothing is left of domains that are gone"
    );
    assert_eq!(host.xen.open_ports(), 1);
}
