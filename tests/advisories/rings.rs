//! Rings and messages: XSA-38, 72, 324, 325, 420, 481, 512.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use xenstore::abi::{DomId, Port};
use xenstore::config::{Capacities, Settings};
use xenstore::server::Server;
use xenstore::wire::{MessageType, TxId};

use crate::scene::{bytes, drain, over, scene, sleeps, usage};
use crate::shifty::{Hook, Shifty};
use support::{Client, FakeXen, Host, request};

/// Asserts that U is given up, with this reason and without another byte, and stays introduced.
#[track_caller]
fn given_up(host: &mut Host, reason: u32, rsp_prod: u32) {
    let page = host.client(5).page.clone();
    assert_eq!(page.error.load(SeqCst), reason);
    assert_eq!(page.rsp_prod.load(SeqCst), rsp_prod, "nothing more was written");
    assert_eq!((usage(host, 5).watches, usage(host, 5).transactions), (0, 0));
    host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 5|", "T|"), (0, 0, "READ /local/domain/5/data|", "")]);
    for _ in 0..5 {
        host.xen.pass(1);
        host.xen.kick(DomId(5));
        host.poll();
    }
    assert_eq!(page.rsp_prod.load(SeqCst), rsp_prod);
    host.clients.remove(&5);
    over(host);
}

#[test]
fn xsa_38_request_indexes_too_far_apart() {
    for ahead in [1025, 1 << 31, u32::MAX] {
        let mut host = scene();
        let [cons, _, _, rsp_prod] = host.client(5).indexes();
        host.client(5).page.req_prod.store(cons.wrapping_add(ahead), SeqCst);
        host.xen.kick(DomId(5));
        host.poll();
        given_up(&mut host, 2, rsp_prod);
    }
}

#[test]
fn xsa_38_response_indexes_too_far_apart() {
    let mut host = scene();
    let [_, _, _, rsp_prod] = host.client(5).indexes();
    host.client(5).page.rsp_cons.store(rsp_prod.wrapping_add(1), SeqCst);
    host.send(5, 0, "READ data|");
    host.poll();
    given_up(&mut host, 2, rsp_prod);
}

#[test]
fn xsa_38_a_full_ring_is_not_an_empty_one() {
    let mut host = scene();
    let start = u32::MAX - 23;
    host.client(5).set_indexes([start, start, 0, 0]);
    let batch: Vec<u8> = (0..32).flat_map(|n| bytes(MessageType::Read, n, 0, "data/0123456789|")).collect();
    assert_eq!((batch.len(), host.client(5).write(&batch)), (1024, 1024));
    host.xen.kick(DomId(5));
    host.poll();
    let answers = drain(&mut host, 5);
    assert_eq!(answers.iter().map(|answer| answer.header.req_id).collect::<Vec<_>>(), Vec::from_iter(0..32));
    over(&mut host);
}

/// The guest rewrites indexes and the words of the header between any two looks at its page.
#[test]
fn xsa_38_nothing_is_computed_from_a_second_look() {
    let mut random = fastrand::Rng::with_seed(38);
    for round in 0..12 {
        let mut xen = FakeXen::new();
        let (dom0, guest) = (xen.create(DomId(0)), xen.create(DomId(5)));
        let hook: Hook = Hook::default();
        let mut platform = Shifty { xen, guest: DomId(5), hook: hook.clone() };
        let mut server: Server<Shifty> = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
        server.start(&mut platform, DomId(0), Port(1)).expect("dom0 connects");
        let mut dom0 = Client::new(dom0);
        dom0.write(&bytes(MessageType::Introduce, 0, 0, "5|1|5|"));
        platform.xen.kick(DomId(0));
        server.poll(&mut platform);
        let mut dice = random.fork();
        let mean = round % 3;
        let looks = Rc::new(Cell::new(0));
        let counted = looks.clone();
        *hook.borrow_mut() = Some(Box::new(move |page| {
            let cons = page.req_cons.load(SeqCst);
            counted.set(counted.get() + 1);
            if counted.get() > 300 {
                return page.req_prod.store(cons, SeqCst);
            }
            match dice.u8(0..8) {
                0..4 => {
                    // A header of random length where the server reads next, cut anywhere.
                    let at = (cons / 8) as usize % 128;
                    let len = u64::from(dice.u32(0..if mean == 0 { 4100 } else { 40 }));
                    page.req[at].store(2 | u64::from(dice.u32(..)) << 32, SeqCst);
                    page.req[(at + 1) % 128].store(len << 32, SeqCst);
                    page.req_prod.store(cons.wrapping_add(dice.u32(0..1025)), SeqCst);
                }
                4 => page.req_prod.store(cons.wrapping_add(dice.u32(0..17)), SeqCst),
                5 if mean == 2 => page.req_cons.store(dice.u32(..), SeqCst),
                6 => page.rsp_cons.store(page.rsp_prod.load(SeqCst), SeqCst),
                _ => {}
            }
        }));
        for _ in 0..30 {
            looks.set(0);
            platform.xen.kick(DomId(5));
            server.poll(&mut platform);
            server.check(&mut |finding| panic!("{finding}"));
        }
        *hook.borrow_mut() = None;
        guest.req_prod.store(guest.req_cons.load(SeqCst), SeqCst);
        dom0.read();
        dom0.write(&bytes(MessageType::Read, 9, 0, "/tool|"));
        platform.xen.kick(DomId(0));
        server.poll(&mut platform);
        assert_eq!(dom0.read().len(), 1);
        assert!(Arc::strong_count(&guest) > 1);
    }
}

