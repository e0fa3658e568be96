//! Attacks without an advisory: cooperating guests, endless input, dying owners.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use xenstore::abi::{DomId, Port};
use xenstore::config::{Capacities, Settings};
use xenstore::server::Server;
use xenstore::wire::{MessageType, TxId};

use crate::scene::{bytes, drain, enter, exists, memory, nodes, over, scene, scene_with, usage};
use crate::shifty::{Hook, Shifty};
use support::{Client, FakeXen, Host, request};

/// A header whose length shrinks once the server has looked at it must not be counted below zero.
#[test]
fn a_length_that_shrinks_after_the_check() {
    let mut xen = FakeXen::new();
    let (dom0, guest) = (xen.create(DomId(0)), xen.create(DomId(5)));
    let hook: Hook = Hook::default();
    let mut platform = Shifty { xen, guest: DomId(5), hook: hook.clone() };
    let mut server: Server<Shifty> = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
    server.start(&mut platform, DomId(0), Port(1)).expect("dom0 connects");
    Client::new(dom0).write(&bytes(MessageType::Introduce, 0, 0, "5|1|5|"));
    platform.xen.kick(DomId(0));
    server.poll(&mut platform);
    for at in 0..12 {
        let mut client = Client::new(guest.clone());
        client.write(&request(2, 1, TxId(0), &[b'x'; 900])[..800]);
        let word = (guest.req_cons.load(SeqCst) / 8 + 1) as usize % 128;
        let looks = Cell::new(0);
        *hook.borrow_mut() = Some(Box::new(move |page| {
            looks.set(looks.get() + 1);
            if looks.get() == at {
                page.req[word].store(0, SeqCst);
            }
        }));
        platform.xen.kick(DomId(5));
        server.poll(&mut platform);
        *hook.borrow_mut() = None;
        client.write(&[b'x'; 116]);
        platform.xen.kick(DomId(5));
        server.poll(&mut platform);
        server.check(&mut |finding| panic!("{finding}"));
        guest.connection.store(1, SeqCst);
        platform.xen.kick(DomId(5));
        server.poll(&mut platform);
    }
}

/// A guest with endless input keeps the server awake, but does not hold up others: the events that block V expire.
#[test]
fn endless_input_does_not_stop_the_clock() {
    let mut xen = FakeXen::new();
    let pages: Vec<_> = [0, 5, 6, 7].iter().map(|domid| xen.create(DomId(*domid))).collect();
    let hook: Hook = Hook::default();
    let mut platform = Shifty { xen, guest: DomId(7), hook: hook.clone() };
    let mut server: Server<Shifty> = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
    server.start(&mut platform, DomId(0), Port(1)).expect("dom0 connects");
    let mut clients: Vec<_> = pages.iter().map(|page| Client::new(page.clone())).collect();
    let mut ask = |server: &mut Server<Shifty>, platform: &mut Shifty, who: usize, kind, payload: &str| {
        clients[who].write(&bytes(kind, 1, 0, payload));
        platform.xen.kick(DomId([0, 5, 6, 7][who]));
        server.poll(platform);
        if who == 1 { Vec::new() } else { clients[who].read() }
    };
    for domid in [5, 6, 7] {
        ask(&mut server, &mut platform, 0, MessageType::Write, &format!("/local/domain/{domid}|"));
        ask(
            &mut server,
            &mut platform,
            0,
            MessageType::SetPerms,
            &format!("/local/domain/{domid}|r{domid}|"),
        );
        ask(&mut server, &mut platform, 0, MessageType::Introduce, &format!("{domid}|1|5|"));
    }
    // Domain 5 watches domain 6 and does not read.
    ask(&mut server, &mut platform, 1, MessageType::Watch, "/local/domain/6|t|");
    let mut refused = 0;
    for n in 0..100 {
        refused +=
            usize::from(ask(&mut server, &mut platform, 2, MessageType::Write, &format!("{n}|")).is_empty());
    }
    assert!(refused > 0, "domain 6 is stalled");
    // Domain 7 fills its ring again whenever the server looks; after a while an hour has passed.
    let looks = Rc::new(Cell::new(0_u32));
    let counted = looks.clone();
    for at in 0..64 {
        // READ, no transaction; six payload bytes make each request 24 bytes, and 42 of them 1008.
        pages[3].req[at].store(0, SeqCst);
    }
    let done = Rc::new(Cell::new(false));
    let (page6, finished) = (pages[2].clone(), done.clone());
    let before = page6.rsp_prod.load(SeqCst);
    *hook.borrow_mut() = Some(Box::new(move |page| {
        counted.set(counted.get() + 1);
        if page6.rsp_prod.load(SeqCst) != before {
            finished.set(true);
        }
        if counted.get() < 200_000 && !finished.get() {
            page.rsp_cons.store(page.rsp_prod.load(SeqCst), SeqCst);
            page.req_prod.store(page.req_cons.load(SeqCst).wrapping_add(512), SeqCst);
        } else {
            page.req_prod.store(page.req_cons.load(SeqCst), SeqCst);
        }
    }));
    platform.xen.ticking = 1_000_000_000;
    platform.xen.kick(DomId(7));
    server.poll(&mut platform);
    assert!(done.get(), "domain 6 was not heard in {} looks", looks.get());
    server.check(&mut |finding| panic!("{finding}"));
}

