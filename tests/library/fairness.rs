//! Commits get through: who spoils them is held while they are retried, and nobody else.

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::wire::TxId;

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[
        (5, 0, "WRITE data|0", "OK|"),
        (5, 0, "SET_PERMS data|n5|b6|", "OK|"),
        (0, 0, "WRITE /shared|", "OK|"),
        (0, 0, "SET_PERMS /shared|b0|", "OK|"),
    ]);
    host
}

/// Fills a guest's ring with writes of one node and reads the answers, all of which must be good.
fn flood(host: &mut Host, who: u16, path: &str) -> usize {
    let bytes = request(11, 0, TxId(0), format!("{path}\0x").as_bytes());
    let client: &mut Client = host.client(who);
    while 1024 - client.unread() as usize >= bytes.len() {
        client.write(&bytes);
    }
    let answers = client.read();
    assert!(answers.iter().all(|answer| answer.payload == b"OK\0"));
    host.xen.kick(DomId(who));
    host.poll();
    answers.len()
}

/// dom0 reads `path` and writes elsewhere until its commit succeeds while `flooding` goes on; the tries.
fn tries(host: &mut Host, path: &str, mut flooding: impl FnMut(&mut Host)) -> usize {
    for n in 1..=20 {
        let tx = host.start(0);
        flooding(host);
        host.ask(0, tx, &format!("READ {path}|"));
        flooding(host);
        host.ok(0, tx, "WRITE /tool/x|");
        flooding(host);
        let end = host.ask(0, tx, "TRANSACTION_END T|");
        if end == "OK|" {
            return n;
        }
        assert_eq!(end, "EAGAIN");
        flooding(host);
    }
    panic!("not within 20 tries");
}

#[test]
fn a_commit_gets_through_against_a_guest_that_writes_without_pause() {
    let mut host = host();
    let mut answered = 0;
    let n = tries(&mut host, "/local/domain/5/data", |host| {
        answered += flood(host, 5, "data");
        assert_eq!(host.ask(6, 0, "WRITE own|"), "OK|", "others are not delayed");
    });
    assert_eq!(n, 2);
    host.poll();
    for _ in 0..100 {
        answered += flood(&mut host, 5, "data");
    }
    assert!(answered > 3000, "{answered}: with no transaction open nobody is slowed");
    host.received(5);
    host.check();
}

#[test]
fn it_takes_one_try_for_each_guest_that_spoils_it() {
    let mut host = host();
    let n = tries(&mut host, "/shared", |host| {
        flood(host, 5, "/shared");
        flood(host, 6, "/shared");
    });
    assert!(n <= 3, "{n} tries");
}

#[test]
fn writes_elsewhere_cost_nobody_anything() {
    let mut host = host();
    let mut answered = 0;
    let n = tries(&mut host, "/shared", |host| answered += flood(host, 5, "data"));
    assert_eq!(n, 1);
    assert!(answered > 60, "{answered}");
}

#[test]
fn a_held_guest_is_served_when_the_last_transaction_ends() {
    let mut host = host();
    let tx = host.start(0);
    host.ask(0, tx, "READ /local/domain/5/data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN"), (5, 0, "WRITE data|y", "OK|")]);
    let (one, two) = (host.start(0), host.start(0));
    host.expect(&[(5, 0, "WRITE data|z", ""), (0, one, "TRANSACTION_END T|", "OK|")]);
    host.hears(5, "");
    host.expect(&[(0, two, "TRANSACTION_END F|", "OK|")]);
    host.hears(5, "OK|");
}

#[test]
fn a_transaction_left_open_holds_nobody_for_long() {
    let mut host = host();
    host.boot(7);
    let left = host.start(7);
    let tx = host.start(0);
    host.ask(0, tx, "READ /local/domain/5/data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN"), (5, 0, "WRITE data|y", "")]);
    let now = host.xen.now;
    let wake = host.server.poll(&mut host.xen).unwrap();
    assert_eq!(wake, now.after_seconds(1));
    host.xen.now = wake;
    host.poll();
    host.hears(5, "OK|");
    host.expect(&[(7, left, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn a_slow_transaction_gets_through_too() {
    let mut host = host();
    let mut tries = 0;
    loop {
        tries += 1;
        let tx = host.start(0);
        host.ask(0, tx, "READ /local/domain/5/data|");
        for _ in 0..10 {
            flood(&mut host, 5, "data");
            host.xen.pass(1);
            host.poll();
        }
        if host.ask(0, tx, "TRANSACTION_END T|") == "OK|" {
            break;
        }
    }
    assert!((3..=6).contains(&tries), "{tries}");
}

#[test]
fn a_guests_failed_commit_holds_for_a_tenth_of_a_second() {
    let mut host = host();
    let (one, two) = (host.start(6), host.start(6));
    host.ask(6, one, "READ /local/domain/5/data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(6, one, "TRANSACTION_END T|", "EAGAIN"), (5, 0, "WRITE data|y", "")]);
    let now = host.xen.now;
    assert_eq!(host.server.poll(&mut host.xen), Some(now.after_nanoseconds(100_000_000)));
    host.xen.now = now.after_nanoseconds(100_000_000);
    host.poll();
    host.hears(5, "OK|");
    host.expect(&[(6, two, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn nobody_is_held_for_ones_own_conflicts_or_dom0s() {
    let mut host = host();
    let (one, other) = (host.start(5), host.start(0));
    host.ask(5, one, "READ data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(5, one, "TRANSACTION_END T|", "EAGAIN"), (5, 0, "WRITE data|y", "OK|")]);
    let one = host.start(5);
    host.ask(5, one, "READ data|");
    host.ok(0, 0, "WRITE /local/domain/5/data|x");
    host.expect(&[
        (5, one, "TRANSACTION_END T|", "EAGAIN"),
        (0, 0, "WRITE /local/domain/5/data|y", "OK|"),
        (5, 0, "WRITE data|y", "OK|"),
        (0, other, "TRANSACTION_END F|", "OK|"),
    ]);
}

#[test]
fn every_kind_of_conflict_names_its_writer() {
    for (read, spoil) in [
        ("READ data|", "WRITE data|x"),
        ("READ data/new|", "WRITE data/new|"),
        ("DIRECTORY data|", "WRITE data/new|"),
        ("DIRECTORY data|", "RM data/old|"),
        ("READ data/old|", "RM data/old|"),
        ("READ data/old|", "RM data|"),
        ("GET_PERMS data|", "SET_PERMS data|n5|"),
    ] {
        let mut host = host();
        host.ok(5, 0, "WRITE data/old|");
        let (one, two) = (host.start(0), host.start(0));
        host.ask(0, one, &read.replace("data", "/local/domain/5/data"));
        host.ok(5, 0, spoil);
        host.expect(&[(0, one, "TRANSACTION_END T|", "EAGAIN"), (5, 0, "READ data|", "")]);
        host.expect(&[(0, two, "TRANSACTION_END F|", "OK|")]);
        assert_ne!(host.received(5), "", "{spoil}");
    }
}

#[test]
fn a_commit_of_the_spoiler_counts_as_its_write() {
    let mut host = host();
    let (one, two, spoiler) = (host.start(0), host.start(0), host.start(5));
    host.ask(0, one, "READ /local/domain/5/data|");
    host.expect(&[
        (5, spoiler, "WRITE data|x", "OK|"),
        (5, spoiler, "TRANSACTION_END T|", "OK|"),
        (0, one, "TRANSACTION_END T|", "EAGAIN"),
        (5, 0, "READ data|", ""),
        (0, two, "TRANSACTION_END F|", "OK|"),
    ]);
    host.hears(5, "x");
}
