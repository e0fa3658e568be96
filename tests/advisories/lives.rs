//! Domains die and their numbers are used again: XSA-233, 322, 417, 419, 483, 496.

use xenstore::abi::DomId;

use crate::scene::{enter, exists, memory, nodes, over, scene, usage};
use support::Host;

fn with_stub_domain() -> Host {
    let mut host = scene();
    for domid in [10, 11] {
        enter(&mut host, domid);
        host.ask(domid, 0, "WATCH data|t|");
        let tx = host.start(domid);
        host.ok(domid, tx, "WRITE data/x|1");
    }
    host.expect(&[
        (0, 0, "SET_TARGET 11|10|", "OK|"),
        (11, 0, "READ /local/domain/10/data|", ""),
        (6, 0, "WRITE data/for10|1", "OK|"),
        (6, 0, "SET_PERMS data/for10|n6|b10|", "OK|"),
        (11, 0, "READ /local/domain/6/data/for10|", "1"),
        (0, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
    ]);
    host
}

#[test]
fn xsa_233_a_guest_and_its_stub_domain_die_in_any_order() {
    for order in [&[10, 11][..], &[11, 10], &[10, 10, 11, 11]] {
        for at_once in [true, false] {
            let mut host = with_stub_domain();
            for domid in order {
                host.xen.kill(DomId(*domid));
                if !at_once {
                    host.poll();
                }
            }
            host.poll();
            let heard = host.received(0);
            assert!(heard.split("; ").all(|event| event == "ev @releaseDomain,r") && !heard.is_empty());
            for domid in [10, 11] {
                assert!(host.server.usage(DomId(domid)).is_none());
                assert!(!host.xen.is_mapped(DomId(domid), 1));
                host.clients.remove(&domid);
            }
            enter(&mut host, 11);
            host.expect(&[(11, 0, "READ /local/domain/6/data/for10|", "EACCES")]);
            enter(&mut host, 10);
            host.expect(&[(11, 0, "READ /local/domain/10/data|", "EACCES")]);
            over(&mut host);
        }
    }
}

#[test]
fn xsa_233_the_target_is_released_first() {
    let mut host = with_stub_domain();
    host.expect(&[
        (0, 0, "RELEASE 10|", "ev @releaseDomain,r; OK|"),
        // The rights of the dead target are nobody's.
        (11, 0, "READ /local/domain/6/data/for10|", "EACCES"),
        (11, 0, "WRITE other|1", "OK|"),
    ]);
    enter(&mut host, 10);
    host.expect(&[(11, 0, "READ /local/domain/10/data|", "EACCES")]);
    host.xen.kill(DomId(10));
    host.xen.kill(DomId(11));
    host.poll();
    host.clients.retain(|domid, _| *domid < 10);
    over(&mut host);
}

#[test]
fn xsa_322_rights_belong_to_one_life() {
    let mut host = scene();
    host.expect(&[
        (6, 0, "WRITE data/k|v", "OK|"),
        (6, 0, "SET_PERMS data/k|n6|b5|", "OK|"),
        (0, 0, "SET_PERMS @introduceDomain|n0|r5|", "OK|"),
        (5, 0, "READ /local/domain/6/data/k|", "v"),
    ]);
    host.kill(5);
    host.create(5);
    host.expect(&[
        (0, 0, "WRITE /local/domain/5/name|mine", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/name|n5|", "OK|"),
        (0, 0, "INTRODUCE 5|1|5|", "OK|"),
        (5, 0, "READ /local/domain/6/data/k|", "EACCES"),
        (5, 0, "WRITE /local/domain/6/data/k|x", "EACCES"),
        (5, 0, "READ name|", "mine"),
        (5, 0, "WATCH @introduceDomain|i|", "OK|; ev @introduceDomain,i"),
    ]);
    enter(&mut host, 7);
    host.hears(5, "");
    host.expect(&[
        (6, 0, "SET_PERMS data/k|n6|r0|r5|r7|r0|r5|", "ENOSPC"),
        (0, 0, "SET_PERMS /local/domain/6/data/k|n6|r0|r5|r7|r0|r5|r7|", "OK|"),
    ]);
    over(&mut host);
}

#[test]
fn xsa_417_rewriting_a_node_revives_no_right() {
    for introduced_first in [false, true] {
        let mut host = scene();
        host.expect(&[
            (6, 0, "WRITE data/k|v", "OK|"),
            (6, 0, "SET_PERMS data/k|n6|r5|", "OK|"),
            (6, 0, "WRITE data/moved|v", "OK|"),
        ]);
        let tx = host.start(6);
        host.expect(&[(6, tx, "SET_PERMS data/moved|n6|r5|", "OK|"), (6, tx, "WRITE data/moved|w", "OK|")]);
        host.kill(5);
        host.create(5);
        let introduce = (0, 0, "INTRODUCE 5|1|5|", "OK|");
        if introduced_first {
            host.expect(&[introduce]);
        }
        host.expect(&[
            (6, 0, "WRITE data/k|new", "OK|"),
            (6, 0, "WRITE data/k/below|new", "OK|"),
            (6, tx, "TRANSACTION_END T|", "OK|"),
        ]);
        if !introduced_first {
            host.expect(&[introduce]);
        }
        for name in ["k", "k/below", "moved"] {
            host.expect(&[(5, 0, &format!("READ /local/domain/6/data/{name}|"), "EACCES")]);
        }
        over(&mut host);
    }
}

#[test]
fn xsa_417_naming_a_domain_that_is_not_there_gives_nothing() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "WRITE /tool/x|1", "OK|"),
        (0, 0, "SET_PERMS /tool/x|n9999|", "ENOENT"),
        (0, 0, "SET_PERMS /tool/x|n0|r9999|", "OK|"),
    ]);
    enter(&mut host, 9999);
    host.expect(&[(9999, 0, "READ /tool/x|", "EACCES")]);
    over(&mut host);
}

