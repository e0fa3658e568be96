//! Events reach who reads: whatever others leave unread, and in however many steps they are told.

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::Settings;
use xenstore::server::sizing::capacities_for;
use xenstore::trace::Kind;
use xenstore::update::Bounds;

use crate::image::{BASE, GOOD, Image, upload};
use crate::json::stats;

/// A store of a domain with so many MiB.
fn host_of(mib: usize) -> Host {
    let capacities = capacities_for((mib - 1) << 20, (mib << 20) / 16).expect("room");
    Host::with(Settings::DEFAULT, &capacities)
}

/// Watches one path as many times.
fn watch(host: &mut Host, domid: u16, path: &str, times: usize) {
    for n in 0..times {
        let heard = host.ask(domid, 0, &format!("WATCH {path}|{n}|"));
        assert_eq!(heard, format!("OK|; ev {path},{n}"), "domain {domid}");
    }
}

/// A node for all to read.
fn share(host: &mut Host) {
    host.ok(0, 0, "WRITE /shared|");
    host.ok(0, 0, "SET_PERMS /shared|r0|");
}

/// Makes so many nodes below `above` in one transaction. Nobody has read its events when it has been answered.
fn commit(host: &mut Host, who: u16, above: &str, nodes: usize) {
    let tx = host.start(who);
    for n in 0..nodes {
        host.ok(who, tx, &format!("WRITE {above}/{n}|"));
    }
    host.send(who, tx, "TRANSACTION_END T|");
    host.poll();
}

fn told(path: &str, token: &str, nodes: usize) -> String {
    (0..nodes).map(|n| format!("ev {path}/{n},{token}")).collect::<Vec<_>>().join("; ")
}

#[test]
fn an_honest_commit_is_heard_of_beside_those_who_read_nothing() {
    let mut host = host_of(8);
    for domid in 1..=4 {
        host.boot(domid);
    }
    for domid in 1..=3 {
        watch(&mut host, domid, "data", 100);
        for n in 0..8 {
            host.send(domid, 0, &format!("WRITE data|{n}"));
            host.poll();
        }
    }
    watch(&mut host, 0, "/local/domain/4/data", 1);
    commit(&mut host, 4, "data", 90);
    host.hears(0, &told("/local/domain/4/data", "0", 90));
    host.hears(4, "OK|");
    host.check();
    // What the others have left unread is there when they read, in the order of the writes.
    let all: Vec<String> = (0..100).map(|n| format!("ev data,{n}")).collect();
    for domid in 1..=3 {
        let heard = host.received(domid);
        assert_eq!(heard.matches("OK|").count(), 8);
        for write in heard.split("OK|").filter(|write| !write.is_empty()) {
            assert_eq!(write.trim_matches(&[';', ' '][..]), all.join("; "));
        }
    }
    host.check();
    assert_eq!((host.server.in_use().messages, host.server.in_use().transactions), (0, 0));
}

/// Deaths, all at once, of which guests hear that read nothing, each by many watches.
fn deaths(mib: usize, deaths: u16) {
    let mut host = host_of(mib);
    share(&mut host);
    for domid in (1..=5).chain(100..100 + deaths) {
        host.boot(domid);
    }
    for domid in 1..=4 {
        watch(&mut host, domid, "@releaseDomain", 126);
    }
    watch(&mut host, 5, "@releaseDomain", 1);
    host.expect(&[(5, 0, "WATCH @releaseDomain|each|1|", "OK|; ev @releaseDomain,each")]);
    for domid in 100..100 + deaths {
        host.xen.kill(DomId(domid));
    }
    host.poll();
    let all: Vec<String> =
        (100..100 + deaths).map(|n| format!("ev @releaseDomain,0; ev @releaseDomain/{n},each")).collect();
    host.hears(5, &all.join("; "));
    host.check();
}

#[test]
fn deaths_are_heard_of_beside_those_who_read_nothing() {
    deaths(8, 40);
}

#[test]
fn many_deaths_are_heard_of_beside_those_who_read_nothing() {
    deaths(64, 160);
}

