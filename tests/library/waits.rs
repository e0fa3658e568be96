//! What waits for those who have not read, and whom news waits for: all of it gets there, for each by itself.

use support::Host;
use xenstore::abi::{DomId, RING_SIZE};
use xenstore::config::{Capacities, Settings};

/// Guests 5 and 6, and a node that both may read.
fn host_with(settings: Settings) -> Host {
    let mut host = Host::with(settings, &Capacities::for_nodes(8192));
    host.boot(5);
    host.boot(6);
    host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
    host
}

/// More nodes than a ring has room to tell of.
const NODES: usize = 35;

/// So many nodes are made in a tree that `to` watches and does not read of.
fn make(host: &mut Host, by: u16, to: &[u16], tree: &str) {
    for to in to {
        host.expect(&[(*to, 0, &format!("WATCH {tree}|t|"), &format!("OK|; ev {tree},t"))]);
    }
    (0..NODES).for_each(|n| host.ok(by, 0, &format!("WRITE {tree}/{n:08}|")));
    for to in to {
        assert!(host.client(*to).waiting() == RING_SIZE, "events wait for domain {to}");
    }
}

fn told(tree: &str) -> String {
    (0..NODES).map(|n| format!("ev {tree}/{n:08},t")).collect::<Vec<_>>().join("; ")
}

#[test]
fn an_event_that_waits_for_another_is_none_that_waits_already() {
    let mut host = host_with(Settings::DEFAULT);
    make(&mut host, 0, &[5, 6], "/shared");
    host.hears(5, &told("/shared"));
    host.hears(6, &told("/shared"));
    host.check();
}

#[test]
fn dom0s_events_wait_however_long_it_does_not_read_and_whatever_it_holds() {
    let mut host = host_with(Settings::DEFAULT);
    host.ok(0, 0, "SET_QUOTA 0|memory|1|");
    make(&mut host, 5, &[0], "/local/domain/5");
    host.xen.pass(3600);
    host.poll();
    host.hears(0, &told("/local/domain/5"));
    host.check();
}

#[test]
fn without_a_timeout_and_a_quota_guests_events_wait_too() {
    let mut host = host_with(Settings { watch_event_timeout: 0, ..Settings::DEFAULT });
    host.ok(0, 0, "SET_QUOTA 5|memory|0|");
    make(&mut host, 0, &[5], "/shared");
    host.xen.pass(3600);
    host.poll();
    host.hears(5, &told("/shared"));
    host.check();
}

/// What a guest leaves unread counts as memory of its own, whatever else bounds it.
#[test]
fn who_leaves_answers_unread_beyond_its_memory_is_not_read() {
    let mut host = host_with(Settings::DEFAULT);
    host.ok(5, 0, &format!("WRITE data|{}", "v".repeat(2000)));
    let quota = host.server.usage(DomId(5)).expect("it lives").memory + 6000;
    host.ok(0, 0, "SET_QUOTA 5|outstanding|0|");
    host.ok(0, 0, &format!("SET_QUOTA 5|memory|{quota}|"));
    for _ in 0..10 {
        host.send(5, 0, "READ data|");
    }
    host.poll();
    assert!(host.client(5).unread() > 0, "requests are left in the ring");
    assert!(host.server.usage(DomId(5)).expect("it lives").memory < quota + 3000);
    assert_eq!(host.received(5).matches('v').count(), 10 * 2000);
    host.check();
}

/// More than are asked about in two goes, between which dom0 is notified of the first death.
#[test]
fn who_dies_while_all_are_asked_about_is_heard_of() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(20_000));
    host.xen.legacy = true;
    (1..=200).for_each(|domid| host.boot(domid));
    host.expect(&[(0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d")]);
    host.xen.dies = Some((0, DomId(2)));
    host.kill(3);
    host.hears(0, "ev @releaseDomain,d; ev @releaseDomain,d");
    host.check();
}

#[test]
fn a_domain_never_introduced_shuts_down_without_a_word() {
    let mut host = Host::new();
    host.create(11);
    host.expect(&[
        (0, 0, "WATCH @releaseDomain|d|1|", "OK|; ev @releaseDomain,d"),
        (0, 0, "WRITE /of11|", "OK|"),
        (0, 0, "SET_PERMS /of11|n11|", "OK|"),
    ]);
    host.xen.shut_down(DomId(11));
    host.poll();
    host.hears(0, "");
}

/// What a death is told by says that there have been shutdowns, too.
#[test]
fn a_death_and_a_shutdown_at_once_are_one_announcement() {
    let mut host = host_with(Settings::DEFAULT);
    host.expect(&[(0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d")]);
    host.xen.shut_down(DomId(5));
    host.xen.kill(DomId(6));
    host.poll();
    host.hears(0, "ev @releaseDomain,d");
}

#[test]
fn who_comes_in_the_place_of_a_dead_domain_has_held_nothing_before() {
    let mut host = host_with(Settings::DEFAULT);
    (0..10).for_each(|n| host.ok(6, 0, &format!("WRITE data/{n}|")));
    assert_eq!(host.start(6), 1);
    host.kill(6);
    host.boot(7);
    let told = host.ask(0, 0, "CONTROL quota|7|");
    assert!(told.contains("nodes            :        1 (max        1)"), "{told}");
    assert_eq!(host.start(7), 1);
}

/// A host with a death that nobody is told of yet: guest 5 has so much to read that it might not be told of it.
fn with_news_that_waits() -> Host {
    let mut host = host_with(Settings::DEFAULT);
    (7..30).for_each(|domid| host.boot(domid));
    host.expect(&[
        (0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d"),
        (5, 0, "WATCH /shared|t|", "OK|; ev /shared,t"),
    ]);
    (0..60).for_each(|n| host.ok(0, 0, &format!("WRITE /shared/{n:08}|")));
    host.kill(6);
    host.hears(0, "");
    host
}

#[test]
fn news_that_waits_for_a_reader_is_told_as_soon_as_its_time_is_over() {
    let mut host = with_news_that_waits();
    let wake = host.server.poll(&mut host.xen);
    assert_eq!(wake, Some(host.xen.now.after_nanoseconds(50_000_000)));
    host.xen.now = host.xen.now.after_nanoseconds(50_000_000);
    host.poll();
    host.hears(0, "ev @releaseDomain,d");
    host.check();
}

#[test]
fn news_that_waits_for_a_reader_is_told_as_soon_as_it_has_read() {
    let mut host = with_news_that_waits();
    assert_eq!(host.received(5).matches("ev ").count(), 60);
    host.hears(0, "ev @releaseDomain,d");
    host.check();
}