#[test]
fn xsa_419_what_a_dead_domain_owned_goes_wherever_it_is() {
    let mut host = scene();
    let all = |host: &Host| {
        (host.server.in_use(), nodes(host, 6), memory(host, 6), nodes(host, 0), memory(host, 0))
    };
    host.kill(5);
    let before = all(&host);
    for round in 0..12 {
        enter(&mut host, 5);
        host.ok(6, 0, "SET_PERMS data|n6|b5|");
        for n in 0..80 {
            host.ok(5, 0, &format!("WRITE /local/domain/6/data/{}/{n}|x", n % 3));
        }
        host.expect(&[
            (5, 0, "SET_PERMS /local/domain/6/data/1|n5|b6|", "OK|"),
            (6, 0, "WRITE data/1/by-v|x", "OK|"),
            (0, 0, "WRITE /local/domain/6/data/1/by-v/by-d|x", "OK|"),
        ]);
        assert_eq!(nodes(&host, 6), before.1 + 2);
        if round % 2 == 0 {
            host.kill(5);
        } else {
            host.ok(0, 0, "RELEASE 5|");
        }
        host.ok(6, 0, "SET_PERMS data|n6|");
        assert_eq!(all(&host), before);
        assert_eq!(host.ask(0, 0, "DIRECTORY /local/domain/6/data|"), "");
    }
    host.clients.remove(&5);
    over(&mut host);
}

#[test]
fn xsa_483_a_number_starts_from_nothing_each_time() {
    let mut host = scene();
    host.kill(5);
    host.ok(0, 0, "WRITE /pub|");
    let before = host.server.in_use();
    for round in 0..8 {
        enter(&mut host, 5);
        let quota = |host: &mut Host| {
            host.ok(0, 0, "SET_QUOTA 5|nodes|60|");
            host.ok(0, 0, "SET_QUOTA 5|watches|12|");
        };
        quota(&mut host);
        assert_eq!(usage(&host, 5).memory, 2 * 84);
        assert_eq!(crate::scene::fill_nodes(&mut host, 5, 0, 1), 57);
        for n in 0..12 {
            assert_eq!(host.ask(5, 0, &format!("WATCH data|{n}|")), format!("OK|; ev data,{n}"));
        }
        for _ in 0..10 {
            let tx = host.start(5);
            host.ok(5, tx, "WRITE data/y|1");
        }
        host.ask(5, 0, &format!("WRITE data|{}", "x".repeat(1500)));
        let reads: Vec<u8> = (0..40)
            .flat_map(|n| crate::scene::bytes(xenstore::wire::MessageType::Read, n, 0, "data|"))
            .collect();
        crate::scene::stuff(&mut host, 5, &reads);
        assert_eq!(usage(&host, 5).outstanding, 20);
        host.check();
        if round % 2 == 0 {
            host.kill(5);
        } else {
            host.ok(0, 0, "RELEASE 5|");
        }
        assert_eq!(host.server.usage(DomId(5)), None);
        assert_eq!(host.server.in_use(), before);
        host.check();
    }
    host.clients.remove(&5);
    over(&mut host);
}

#[test]
fn xsa_496_news_may_be_lost() {
    for legacy in [false, true] {
        let mut host = scene();
        host.xen.legacy = legacy;
        host.ask(0, 0, "WATCH @releaseDomain|r|");
        host.xen.kill_silently(DomId(5));
        host.xen.virq();
        host.poll();
        host.hears(0, "ev @releaseDomain,r");
        assert!(!exists(&mut host, "/local/domain/5") && !host.xen.is_mapped(DomId(5), 1));
        // Another domain takes the number between two looks.
        enter(&mut host, 5);
        host.expect(&[(6, 0, "SET_PERMS data|n6|r5|", "OK|"), (5, 0, "READ /local/domain/6/data|", "")]);
        host.create(5);
        host.xen.virq();
        host.poll();
        host.hears(0, "ev @releaseDomain,r");
        assert!(!exists(&mut host, "/local/domain/5"));
        host.expect(&[(0, 0, "INTRODUCE 5|1|5|", "OK|"), (5, 0, "READ /local/domain/6/data|", "EACCES")]);
        // And once more, with INTRODUCE as the first sign of it.
        host.create(5);
        host.expect(&[
            (0, 0, "INTRODUCE 5|1|5|", "ev @releaseDomain,r; OK|"),
            (5, 0, "GET_DOMAIN_PATH 5|", "/local/domain/5|"),
        ]);
        over(&mut host);
    }
}
