//! What management tools and the hypervisor rely on: XSA-354, 492. (57, 175, 178 and 349 are with their kind.)

use crate::scene::{nodes, over, scene, usage};

#[test]
fn xsa_354_quotas_can_be_lowered_below_what_is_held() {
    let mut host = scene();
    for n in 0..118 {
        host.ok(5, 0, &format!("WRITE data/{n}|x"));
    }
    assert_eq!(nodes(&host, 5), 120);
    host.expect(&[
        (5, 0, "SET_QUOTA 5|nodes|2000|", "EACCES"),
        (5, 0, "SET_QUOTA nodes|2000|", "EACCES"),
        (0, 0, "SET_QUOTA 5|nodes|100|", "OK|"),
        (5, 0, "WRITE data/1|again", "OK|"),
        (5, 0, "WRITE data/new|x", "ENOSPC"),
    ]);
    for n in 0..20 {
        host.expect(&[(5, 0, &format!("RM data/{n}|"), "OK|"), (5, 0, "WRITE data/new|x", "ENOSPC")]);
    }
    host.expect(&[
        (5, 0, "RM data/20|", "OK|"),
        (5, 0, "WRITE data/new|x", "OK|"),
        (0, 0, "GET_QUOTA 6|nodes|", "1000|"),
    ]);
    over(&mut host);
}

#[test]
fn xsa_354_less_memory_than_is_held_blocks_growth_only() {
    let mut host = scene();
    for n in 0..50 {
        host.ok(5, 0, &format!("WRITE data/{n}|{}", "x".repeat(500)));
    }
    host.ok(6, 0, "MKDIR data/x|");
    let held = usage(&host, 5).memory;
    host.expect(&[
        (0, 0, "SET_QUOTA 5|memory|10000|", "OK|"),
        (5, 0, "READ data/1|", &"x".repeat(500)),
        (5, 0, "WRITE data/new|x", "EIO"),
        (5, 0, "WRITE data/1|shorter", "OK|"),
        (5, 0, "WATCH data|t|", "ENOMEM"),
        (5, 0, "TRANSACTION_START |", "ENOMEM"),
    ]);
    assert!(usage(&host, 5).memory < held);
    for n in 0..50 {
        host.ok(5, 0, &format!("RM data/{n}|"));
    }
    host.expect(&[(5, 0, "WRITE data/new|x", "OK|")]);
    over(&mut host);
}

#[test]
fn xsa_492_requests_cause_no_domctls() {
    let mut host = scene();
    let before = host.xen.domctls;
    for n in 0..2000 {
        host.ask(5, 0, "READ data|");
        host.ok(5, 0, &format!("WRITE data/{}|{n}", n % 10));
        host.ok(5, 0, "SET_PERMS data|n5|r6|b0|");
        host.received(6);
        if n % 20 < 10 {
            host.ask(6, 0, &format!("WATCH /local/domain/5/data|{}|", n % 10));
        } else {
            host.ask(6, 0, &format!("UNWATCH /local/domain/5/data|{}|", n % 10));
        }
    }
    assert_eq!(host.xen.domctls, before);
    host.kill(5);
    assert!(host.xen.domctls - before <= 4, "{} domctls for one death", host.xen.domctls - before);
    host.clients.remove(&5);
    over(&mut host);
}
