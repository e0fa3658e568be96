//! Creating nodes: XSA-272, 323, 353, 414, 418.

use std::hint::black_box;
use std::thread;

use xenstore::config::{Capacities, Settings};

use crate::scene::{exists, memory, nodes, over, scene, scene_with, tree};
use support::Host;

/// Makes nodes by `request` until the quota of 1000 is reached, and removes them all again.
fn fill_to_the_quota(request: impl Fn(usize) -> String) {
    let mut host = scene();
    let before = (nodes(&host, 5), memory(&host, 5));
    for dir in 0..10 {
        host.ok(5, 0, &format!("MKDIR data/{dir}|"));
    }
    let mut made = 0;
    while host.ask(5, 0, &request(made)) == "OK|" {
        made += 1;
    }
    assert_eq!(host.ask(5, 0, &request(made)), "ENOSPC");
    assert!((998..=1000).contains(&nodes(&host, 5)), "{} nodes", nodes(&host, 5));
    host.check();
    host.expect(&[(5, 0, "WRITE data|rewritten", "OK|")]);
    let full = nodes(&host, 5);
    host.ok(5, 0, &request(0).replace("MKDIR", "WRITE"));
    assert_eq!(nodes(&host, 5), full, "rewriting is free");
    for dir in 0..10 {
        host.ok(5, 0, &format!("RM data/{dir}|"));
    }
    host.ok(5, 0, "WRITE data|");
    assert_eq!((nodes(&host, 5), memory(&host, 5)), before);
    over(&mut host);
}

#[test]
fn xsa_272_every_way_to_make_a_node_is_counted() {
    fill_to_the_quota(|n| format!("WRITE data/{}/{n}|x", n % 10));
    fill_to_the_quota(|n| format!("MKDIR data/{}/{n}|", n % 10));
    fill_to_the_quota(|n| format!("WRITE data/{}/{n}/b/c|x", n % 10));
}

#[test]
fn xsa_272_in_a_transaction_the_end_counts() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(20_000));
    let before = (nodes(&host, 5), memory(&host, 5));
    let tx = host.start(5);
    for n in 0..999 {
        let answer = host.ask(5, tx, &format!("WRITE data/{}/{n}|x", n % 12));
        assert_eq!(answer, "OK|", "{n}");
    }
    host.expect(&[(5, tx, "TRANSACTION_END T|", "ENOSPC")]);
    assert_eq!((nodes(&host, 5), memory(&host, 5)), before);
    assert!(!exists(&mut host, "/local/domain/5/data/0"));
    over(&mut host);
}

#[test]
fn xsa_323_what_one_spelling_reaches_the_other_does() {
    for domid in [5, 32000] {
        let mut host = scene();
        if domid != 5 {
            crate::scene::enter(&mut host, domid);
        }
        let home = format!("/local/domain/{domid}");
        let mut path = vec!["c".repeat(255); 8].join("/");
        assert_eq!(path.len(), 2047);
        path.push('c');
        host.expect(&[
            (domid, 0, &format!("WRITE {path}|v"), "OK|"),
            (domid, 0, &format!("WRITE {path}c|v"), "EINVAL"),
            (domid, 0, &format!("WRITE {home}/{path}c|v"), "EINVAL"),
            (domid, 0, &format!("READ {home}/{path}|"), "v"),
            (0, 0, &format!("READ {home}/{path}|"), "v"),
        ]);
        assert_eq!(tree(&mut host, &home).len(), 10);
        host.expect(&[(0, 0, &format!("RM {home}/{}|", "c".repeat(255)), "OK|")]);
        assert_eq!(nodes(&host, domid), 2);
        over(&mut host);
    }
}

#[test]
fn xsa_353_the_root_is_a_node_like_any_other() {
    let mut host = scene();
    let before = tree(&mut host, "/");
    let tx = host.start(5);
    for tx in [0, tx] {
        for request in [
            "DIRECTORY /|",
            "READ /|",
            "GET_PERMS /|",
            "SET_PERMS /|b5|",
            "WRITE /|x",
            "MKDIR /|",
            "RM /|",
            "WRITE /x|1",
        ] {
            host.expect(&[(5, tx, request, "EACCES")]);
        }
    }
    host.expect(&[(5, tx, "TRANSACTION_END T|", "OK|"), (0, 0, "RM /|", "EINVAL")]);
    let tx = host.start(0);
    host.expect(&[(0, tx, "RM /|", "EINVAL"), (0, tx, "TRANSACTION_END T|", "OK|")]);
    assert_eq!(tree(&mut host, "/"), before);
    over(&mut host);
}

