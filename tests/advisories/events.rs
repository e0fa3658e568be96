//! Which client gets which event, and how often: XSA-115, 326 (b and e), 349.

use xenstore::abi::DomId;

use crate::scene::{memory, over, scene, tree, usage};

#[test]
fn xsa_115_events_reach_only_who_may_read() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "MKDIR /vm|", "OK|"),
        (5, 777, "WATCH /|a|", "OK|; ev /,a"),
        (0, 0, "WRITE /tool/x|1", "OK|"),
        (0, 0, "MKDIR /vm/y|", "OK|"),
        (0, 0, "RM /vm/y|", "OK|"),
    ]);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "WRITE /tool/x|2", "OK|"),
        (0, tx, "MKDIR /vm/z|", "OK|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
    ]);
    host.hears(5, "");
    host.expect(&[(0, 0, "SET_PERMS /tool/x|n0|r5|", "OK|")]);
    host.hears(5, "ev /tool/x,a");
    for (request, heard) in [
        ("WRITE /tool/x|3", "ev /tool/x,a"),
        ("SET_PERMS /tool/x|n0|", "ev /tool/x,a"),
        ("WRITE /tool/x|4", ""),
    ] {
        host.ok(0, 0, request);
        host.hears(5, heard);
    }
    host.expect(&[(5, 777, "UNWATCH /|a|", "OK|"), (5, 0, "IS_DOMAIN_INTRODUCED 5|", "EACCES")]);
    over(&mut host);
}

