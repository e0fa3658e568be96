//! The scene of most attacks, and what is checked after each.

use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::store::Usage;
use xenstore::wire::{MessageType, TxId};

use support::{Host, Message, request};

/// U and V, each with its home and `data` below it.
pub fn scene() -> Host {
    scene_with(Settings::DEFAULT, &Capacities::for_nodes(8192))
}

pub fn scene_with(settings: Settings, capacities: &Capacities) -> Host {
    let mut host = Host::with(settings, capacities);
    for domid in [5, 6] {
        enter(&mut host, domid);
    }
    host
}

/// Boots a guest that owns its home and `data` below it.
pub fn enter(host: &mut Host, domid: u16) {
    host.boot(domid);
    host.ok(0, 0, &format!("WRITE /local/domain/{domid}/data|"));
}

pub fn usage(host: &Host, domid: u16) -> Usage {
    host.server.usage(DomId(domid)).unwrap_or_default()
}

/// Bytes that are charged to a guest.
pub fn memory(host: &Host, domid: u16) -> u32 {
    usage(host, domid).memory
}

pub fn nodes(host: &Host, domid: u16) -> u32 {
    usage(host, domid).nodes
}

/// Names of all nodes at and below a path, as domain 0 sees them, with their values.
pub fn tree(host: &mut Host, top: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![top.to_string()];
    while let Some(path) = left.pop() {
        let value = host.ask(0, 0, &format!("READ {path}|"));
        let perms = host.ask(0, 0, &format!("GET_PERMS {path}|"));
        let names = host.ask(0, 0, &format!("DIRECTORY {path}|"));
        let slash = path.trim_end_matches('/');
        left.extend(names.split_terminator('|').map(|name| format!("{slash}/{name}")));
        found.push((path, format!("{value} {perms}")));
    }
    found
}

pub fn exists(host: &mut Host, path: &str) -> bool {
    host.ask(0, 0, &format!("READ {path}|")) != "ENOENT"
}

/// Asserts that nothing is left to do: the server looks at the rings once a second, and after a minute it sleeps for good.
#[track_caller]
pub fn sleeps(host: &mut Host) {
    for _ in 0..=62 {
        let Some(deadline) = host.server.poll(&mut host.xen) else { return };
        assert!(
            deadline >= host.xen.now.after_nanoseconds(900_000_000),
            "the server wants to be called again"
        );
        host.xen.now = deadline;
    }
    panic!("the server wants to be called for ever");
}

/// Checks after an attack: no input is left, the server sleeps, others are served, all counts are right.
#[track_caller]
pub fn over(host: &mut Host) {
    let clients: Vec<u16> = host.clients.keys().copied().collect();
    for domid in clients {
        host.received(domid);
    }
    host.check();
    // Connections that waited may be looked at once more.
    host.xen.pass(1);
    host.poll();
    sleeps(host);
    host.expect(&[(0, 0, "WRITE /tool/alive|yes", "OK|"), (0, 0, "READ /tool/alive|", "yes")]);
    if host.server.usage(DomId(6)).is_some() {
        host.expect(&[
            (6, 0, "WRITE alive|yes", "OK|"),
            (6, 0, "READ alive|", "yes"),
            (6, 0, "RM alive|", "OK|"),
        ]);
    }
}

/// Writes as much of `bytes` as the server takes while the client reads nothing. Returns how much that was.
pub fn stuff(host: &mut Host, domid: u16, bytes: &[u8]) -> usize {
    let mut sent = 0;
    loop {
        let put = host.client(domid).write(&bytes[sent..]);
        sent += put;
        host.xen.kick(DomId(domid));
        host.poll();
        if put == 0 || sent == bytes.len() {
            return sent;
        }
    }
}

/// The bytes of a request of this type.
pub fn bytes(kind: MessageType, req_id: u32, tx: u32, payload: &str) -> Vec<u8> {
    request(kind as u32, req_id, TxId(tx), payload.replace('|', "\0").as_bytes())
}

/// Reads and serves until nothing more comes.
pub fn drain(host: &mut Host, domid: u16) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        all.extend(host.client(domid).read());
        host.xen.kick(DomId(domid));
        host.poll();
        if host.client(domid).waiting() == 0 {
            return all;
        }
    }
}

/// Makes nodes `<prefix>0`, `<prefix>1`, … below the guest's home until one is refused. Returns how many.
pub fn fill_nodes(host: &mut Host, domid: u16, tx: u32, dirs: usize) -> usize {
    let mut made = 0;
    for dir in 0..dirs {
        for n in 0..100 {
            let answer = host.ask(domid, tx, &format!("WRITE data/d{dir}/{n}|x"));
            if answer != "OK|" {
                return made;
            }
            made += 1;
        }
    }
    made
}