#[test]
fn xsa_414_a_creation_that_fails_half_way_leaves_nothing() {
    let mut host = scene();
    host.ok(0, 0, "SET_QUOTA 5|nodes|3|");
    let before = (host.server.in_use(), nodes(&host, 5), memory(&host, 5));
    host.expect(&[
        (5, 0, "WRITE data/a/b/c|v", "ENOSPC"),
        (5, 0, "DIRECTORY data|", ""),
        (5, 0, "READ data/a|", "ENOENT"),
        (5, 0, "READ data/a/b/c|", "ENOENT"),
    ]);
    assert_eq!((host.server.in_use(), nodes(&host, 5), memory(&host, 5)), before);
    host.expect(&[(5, 0, "WRITE data/z|v", "OK|"), (5, 0, "WRITE data/y|v", "ENOSPC")]);
    over(&mut host);

    // The list of children has no room.
    let mut host = scene();
    let mut n = 0;
    while host.ask(5, 0, &format!("MKDIR data/name-{n:010}|")) == "OK|" {
        n += 1;
    }
    let before = (host.server.in_use(), nodes(&host, 5), memory(&host, 5));
    host.expect(&[(5, 0, "WRITE data/another-long-name/b/c|v", "ENOSPC")]);
    assert_eq!((host.server.in_use(), nodes(&host, 5), memory(&host, 5)), before);
    over(&mut host);
}

/// Nodes of the store in which slots run out.
const NODES: usize = 2048;

/// Every arena in turn has less and less room, so that each slot that a creation takes is missing once.
#[test]
fn xsa_414_and_415_each_allocation_fails_in_turn() {
    let long = |name: &str| format!("{name}{}", "-".repeat(70));
    let deep = format!("{}/{}/{}", long("a"), long("b"), long("c"));
    for in_tx in [false, true] {
        let mut failures = 0;
        for kind in 0..4 {
            for room in [0, 1, 3, 8] {
                let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(NODES));
                // What V makes in U's directory gets a permission list that no other node has.
                host.ok(5, 0, "SET_PERMS data|n5|b6|");
                exhaust(&mut host, kind, room);
                let before = (nodes(&host, 6), memory(&host, 6));
                let used = host.server.in_use();
                let tx = if in_tx { host.start(6) } else { 0 };
                let value = "v".repeat(90);
                let made = host.ask(6, tx, &format!("WRITE /local/domain/5/data/{deep}|{value}"));
                host.check();
                let ended = if in_tx { host.ask(6, tx, "TRANSACTION_END T|") } else { made.clone() };
                if made == "OK|" && ended == "OK|" {
                    assert_eq!(nodes(&host, 6), before.0 + 3);
                    assert!(exists(&mut host, &format!("/local/domain/5/data/{deep}")));
                    host.ok(0, 0, &format!("RM /local/domain/5/data/{}|", long("a")));
                } else {
                    failures += 1;
                    assert!(ended == "ENOMEM" || (in_tx && ended == "OK|"), "{made} {ended}");
                }
                assert_eq!((nodes(&host, 6), memory(&host, 6)), before, "{kind} {room} {made} {ended}");
                assert!(!exists(&mut host, &format!("/local/domain/5/data/{}", long("a"))));
                assert_eq!(host.server.in_use(), used);
            }
        }
        assert!(failures >= 5, "{failures}");
    }
}

/// Dom0 uses up one kind of slot, but for `room` of those that guests may take.
fn exhaust(host: &mut Host, kind: usize, room: usize) {
    let capacities = Capacities::for_nodes(NODES);
    let left = |host: &Host| {
        let used = host.server.in_use();
        let (used, capacity) = match kind {
            0 => (used.nodes, capacities.nodes),
            1 => (used.chunks, capacities.chunks),
            2 => (used.acls, capacities.acls),
            _ => (used.tx_nodes, capacities.tx_nodes),
        };
        (capacity - capacity / 64 * 3).saturating_sub(used + room)
    };
    host.ok(0, 0, "WRITE /fill|");
    let tx = if kind == 3 { host.start(0) } else { 0 };
    let mut n = 0;
    while left(host) > 0 {
        n += 1;
        let request = match kind {
            0 => format!("MKDIR /fill/{n}|"),
            1 => format!("WRITE /fill/{n}|{}", "v".repeat((40 * left(host)).clamp(30, 900))),
            2 => {
                host.ok(0, 0, &format!("MKDIR /fill/{n}|"));
                format!("SET_PERMS /fill/{n}|n0|r{n}|")
            }
            _ => format!("MKDIR /fill/{n}|"),
        };
        host.ok(0, tx, &request);
    }
}

