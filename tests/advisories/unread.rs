//! Clients that ask and do not read: XSA-326 (a, c, d), 416.

use support::Host;
use xenstore::config::{Capacities, Settings};
use xenstore::wire::MessageType;

use crate::scene::{bytes, drain, memory, nodes, over, scene, scene_with, stuff, usage};

#[test]
fn xsa_326_a_answers_that_nobody_reads() {
    let mut host = scene();
    host.ok(5, 0, &format!("WRITE data|{}", "x".repeat(300)));
    let before = host.server.in_use().messages;
    let reads: Vec<u8> = (0..1000).flat_map(|n| bytes(MessageType::Read, n, 0, "data|")).collect();
    let mut sent = stuff(&mut host, 5, &reads);
    assert!(sent < reads.len());
    assert!(host.server.in_use().messages - before <= 20);
    assert_eq!(usage(&host, 5).outstanding, 20);
    host.check();
    let mut ids = Vec::new();
    while ids.len() < 1000 {
        ids.extend(drain(&mut host, 5).iter().map(|answer| answer.header.req_id));
        sent += stuff(&mut host, 5, &reads[sent..]);
    }
    assert_eq!(ids, Vec::from_iter(0..1000));
    over(&mut host);
}

#[test]
fn xsa_326_c_nodes_used_in_one_transaction() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(20_000));
    host.expect(&[(0, 0, "MKDIR /pub|", "OK|"), (0, 0, "SET_PERMS /pub|r0|", "OK|")]);
    for n in 0..1030 {
        host.ok(0, 0, &format!("MKDIR /pub/{n}|"));
    }
    let before = (memory(&host, 5), host.server.in_use());
    let tx = host.start(5);
    host.ok(5, tx, "WRITE data|1");
    for n in 0..1023 {
        assert_eq!(host.ask(5, tx, &format!("READ /pub/{n}|")), "", "{n}");
    }
    host.expect(&[
        (5, tx, "READ /pub/1023|", "ENOSPC"),
        (5, tx, "READ /pub/1|", ""),
        (5, tx, "TRANSACTION_END T|", "ENOMEM"),
        (5, 0, "READ data|", ""),
    ]);
    assert_eq!((memory(&host, 5), host.server.in_use()), before);
    over(&mut host);
}

#[test]
fn xsa_326_d_transactions_full_of_large_nodes() {
    let mut host = scene();
    let before = memory(&host, 5);
    let value = "x".repeat(2000);
    let quota = 2_621_440;
    let txs: Vec<u32> = (0..10).map(|_| host.start(5)).collect();
    let mut refused = 0;
    for tx in &txs {
        for n in 0..200 {
            refused += usize::from(host.ask(5, *tx, &format!("WRITE data/{}/{n}|{value}", n % 8)) != "OK|");
            assert!(memory(&host, 5) <= quota);
        }
        host.check();
    }
    assert!(refused > 0);
    for tx in txs {
        host.ok(5, tx, "TRANSACTION_END F|");
    }
    assert_eq!(memory(&host, 5), before);
    over(&mut host);
}

#[test]
fn xsa_416_only_the_answer_stays() {
    let mut host = scene();
    for n in 0..110 {
        host.ok(5, 0, &format!("WRITE data/some-name-{n:03}|x"));
    }
    for n in 0..300 {
        host.ok(5, 0, &format!("WRITE many/{}/{n}|x", n % 3));
    }
    host.received(5);
    // Two full answers: one in the ring in part, the other behind it.
    for _ in 0..2 {
        host.send(5, 0, "DIRECTORY data|");
        host.poll();
    }
    let steps = [
        ("DIRECTORY data|".to_string(), 0_i64),
        (format!("WRITE {}|v", vec!["deep"; 100].join("/")), 100),
        ("RM many|".to_string(), -304),
        ("RM deep|".to_string(), -100),
    ];
    for (request, change) in steps {
        let before = (host.server.in_use(), nodes(&host, 5), usage(&host, 5).outstanding);
        host.send(5, 0, &request);
        host.poll();
        let after = host.server.in_use();
        assert_eq!(i64::from(nodes(&host, 5)) - i64::from(before.1), change, "{request}");
        assert_eq!(after.messages, before.0.messages + 1);
        assert_eq!(usage(&host, 5).outstanding, before.2 + 1);
        let answer = if change == 0 { 16 + 110 * 14 } else { 16 + 3_usize };
        assert_eq!(after.chunks, before.0.chunks + answer.div_ceil(40), "{request}");
        assert_eq!((after.acls, after.tx_nodes), (before.0.acls, 0));
        host.check();
    }
    over(&mut host);
}

#[test]
fn a_flood_of_events_for_domain_0_leaves_room_for_those_that_others_cause() {
    let mut host = scene();
    host.boot(7);
    host.expect(&[
        (0, 0, "WATCH /local/domain/5/data|mine|", "OK|; ev /local/domain/5/data,mine"),
        (0, 0, "WATCH /local/domain/6/data|theirs|", "OK|; ev /local/domain/6/data,theirs"),
        (0, 0, "WATCH @releaseDomain|gone|", "OK|; ev @releaseDomain,gone"),
    ]);
    // Where there is no room beside what domain 0 is still told, domain 5 waits for it a moment.
    let done = |host: &mut Host, tx: u32, request: &str| {
        host.send(5, tx, request);
        host.poll();
        for _ in 0..3 {
            if host.client(5).unread() > 0 {
                host.xen.now.0 += 50_000_000;
                host.poll();
            }
        }
        host.hears(5, "OK|");
    };
    for round in 0..15 {
        let tx = host.start(5);
        done(&mut host, tx, "RM data|");
        for n in 0..300 {
            done(&mut host, tx, &format!("WRITE data/{round}-{n}|"));
        }
        done(&mut host, tx, "TRANSACTION_END T|");
    }
    host.check();
    host.ok(6, 0, "WRITE data|1");
    host.kill(7);
    let heard = host.received(0);
    assert!(heard.contains("ev /local/domain/6/data,theirs"), "an event of another guest is lost");
    assert!(heard.contains("ev @releaseDomain,gone"), "a death goes unnoticed");
    over(&mut host);
}