/// A transaction of dom0 gives a node to a domain that dies before the end.
#[test]
fn a_commit_gives_nothing_to_the_dead() {
    for name in ["SET_PERMS /tool/x|n5|", "SET_PERMS /tool/x|n5|r6|"] {
        let mut host = scene();
        host.ok(0, 0, "WRITE /tool/x|1");
        let tx = host.start(0);
        host.ok(0, tx, name);
        host.ok(0, tx, "WRITE /tool/x/below|1");
        host.kill(5);
        host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN"), (0, 0, "GET_PERMS /tool/x|", "n0|")]);
        host.clients.remove(&5);
        over(&mut host);
    }
    // The owner of what was read, made in, or removed in the transaction dies.
    for request in [
        "READ /local/domain/5/data|",
        "WRITE /local/domain/5/data/n|1",
        "RM /local/domain/5/data|",
        "MKDIR /local/domain/5/a/b|",
    ] {
        let mut host = scene();
        let tx = host.start(0);
        host.ask(0, tx, request);
        host.kill(5);
        host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
        assert!(!exists(&mut host, "/local/domain/5"));
        host.clients.remove(&5);
        over(&mut host);
    }
}

/// Trees that were partly there and partly made in the transaction are removed, made again and mixed.
#[test]
fn removal_in_a_transaction_takes_what_was_made_in_it() {
    let mut host = scene();
    let before = (memory(&host, 5), host.server.in_use());
    for value in ["short", &"long".repeat(100)] {
        for commit in ["T", "F"] {
            for name in ["a", "a/b", "a/b/c"] {
                host.ok(5, 0, &format!("WRITE data/a/b/c|{value}"));
                let (used, held) = (nodes(&host, 5), memory(&host, 5));
                let tx = host.start(5);
                for request in [
                    format!("WRITE data/a/b/made/deep|{value}"),
                    format!("WRITE data/a/b/c/more|{value}"),
                    "SET_PERMS data/a/b/c|n5|r6|".to_string(),
                    format!("RM data/{name}|"),
                    format!("WRITE data/{name}/again/x|{value}"),
                    format!("RM data/{name}/again|"),
                    format!("WRITE data/{name}/again|{value}"),
                    format!("WRITE data/{name}|{value}"),
                ] {
                    host.ok(5, tx, &request);
                    host.check();
                }
                assert_eq!(host.ask(5, tx, &format!("DIRECTORY data/{name}|")), "again|");
                host.ok(5, tx, &format!("TRANSACTION_END {commit}|"));
                if commit == "T" {
                    assert_eq!(host.ask(5, 0, &format!("DIRECTORY data/{name}|")), "again|");
                } else {
                    assert_eq!((nodes(&host, 5), memory(&host, 5)), (used, held));
                }
                host.check();
                host.ok(5, 0, "RM data/a|");
                assert_eq!((memory(&host, 5), host.server.in_use()), before);
            }
        }
    }
    over(&mut host);
}

