//! What large changes leave for later turns: others are served between, and nobody sees or hears anything out of order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::trace::Kind;

use super::stops::expect_stops;

/// Guests from 1 on, and how often each watches a tree that all may read, in dom0's.
const GUESTS: u16 = 30;
const WATCHES: usize = 20;

/// A guest that watches nothing.
const BYSTANDER: u16 = 99;

fn host(guests: u16, watches: usize) -> Host {
    host_for(20_000, guests, watches)
}

/// The same in a store for so many nodes.
fn host_for(nodes: usize, guests: u16, watches: usize) -> Host {
    let capacities = Capacities { trace: 8192, ..Capacities::for_nodes(nodes) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.expect(&[(0, 0, "WRITE /shared|old", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
    for domid in (1..=guests).chain([BYSTANDER]) {
        host.boot(domid);
        for n in 0..if domid == BYSTANDER { 0 } else { watches } {
            host.expect(&[(domid, 0, &format!("WATCH /shared|{n}|"), &format!("OK|; ev /shared,{n}"))]);
        }
    }
    host
}

fn told(path: &str, watches: usize) -> String {
    (0..watches).map(|n| format!("ev {path},{n}")).collect::<Vec<_>>().join("; ")
}

/// What has been recorded since, by kind and domain.
fn recorded(host: &Host, since: usize) -> Vec<(Kind, u16)> {
    host.server.trace().from(0).skip(since).map(|record| (record.kind, record.domid.0)).collect()
}

fn count(host: &Host) -> usize {
    host.server.trace().from(0).count()
}

/// Where in the records a request of this domain has ended.
fn ended(records: &[(Kind, u16)], domid: u16) -> usize {
    records.iter().position(|record| *record == (Kind::Ended, domid)).expect("it was served")
}

#[test]
fn others_are_served_before_all_are_told() {
    let mut host = host(GUESTS, WATCHES);
    let since = count(&host);
    host.send(0, 0, "WRITE /shared|new");
    host.send(BYSTANDER, 0, "READ /shared|");
    host.poll();
    let records = recorded(&host, since);
    let last_event = records.iter().rposition(|(kind, _)| *kind == Kind::Event).expect("all are told");
    assert!(ended(&records, BYSTANDER) < last_event);
    assert_eq!(host.received(BYSTANDER), "new");
    host.hears(0, "OK|");
    for domid in 1..=GUESTS {
        host.hears(domid, &told("/shared", WATCHES));
    }
    host.check();
    assert_eq!((host.server.in_use().transactions, host.server.in_use().messages), (0, 0));
}

/// Guests that each have many watches on deaths.
fn mourners() -> Host {
    let mut host = host(GUESTS, 0);
    host.ok(0, 0, "SET_PERMS @releaseDomain|r0|");
    for domid in 1..=GUESTS {
        for n in 0..WATCHES {
            host.ask(domid, 0, &format!("WATCH @releaseDomain|{n}|"));
        }
    }
    host
}

/// `die` says how Xen tells of it.
fn two_deaths(die: impl Fn(&mut Host, u16)) {
    let mut host = mourners();
    host.boot(50);
    host.boot(51);
    let since = count(&host);
    die(&mut host, 50);
    die(&mut host, 51);
    host.send(BYSTANDER, 0, "READ /shared|");
    host.poll();
    let records = recorded(&host, since);
    let last_event = records.iter().rposition(|(kind, _)| *kind == Kind::Event).expect("all are told");
    assert!(ended(&records, BYSTANDER) < last_event);
    for domid in 1..=GUESTS {
        host.hears(domid, &[told("@releaseDomain", WATCHES), told("@releaseDomain", WATCHES)].join("; "));
    }
    host.check();
}

#[test]
fn others_are_served_before_all_are_told_of_a_death() {
    two_deaths(|host, domid| host.xen.kill(DomId(domid)));
}

#[test]
fn others_are_served_before_all_deaths_are_looked_for() {
    two_deaths(|host, domid| {
        host.xen.kill_silently(DomId(domid));
        host.xen.virq();
    });
}

/// News that comes as the clock is looked at, with nothing else to do, does not wait for whoever asks next.
#[test]
fn a_death_is_told_of_whenever_it_is_heard_of() {
    let mut host = mourners();
    host.boot(50);
    for _ in 0..3 {
        host.server.poll(&mut host.xen);
        host.xen.now = host.xen.now.after_nanoseconds(2_000_000_000);
    }
    let since = count(&host);
    host.xen.kill(DomId(50));
    host.server.poll(&mut host.xen);
    let told_of = recorded(&host, since).iter().filter(|(kind, _)| *kind == Kind::Event).count();
    assert!(told_of >= usize::from(GUESTS), "{told_of} events");
    for domid in 1..=GUESTS {
        host.hears(domid, &told("@releaseDomain", WATCHES));
    }
    host.check();
}

/// Each looks at what has changed, all at once: whoever sees the new value has heard of it before.
#[test]
fn nobody_sees_what_it_has_not_heard_of() {
    let mut host = host(GUESTS, WATCHES);
    host.send(0, 0, "WRITE /shared|new");
    (1..=GUESTS).for_each(|domid| host.send(domid, 0, "READ /shared|"));
    host.poll();
    for domid in 1..=GUESTS {
        host.hears(domid, &format!("{}; new", told("/shared", WATCHES)));
    }
    host.check();
}

/// There are so many watches that those who have them are looked for in several turns.
#[test]
fn nobody_sees_what_it_is_still_looked_for_to_hear_of() {
    const MANY: u16 = 22;
    let mut host = host_for(100_000, MANY, 110);
    host.send(0, 0, "WRITE /shared|new");
    (1..=MANY).for_each(|domid| host.send(domid, 0, "READ /shared|"));
    host.poll();
    for domid in 1..=MANY {
        host.hears(domid, &format!("{}; new", told("/shared", 110)));
    }
    host.check();
    assert_eq!((host.server.in_use().transactions, host.server.in_use().messages), (0, 0));
}

/// dom0 asks for the first and the last node of a domain that dies, again and again.
#[test]
fn others_are_served_before_a_large_domain_is_buried_and_nobody_sees_half_of_it() {
    let mut host = host(2, 1);
    host.boot(50);
    for n in 0..600 {
        host.ok(50, 0, &format!("WRITE data/{}/{n}|there", n % 4));
    }
    host.ask(0, 0, "WATCH /local/domain/50|home|");
    let since = count(&host);
    host.xen.kill(DomId(50));
    host.send(BYSTANDER, 0, "READ /shared|");
    for _ in 0..4 {
        host.send(0, 0, "READ /local/domain/50/data/0/0|");
        host.send(0, 0, "READ /local/domain/50/data/3/599|");
    }
    host.poll();
    let records = recorded(&host, since);
    let buried = records.iter().position(|record| *record == (Kind::Released, 50)).expect("it is buried");
    assert!(ended(&records, BYSTANDER) < buried);
    let seen = host.received(0);
    let seen: Vec<&str> = seen.split("; ").filter(|answer| !answer.starts_with("ev ")).collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
    let gone = seen.iter().position(|answer| *answer == "ENOENT").unwrap_or(seen.len());
    assert!(seen[gone..].iter().all(|answer| *answer == "ENOENT"), "{seen:?}");
    host.check();
}

#[test]
fn changes_are_heard_of_in_their_order() {
    let mut host = host(GUESTS, WATCHES);
    host.ok(0, 0, "SET_PERMS /shared|b0|");
    (1..=GUESTS).for_each(|domid| drop(host.received(domid)));
    host.send(0, 0, "WRITE /shared|1");
    host.send(BYSTANDER, 0, "WRITE /shared/below|2");
    host.send(BYSTANDER, 0, "RM /shared/below|");
    host.send(1, 0, "WRITE /shared|3");
    host.poll();
    let paths = |domid| {
        let mut host = AssertUnwindSafe(&mut host);
        let heard = host.received(domid);
        let mut paths: Vec<String> = heard
            .split("; ")
            .filter_map(|event| Some(event.strip_prefix("ev ")?.split_once(',')?.0.to_string()))
            .collect();
        assert_eq!(paths.len(), 4 * WATCHES, "domain {domid}");
        paths.dedup();
        paths
    };
    let all: Vec<_> = (1..=GUESTS).map(paths).collect();
    // Requests of different domains come in any order, but all hear of them in the same.
    assert!(all.iter().all(|paths| *paths == all[0]), "{all:#?}");
    assert!(all[0].contains(&"/shared/below".to_string()));
    host.check();
}

/// The bystander asks for the first and the last node of a commit, again and again.
#[test]
fn nobody_sees_half_of_a_commit() {
    let mut host = host(GUESTS, WATCHES);
    let tx = host.start(0);
    for n in 0..200 {
        host.ok(0, tx, &format!("WRITE /shared/{n}|there"));
    }
    host.send(BYSTANDER, 0, "READ /shared/199|");
    host.send(0, tx, "TRANSACTION_END T|");
    for _ in 0..9 {
        host.send(BYSTANDER, 0, "READ /shared/0|");
        host.send(BYSTANDER, 0, "READ /shared/199|");
    }
    host.poll();
    host.hears(0, "OK|");
    let seen = host.received(BYSTANDER);
    let seen: Vec<&str> = seen.split("; ").collect();
    let first = seen.iter().position(|answer| *answer == "there").expect("it is there at last");
    assert!(seen[first..].iter().all(|answer| *answer == "there"), "{seen:?}");
    let all: Vec<String> = (0..200).map(|n| told(&format!("/shared/{n}"), WATCHES)).collect();
    for domid in 1..=GUESTS {
        host.hears(domid, &all.join("; "));
    }
    host.check();
    assert_eq!(host.server.in_use().tx_nodes, 0);
}

/// Who may not hear of a commit is told nothing, has nothing waiting, and holds nobody up.
#[test]
fn who_may_not_hear_has_no_place() {
    let mut host = host(GUESTS, WATCHES);
    host.ok(BYSTANDER, 0, "WRITE secret|");
    for domid in 1..=GUESTS {
        for n in 0..WATCHES {
            host.ask(domid, 0, &format!("WATCH /local|{n}|"));
        }
    }
    let tx = host.start(BYSTANDER);
    for n in 0..100 {
        host.ok(BYSTANDER, tx, &format!("WRITE secret/{n}|"));
    }
    host.send(BYSTANDER, tx, "TRANSACTION_END T|");
    host.poll();
    assert_eq!(host.server.in_use().messages, 0);
    host.hears(BYSTANDER, "OK|");
    (1..=GUESTS).for_each(|domid| host.hears(domid, ""));
    host.check();
}

/// By watches on several paths, which are told the same, an event comes once.
#[test]
fn what_is_told_late_is_told_once() {
    for watches in [20, 140] {
        let mut host = host(0, 0);
        host.ok(0, 0, "SET_QUOTA 99|watches|1000|");
        host.ok(0, 0, "WRITE /shared/a/b|");
        let mut expected = Vec::new();
        for n in 0..watches {
            for path in ["/shared/a", "/shared", "/shared/a/b"] {
                let token = if path == "/shared" && n % 2 == 0 { n + 1000 } else { n };
                host.ask(BYSTANDER, 0, &format!("WATCH {path}|{token}|"));
                if token != n || path == "/shared/a" {
                    expected.push(format!("ev /shared/a/b,{token}"));
                }
            }
        }
        host.send(0, 0, "WRITE /shared/a/b|");
        host.poll();
        host.hears(BYSTANDER, &expected.join("; "));
        host.check();
    }
}

/// Bystander's transaction that has touched 600 nodes ends, and dom0 has a request served amid that. Returns how many
/// operations on slots there are between two looks at others, on average.
fn forget_beside(request: &str, answer: &str) -> u64 {
    let mut host = host(0, 0);
    let tx = host.start(BYSTANDER);
    for n in 0..600 {
        host.ask(BYSTANDER, tx, &format!("READ data/{n}|"));
    }
    assert!(host.server.in_use().tx_nodes > 600);
    host.send(BYSTANDER, tx, "TRANSACTION_END F|");
    host.send(0, 0, request);
    let before = host.server.operations();
    let looks = Arc::new(AtomicU64::new(0));
    let seen = looks.clone();
    host.xen.on_look = Some(Box::new(move || {
        seen.fetch_add(1, Relaxed);
    }));
    host.poll();
    let operations = host.server.operations() - before;
    assert_eq!(host.server.in_use().tx_nodes, 0);
    host.hears(BYSTANDER, "OK|");
    host.hears(0, answer);
    host.check();
    operations / looks.load(Relaxed)
}

#[test]
fn what_has_ended_is_forgotten_in_turns() {
    let operations = forget_beside("READ /shared|", "old");
    assert!(operations < 3000, "{operations} operations between two looks at others");
}

#[test]
fn what_is_still_to_be_forgotten_is_accounted_for() {
    forget_beside("CONTROL check|", "OK|");
}

/// Stopped anywhere, all are told once.
#[test]
fn stopped_at_many_operations() {
    expect_stops();
    const FEW: u16 = 3;
    const MANY: usize = 80;
    let prepared = || {
        let mut host = host(FEW, MANY);
        let tx = host.start(0);
        (0..12).for_each(|n| host.ok(0, tx, &format!("WRITE /shared/{n}|")));
        host.ok(0, tx, "WRITE /shared|new");
        host
    };
    let mut stops = 0;
    for (tx, request, expected) in [
        (0, "WRITE /shared|new", vec!["/shared".to_string()]),
        (
            1,
            "TRANSACTION_END T|",
            // In order of first touch: the first new node was looked for from its path upwards.
            ["0", "", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]
                .map(|name| format!("/shared/{name}").trim_end_matches('/').to_string())
                .to_vec(),
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|path| told(path, MANY)).collect();
        let expected = expected.join("; ");
        for n in (1..).step_by(5) {
            let mut host = prepared();
            host.send(0, tx, request);
            host.server.stop_in(n);
            let stopped = catch_unwind(AssertUnwindSafe(|| host.poll())).is_err();
            host.server.stop_in(0);
            if !stopped {
                break;
            }
            stops += 1;
            host.server.recover(&mut host.xen);
            host.poll();
            let happened = match host.received(0).as_str() {
                "OK|" => true,
                "EIO" => false,
                other => panic!("stopped in operation {n} of {request}: {other}"),
            };
            let value = if happened { "new" } else { "old" };
            assert_eq!(host.ask(BYSTANDER, 0, "READ /shared|"), value, "operation {n} of {request}");
            for domid in 1..=FEW {
                let heard = host.received(domid);
                assert_eq!(heard, if happened { &expected[..] } else { "" }, "operation {n} of {request}");
            }
            host.check();
        }
    }
    println!("{stops} stops");
    // Without debug assertions nothing stops.
    assert!(stops > 80, "{stops} stops");
}
