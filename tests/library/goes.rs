//! How much is done in one go, between two looks at what others have sent: counted in operations on slots, which stand for some
//! 25 instructions each.

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};

use crate::slices::{CASES, host};

/// Operations that stand for 250,000 instructions.
const MOST: u64 = 10_000;

/// The same where all of them are looks, which take half as long as the others.
const MOST_LOOKS: u64 = 13_000;

/// A commit is decided in one go. All others are shorter, also where paths are long.
#[test]
fn only_the_decision_of_a_commit_is_more_than_others_wait_for() {
    let mut longer = Vec::new();
    for (n, (request, prepare)) in
        CASES.iter().filter(|case| case.0.starts_with("TRANSACTION_END")).enumerate()
    {
        let mut host = host(1);
        let tx = prepare(&mut host);
        host.ask(1, 0, "WATCH data|t|");
        host.send(1, tx, request);
        let mut goes = host.goes();
        goes.sort_unstable();
        goes.pop();
        longer.extend(
            goes.into_iter().filter(|operations| *operations > MOST).map(|operations| (n, operations)),
        );
        host.check();
    }
    assert!(longer.is_empty(), "goes by case: {longer:?}");
}

fn default_host(nodes: usize, guests: u16) -> Host {
    let capacities = Capacities { trace: 4096, chunks: 2 * nodes, ..Capacities::for_nodes(nodes) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    (1..=guests).for_each(|domid| host.boot(domid));
    host
}

/// Copies are taken a few at a time, and each go begins where the one before has stopped. What is decided in the end is in one
/// go.
#[test]
fn copies_of_many_levels_are_taken_in_goes() {
    let path = format!("data{}", "/x".repeat(900));
    for (there, request, answer) in [
        (false, format!("READ {path}|"), "ENOENT"),
        (false, format!("WRITE {path}|"), "OK|"),
        (true, "RM data|".to_string(), "OK|"),
        (true, format!("READ {path}/y|"), "ENOENT"),
    ] {
        let mut host = default_host(20_000, 1);
        if there {
            host.ok(1, 0, &format!("MKDIR {path}|"));
        }
        let tx = host.start(1);
        host.send(1, tx, &request);
        let mut goes = host.goes();
        goes.sort_unstable();
        let last = if answer == "OK|" { goes.pop() } else { None };
        let told = &request[..6];
        assert!(goes.iter().all(|go| *go < MOST), "{told}: {goes:?}");
        assert!(last.is_none_or(|last| last < 4 * MOST), "{told}: {last:?}");
        host.hears(1, answer);
        host.check();
    }
}

/// A part of a long list that does not follow the one before is looked for a few thousand names at a time. So is one that lies
/// before that.
#[test]
fn a_part_of_a_long_list_is_looked_for_in_goes() {
    const NAMES: usize = 40_000;
    let mut host = default_host(60_000, 1);
    (0..NAMES).for_each(|n| host.ok(0, 0, &format!("WRITE /o/{n:05}|")));
    let generation = host.ask(0, 0, "DIRECTORY_PART /o|99999999|").trim_end_matches('|').to_string();
    for first in [NAMES - 3, 7, NAMES / 2] {
        let offset = 6 * first;
        host.send(0, 0, &format!("DIRECTORY_PART /o|{offset}|"));
        let goes = host.goes();
        let most = goes.iter().max().copied().unwrap_or_default();
        assert!(most < 25_000, "{most} operations in one go from {first} on: {goes:?}");
        let names: String = (first..NAMES).map(|n| format!("{n:05}|")).collect();
        let heard = host.received(0);
        let part = heard.strip_prefix(&format!("{generation}|")).expect("the same list");
        assert!(format!("{names}|").starts_with(part) && part.len() > 17, "{heard}");
    }
    host.check();
}

/// A host says of none which has changed, so all are asked about.
#[test]
fn domains_are_asked_about_in_goes() {
    const GUESTS: u16 = 300;
    let mut host = default_host(60_000, GUESTS);
    host.xen.virq();
    host.xen.most_domctls = 0;
    let before = host.xen.domctls;
    host.poll();
    assert!(host.xen.domctls - before > usize::from(GUESTS), "all are asked about");
    assert!(host.xen.most_domctls <= 65, "{} in one go", host.xen.most_domctls);
    host.check();
}

/// Who is to hear of a domain's beginning or end has very many watches on that, or may hear of nothing; and of those who have
/// messages waiting each is asked whether it has room for news.
#[test]
fn who_hears_of_domains_is_found_out_in_goes() {
    const GUESTS: u16 = 200;
    for (event, access) in [("@releaseDomain", "r"), ("@releaseDomain", "n"), ("@introduceDomain", "r")] {
        let mut host = default_host(60_000, GUESTS);
        host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
        host.ok(0, 0, &format!("SET_PERMS {event}|r0|"));
        for domid in 1..=GUESTS {
            for n in 0..30 {
                host.ask(domid, 0, &format!("WATCH {event}|{n}|"));
            }
            host.ask(domid, 0, &format!("WATCH /shared|{}|", "t".repeat(900)));
        }
        host.ok(0, 0, &format!("SET_PERMS {event}|{access}0|"));
        // Nobody reads: a ring has room for one.
        (0..2).for_each(|n| host.ok(0, 0, &format!("WRITE /shared/{n}|")));
        let lives = host.server.in_use().domains;
        let most = match event {
            "@releaseDomain" => {
                host.xen.kill(DomId(GUESTS));
                host.most_operations()
            }
            _ => {
                host.create(GUESTS + 1);
                host.send(0, 0, &format!("INTRODUCE {}|1|5|", GUESTS + 1));
                host.most_operations()
            }
        };
        assert!(most < MOST_LOOKS, "{event}, {access}: {most} operations in one go");
        assert_ne!(host.server.in_use().domains, lives);
        host.check();
    }
}

/// Very many events are late at once, while dom0 asks for something.
#[test]
fn late_events_are_dropped_in_goes() {
    const GUESTS: u16 = 100;
    let mut host = default_host(60_000, GUESTS);
    host.ok(0, 0, "WRITE /shared|");
    host.ok(0, 0, "SET_PERMS /shared|r0|");
    for domid in 1..=GUESTS {
        host.ask(domid, 0, &format!("WATCH /shared|{}|", "t".repeat(900)));
    }
    (0..30).for_each(|n| host.ok(0, 0, &format!("WRITE /shared/{n}|")));
    let waiting = host.server.in_use().messages;
    assert!(waiting > 1000, "{waiting} messages wait");
    host.xen.pass(30);
    let mut most = 0;
    for _ in 0..100 {
        host.send(0, 0, "READ /shared|");
        most = most.max(host.most_operations());
        host.hears(0, "");
    }
    assert!(most < MOST, "{most} operations in one go");
    // One has gone into each ring in part.
    assert_eq!(host.server.in_use().messages, usize::from(GUESTS));
    host.check();
}

/// The last one has all that waits.
#[test]
fn a_state_is_written_in_goes() {
    let mut host = crate::checks::host();
    host.send(0, 0, "CONTROL state|dump|");
    let goes = host.goes();
    assert!(goes.len() > 20 && goes.iter().all(|operations| *operations < MOST), "{goes:?}");
    assert!(host.received(0).starts_with("xenstore-state "));
}
