//! Whose request it is that others hear of: it is outstanding once, and who reads and asks little is served beside any of them.

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::server::sizing::capacities_for;

use crate::json::stats;
#[cfg(debug_assertions)] // Elsewhere nothing stops.
use crate::stops::poll_with_stop;

/// Guests that watch all that there is, and how often each does.
const WATCHERS: std::ops::RangeInclusive<u16> = 2..=65;
const WATCHES: usize = 40;

/// Guest 1 has a node that all may read.
fn host() -> Host {
    let capacities = Capacities { trace: 8192, ..Capacities::for_nodes(60_000) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.limit(super::LIMITS);
    host.boot(1);
    host.expect(&[(1, 0, "WRITE data|old", "OK|"), (1, 0, "SET_PERMS data|r1|", "OK|")]);
    WATCHERS.for_each(|domid| host.boot(domid));
    for domid in WATCHERS {
        for n in 0..WATCHES {
            host.ask(domid, 0, &format!("WATCH /|{n}|"));
        }
    }
    host
}

fn outstanding(host: &Host, domid: u16) -> u32 {
    host.server.usage(DomId(domid)).expect("it lives").outstanding
}

#[test]
fn a_request_is_outstanding_once_however_many_hear_of_it() {
    for amid in [false, true] {
        let mut host = host();
        host.send(1, 0, "WRITE data|new");
        if amid {
            // Whoever asks meanwhile has its place before it is answered.
            WATCHERS.for_each(|domid| host.send(domid, 0, "READ name|"));
        }
        host.poll();
        host.hears(1, "OK|");
        assert_eq!(outstanding(&host, 1), 1, "{amid}");
        host.check();
        for domid in WATCHERS {
            let told = host.received(domid);
            assert_eq!(told.matches("ev /local/domain/1/data,").count(), WATCHES, "{domid}: {told}");
        }
        assert_eq!(outstanding(&host, 1), 0, "{amid}");
        host.check();
    }
}

/// Guest 2 hears of it while others who do are still looked for, so nothing waits because of it for a while.
#[cfg(debug_assertions)] // Elsewhere nothing stops.
#[test]
fn a_stop_leaves_no_cause_that_nothing_waits_for() {
    for n in 1.. {
        let mut host = Host::new();
        host.limit(super::LIMITS);
        host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|b0|", "OK|")]);
        (1..=5).for_each(|domid| host.boot(domid));
        for domid in 3..=5 {
            (0..70).for_each(|n| drop(host.ask(domid, 0, &format!("WATCH /shared|{n}|"))));
        }
        host.ask(2, 0, "WATCH /shared|w|");
        host.send(1, 0, "WRITE /shared|new");
        host.send(2, 0, "READ /shared|");
        if !poll_with_stop(&mut host, n) {
            break;
        }
        (1..=5).for_each(|domid| drop(host.received(domid)));
        assert_eq!(outstanding(&host, 1), 0, "stopped in operation {n}");
        host.check();
    }
}

/// The change is to be told later, and there is no room to keep it: nothing of that remains, in the state neither.
#[test]
fn a_change_that_cannot_be_kept_is_nobodys_cause() {
    let capacities = capacities_for(7 << 20, 1 << 19).expect("room");
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    (1..=60).for_each(|domid| host.boot(domid));
    host.ok(1, 0, "WRITE data|");
    host.ok(1, 0, "SET_PERMS data|r1|");
    for n in 0..40 {
        host.ask(2, 0, &format!("WATCH /local/domain/1/data|{n}|"));
    }
    // All keep what copies they can get.
    for domid in (1..=60).rev() {
        for _ in 0..2 {
            let tx = host.start(domid);
            let ran_out = (0..1000).any(|n| host.ask(domid, tx, &format!("READ missing{n}|")) == "ENOMEM");
            assert!(domid > 1 || ran_out, "there is room for all");
        }
    }
    for n in 0..10 {
        host.send(1, 0, &format!("WRITE data|{n}"));
        host.poll();
        host.xen.now.0 += 60_000_000;
        host.poll();
        host.hears(1, "OK|");
        host.check();
    }
    assert!(stats(&mut host, "2")["dropped"].as_u64() > Some(0), "all was kept");
    host.update(2);
}