/// As many deaths at once as nobody has room for, where all messages that guests may have are taken by some that read
/// nothing. `die` says how Xen tells of it.
fn deaths_beyond_all_room(die: impl Fn(&mut Host, u16)) {
    let mut host = host_of(8);
    let (reader, short) = (65, 100..180);
    (1..=reader).chain(short.clone()).for_each(|domid| host.boot(domid));
    for domid in 1..reader {
        watch(&mut host, domid, "@releaseDomain", 12);
        watch(&mut host, domid, "data", 12);
        for n in 0..20 {
            host.send(domid, 0, &format!("WRITE data|{n}"));
            host.poll();
        }
    }
    host.expect(&[(reader, 0, "WATCH @releaseDomain|each|1|", "OK|; ev @releaseDomain,each")]);
    watch(&mut host, reader, "@releaseDomain", 3);
    watch(&mut host, 0, "@releaseDomain", 1);
    short.clone().for_each(|domid| die(&mut host, domid));
    let mut heard = [Vec::new(), Vec::new()];
    // Those who read nothing are waited for once, and those who read until they have.
    for _ in 0..60 + 80 {
        host.poll();
        host.xen.now.0 += 1_000_000;
        for (who, heard) in [0, reader].into_iter().zip(&mut heard) {
            heard.extend(host.client(who).read().iter().map(ToString::to_string));
            host.xen.kick(DomId(who));
        }
    }
    let general = |token| format!("ev @releaseDomain,{token}");
    assert_eq!(heard[0], vec![general(0); short.len()]);
    let told =
        |domid| (0..3).map(general).chain([format!("ev @releaseDomain/{domid},each")]).collect::<Vec<_>>();
    assert_eq!(heard[1], short.flat_map(told).collect::<Vec<_>>());
    host.check();
}

#[test]
fn deaths_wait_for_those_who_read() {
    deaths_beyond_all_room(|host, domid| host.xen.kill(DomId(domid)));
}

#[test]
fn deaths_wait_for_those_who_read_where_xen_does_not_say_who_has_died() {
    deaths_beyond_all_room(|host, domid| {
        host.xen.kill_silently(DomId(domid));
        host.xen.virq();
    });
}

#[test]
fn a_commit_of_any_size_is_heard_of_beside_those_who_read_nothing() {
    let mut host = host_of(8);
    share(&mut host);
    for domid in 1..=4 {
        host.boot(domid);
        watch(&mut host, domid, "/shared", if domid == 4 { 1 } else { 100 });
    }
    host.expect(&[(0, 0, "WATCH /shared|0|", "OK|; ev /shared,0")]);
    commit(&mut host, 0, "/shared", 1023);
    host.check();
    host.hears(4, &told("/shared", "0", 1023));
    host.check();
    // What is left is told to nobody any more, once nobody reads it in time.
    host.xen.pass(20);
    host.poll();
    host.check();
}

fn tree_that_many_watch(mib: usize, guests: u16) {
    let mut host = host_of(mib);
    share(&mut host);
    for domid in 1..=guests {
        host.boot(domid);
        watch(&mut host, domid, "/shared", 1);
    }
    commit(&mut host, 0, "/shared", 900);
    host.hears(0, "OK|");
    let all = told("/shared", "0", 900);
    for domid in 1..=guests {
        host.hears(domid, &all);
    }
    host.check();
    assert_eq!(host.server.in_use().tx_nodes, 0);
}

#[test]
fn all_who_watch_a_tree_hear_of_all_of_it() {
    tree_that_many_watch(8, 32);
}

#[test]
fn all_of_many_who_watch_a_tree_hear_of_all_of_it() {
    tree_that_many_watch(64, 256);
}