/// Two guests work on one tree in transactions while its owners come and go.
#[test]
fn transactions_of_two_guests_and_a_death() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..8 {
        let mut host = scene();
        enter(&mut host, 7);
        host.xen.ticking = 1_000_000_000;
        host.ok(6, 0, "SET_PERMS data|n6|b5|b7|");
        let mut open: Vec<(u16, u32)> = Vec::new();
        for _ in 0..80 {
            let who = [5, 7][random.usize(0..2)];
            if host.server.usage(DomId(who)).is_none() {
                continue;
            }
            let of_him: Vec<u32> = open.iter().filter(|(d, _)| *d == who).map(|(_, tx)| *tx).collect();
            let tx = match random.usize(0..4) {
                0 if of_him.len() < 3 => {
                    host.received(who);
                    open.push((who, host.start(who)));
                    0
                }
                1 | 2 if !of_him.is_empty() => of_him[random.usize(0..of_him.len())],
                _ => 0,
            };
            let name = ["a", "a/b", "a/b/c", "d", "d/e"][random.usize(0..5)];
            let path = format!("/local/domain/6/data/{name}");
            match random.usize(0..12) {
                0..4 => host.ask(who, tx, &format!("WRITE {path}|{}", "x".repeat(random.usize(0..200)))),
                4..7 => host.ask(who, tx, &format!("RM {path}|")),
                7 => host.ask(who, tx, &format!("SET_PERMS {path}|n{who}|b5|b6|b7|")),
                8 => host.ask(who, tx, &format!("DIRECTORY {path}|")),
                9 => {
                    host.ask(0, 0, &format!("SET_PERMS {path}|n{}|b5|b7|", [0, 5, 6, 7][random.usize(0..4)]))
                }
                10 if tx != 0 => {
                    open.retain(|entry| *entry != (who, tx));
                    host.ask(who, tx, if random.bool() { "TRANSACTION_END T|" } else { "TRANSACTION_END F|" })
                }
                _ => host.ask(who, 0, &format!("WATCH /local/domain/6/data|{}|", random.u8(0..3))),
            };
            host.check();
            host.received(5);
            host.received(7);
            if random.usize(0..40) == 0 {
                host.kill(who);
                open.retain(|(d, _)| *d != who);
                host.check();
            }
        }
        for domid in [5, 7] {
            if host.server.usage(DomId(domid)).is_some() {
                host.received(domid);
                host.kill(domid);
            }
            host.clients.remove(&domid);
        }
        assert_eq!(host.server.in_use().transactions, 0);
        over(&mut host);
    }
}

/// What a dead domain's requests left in others' queues counts for nobody. The next domain of its number starts at 0.
#[test]
fn causes_outlive_their_domain() {
    for back in [false, true] {
        let mut host = scene();
        host.ok(5, 0, "SET_PERMS data|n5|r6|");
        host.ask(6, 0, &format!("WATCH /local/domain/5/data|{}|", "t".repeat(300)));
        for n in 0..12 {
            host.send(5, 0, &format!("WRITE data/{n}|x"));
            host.poll();
        }
        assert!(usage(&host, 5).outstanding > 5);
        host.kill(5);
        host.check();
        if back {
            enter(&mut host, 5);
            host.ok(5, 0, "SET_PERMS data|n5|r6|");
            assert_eq!(usage(&host, 5).outstanding, 0);
            host.ok(5, 0, "WRITE data/new|x");
            assert_eq!(usage(&host, 5).outstanding, 1);
        }
        drain(&mut host, 6);
        host.check();
        host.xen.pass(30);
        host.poll();
        assert_eq!(host.server.in_use().messages, 0);
        assert_eq!(usage(&host, 5).outstanding, 0);
        host.clients.remove(&5);
        over(&mut host);
    }
}

/// The receiver dies, is released, is introduced again or breaks its ring while events wait for it.
#[test]
fn causes_end_with_their_receiver() {
    let ends: [fn(&mut Host); 5] = [
        |host| host.kill(6),
        |host| host.ok(0, 0, "RELEASE 6|"),
        |host| host.ok(0, 0, "INTRODUCE 6|1|5|"),
        |host| {
            let [cons, _, _, _] = host.client(6).indexes();
            host.client(6).page.req_prod.store(cons.wrapping_add(5000), SeqCst);
            host.xen.kick(DomId(6));
            host.poll();
        },
        |host| {
            host.client(6).page.connection.store(1, SeqCst);
            host.xen.kick(DomId(6));
            host.poll();
        },
    ];
    for end in ends {
        let mut host = scene();
        host.ok(5, 0, "SET_PERMS data|n5|r6|");
        host.ask(6, 0, &format!("WATCH /local/domain/5/data|{}|", "t".repeat(300)));
        let mut n = 0;
        while usage(&host, 5).outstanding < 20 {
            host.send(5, 0, &format!("WRITE data/{n}|x"));
            host.poll();
            n += 1;
        }
        host.send(5, 0, "WRITE data/last|x");
        host.poll();
        host.client(5).read();
        end(&mut host);
        host.poll();
        assert_eq!(host.client(5).read().len(), 1, "the stalled request is served at once");
        assert_eq!(usage(&host, 5).outstanding, 0);
        host.check();
        host.clients.remove(&6);
        host.ask(0, 0, "RELEASE 6|");
        over(&mut host);
    }
}

