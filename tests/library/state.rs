//! A server that is made from another one's state: its clients notice nothing.

use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::wire::TxId;

/// Guests with all that a state has of them.
fn full_host() -> Host {
    let mut host = Host::new();
    for domid in 1..=3 {
        host.boot(domid);
    }
    host.create(4);
    host.create(9);
    let long = "v".repeat(3000);
    host.expect(&[
        (0, 0, "WRITE /shared|x", "OK|"),
        (0, 0, "SET_PERMS /shared|b0|r1|n2|r9|w77|r32757|", "OK|"),
        (0, 0, &format!("WRITE /shared/long|{long}"), "OK|"),
        (1, 0, "WRITE data/a|1", "OK|"),
        (1, 0, "WRITE data/b|2", "OK|"),
        (1, 0, "SET_PERMS data/a|n1|r2|", "OK|"),
        (1, 0, "RM data/b|", "OK|"),
        (1, 0, "WATCH data|t|", "OK|; ev data,t"),
        (2, 0, "WATCH /local/domain/1/data|deep|1|", "OK|; ev /local/domain/1/data,deep"),
        (0, 0, "WATCH @releaseDomain|gone|", "OK|; ev @releaseDomain,gone"),
        (0, 0, "SET_TARGET 2|3|", "OK|"),
        (0, 0, "SET_QUOTA 4|nodes|7|", "OK|"),
        (0, 0, "SET_FEATURE 4|3|", "OK|"),
        (0, 0, "SET_QUOTA watches|50|", "OK|"),
    ]);
    host
}

#[test]
fn clients_go_on() {
    for version in [1, 2] {
        let mut host = full_host();
        host.xen.shut_down(DomId(3));
        host.poll();
        host.hears(0, "ev @releaseDomain,gone");
        host.update(version);
        host.poll();
        host.hears(0, "");
        host.expect(&[
            (0, 0, "READ /shared|", "x"),
            (0, 0, "GET_PERMS /shared|", "b0|r1|n2|r9|w77|r32757|"),
            (0, 0, "DIRECTORY /local/domain|", "1|2|3|"),
            (2, 0, "READ /local/domain/1/data/a|", "1"),
            (3, 0, "READ /local/domain/1/data/a|", "EACCES"),
            (0, 0, "WRITE /local/domain/3/only|x", "OK|"),
            (2, 0, "READ /local/domain/3/only|", "x"),
            (0, 0, "GET_QUOTA 4|nodes|", "7|"),
            (0, 0, "GET_QUOTA 3|watches|", "128|"),
            (0, 0, "GET_QUOTA watches|", "50|"),
            (0, 0, "GET_FEATURE 4|", "3|"),
            (1, 0, "WRITE data/a|3", "ev data/a,t; OK|"),
        ]);
        host.hears(2, "ev /local/domain/1/data/a,deep");
        host.expect(&[(1, 0, "RM data|", "ev data,t; OK|")]);
        // It may not read that node.
        host.hears(2, "");
        host.kill(1);
        host.hears(0, "ev @releaseDomain,gone");
        host.check();
    }
}

#[test]
fn half_a_request_is_completed() {
    let bytes = request(11, 7, TxId(0), b"data\0half a request that is so long that it takes a chunk");
    for cut in [1, 15, 16, 20, bytes.len() - 1] {
        let mut host = full_host();
        host.push(1, &bytes[..cut]);
        host.poll();
        host.update(2);
        host.push(1, &bytes[cut..]);
        host.poll();
        host.hears(1, "ev data,t; OK|");
    }
}

#[test]
fn what_waits_is_told() {
    let mut host = full_host();
    for n in 0..40 {
        host.ok(0, 0, &format!("WRITE /local/domain/1/data/{n}|"));
    }
    host.check();
    host.update(2);
    host.poll();
    let all: Vec<String> = (0..40).map(|n| format!("ev data/{n},t")).collect();
    host.hears(1, &all.join("; "));
    host.check();
}