#[test]
fn others_have_their_turn_between_large_requests_of_one() {
    let mut host = host_of(8);
    host.boot(5);
    host.boot(6);
    for round in 0..8 {
        host.ok(5, 0, &format!("WRITE data/{round}|"));
    }
    for round in 0..8 {
        let tx = host.start(5);
        for n in 0..110 {
            host.ok(5, tx, &format!("WRITE data/{round}/{n}|"));
        }
    }
    (1..=8).for_each(|tx| host.send(5, tx, "TRANSACTION_END T|"));
    host.send(6, 0, "READ none|");
    host.send(0, 0, "READ /tool|");
    let records = host.server.trace().from(0).count();
    host.poll();
    let ended = host.server.trace().from(0).skip(records).filter(|record| record.kind == Kind::Ended);
    let whose: Vec<u16> = ended.map(|record| record.domid.0).collect();
    assert_eq!(whose, [0, 5, 6, 5, 5, 5, 5, 5, 5, 5]);
    host.hears(5, &["OK|"; 8].join("; "));
}

#[test]
fn one_guests_changes_do_not_push_out_what_is_told_of_anothers() {
    let mut host = host_of(8);
    // Guest 41 reads nothing any more of what it hears of those before.
    (1..=41).for_each(|domid| host.boot(domid));
    for domid in 2..=40 {
        host.ok(domid, 0, "WRITE data|");
        host.ok(domid, 0, &format!("SET_PERMS data|n{domid}|r41|"));
        watch(&mut host, 41, &format!("/local/domain/{domid}/data"), 1);
    }
    watch(&mut host, 0, "/local/domain/1/data", 1);
    commit(&mut host, 1, "data", 90);
    for round in 0..8 {
        for domid in 2..=40 {
            let tx = host.ask(domid, 0, "TRANSACTION_START |");
            let Ok(tx) = tx.trim_end_matches('|').parse() else { continue };
            // A few take what there is, and then many what is left.
            for n in 0..if domid <= 8 { 700 } else { 12 } {
                host.ask(domid, tx, &format!("WRITE data/{n}|{round}"));
            }
            host.ask(domid, tx, "TRANSACTION_END T|");
        }
    }
    host.hears(0, &told("/local/domain/1/data", "0", 90));
    host.hears(1, "OK|");
    host.check();
}

/// A guest whose next request in a transaction finds no room, as nearly all that it may have is taken by its commit of 20
/// nodes, which dom0 is still told of by four watches each.
fn short_of_room() -> Host {
    short_of_room_beside(0)
}

/// Guests of which all but the first keep what copies they can get.
fn crowded() -> Host {
    let mut host = host_of(8);
    (1..=20).for_each(|domid| host.boot(domid));
    for domid in 2..=20 {
        for _ in 0..3 {
            let tx = host.ask(domid, 0, "TRANSACTION_START |");
            let Ok(tx) = tx.trim_end_matches('|').parse() else { break };
            let asked = |n| host.ask(domid, tx, &format!("READ missing{n}|"));
            let _ran_out = (0..1000).map(asked).any(|answer| answer == "ENOMEM");
        }
    }
    host
}

/// The same where another domain has what it has not read.
fn short_of_room_beside(receiver: u16) -> Host {
    let mut host = crowded();
    if receiver != 0 {
        host.boot(receiver);
        host.ok(1, 0, "WRITE data|");
        host.ok(1, 0, &format!("SET_PERMS data|n1|r{receiver}|"));
    }
    watch(&mut host, receiver, "/local/domain/1/data", 4);
    commit(&mut host, 1, "data", 20);
    host.hears(1, "OK|");
    let tx = host.start(1);
    for n in 0..5 {
        host.send(1, tx, &format!("WRITE data/again/{n}|"));
        host.poll();
    }
    assert!(host.client(1).unread() > 0, "there is room for all");
    host
}

#[test]
fn who_reads_hears_of_all_that_a_guest_does_that_finds_no_room_for_more() {
    let mut host = short_of_room();
    let all = (0..20).flat_map(|n| (0..4).map(move |token| format!("ev /local/domain/1/data/{n},{token}")));
    host.hears(0, &all.collect::<Vec<_>>().join("; "));
    host.xen.now.0 += 50_000_000;
    host.poll();
    host.hears(1, &["OK|"; 5].join("; "));
    host.check();
}