/// A ring as hvmloader leaves it for the next user, who may run beside the server and not wait for a notification.
#[test]
fn a_ring_that_is_zeroed_as_soon_as_the_answer_shows_is_served_on() {
    let mut xen = FakeXen::new();
    let (dom0, guest) = (xen.create(DomId(0)), xen.create(DomId(5)));
    let hook: Hook = Hook::default();
    let mut platform = Shifty { xen, guest: DomId(5), hook: hook.clone() };
    let mut server: Server<Shifty> = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
    server.start(&mut platform, DomId(0), Port(1)).expect("dom0 connects");
    let mut dom0 = Client::new(dom0);
    dom0.write(&bytes(MessageType::Introduce, 0, 0, "5|1|5|"));
    platform.xen.kick(DomId(0));
    server.poll(&mut platform);
    *hook.borrow_mut() = Some(Box::new(|page| {
        if page.rsp_prod.load(SeqCst) > 0 {
            for index in [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod] {
                index.store(0, SeqCst);
            }
        }
    }));
    let mut guest = Client::new(guest);
    for req_id in 0..3 {
        guest.write(&bytes(MessageType::Read, req_id, 0, "/tool|"));
        platform.xen.kick(DomId(5));
        server.poll(&mut platform);
        assert_eq!(guest.indexes(), [0; 4], "of request {req_id}");
        assert_eq!(guest.page.error.load(SeqCst), 0);
    }
    *hook.borrow_mut() = None;
    guest.write(&bytes(MessageType::Read, 3, 0, "/tool|"));
    platform.xen.kick(DomId(5));
    server.poll(&mut platform);
    assert_eq!(guest.read().len(), 1);
    server.check(&mut |finding| panic!("{finding}"));
}

#[test]
fn xsa_72_a_list_too_long_for_a_message() {
    let mut host = scene();
    host.expect(&[(0, 0, "MKDIR /pub|", "OK|"), (0, 0, "SET_PERMS /pub|n0|r5|", "OK|")]);
    let names: Vec<String> = (0..600).map(|n| format!("child-{n:04}")).collect();
    for name in &names {
        host.ok(0, 0, &format!("MKDIR /pub/{name}|"));
    }
    host.expect(&[(5, 0, "DIRECTORY /pub|", "E2BIG"), (5, 0, "READ data|", "")]);
    let mut listed = String::new();
    let mut generation = None;
    while !listed.ends_with("||") {
        let part = host.ask(5, 0, &format!("DIRECTORY_PART /pub|{}|", listed.len()));
        let (at, part) = part.split_once('|').expect("a generation");
        assert_eq!(*generation.get_or_insert(at.to_string()), at);
        listed.push_str(part);
    }
    assert_eq!(listed, format!("{}||", names.join("|")));
    over(&mut host);
}

#[test]
fn xsa_324_an_event_too_long_for_a_message() {
    let mut host = scene();
    let token = "t".repeat(4096 - "data||".len());
    let answer = host.ask(5, 0, &format!("WATCH data|{token}|"));
    assert_eq!(answer, format!("OK|; ev data,{token}"));
    let before = host.server.in_use();
    host.ok(0, 0, "WRITE /local/domain/5/data/abc|1");
    host.hears(5, "");
    assert_eq!(host.server.in_use().messages, before.messages);
    assert_eq!(host.ask(5, 0, "READ data/abc|"), "1");
    assert_eq!(host.ask(5, 0, &format!("UNWATCH data|{token}|")), "OK|");
    over(&mut host);
}