#[test]
fn xsa_115_special_events_go_by_grant() {
    let mut host = scene();
    crate::scene::enter(&mut host, 7);
    host.expect(&[
        (0, 0, "SET_PERMS @releaseDomain|n0|", "OK|"),
        (5, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
        (5, 0, "WATCH @introduceDomain|i|", "OK|; ev @introduceDomain,i"),
        (0, 0, "RELEASE 7|", "OK|"),
        (0, 0, "INTRODUCE 7|1|5|", "OK|"),
    ]);
    host.hears(5, "");
    host.ok(0, 0, "SET_PERMS @releaseDomain|n0|r5|");
    host.received(5);
    host.ok(0, 0, "RELEASE 6|");
    host.hears(5, "ev @releaseDomain,r");
    host.clients.remove(&6);
    over(&mut host);
}

#[test]
fn xsa_115_a_node_goes_from_a_parent_that_is_too_large() {
    let mut host = scene();
    host.ok(5, 0, "MKDIR data/mine|");
    for n in 0..300 {
        host.ok(0, 0, &format!("MKDIR /local/domain/5/data/name-{n}|"));
    }
    host.expect(&[
        (5, 0, "MKDIR data/more|", "ENOSPC"),
        (5, 0, "RM data/mine|", "OK|"),
        (5, 0, "READ data/mine|", "ENOENT"),
    ]);
    over(&mut host);
}

#[test]
fn xsa_326_b_events_that_nobody_reads() {
    let mut host = scene();
    host.ok(0, 0, "SET_QUOTA 5|memory|200000|");
    host.expect(&[
        (0, 0, "MKDIR /pub|", "OK|"),
        (0, 0, "SET_PERMS /pub|n0|r5|", "OK|"),
        (5, 0, "WATCH /pub|t|", "OK|; ev /pub,t"),
    ]);
    for n in 0..20_000 {
        host.ok(0, 0, &format!("WRITE /pub/some-name-that-is-not-short-{}/{}|x", n % 50, n / 50 % 90));
    }
    let quota: u32 = host.ask(0, 0, "GET_QUOTA 5|memory|").trim_end_matches('|').parse().expect("a number");
    assert!(memory(&host, 5) <= quota, "{} bytes", memory(&host, 5));
    host.expect(&[(6, 0, "WRITE data/v|1", "OK|"), (6, 0, "READ data/v|", "1")]);
    assert!(host.received(5).starts_with("ev /pub/some-name"));
    let before = host.server.in_use().messages;
    for _ in 0..20_000 {
        host.ok(0, 0, "WRITE /pub/one|x");
    }
    assert!(host.server.in_use().messages <= before + 1, "the ring, and one event behind it");
    assert!(host.received(5).ends_with("ev /pub/one,t"));
    host.ok(0, 0, "RM /pub|");
    over(&mut host);
}

#[test]
fn xsa_326_e_who_fills_others_queues_stalls_until_they_are_emptied() {
    let mut host = scene();
    host.expect(&[
        (5, 0, "SET_PERMS data|n5|r6|", "OK|"),
        (6, 0, "WATCH /local/domain/5/data|t|", "OK|; ev /local/domain/5/data,t"),
    ]);
    // V leaves an answer unread before the events: they must expire behind it all the same.
    host.ok(6, 0, &format!("WRITE data|{}", "x".repeat(1500)));
    host.send(6, 0, "READ data|");
    host.poll();
    let mut answered = 0;
    for n in 0..200 {
        host.send(5, 0, &format!("WRITE data/{n}|x"));
        host.poll();
        let answers = host.client(5).read().len();
        answered += answers;
        if answers == 0 {
            break;
        }
    }
    assert_eq!((answered, usage(&host, 5).outstanding), (20, 20));
    host.check();
    host.xen.pass(19);
    host.poll();
    assert_eq!(host.client(5).read().len(), 0);
    host.xen.pass(2);
    host.poll();
    assert_eq!(host.client(5).read().len(), 1);
    assert!(usage(&host, 5).outstanding <= 1);
    assert_eq!(host.ask(5, 0, "READ data/1|"), "x");
    over(&mut host);
}

#[test]
fn xsa_349_equal_events_wait_once() {
    let mut host = scene();
    host.expect(&[
        (5, 0, "WRITE state|0", "OK|"),
        (0, 0, "WATCH /local/domain/5/state|s|", "OK|; ev /local/domain/5/state,s"),
    ]);
    for n in 0..5_000 {
        let answer = host.ask(5, 0, &format!("WRITE state|{}", n % 6));
        assert_eq!(answer, "OK|");
    }
    assert!(host.server.in_use().messages <= 1);
    host.send(0, 0, "READ /tool|");
    host.poll();
    let heard = host.received(0);
    let events = heard.split("; ").filter(|message| message.starts_with("ev ")).count();
    assert!(events <= 1024 / 40 + 1, "{events} events for a ring of 1 KiB and one waiting behind it");
    host.ok(5, 0, "WRITE state|last");
    host.hears(0, "ev /local/domain/5/state,s");
    over(&mut host);
}

#[test]
fn xsa_178_what_one_owns_gives_no_right_elsewhere() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "WRITE /libxl/5/y|secret", "OK|"),
        (6, 0, "WATCH /libxl|t|", "OK|; ev /libxl,t"),
        (6, 0, "WRITE data|x", "OK|"),
        (6, 0, "RM data|", "OK|"),
        (0, 0, "WRITE /libxl/5/y|more", "OK|"),
        (0, 0, "RM /libxl/5/y|", "OK|"),
    ]);
    host.hears(6, "");
    host.ok(0, 0, "WRITE /libxl/5/y|again");
    let before = tree(&mut host, "/libxl");
    for request in ["READ", "DIRECTORY", "GET_PERMS", "MKDIR", "RM"] {
        for path in ["/libxl", "/libxl/5", "/libxl/5/y", "/libxl/6"] {
            host.expect(&[(6, 0, &format!("{request} {path}|"), "EACCES")]);
        }
    }
    host.expect(&[(6, 0, "WRITE /libxl/5/y|1", "EACCES"), (6, 0, "SET_PERMS /libxl/5/y|b6|", "EACCES")]);
    assert_eq!(tree(&mut host, "/libxl"), before);
    host.hears(6, "");
    assert!(host.xen.is_mapped(DomId(6), 1));
    over(&mut host);
}
