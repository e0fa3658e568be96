//! Transactions and what they leave behind: XSA-206, 415, 421, 440, 484.

use std::sync::atomic::Ordering::SeqCst;

use xenstore::config::{Capacities, Settings};

use crate::scene::{exists, memory, nodes, over, scene, scene_with, usage};

#[test]
fn xsa_206_writes_to_what_a_transaction_does_not_use() {
    let mut host = scene();
    let tx = host.start(0);
    host.expect(&[(0, tx, "READ /local/domain/6/data|", ""), (0, tx, "WRITE /tool/x|1", "OK|")]);
    for n in 0..50 {
        host.send(5, 0, &format!("WRITE data/{}|{n}", n % 5));
        host.poll();
        host.xen.pass(1);
    }
    host.received(5);
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
    over(&mut host);
}

/// U writes what D's transaction has read as fast as it is read. D's commit must succeed.
#[test]
fn xsa_206_a_writer_cannot_keep_a_transaction_from_committing() {
    let mut host = scene();
    host.ok(5, 0, "WRITE data/hot|0");
    let (mut written, mut answered) = (0, 0);
    let mut flood = |host: &mut support::Host| {
        loop {
            let request = crate::scene::bytes(xenstore::wire::MessageType::Write, written, 0, "data/hot|x");
            let put = host.client(5).write(&request);
            if put < request.len() {
                // The rest goes first next time; whole requests keep the stream aligned.
                let rest = &request[put..];
                host.xen.kick(xenstore::abi::DomId(5));
                host.poll();
                answered += host.client(5).read().len();
                assert!(put == 0 || host.client(5).write(rest) == rest.len() || !host.client(5).has_room());
                if put > 0 {
                    written += 1;
                }
                return;
            }
            written += 1;
            if written % 8 == 0 {
                host.xen.kick(xenstore::abi::DomId(5));
                host.poll();
                answered += host.client(5).read().len();
                return;
            }
        }
    };
    let mut committed = None;
    for attempt in 1..=20 {
        let tx = host.start(0);
        host.ask(0, tx, "READ /local/domain/5/data/hot|");
        flood(&mut host);
        host.ok(0, tx, "WRITE /tool/x|1");
        flood(&mut host);
        assert_eq!(host.ask(6, 0, "READ data|"), "", "V is not delayed");
        if host.ask(0, tx, "TRANSACTION_END T|") == "OK|" {
            committed = Some(attempt);
            break;
        }
        host.xen.now.0 += 1_000_000;
    }
    assert!(committed.is_some(), "U keeps D from committing");
    for _ in 0..200 {
        host.xen.pass(1);
        host.poll();
        answered += host.client(5).read().len();
        host.xen.kick(xenstore::abi::DomId(5));
    }
    assert_eq!(answered, written as usize, "all that U wrote is answered");
    over(&mut host);
}

#[test]
fn xsa_415_a_failed_creation_in_a_transaction() {
    let mut host = scene();
    let mut n = 0;
    while host.ask(5, 0, &format!("MKDIR data/name-{n:010}|")) == "OK|" {
        n += 1;
    }
    host.ok(5, 0, "RM data/name-0000000000|");
    host.ok(5, 0, "WRITE data/old-------------|0");
    let before = (nodes(&host, 5), memory(&host, 5), host.server.in_use());
    for write_first in [false, true] {
        let tx = host.start(5);
        if write_first {
            host.ok(5, tx, "WRITE data/old-------------|1");
        }
        host.expect(&[(5, tx, "WRITE data/a-----------------/b/c|v", "ENOSPC")]);
        let ended = host.ask(5, tx, "TRANSACTION_END T|");
        let value = host.ask(5, 0, "READ data/old-------------|");
        match ended.as_str() {
            "OK|" => assert_eq!(value, if write_first { "1" } else { "0" }),
            "ENOMEM" => assert_eq!(value, "0"),
            other => panic!("{other}"),
        }
        assert!(!exists(&mut host, "/local/domain/5/data/a-----------------"));
        assert_eq!((nodes(&host, 5), memory(&host, 5), host.server.in_use()), before);
    }
    over(&mut host);

    let mut host = scene();
    host.ok(0, 0, "SET_QUOTA 5|nodes|4|");
    let before = (nodes(&host, 5), memory(&host, 5), host.server.in_use());
    let tx = host.start(5);
    let made = host.ask(5, tx, "WRITE data/a/b/c|v");
    let ended = host.ask(5, tx, "TRANSACTION_END T|");
    assert!(made == "ENOSPC" || ended == "ENOSPC", "{made} {ended}");
    assert_eq!((nodes(&host, 5), memory(&host, 5), host.server.in_use()), before);
    over(&mut host);
}

