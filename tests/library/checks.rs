//! CONTROL `check` goes through a large store in parts: others who only look are served between, and it finds what it would
//! in one go.

use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::store::Damage;
use xenstore::trace::Kind;
use xenstore::update::Bounds;
use xenstore::wire::TxId;

/// Nodes of dom0's, in few folders.
const NODES: usize = 4000;

/// Guest 1 looks, guest 2 changes something, guest 3 does not read what it is sent, guest 4 has sent half a request.
pub fn host() -> Host {
    let capacities = Capacities { trace: 16_384, ..Capacities::for_nodes(60_000) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.limit(super::LIMITS);
    host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
    for domid in 1..=4 {
        host.boot(domid);
        host.ok(domid, 0, "WRITE data|mine");
        host.ask(domid, 0, "WATCH /shared|w|");
    }
    for n in 0..NODES {
        host.ok(0, 0, &format!("WRITE /full/{}/{n}|a value that needs a chunk", n % 3));
    }
    // Some are told later, some wait, a request is there in half, transactions are open, and one is forgotten.
    let [tx, open] = [(); 2].map(|()| host.start(0));
    for n in 0..300 {
        host.ok(0, tx, &format!("WRITE /shared/{n}|"));
        host.ask(0, open, &format!("READ /full/{}/{n}|", n % 3));
    }
    host.ok(0, tx, "TRANSACTION_END T|");
    for n in 0..100 {
        host.ok(0, 0, &format!("WRITE /shared/{n}|again"));
    }
    [1, 2, 4].into_iter().for_each(|domid| drop(host.received(domid)));
    host.client(4).write(&request(11, 0, TxId(0), b"data\0a value")[..20]);
    host.xen.kick(DomId(4));
    host.poll();
    host
}

/// Who has been answered since, in order.
fn answered(host: &Host, since: u64) -> Vec<u16> {
    let ended = host.server.trace().from(since).filter(|record| record.kind == Kind::Ended);
    ended.map(|record| record.domid.0).collect()
}

#[test]
fn others_are_served_before_all_is_checked() {
    let mut host = host();
    let since = host.server.trace().end();
    host.send(0, 0, "CONTROL check|");
    for _ in 0..20 {
        host.send(1, 0, "READ data|");
    }
    // The answers of who does not read wait.
    host.send(3, 0, "READ /shared|");
    host.send(2, 0, "WRITE data|new");
    let most = host.most_operations();
    assert!(most < 30_000, "{most} operations in one go");
    let order = answered(&host, since);
    let place = |of| order.iter().position(|domid| *domid == of).expect("it is answered");
    assert!(place(1) < place(0) && place(3) < place(0) && place(0) < place(2), "{order:?}");
    host.hears(0, "OK|");
    host.hears(2, "OK|");
    assert_eq!(host.received(1), ["mine"; 20].join("; "));
    host.check();
}

/// What has ended is not forgotten amid a check, which counts it.
#[test]
fn what_is_forgotten_meanwhile_is_counted() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(60_000));
    host.limit(super::LIMITS);
    host.boot(1);
    host.ok(1, 0, "WRITE data|mine");
    let tx = host.start(0);
    for n in 0..3000 {
        assert_eq!(host.ask(0, tx, &format!("READ /missing/{n}|")), "ENOENT");
    }
    host.send(0, tx, "TRANSACTION_END F|");
    host.send(0, 0, "CONTROL check|");
    host.send(1, 0, "READ data|");
    host.poll();
    host.hears(0, "OK|; OK|");
    host.hears(1, "mine");
    host.check();
}

/// What an update has put off does not begin amid a check, which would count it in part.
#[test]
fn what_was_put_off_begins_after_it() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(60_000));
    host.limit(super::LIMITS);
    host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
    (1..=2).for_each(|domid| host.boot(domid));
    host.ok(1, 0, "WRITE data|mine");
    let open = host.start(0);
    for n in 0..3000 {
        assert_eq!(host.ask(0, open, &format!("READ /missing/{n}|")), "ENOENT");
    }
    for look in 0..60 {
        host.ok(0, 0, "CONTROL live-update|-b|1000|");
        host.expect(&[(2, 0, "TRANSACTION_START |", "")]);
        host.send(0, 0, "CONTROL check|");
        (0..40).for_each(|_| host.send(1, 0, "READ data|"));
        // Nobody sends the rest, and that is over at some moment of the check.
        let mut looks = 0..;
        host.xen.script = Some(Box::new(move || u64::from(looks.next() == Some(look)) * 30_000_000_000));
        host.poll();
        host.xen.script = None;
        host.hears(0, "OK|");
        let tx = host.received(2).trim_end_matches('|').parse().expect("it has begun");
        host.ok(2, tx, "TRANSACTION_END F|");
        drop(host.received(1));
        host.check();
    }
}

#[test]
fn it_says_what_is_wrong() {
    for (what, says) in [
        (Damage::Charge, "domain 1 holds"),
        (Damage::Nodes, "domain 1 has 2 nodes but counts 5"),
        (Damage::Watches, "domain 1 has 1 watches but counts 4"),
        (Damage::Holders, "permission lists are not held as often as they count"),
        (Damage::Lost, "nodes belong to domains but"),
    ] {
        let mut host = host();
        host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
        host.server.damage(DomId(1), what);
        let told = host.ask(0, 0, "CONTROL check|");
        assert!(told.contains(says) && told.ends_with("\\n|"), "{what:?}: {told}");
        // It is answered, and others go on.
        assert_eq!(host.ask(2, 0, "WRITE data|x"), "OK|", "{what:?}");
    }
}
