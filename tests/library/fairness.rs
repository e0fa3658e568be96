//! The privileged domain's commits succeed: guests that spoil them are held while they are retried, and nobody else.

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::wire::TxId;

pub fn host() -> Host {
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

/// dom0 reads `path` and writes elsewhere until its commit succeeds, while `flooding` goes on. Returns the tries.
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
fn one_failed_try_holds_all_that_have_spoiled_it() {
    let mut host = host();
    for guest in 10..74 {
        host.boot(guest);
        host.ok(guest, 0, "WRITE data/k|0");
    }
    let tries = (1..=20).find(|_| {
        let tx = host.start(0);
        for guest in 10..74 {
            flood(&mut host, guest, "data/k");
            host.ask(0, tx, &format!("READ /local/domain/{guest}/data/k|"));
            flood(&mut host, guest, "data/k");
        }
        host.xen.now = host.xen.now.after_nanoseconds(20_000_000);
        host.ask(0, tx, "TRANSACTION_END T|") == "OK|"
    });
    assert_eq!(tries, Some(2));
    host.poll();
    host.check();
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
fn a_held_guest_is_served_when_the_retry_ends() {
    let mut host = host();
    lose(&mut host);
    host.ok(5, 0, "WRITE data|y");
    let (one, two) = (host.start(0), host.start(0));
    host.expect(&[(5, 0, "WRITE data|z", ""), (0, one, "TRANSACTION_END F|", "OK|")]);
    host.hears(5, "");
    host.expect(&[(0, two, "TRANSACTION_END T|", "OK|")]);
    host.hears(5, "OK|");
}

/// It does not matter how many changes there have been since the guest began.
#[test]
fn whom_a_commit_has_met_is_known_however_long_it_has_been_there() {
    const STORE: u32 = 0x8000_0001;
    for changes in [1 << 20, 1 << 31, 3 << 30, 5 << 33] {
        let mut host = host();
        let mut state = host.save(2);
        let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
        let next = |at: &usize| Some(at + 8 + word(at + 4) as usize);
        let store = std::iter::successors(Some(16), next).find(|at| word(*at) == STORE);
        let generation = store.expect("each state has it") + 16;
        state[generation..generation + 8].copy_from_slice(&u64::to_le_bytes(changes));
        host.restore(&state).expect("no change has a higher number");
        host.server.resume(&mut host.xen);
        lose(&mut host);
        let tx = host.start(0);
        host.expect(&[(5, 0, "WRITE data|z", ""), (0, tx, "TRANSACTION_END F|", "OK|")]);
        host.hears(5, "OK|");
    }
}

/// dom0 loses a transaction to domain 5, which has read its answer.
pub fn lose(host: &mut Host) {
    let tx = host.start(0);
    host.ask(0, tx, "READ /local/domain/5/data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
}

#[test]
fn what_others_have_open_holds_nobody() {
    for forgetful in [0, 7] {
        let mut host = host();
        host.boot(7);
        let left = host.start(forgetful);
        for _ in 0..6 {
            lose(&mut host);
            host.ok(5, 0, "WRITE data|y");
            let retry = host.start(0);
            host.ask(0, retry, "READ /local/domain/5/data|");
            host.expect(&[(0, retry, "TRANSACTION_END T|", "OK|"), (5, 0, "WRITE data|z", "OK|")]);
            host.xen.pass(20);
        }
        host.expect(&[(forgetful, left, "TRANSACTION_END T|", "OK|")]);
    }
}

/// Somebody still waits then, for another reason.
#[test]
fn the_end_of_a_hold_is_looked_at_once() {
    let mut host = host();
    host.ok(0, 0, &format!("WRITE /local/domain/6/large|{}", "x".repeat(2000)));
    host.send(6, 0, "READ large|");
    host.poll();
    lose(&mut host);
    let tx = host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    host.send(0, tx, "TRANSACTION_END T|");
    let mut looks = 0;
    host.xen.on_look = Some(Box::new(move || {
        looks += 1;
        assert!(looks < 1000, "the server does not come to rest");
    }));
    host.poll();
    host.hears(0, "OK|");
    host.hears(5, "OK|");
}

#[test]
fn a_retry_left_open_holds_for_25_ms_in_each_second() {
    let mut host = host();
    // Domain 6 does not read its answer, so somebody still waits when the hold has ended.
    host.ok(0, 0, &format!("WRITE /local/domain/6/large|{}", "x".repeat(2000)));
    host.send(6, 0, "READ large|");
    host.poll();
    lose(&mut host);
    host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    let second = host.xen.now;
    let end = second.after_nanoseconds(25_000_000);
    assert_eq!(host.server.poll(&mut host.xen), Some(end));
    host.xen.now = end;
    // The hold is no reason to come back any more.
    host.poll();
    assert!(host.server.poll(&mut host.xen).is_some_and(|wake| wake > end));
    host.hears(5, "OK|");
    for (after, answer) in [(100, "OK|"), (999, "OK|"), (1010, "")] {
        host.xen.now = second.after_nanoseconds(after * 1_000_000);
        host.poll();
        host.expect(&[(5, 0, "WRITE data|z", answer)]);
    }
    host.xen.now = second.after_nanoseconds(1_035_000_000);
    host.poll();
    host.hears(5, "OK|");
}

/// dom0 tries until its commit succeeds, each time for `try_ms`, while the guests write what it reads: the next one
/// whenever the last is not answered.
fn tries_against_turns(guests: std::ops::Range<u16>, try_ms: u64) -> usize {
    let mut host = host();
    for guest in guests.clone() {
        host.boot(guest);
    }
    host.ok(5, 0, "SET_PERMS data|b5|");
    let mut turns = guests.cycle();
    let mut writer = turns.next().expect("there are guests");
    (1..=1000)
        .find(|_| {
            let tx = host.start(0);
            host.ask(0, tx, "READ /local/domain/5/data|");
            while host.ask(writer, 0, "WRITE /local/domain/5/data|x") != "OK|" {
                writer = turns.next().expect("they come again");
                if host.client(writer).unread() > 0 {
                    break;
                }
            }
            host.xen.now = host.xen.now.after_nanoseconds(try_ms * 1_000_000);
            host.poll();
            host.ask(0, tx, "TRANSACTION_END T|") == "OK|"
        })
        .expect("it gets through")
}

#[test]
fn guests_that_take_turns_do_not_keep_a_commit_from_getting_through() {
    for (guests, try_ms) in [(10..12, 1), (10..13, 1), (10..15, 4), (10..30, 2), (10..74, 1), (10..74, 4)] {
        let tries = tries_against_turns(guests.clone(), try_ms);
        assert!(tries <= 5, "{guests:?}, {try_ms} ms: {tries} tries");
    }
}

#[test]
fn a_device_model_does_not_keep_commits_from_getting_through_by_its_guests_name() {
    let mut host = host();
    host.boot(7);
    host.ok(0, 0, "SET_TARGET 7|5|");
    let tries = (1..=20).find(|n| {
        let tx = host.start(0);
        host.ok(0, tx, "WRITE /local/domain/5/data/new|");
        host.ask(7, 0, &format!("SET_PERMS /local/domain/5/data|n5|r{}|", n % 2));
        host.xen.now = host.xen.now.after_nanoseconds(1_000_000);
        host.poll();
        host.ask(0, tx, "TRANSACTION_END T|") == "OK|"
    });
    assert_eq!(tries, Some(5));
}

#[test]
fn a_retry_that_succeeds_frees_who_asks_in_the_same_round() {
    let mut host = host();
    lose(&mut host);
    host.start(0);
    let retry = host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    host.send(0, retry, "TRANSACTION_END T|");
    host.send(5, 0, "WRITE data|z");
    host.poll();
    host.hears(0, "OK|");
    host.hears(5, "OK|; OK|");
}

#[test]
fn over_half_an_hour_a_guest_waits_as_long_as_dom0_retries() {
    let mut host = host();
    host.boot(7);
    host.start(7);
    let (mut random, mut waited, mut lost) = (fastrand::Rng::with_seed(13), 0, 0);
    for _ in 0..1800 {
        let (second, write) = (host.xen.now, random.u64(..1000));
        // Every now and then a write falls into the 20 ms that dom0's transaction takes, or its retry.
        let mut written = false;
        for begin in (0..400).step_by(20) {
            let tx = host.start(0);
            host.ask(0, tx, "READ /local/domain/5/data|");
            if !written && write < begin + 20 {
                host.xen.now = second.after_nanoseconds(write.max(begin) * 1_000_000);
                host.send(5, 0, "WRITE data|x");
                host.poll();
                written = host.received(5) == "OK|";
                waited += if written { 0 } else { begin + 20 - write.max(begin) };
            }
            host.xen.now = second.after_nanoseconds((begin + 20) * 1_000_000);
            host.poll();
            if host.ask(0, tx, "TRANSACTION_END T|") == "OK|" {
                break;
            }
            lost += 1;
        }
        if !written {
            host.xen.now = host.xen.now.max(second.after_nanoseconds(write * 1_000_000));
            host.ok(5, 0, "WRITE data|x");
        }
        host.xen.now = second.after_seconds(1);
        host.poll();
    }
    assert!(lost > 20 && waited < 100, "{lost} lost, {waited} ms waited");
}

#[test]
fn what_guests_lose_holds_nobody() {
    let mut host = host();
    let (one, _two) = (host.start(6), host.start(6));
    host.ask(6, one, "READ /local/domain/5/data|");
    host.ok(5, 0, "WRITE data|x");
    host.expect(&[(6, one, "TRANSACTION_END T|", "EAGAIN")]);
    host.start(6);
    host.expect(&[(5, 0, "WRITE data|y", "OK|")]);
}

#[test]
fn nobody_is_held_for_what_a_predecessor_wrote_or_dom0_set() {
    let mut host = host();
    let tx = host.start(0);
    host.ask(0, tx, "READ /shared|");
    host.ok(5, 0, "WRITE /shared|x");
    host.kill(5);
    host.boot(5);
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
    let tx = host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "OK|")]);

    host.ask(0, tx, "GET_PERMS /local/domain/5/data|");
    host.expect(&[
        (0, 0, "SET_PERMS /local/domain/5/data|n5|r6|", "OK|"),
        (0, tx, "TRANSACTION_END T|", "EAGAIN"),
    ]);
    host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "OK|")]);
}