#[test]
fn xsa_421_made_and_removed_in_one_transaction() {
    let mut host = scene();
    host.ask(0, 0, "WATCH /local/domain/5|w|");
    let before = nodes(&host, 5);
    let tx = host.start(5);
    host.expect(&[
        (5, tx, "WRITE data/n|1", "OK|"),
        (5, tx, "WRITE data/tmp|1", "OK|"),
        (5, tx, "WRITE data/tmp/a/b|1", "OK|"),
        (5, tx, "RM data/tmp|", "OK|"),
        (5, tx, "DIRECTORY data|", "n|"),
        (5, tx, "TRANSACTION_END T|", "OK|"),
        (5, 0, "READ data/n|", "1"),
        (5, 0, "READ data/tmp|", "ENOENT"),
    ]);
    host.hears(0, "ev /local/domain/5/data/n,w");
    assert_eq!(nodes(&host, 5), before + 1);
    let after = (memory(&host, 5), host.server.in_use());
    for _ in 0..300 {
        host.ok(5, 0, "RM data/n|");
        let tx = host.start(5);
        for request in
            ["WRITE data/n|1", "WRITE data/tmp|1", "WRITE data/tmp/b|1", "RM data/tmp|", "TRANSACTION_END T|"]
        {
            host.ok(5, tx, request);
        }
    }
    assert_eq!((nodes(&host, 5), memory(&host, 5)), (before + 1, after.0));
    host.received(0);
    // An old node is removed and made again; its children stay gone.
    host.ok(5, 0, "WRITE data/n/child|1");
    let tx = host.start(5);
    for request in ["RM data/n|", "WRITE data/n|2", "WRITE data/n/other|3", "TRANSACTION_END T|"] {
        host.ok(5, tx, request);
    }
    host.expect(&[(5, 0, "DIRECTORY data/n|", "other|"), (5, 0, "READ data/n|", "2")]);
    over(&mut host);
}

#[test]
fn xsa_421_a_commit_above_the_quota_changes_nothing() {
    let mut host = scene();
    host.ok(5, 0, "WRITE data/old|1");
    host.ok(0, 0, "SET_QUOTA 5|nodes|5|");
    let before = (nodes(&host, 5), memory(&host, 5), host.server.in_use());
    let tx = host.start(5);
    for request in ["WRITE data/old|2", "WRITE data/a|1", "WRITE data/b|1", "WRITE data/c|1"] {
        host.ok(5, tx, request);
    }
    host.expect(&[
        (5, tx, "TRANSACTION_END T|", "ENOSPC"),
        (5, 0, "READ data/old|", "1"),
        (5, 0, "DIRECTORY data|", "old|"),
    ]);
    assert_eq!((nodes(&host, 5), memory(&host, 5), host.server.in_use()), before);
    over(&mut host);
}

/// Fills a store with dom0's nodes, each with a value as long as `value` says, until so many slots, as `used` counts them, are
/// left of those that guests may have. Then a guest makes nodes with such names in a transaction. Returns whether that has taken effect; if not, nothing of it has.
fn commit_with_room(
    spare: usize,
    used: fn(&Capacities) -> usize,
    value: fn(usize) -> usize,
    names: &str,
) -> bool {
    let capacities = Capacities::for_nodes(1024);
    let mut host = scene_with(Settings::DEFAULT, &capacities);
    host.ok(5, 0, "WRITE data/old|1");
    let guests_may_use = used(&capacities) - used(&capacities) / 64 * 3;
    for n in 0.. {
        let left = guests_may_use.saturating_sub(used(&host.server.in_use()));
        if left <= spare {
            break;
        }
        host.ok(0, 0, &format!("WRITE /fill-{n}|{}", "v".repeat(value(left - spare))));
    }
    let before = (nodes(&host, 5), memory(&host, 5), host.server.in_use());
    let tx = host.start(5);
    host.ok(5, tx, "WRITE data/old|2");
    for n in 0..4 {
        host.ok(5, tx, &format!("WRITE data/{names}{n}|1"));
    }
    let end = host.ask(5, tx, "TRANSACTION_END T|");
    match end.as_str() {
        "OK|" => assert_eq!(nodes(&host, 5), before.0 + 4),
        "ENOMEM" => {
            assert_eq!((nodes(&host, 5), memory(&host, 5), host.server.in_use()), before);
            assert_eq!(host.ask(5, 0, "READ data/old|"), "1");
        }
        other => panic!("{other}"),
    }
    host.check();
    end == "OK|"
}