#[test]
fn who_does_not_read_has_a_guest_that_finds_no_room_wait_for_a_moment_only() {
    let mut host = short_of_room();
    host.xen.now.0 += 49_000_000;
    host.poll();
    assert!(host.client(1).unread() > 0, "nobody could read so soon");
    host.xen.now.0 += 1_000_000;
    host.poll();
    host.hears(1, &["OK|"; 5].join("; "));
    host.check();
}

/// It is no different where the commit and what comes after it are found at once.
#[test]
fn a_guest_that_asks_for_all_at_once_waits_for_room_too() {
    let mut host = crowded();
    watch(&mut host, 0, "/local/domain/1/data", 4);
    let tx = host.start(1);
    (0..20).for_each(|n| host.ok(1, tx, &format!("WRITE data/{n}|")));
    host.send(1, tx, "TRANSACTION_END T|");
    host.send(1, 0, "TRANSACTION_START |");
    (0..5).for_each(|n| host.send(1, tx + 1, &format!("WRITE data/again/{n}|")));
    host.poll();
    assert!(host.client(1).unread() > 0, "there is room for all");
    host.hears(1, &format!("OK|; {}|", tx + 1));
    host.xen.now.0 += 50_000_000;
    host.poll();
    host.hears(1, &["OK|"; 5].join("; "));
    host.check();
}

/// Until dom0 finds out that it never hears the rest, that waits for it, and is the guest's outstanding request: also in
/// another server. `dropped` counts it once.
#[test]
fn what_is_given_up_is_found_out_after_an_update_as_before() {
    let mut host = short_of_room();
    host.xen.now.0 += 50_000_000;
    host.poll();
    let outstanding = |host: &Host| host.server.usage(DomId(1)).expect("it lives").outstanding;
    let messages = host.server.in_use().messages;
    assert_eq!(outstanding(&host), 1);
    for version in [2, 1] {
        host.update(version);
        assert_eq!((outstanding(&host), host.server.in_use().messages), (1, messages));
    }
    host.poll();
    host.received(0);
    host.poll();
    assert_eq!(outstanding(&host), 0);
    assert_eq!(stats(&mut host, "0")["dropped"], 1);
    host.check();
}

/// Images that do not know of what is given up leave the store as it is, before anything has changed.
#[test]
fn an_image_that_does_not_know_what_is_given_up_takes_over_when_that_has_been_found_out() {
    let told = "the new image reads own records up to version 5; until all clients have read what waits, the state has \
                version 6|";
    for (records, refused) in [(None, true), (Some(5), true), (Some(6), false)] {
        let mut host = short_of_room_beside(21);
        host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x10_0000, states: 1..=2, hand_over: 1 });
        host.xen.now.0 += 50_000_000;
        host.poll();
        let file = Image { records, ..GOOD }.file();
        // Who has transactions open is not waited for.
        let start = "CONTROL live-update|-s|-t|0|-F|";
        upload(&mut host, &file, file.len());
        host.expect(&[(0, 0, start, if refused { told } else { "" })]);
        assert_eq!(host.server.is_to_be_replaced(), !refused, "{records:?}");
        if refused {
            host.received(21);
            upload(&mut host, &file, file.len());
            host.expect(&[(0, 0, start, "")]);
            assert!(host.server.is_to_be_replaced(), "{records:?}");
        }
    }
}

#[test]
fn who_reads_slowly_does_not_hold_up_whom_it_hears_of_for_ever() {
    let mut host = host_of(8);
    (1..=2).for_each(|domid| host.boot(domid));
    host.ok(1, 0, "WRITE data|");
    host.ok(1, 0, "SET_PERMS data|n1|r2|");
    watch(&mut host, 2, "/local/domain/1/data", 1);
    commit(&mut host, 1, "data", 200);
    host.hears(1, "OK|");
    for _ in 0..2 {
        assert_eq!(host.server.usage(DomId(1)).expect("it lives").outstanding, 1);
        host.xen.pass(9);
        assert!(!host.client(2).read().is_empty());
        host.xen.kick(DomId(2));
        host.poll();
    }
    host.xen.pass(2);
    host.poll();
    assert_eq!(host.server.usage(DomId(1)).expect("it lives").outstanding, 0);
    assert_eq!(host.server.in_use().tx_nodes, 0);
    host.check();
}