/// Whatever a request does with a tree, the stack it needs does not depend on the depth.
#[test]
fn xsa_418_depth_costs_no_stack() {
    for levels in [10, 990] {
        with_little_stack(move |host| attack_with_depth(host, levels));
    }
    with_little_stack(attack_with_length);
}

/// An attack on a host with half of the stack that the image has; frames are several times as large without optimisation.
fn with_little_stack(attack: impl FnOnce(&mut Host) + Send + 'static) {
    let little = if cfg!(debug_assertions) { 96 << 10 } else { 32 << 10 };
    let thread = thread::Builder::new().stack_size(little + BUILDING).spawn(move || {
        let mut host = Box::new(scene_with(Settings::DEFAULT, &Capacities::for_nodes(50_000)));
        below(move || attack(&mut host));
    });
    thread.expect("a thread").join().expect("the stack suffices");
}

/// Bytes of stack that making a host takes, which is not what is measured.
const BUILDING: usize = 512 << 10;

/// Calls with so much less stack.
#[inline(never)]
fn below(attack: impl FnOnce()) {
    let taken = [0_u8; BUILDING];
    black_box(&taken);
    attack();
    black_box(&taken);
}

/// The requests that need the most stack: long lists and paths, and events with long tokens.
fn attack_with_length(host: &mut Host) {
    let long = format!("/local/domain/5/data/{}", vec!["component"; 200].join("/"));
    // What fits a message with the path of `data`.
    let many: String = (0..1358).map(|n| format!("b{}|", if n == 0 { 5 } else { 6 })).collect();
    host.ask(5, 0, &format!("WATCH data|{}|", "t".repeat(1500)));
    host.ask(6, 0, &format!("WATCH /local/domain/5/data|{}|", "t".repeat(1500)));
    host.ok(0, 0, "SET_QUOTA 6|node-size|0|");
    let tx = host.start(6);
    for (who, tx, request) in [
        (0, 0, format!("SET_PERMS /local/domain/5/data|{many}")),
        (0, 0, format!("WRITE {long}|{}", "v".repeat(1900))),
        (6, 0, format!("WRITE {long}/by-v/deeper|{}", "v".repeat(1900))),
        (6, tx, format!("WRITE {long}/in-tx/deeper|{}", "v".repeat(1900))),
        (6, tx, format!("RM {long}/by-v|")),
        (6, tx, "TRANSACTION_END T|".to_string()),
        (0, 0, format!("SET_PERMS @releaseDomain|{many}")),
    ] {
        let answer = host.ask(who, tx, &request);
        assert!(answer.ends_with("OK|"), "{answer}");
        host.received(5);
        host.received(6);
    }
    host.kill(6);
    host.kill(5);
    host.clients.retain(|domid, _| *domid == 0);
    over(host);
}

/// As `Host::expect`, without a check of the whole store after it.
fn rows(host: &mut Host, rows: &[support::Row<'_>]) {
    for (who, tx, request, expected) in rows {
        assert_eq!(&host.ask(*who, *tx, request), expected, "{}", request.get(..20).unwrap_or(request));
    }
}

fn attack_with_depth(host: &mut Host, levels: usize) {
    let before = (nodes(host, 5), memory(host, 5));
    let deep = vec!["a"; levels].join("/");
    let tx = host.start(5);
    rows(
        host,
        &[
            (5, 0, &format!("WRITE {deep}|leaf"), "OK|"),
            (5, 0, &format!("READ {deep}|"), "leaf"),
            (5, tx, &format!("READ {deep}|"), "leaf"),
            (5, tx, "RM a|", "OK|"),
            (5, tx, &format!("WRITE {}|new", vec!["a"; levels.min(400)].join("/")), "OK|"),
            (5, tx, "TRANSACTION_END T|", "OK|"),
            (0, 0, "CONTROL check|", "OK|"),
            (5, 0, "RM a|", "OK|"),
        ],
    );
    assert_eq!((nodes(host, 5), memory(host, 5)), before);
    let deeper = vec!["a"; levels + levels / 2].join("/");
    rows(
        host,
        &[
            (5, 0, &format!("WRITE {deep}|leaf"), "OK|"),
            (0, 0, &format!("WRITE /local/domain/5/data/{deeper}|leaf"), "OK|"),
            (0, 0, &format!("READ /local/domain/5/data/{deeper}|"), "leaf"),
            (0, 0, &format!("WRITE /deep/{deeper}|leaf"), "OK|"),
            (0, 0, "CONTROL check|", "OK|"),
            (0, 0, "RM /deep|", "OK|"),
        ],
    );
    host.kill(5);
    host.clients.remove(&5);
    assert!(!exists(host, "/local/domain/5"));
    over(host);
}