/// A transaction that takes the last slots that a guest may have, or one more than there are.
#[test]
fn xsa_421_a_commit_without_room_changes_nothing() {
    let nodes: fn(&Capacities) -> usize = |slots| slots.nodes;
    let nothing: fn(usize) -> usize = |_| 0;
    for (used, value, names) in
        [(nodes, nothing, ""), (|slots| slots.chunks, |left| 40 * left.min(100), "a-name-of-its-own-")]
    {
        let done: Vec<bool> = (0..24).map(|spare| commit_with_room(spare, used, value, names)).collect();
        let first = done.iter().position(|done| *done).expect("there is room");
        assert!(first >= 4 && done[first..].iter().all(|done| *done), "{done:?}");
    }
}

#[test]
fn xsa_440_two_transactions_remove_the_same_nodes() {
    let mut host = scene();
    for n in 0..50 {
        host.ok(5, 0, &format!("WRITE data/{n}|x"));
    }
    let before = nodes(&host, 5);
    let (one, two) = (host.start(5), host.start(5));
    for n in 0..50 {
        host.ok(5, one, &format!("RM data/{n}|"));
        host.ok(5, two, &format!("RM data/{n}|"));
    }
    host.expect(&[(5, one, "TRANSACTION_END T|", "OK|"), (5, two, "TRANSACTION_END T|", "EAGAIN")]);
    assert_eq!(nodes(&host, 5), before - 50);
    over(&mut host);
}

#[test]
fn xsa_484_a_request_ends_its_own_transaction() {
    let mut host = scene();
    let before = (memory(&host, 5), host.server.in_use());
    let (one, two) = (host.start(5), host.start(5));
    host.expect(&[
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (5, one, "WRITE data/a|1", "OK|"),
        (5, one, "RESET_WATCHES |", "OK|"),
        (5, one, "READ data|", "ENOENT"),
        (5, two, "TRANSACTION_END T|", "ENOENT"),
    ]);
    assert_eq!((usage(&host, 5).watches, usage(&host, 5).transactions), (0, 0));
    assert!(!exists(&mut host, "/local/domain/5/data/a"));
    assert_eq!((memory(&host, 5), host.server.in_use()), before);
    for _ in 0..10 {
        host.start(5);
    }
    host.expect(&[(5, 0, "TRANSACTION_START |", "ENOSPC"), (5, 0, "RESET_WATCHES |", "OK|")]);
    over(&mut host);
}

/// The connection is found broken while one of its own requests is being served: when its events, or its
/// answer, are to be written.
#[test]
fn xsa_484_a_connection_is_given_up_during_its_own_request() {
    let requests = [
        "READ data|",
        "WRITE data/b|1",
        "RM data/a|",
        "SET_PERMS data/a|n5|r6|",
        "TRANSACTION_END T|",
        "RESET_WATCHES |",
    ];
    for request in requests {
        for in_tx in [false, true] {
            let mut host = scene();
            let before = host.server.in_use();
            if request.starts_with("RM") {
                host.ok(5, 0, "WRITE data/a/below|1");
            }
            for n in 0..3 {
                host.ask(5, 0, &format!("WATCH data|{n}-{}|", "t".repeat(70)));
                host.ask(5, 0, &format!("WATCH data/a|{n}|"));
            }
            let (one, two) = (host.start(5), host.start(5));
            host.ok(5, one, "WRITE data/a/b/c|1");
            host.ok(5, one, "WRITE data/a|1");
            host.ok(5, two, "WRITE data/a|2");
            let [_, _, _, prod] = host.client(5).indexes();
            host.client(5).page.rsp_cons.store(prod.wrapping_add(1), SeqCst);
            host.send(5, if in_tx { one } else { 0 }, request);
            host.poll();
            assert_eq!(host.client(5).page.error.load(SeqCst), 2, "{request}");
            assert_eq!((usage(&host, 5).watches, usage(&host, 5).transactions), (0, 0));
            let now = host.server.in_use();
            assert_eq!((now.watches, now.transactions, now.tx_nodes), (before.watches, 0, 0));
            host.clients.remove(&5);
            over(&mut host);
        }
    }
}