/// What a transaction makes and takes away again has never been there, and its name may be a secret. That holds for who has
/// room for its events, and for who hears of the transaction later, too.
#[test]
fn nobody_hears_of_what_a_transaction_took_away_again() {
    for nodes in [3, 40] {
        let mut host = host_of(8);
        host.boot(1);
        host.boot(2);
        host.ok(1, 0, "WRITE public|");
        host.ok(1, 0, "SET_PERMS public|r1|");
        host.ok(1, 0, "WRITE private|");
        for domid in [1, 2] {
            host.ask(domid, 0, "WATCH /local/domain/1|w|");
        }
        assert_eq!(host.ask(2, 0, "DIRECTORY /local/domain/1/private|"), "EACCES");
        let tx = host.start(1);
        for request in ["MKDIR public/never|", "WRITE public/never/below|x", "RM public/never|"] {
            host.ok(1, tx, request);
        }
        for n in 0..nodes {
            host.ok(1, tx, &format!("WRITE public/{n}|"));
        }
        for request in ["WRITE private/secret|x", "RM private/secret|", "WRITE private/stays|x"] {
            host.ok(1, tx, request);
        }
        host.send(1, tx, "TRANSACTION_END T|");
        host.poll();
        let public = told("/local/domain/1/public", "w", nodes);
        host.hears(2, &public);
        host.hears(1, &format!("{public}; ev /local/domain/1/private/stays,w; OK|"));
        host.check();
    }
}

/// A device model hears what its guest has done, by the guest's rights, also if that dies before all has been read.
#[test]
fn who_acts_for_a_guest_hears_all_of_its_end() {
    let ends: [fn(&mut Host); 2] = [|host| host.ok(0, 0, "RELEASE 2|"), |host| host.xen.kill(DomId(2))];
    // Others watch the guest's home, so that it is told in one go, or in several.
    for (others, nodes) in [(2, 3), (20, 3), (2, 60), (20, 60)] {
        for (n, end) in ends.into_iter().enumerate() {
            let mut host = host_of(64);
            for domid in 1..others + 3 {
                host.boot(domid);
            }
            host.ok(0, 0, "SET_TARGET 1|2|");
            for domid in 3..others + 3 {
                for token in 0..120 {
                    host.ask(domid, 0, &format!("WATCH /local/domain/2|{token}|"));
                }
            }
            host.ask(1, 0, "WATCH /local/domain/2|t|");
            host.received(1);
            // It does not read meanwhile.
            commit(&mut host, 2, "/local/domain/2", nodes);
            end(&mut host);
            host.poll();
            host.xen.pass(1);
            host.poll();
            let all = format!("{}; ev /local/domain/2,t", told("/local/domain/2", "t", nodes));
            let heard = host.received(1);
            let heard: Vec<&str> = heard.split("; ").collect();
            let all: Vec<&str> = all.split("; ").collect();
            assert_eq!(heard.len(), all.len(), "{others} others, {nodes} nodes, end {n}");
            assert_eq!(heard[..nodes], all[..nodes], "{others} others, {nodes} nodes, end {n}");
            assert_eq!(heard.last(), all.last());
            host.check();
        }
    }
}

/// Nothing is above a special event, however many watch it.
#[test]
fn who_watches_the_root_does_not_hear_of_special_events() {
    for others in [1, 22] {
        let mut host = host_of(64);
        for domid in 1..=others + 1 {
            host.boot(domid);
        }
        host.ask(1, 0, "WATCH /|root|");
        host.ask(1, 0, "WATCH @introduceDomain|t|");
        for domid in 2..=others + 1 {
            watch(&mut host, domid, "@introduceDomain", 110);
        }
        host.ok(0, 0, "SET_PERMS @introduceDomain|n0|r1|");
        host.hears(1, "ev @introduceDomain,t");
        host.check();
    }
}
