//! Whatever guests hold and leave unread, dom0 is served, and guests can free what they hold.

use std::sync::Arc;

use support::{Client, Host, request};
use xenstore::abi::{DomId, Port, RING_SIZE, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::EventChannels;
use xenstore::quota::Quotas;
use xenstore::server::sizing;
use xenstore::wire::{MessageType, TxId};

/// The smallest store, in which no quota limits a domain.
fn host(guests: u16) -> Host {
    let none = Quotas { nodes: 0, memory: 0, node_size: 0, outstanding: 20, ..Quotas::DEFAULT };
    let capacities = sizing::capacities_for(Capacities::MIN_MEMORY, 0).expect("the least memory is enough");
    let mut host = Host::with(Settings { quotas: none, ..Settings::DEFAULT }, &capacities);
    for guest in 1..=guests {
        host.boot(guest);
    }
    host
}

/// Requests that need the most room.
#[track_caller]
fn dom0_is_served(host: &mut Host) {
    let value = "v".repeat(4080);
    host.ok(0, 0, &format!("WRITE /dom0|{value}"));
    assert_eq!(host.ask(0, 0, "READ /dom0|"), value);
    host.ok(0, 0, "RM /dom0|");
    host.check();
}

#[test]
fn unread_answers_of_many_guests() {
    let mut host = host(40);
    host.ok(0, 0, &format!("WRITE /large|{}", "v".repeat(4096 - 7)));
    host.ok(0, 0, "SET_PERMS /large|r0|");
    for guest in 1..=40 {
        for _ in 0..20 {
            if host.client(guest).has_room() {
                host.send(guest, 0, "READ /large|");
            }
        }
        host.poll();
    }
    dom0_is_served(&mut host);
    for guest in 1..=40 {
        while !host.received(guest).is_empty() {}
    }
    host.expect(&[(7, 0, "WRITE x|1", "OK|"), (7, 0, "READ x|", "1")]);
}

/// Sends what has a long answer, which nobody reads, as often as the server takes it.
fn ask_unread(host: &mut Host, clients: &mut [Client]) {
    let long = request(MessageType::Read as u32, 1, TxId::NONE, b"/large\0");
    for _ in 0..2000 {
        for client in &mut *clients {
            while client.unread() as usize + long.len() <= RING_SIZE as usize {
                client.write(&long);
            }
        }
        host.xen.kick(DomId(0));
        host.poll();
    }
}

#[test]
fn unread_answers_of_the_privileged() {
    let mut host = host(1);
    host.ok(0, 0, &format!("WRITE /large|{}", "v".repeat(4096 - 7)));
    let mut clients: Vec<_> = (20..23)
        .map(|port| {
            let ring = Arc::new(RingPage::new());
            let port = host.xen.bind_interdomain(DomId(0), Port(port)).expect("a port");
            (host.server.accept(ring.clone(), port).expect("there is room"), Client::new(ring))
        })
        .map(|(_, client)| client)
        .collect();
    ask_unread(&mut host, &mut clients);
    dom0_is_served(&mut host);
    host.expect(&[(1, 0, "WRITE x|short", "OK|"), (1, 0, "READ x|", "short")]);
    // Who reads gets all that it has asked for, whole.
    for client in &mut clients {
        let mut answers = 0;
        while client.waiting() > 0 {
            for answer in client.read() {
                assert_eq!(answer.to_string().len(), 4096 - 7);
                answers += 1;
            }
            host.xen.kick(DomId(0));
            host.poll();
        }
        assert!(answers > 10, "{answers}");
    }
    dom0_is_served(&mut host);
}

#[test]
fn guests_that_fill_the_store() {
    let mut host = host(8);
    let value = "v".repeat(900);
    let full = (0..2000).find(|n| host.ask(1, 0, &format!("WRITE n{n}|{value}")) != "OK|");
    // A guest that holds much leaves room to others; together they fill what guests may have.
    host.ok(2, 0, &format!("WRITE x|{value}"));
    for guest in 2..=8 {
        (0..2000).find(|n| host.ask(guest, 0, &format!("WRITE n{n}|{value}")) != "OK|");
    }
    assert_eq!(host.ask(2, 0, &format!("WRITE y|{value}")), "ENOMEM");
    dom0_is_served(&mut host);
    host.expect(&[(2, 0, "WRITE x|short", "OK|"), (2, 0, "RM x|", "OK|")]);
    let last = full.expect("the store is finite") - 1;
    host.expect(&[(1, 0, &format!("READ n{last}|"), &value), (1, 0, &format!("RM n{last}|"), "OK|")]);
    host.ok(8, 0, "RM n0|");
    host.ok(8, 0, &format!("WRITE n0|{value}"));
}

#[test]
fn dom0_fills_the_store_itself() {
    let mut host = host(1);
    let value = "v".repeat(4000);
    let full = (0..2000).find(|n| host.ask(0, 0, &format!("WRITE /n{n}|{value}")) != "OK|");
    let last = full.expect("the store is finite") - 1;
    host.expect(&[
        (0, 0, &format!("WRITE /more|{value}"), "ENOMEM"),
        (0, 0, &format!("READ /n{last}|"), &value),
        (0, 0, &format!("RM /n{last}|"), "OK|"),
        (0, 0, &format!("WRITE /more|{value}"), "OK|"),
    ]);
    // Guests wait meanwhile, and go on when there is room again.
    host.send(1, 0, "READ /more|");
    host.poll();
    for n in 0..last {
        host.ok(0, 0, &format!("RM /n{n}|"));
    }
    host.xen.pass(1);
    host.xen.kick(DomId(1));
    host.poll();
    assert_eq!(host.received(1), "EACCES");
}

#[test]
fn guests_that_use_up_permission_lists() {
    let mut host = host(4);
    let mut refused = 0;
    for guest in 1..=4 {
        for n in 0..600 {
            host.ok(guest, 0, &format!("WRITE n{n}|"));
            // A guest that has unknown domains asked for has to wait.
            host.xen.pass(1);
            if host.ask(guest, 0, &format!("SET_PERMS n{n}|n{guest}|r{}|", 1000 + n)) == "ENOMEM" {
                refused += 1;
                break;
            }
        }
    }
    assert!(refused > 0, "the test does not reach the limit");
    // Enough for a good number of further domains.
    for n in 0..150 {
        host.ok(0, 0, &format!("WRITE /dom0/{n}|"));
        host.ok(0, 0, &format!("SET_PERMS /dom0/{n}|n0|r{}|", 2000 + n));
    }
    host.check();
}

#[test]
fn guests_that_keep_large_transactions_open() {
    let mut host = host(4);
    let mut refused = 0;
    for guest in 1..=4 {
        for _ in 0..10 {
            let tx = host.start(guest);
            if (0..1000).any(|n| host.ask(guest, tx, &format!("READ n{n}|")) == "ENOMEM") {
                refused += 1;
                break;
            }
        }
    }
    assert!(refused > 0, "the test does not reach the limit");
    let tx = host.start(0);
    for n in 0..250 {
        host.ok(0, tx, &format!("WRITE /dom0/{n}|"));
    }
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn dom0_hears_of_a_death_whatever_else_it_leaves_unread() {
    dom0_hears_of_a_death_after(0);
}

/// News does not wait any longer for what dom0 might read.
#[test]
fn dom0_hears_of_a_death_however_long_it_leaves_all_unread() {
    dom0_hears_of_a_death_after(100_000_000);
}

fn dom0_hears_of_a_death_after(nanoseconds: u64) {
    let mut host =
        Host::with(Settings::DEFAULT, &Capacities { messages: 320, ..Capacities::for_nodes(2048) });
    host.boot(5);
    host.ask(0, 0, "WATCH /shared|token|");
    host.ask(0, 0, "WATCH @releaseDomain|gone|");
    // The answers take some of what is reserved, where there is no room for other events any more.
    let mut writes = 0;
    while host.server.in_use().messages < 320 - 320 / 32 + 4 {
        host.send(0, 0, &format!("WRITE /shared/{writes}|"));
        host.poll();
        writes += 1;
    }
    host.xen.kill(DomId(5));
    host.poll();
    host.xen.now = host.xen.now.after_nanoseconds(nanoseconds);
    host.poll();
    let heard = host.received(0);
    assert!(heard.matches("ev /shared/").count() < writes, "there was room for all events");
    assert!(heard.contains("ev @releaseDomain,gone"), "a death goes unnoticed");
    host.check();
}