/// Requests of an ignored, a released and a re-introduced domain.
#[test]
fn requests_in_every_state_of_a_domain() {
    let mut host = scene();
    host.ok(0, 0, "RELEASE 5|");
    host.send(5, 0, "READ data|");
    host.poll();
    assert_ne!(host.client(5).unread(), 0);
    host.expect(&[
        (0, 0, "RELEASE 5|", "ENOENT"),
        (0, 0, "RESUME 5|", "ENOENT"),
        (0, 0, "SET_TARGET 6|5|", "ENOENT"),
        (0, 0, "INTRODUCE 5|1|5|", "OK|"),
        (5, 0, "READ data|", "EACCES"),
        (5, 1, "READ data|", "ENOENT"),
    ]);
    let tx = host.start(5);
    host.ok(0, 0, "INTRODUCE 5|1|5|");
    host.expect(&[(5, tx, "READ data|", "ENOENT")]);
    assert_ne!(host.start(5), tx, "an identifier is not used again at once");
    // Given up, introduced again (still given up), released, introduced: served.
    host.client(5).page.req_prod.store(99_999, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    for request in ["INTRODUCE 5|1|5|", "RESUME 5|", "SET_TARGET 5|6|", "INTRODUCE 5|1|6|"] {
        host.ok(0, 0, request);
        host.send(5, 0, "READ data|");
        host.poll();
        assert_eq!(host.client(5).read().len(), 0);
        host.client(5).page.connection.store(1, SeqCst);
        host.xen.kick(DomId(5));
        host.poll();
        host.check();
    }
    host.ok(0, 0, "RELEASE 5|");
    host.client(5).set_indexes([0; 4]);
    host.expect(&[(0, 0, "INTRODUCE 5|1|5|", "OK|"), (5, 0, "READ data|", "EACCES")]);
    over(&mut host);
}

/// Many watches by many guests on one name, which all may read, cost each change no more than the events that it sends.
#[test]
fn event_storms_cost_what_they_send() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(150_000));
    let guests: Vec<u16> = (100..140).collect();
    for domid in &guests {
        enter(&mut host, *domid);
        for n in 0..128 {
            host.ask(*domid, 0, &format!("WATCH @releaseDomain|{n}|"));
        }
    }
    host.check();
    let start = std::time::Instant::now();
    host.kill(5);
    // 5000 events: comparing each with each would be 10^7 comparisons of tokens.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    for domid in guests {
        assert_eq!(drain(&mut host, domid).len(), 128);
    }
    host.clients.remove(&5);
    over(&mut host);
}

/// An owner of the root or a special node dies: these nodes stay and go to dom0.
#[test]
fn the_owner_of_the_root_dies() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "SET_PERMS /|n5|r6|", "OK|"),
        (0, 0, "SET_PERMS @releaseDomain|n5|r6|", "OK|"),
        (5, 0, "WRITE /mine/deep|1", "OK|"),
        (5, 0, "RM /|", "EINVAL"),
        (5, 0, "SET_PERMS @releaseDomain|r5|", "OK|"),
    ]);
    host.kill(5);
    host.expect(&[
        (0, 0, "GET_PERMS /|", "n0|r6|"),
        (0, 0, "GET_PERMS @releaseDomain|", "r0|"),
        (0, 0, "READ /mine|", "ENOENT"),
        (6, 0, "READ data|", ""),
    ]);
    host.clients.remove(&5);
    over(&mut host);
}

/// Transactions of the same identifiers in several connections, used by the wrong one and after their end.
#[test]
fn transaction_identifiers_belong_to_a_connection() {
    let mut host = scene();
    let (five, six) = (host.start(5), host.start(6));
    let extra = host.start(5);
    assert_eq!(five, six);
    host.expect(&[
        (5, five, "WRITE data/x|1", "OK|"),
        (6, extra, "READ data|", "ENOENT"),
        (6, six, "READ data/x|", "ENOENT"),
        (5, five, "TRANSACTION_START |", "EBUSY"),
        (5, u32::MAX, "TRANSACTION_START |", "ENOENT"),
        (5, five, "TRANSACTION_END X|", "EINVAL"),
        (5, five, "TRANSACTION_END T|", "OK|"),
        (5, five, "TRANSACTION_END T|", "ENOENT"),
        (5, five, "WATCH data|t|", "OK|; ev data,t"),
        (5, five, "RESET_WATCHES |", "ENOENT"),
        (5, extra, "CONTROL check|", "EACCES"),
        (5, extra, "RESET_WATCHES |", "OK|"),
    ]);
    assert_eq!(usage(&host, 5).transactions, 0);
    host.ok(6, six, "TRANSACTION_END F|");
    over(&mut host);
}
