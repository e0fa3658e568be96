//! The worst single requests known: what each scene prepares, and the request that is measured.
//!
//! All of it is within the default quotas of guests, or is what dom0 does for one.

use support::{Client, Host};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::server::sizing::capacities_for;

/// A scene by its row in the table.
pub struct Scene {
    pub name: &'static str,
    /// Puts everything in place, and the last request into its ring.
    pub prepare: fn() -> Host,
}

/// Nodes that a commit makes.
const NODES: usize = 980;
/// Watches of one guest, a little below its quota.
const WATCHES: usize = 120;

pub const SCENES: &[Scene] = &[
    Scene { name: "END: 980 nodes, seen by 120 own watches", prepare: || commit(64, 1, WATCHES, "data") },
    Scene {
        name: "END: 980 nodes with paths of 1.8 KB, seen by one own watch",
        prepare: || commit(64, 1, 1, &long_path()),
    },
    Scene {
        name: "END: 980 nodes, seen by 120 watches of each of 32 guests",
        prepare: || commit(64, 32, WATCHES, "data"),
    },
    Scene {
        name: "END: 980 nodes, seen by 120 watches of each of 64 guests",
        prepare: || commit(64, 64, WATCHES, "data"),
    },
    Scene { name: "END: 980 nodes, seen by one watch of each of 32 guests", prepare: shared_tree },
    Scene { name: "8 times END: 980 nodes, seen by 120 own watches", prepare: || commits(8) },
    Scene { name: "WRITE, seen by 120 watches of each of 160 guests", prepare: one_write },
    Scene { name: "WRITE, seen by 120 watches on / of each of 64 guests", prepare: root },
    Scene { name: "RM of 980 nodes, 120 of them watched by each of 32 guests", prepare: watched_nodes },
    Scene { name: "RM of 980 levels in a transaction", prepare: || deep(&[]) },
    Scene { name: "END after RM of 980 levels", prepare: || deep(&["RM data|"]) },
    Scene { name: "END after RM of 980 levels that are made again", prepare: deep_again },
    Scene { name: "WRITE of 980 levels", prepare: || missing(false, "WRITE") },
    Scene { name: "WRITE of 980 levels in a transaction", prepare: || missing(true, "WRITE") },
    Scene { name: "READ below 980 missing levels in a transaction", prepare: || missing(true, "READ") },
    Scene { name: "RM of 980 nodes in eight folders, seen by one watch", prepare: seen },
    Scene { name: "RM of 980 nodes in eight folders, seen by 120 own watches", prepare: wide },
    Scene {
        name: "end of a domain with 980 nodes, 120 watches, 10 transactions of 980 nodes",
        prepare: burial,
    },
    Scene { name: "end of a domain, seen by 37,800 watches on @releaseDomain", prepare: release },
    Scene { name: "CONTROL check of a full store of 64 MiB", prepare: check },
];

/// A host whose store has so many MiB, as the image divides them, with these guests.
pub fn host(mib: usize, guests: u16) -> Host {
    let capacities: Capacities =
        capacities_for((mib - 1) << 20, (mib << 20) / 16).expect("a store of this size is possible");
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    for domid in 1..=guests {
        host.create(domid);
        let home = format!("/local/domain/{domid}");
        host.ok(0, 0, &format!("WRITE {home}|"));
        host.ok(0, 0, &format!("SET_PERMS {home}|n{domid}|"));
        host.ok(0, 0, &format!("INTRODUCE {domid}|1|5|"));
    }
    host
}

fn long_path() -> String {
    let level = "x".repeat(222);
    format!("data{}", format!("/{level}").repeat(8))
}

/// Guest 1 has a tree that all may read, and so many guests watch it so often each.
fn watched(mib: usize, guests: u16, watches: usize, folder: &str) -> Host {
    let mut host = host(mib, guests);
    host.ok(1, 0, "MKDIR data|");
    host.ok(1, 0, "SET_PERMS data|r1|");
    host.ok(1, 0, &format!("MKDIR {folder}|"));
    watch(&mut host, guests, watches, |_| "/local/domain/1/data".to_string());
    host
}

/// Each guest has so many watches, on these paths.
pub fn watch(host: &mut Host, guests: u16, count: usize, path: impl Fn(usize) -> String) {
    for domid in 1..=guests {
        for n in 0..count {
            let heard = host.ask(domid, 0, &format!("WATCH {}|{n}|", path(n)));
            assert!(heard.starts_with("OK|"), "{heard}");
        }
    }
}

/// The nth of so many nodes: names of all in one folder would exceed the size of a node.
fn node(folder: &str, n: usize) -> String {
    format!("{folder}/{}/{n}", n % 8)
}

pub fn write_all(host: &mut Host, domid: u16, tx: u32, folder: &str) {
    for n in 0..NODES {
        // An own watch hears of it first.
        let heard = host.ask(domid, tx, &format!("WRITE {}|v", node(folder, n)));
        assert!(heard.ends_with("OK|"), "{heard}");
    }
}

fn commit(mib: usize, guests: u16, watches: usize, folder: &str) -> Host {
    let mut host = watched(mib, guests, watches, folder);
    let tx = host.start(1);
    write_all(&mut host, 1, tx, folder);
    host.send(1, tx, "TRANSACTION_END T|");
    host
}