#[test]
fn xsa_325_a_violation_is_not_a_death() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
        (5, 0, "WATCH data|w|", "OK|; ev data,w"),
        (0, 0, "SET_TARGET 6|5|", "OK|"),
    ]);
    host.start(5);
    let prod = host.client(5).page.rsp_prod.load(SeqCst);
    let mut header = request(2, 1, TxId(0), b"");
    header[12..].copy_from_slice(&5000_u32.to_le_bytes());
    host.push(5, &header);
    host.poll();
    assert_eq!(host.client(5).page.rsp_prod.load(SeqCst), prod);
    assert_eq!((usage(&host, 5).watches, usage(&host, 5).transactions, usage(&host, 5).nodes), (0, 0, 2));
    host.hears(0, "");
    host.expect(&[
        (0, 0, "IS_DOMAIN_INTRODUCED 5|", "T|"),
        (0, 0, "READ /local/domain/5/data|", ""),
        (6, 0, "READ /local/domain/5/data|", ""),
    ]);
    let unread = host.client(5).unread();
    host.send(5, 0, "READ data|");
    host.poll();
    assert!(host.client(5).unread() > unread, "what it sends stays where it is");
    host.kill(5);
    host.hears(0, "ev @releaseDomain,r");
    host.expect(&[
        (0, 0, "READ /local/domain/5|", "ENOENT"),
        (0, 0, "IS_DOMAIN_INTRODUCED 5|", "F|"),
        (6, 0, "WRITE data/x|1", "OK|"),
    ]);
    host.clients.remove(&5);
    over(&mut host);
}

#[test]
fn xsa_420_lengths_beyond_a_page() {
    for len in [4097, (1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, u32::MAX] {
        let mut host = scene();
        let rsp_prod = host.client(5).page.rsp_prod.load(SeqCst);
        let mut header = request(2, 1, TxId(0), b"");
        header[12..].copy_from_slice(&len.to_le_bytes());
        host.push(5, &header);
        sleeps(&mut host);
        given_up(&mut host, 3, rsp_prod);
    }
}

#[test]
fn xsa_481_each_request_has_one_answer_whatever_its_path() {
    use MessageType as M;
    let mut host = scene();
    let shapes = [
        (M::Directory, "", true),
        (M::Read, "", true),
        (M::GetPerms, "", false),
        (M::Watch, "t|", false),
        (M::Unwatch, "t|", false),
        (M::Write, "v", true),
        (M::Mkdir, "", true),
        (M::Rm, "", true),
        (M::SetPerms, "n5|", false),
        (M::DirectoryPart, "0|", true),
    ];
    let paths = ["/local/domain/", "/local/domain/5/", "/local/domain//", "//", "/a//b", "/a/", "", "/a b"];
    let mut req_id = 100;
    for (kind, rest, plain) in shapes {
        for path in paths.iter().copied().chain(plain.then_some("@")) {
            for tx in [0, host.start(5)] {
                req_id += 1;
                host.push(5, &bytes(kind, req_id, tx, &format!("{path}|{rest}")));
                host.poll();
                let answers = drain(&mut host, 5);
                let shown: Vec<_> = answers.iter().map(|a| (a.header.req_id, a.to_string())).collect();
                assert_eq!(shown, [(req_id, "EINVAL".to_string())], "{} {path}", kind.name());
                if tx != 0 {
                    host.ok(5, tx, "TRANSACTION_END F|");
                }
            }
        }
    }
    assert_eq!(usage(&host, 5).watches, 0);
    over(&mut host);
}

#[test]
fn xsa_512_a_fresh_start_keeps_no_watch() {
    let mut host = scene();
    let before = (host.server.in_use(), usage(&host, 5));
    for round in 0..60 {
        for n in 0..128 {
            host.ask(5, 0, &format!("WATCH data/{}|{n}|", n % 7));
        }
        assert_eq!(host.ask(5, 0, "WATCH data|more|"), "ENOSPC");
        host.start(5);
        host.push(5, &bytes(MessageType::Write, 1, 0, &format!("data|{}", "x".repeat(200)))[..100]);
        host.poll();
        let page = host.client(5).page.clone();
        if round % 2 == 0 {
            page.connection.store(1, SeqCst);
            host.xen.kick(DomId(5));
            host.poll();
            assert_eq!(page.connection.load(SeqCst), 0);
        } else {
            host.ok(0, 0, "INTRODUCE 5|1|5|");
        }
        host.client(5).forget();
        assert_eq!(host.client(5).indexes(), [0; 4]);
        assert_eq!((host.server.in_use(), usage(&host, 5)), before);
        host.ok(0, 0, "WRITE /local/domain/5/data/1|1");
        host.hears(5, "");
        host.ok(0, 0, "RM /local/domain/5/data/1|");
        assert_eq!(host.ask(5, 0, "READ data|"), "");
    }
    over(&mut host);
}