#[test]
fn only_who_may_set_permissions_makes_us_ask_xen() {
    let mut host = host();
    let before = host.xen.domctls;
    host.expect(&[
        (5, 0, "SET_PERMS /tool|n5|r901|r902|r903|r904|", "EACCES"),
        (5, 0, "SET_PERMS /tool/none|n5|r901|r902|", "EACCES"),
        (5, 0, "SET_PERMS no//path|n5|r901|r902|", "EINVAL"),
        (5, 0, "SET_PERMS data|n901|r902|", "ENOENT"),
        (5, 0, "SET_PERMS data|n6|r902|", "EPERM"),
        (6, 0, "SET_PERMS /local/domain/5/data|n6|r902|", "EACCES"),
    ]);
    assert_eq!(host.xen.domctls, before);
    host.expect(&[(5, 0, "SET_PERMS data|n5|r901|r902|", "OK|"), (5, 0, "GET_PERMS data|", "n5|r901|r902|")]);
    assert_eq!(host.xen.domctls, before + 2);
}

#[test]
fn a_guest_makes_us_ask_xen_64_times_in_a_second() {
    let mut host = host();
    for second in 1..=3 {
        let before = host.xen.domctls;
        let answered = (0..1000)
            .take_while(|n| {
                let (a, b) = (2000 + n * 2, 2001 + n * 2);
                host.ask(5, 0, &format!("SET_PERMS data|n5|r{a}|r{b}|")) == "OK|"
            })
            .count();
        assert_eq!((answered, host.xen.domctls - before), (32, 64));
        host.expect(&[(6, 0, "WRITE own|", "OK|"), (5, 0, "WRITE data|x", "")]);
        let wake = host.server.poll(&mut host.xen).expect("it waits");
        assert_eq!(wake, host.xen.now.start_of_second().after_seconds(1));
        host.xen.now = wake;
        host.poll();
        // Its requests, and the writes after them, are answered now.
        host.hears(5, "OK|; OK|");
        host.xen.pass(second);
        host.poll();
    }
    // dom0 may.
    for n in 0..100 {
        host.ok(0, 0, &format!("SET_PERMS /shared|b0|r{}|", 5000 + n));
    }
    // No domain has such a number, so nobody is asked.
    for _ in 0..100 {
        host.ok(6, 0, "SET_PERMS own|n6|r32753|");
    }
}

#[test]
fn nobody_is_held_for_ones_own_conflicts_or_dom0s() {
    let mut host = host();
    let one = host.start(5);
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
        let one = host.start(0);
        host.ask(0, one, &read.replace("data", "/local/domain/5/data"));
        host.ok(5, 0, spoil);
        host.expect(&[(0, one, "TRANSACTION_END T|", "EAGAIN")]);
        let two = host.start(0);
        host.expect(&[(5, 0, "READ data|", ""), (0, two, "TRANSACTION_END F|", "OK|")]);
        assert_ne!(host.received(5), "", "{spoil}");
    }
}

#[test]
fn a_commit_of_the_spoiler_counts_as_its_write() {
    let mut host = host();
    let (one, spoiler) = (host.start(0), host.start(5));
    host.ask(0, one, "READ /local/domain/5/data|");
    host.expect(&[
        (5, spoiler, "WRITE data|x", "OK|"),
        (5, spoiler, "TRANSACTION_END T|", "OK|"),
        (0, one, "TRANSACTION_END T|", "EAGAIN"),
    ]);
    let two = host.start(0);
    host.expect(&[(5, 0, "READ data|", ""), (0, two, "TRANSACTION_END F|", "OK|")]);
    host.hears(5, "x");
}