fn commits(count: usize) -> Host {
    let mut host = watched(64, 1, WATCHES, "data");
    write_all(&mut host, 1, 0, "data");
    let transactions: Vec<u32> = (0..count).map(|_| host.start(1)).collect();
    for tx in &transactions {
        write_all(&mut host, 1, *tx, "data");
    }
    for tx in transactions {
        host.send(1, tx, "TRANSACTION_END T|");
    }
    host
}

fn one_write() -> Host {
    let mut host = watched(128, 160, WATCHES, "data");
    host.send(1, 0, "WRITE data|v");
    host
}

/// Guest 1 commits what 32 guests may read, each of which has one watch.
fn shared_tree() -> Host {
    let mut host = host(64, 32);
    host.ok(1, 0, "MKDIR data|");
    host.ok(1, 0, "SET_PERMS data|r1|");
    watch(&mut host, 32, 1, |_| "/local/domain/1/data".to_string());
    let tx = host.start(1);
    write_all(&mut host, 1, tx, "data");
    host.send(1, tx, "TRANSACTION_END T|");
    host
}

/// All guests watch all that there is.
fn root() -> Host {
    let mut host = host(64, 64);
    host.ok(1, 0, "MKDIR data|");
    host.ok(1, 0, "SET_PERMS data|r1|");
    watch(&mut host, 64, WATCHES, |_| "/".to_string());
    host.send(1, 0, "WRITE data|v");
    host
}

/// All may read what guest 1 removes.
fn watched_nodes() -> Host {
    let mut host = host(64, 32);
    host.ok(1, 0, "MKDIR data|");
    host.ok(1, 0, "SET_PERMS data|r1|");
    write_all(&mut host, 1, 0, "data");
    watch(&mut host, 32, WATCHES, |n| format!("/local/domain/1/{}", node("data", n)));
    host.send(1, 0, "RM data|");
    host
}

/// Guest 1 has 980 levels and goes through these requests in a transaction; measured is what follows.
fn deep(before: &[&str]) -> Host {
    let mut host = host(64, 1);
    host.ok(1, 0, &format!("MKDIR data{}|", "/x".repeat(NODES)));
    let tx = host.start(1);
    before.iter().for_each(|request| host.ok(1, tx, request));
    host.send(1, tx, if before.is_empty() { "RM data|" } else { "TRANSACTION_END T|" });
    host
}

/// Guest 1 removes 980 levels and makes them again in one transaction.
fn deep_again() -> Host {
    let mut host = host(64, 1);
    let path = format!("data{}", "/x".repeat(NODES));
    host.ok(1, 0, &format!("MKDIR {path}|"));
    let tx = host.start(1);
    host.ok(1, tx, "RM data|");
    host.ok(1, tx, &format!("MKDIR {path}|"));
    host.send(1, tx, "TRANSACTION_END T|");
    host
}

/// Guest 1 asks for a node below so many levels that are not there.
fn missing(in_transaction: bool, request: &str) -> Host {
    let mut host = host(64, 1);
    let tx = if in_transaction { host.start(1) } else { 0 };
    host.send(1, tx, &format!("{request} data{}|", "/x".repeat(NODES)));
    host
}

/// Guest 1 removes what is below a node that it watches.
fn seen() -> Host {
    let mut host = host(64, 1);
    write_all(&mut host, 1, 0, "data");
    host.ask(1, 0, "WATCH data|0|");
    host.send(1, 0, "RM data|");
    host
}

fn wide() -> Host {
    let mut host = host(64, 1);
    write_all(&mut host, 1, 0, "data");
    for n in 0..WATCHES {
        host.ask(1, 0, &format!("WATCH {}|{n}|", node("data", n)));
    }
    host.send(1, 0, "RM data|");
    host
}

fn burial() -> Host {
    let mut host = watched(64, 1, WATCHES, "data");
    write_all(&mut host, 1, 0, "data");
    for _ in 0..10 {
        let tx = host.start(1);
        for n in 0..NODES {
            host.ask(1, tx, &format!("READ {}|", node("data", n)));
        }
    }
    host.xen.kill(DomId(1));
    host
}

fn release() -> Host {
    let mut host = host(64, 300);
    host.ok(0, 0, "SET_PERMS @releaseDomain|r0|");
    for domid in 1..=300 {
        for n in 0..126 {
            host.ask(domid, 0, &format!("WATCH @releaseDomain|{n}|"));
        }
    }
    host.xen.kill(DomId(300));
    host
}

/// dom0 fills most of the store with small nodes.
fn check() -> Host {
    let mut host = host(64, 1);
    for n in 0..240_000 {
        host.ok(0, 0, &format!("WRITE /full/{}/{n}|v", n % 500));
    }
    host.send(0, 0, "CONTROL check|");
    host
}

/// Everybody reads what has come. True if there was anything.
pub fn read_all(host: &mut Host) -> bool {
    let mut read = Vec::new();
    for (domid, client) in &mut host.clients {
        if Client::waiting(client) > 0 {
            client.read();
            read.push(*domid);
        }
    }
    read.iter().for_each(|domid| host.xen.kick(DomId(*domid)));
    !read.is_empty()
}
