//! Counters that must not drift and quotas that must hold, whatever is filled in which order.

use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::wire::MessageType;

use crate::scene::{bytes, drain, enter, memory, nodes, over, scene, scene_with, stuff, usage};

/// Memory is full to the last byte that a write may take: V filled it, in a node that U lets it write.
/// U must still be heard, or it could never free anything.
#[test]
fn a_full_memory_quota_does_not_silence_its_owner() {
    let mut host = scene();
    host.ok(5, 0, "WRITE data/shared|");
    host.ok(5, 0, "SET_PERMS data/shared|n5|b6|");
    let quota = memory(&host, 5) + 15 * 48;
    host.ok(0, 0, &format!("SET_QUOTA 5|memory|{quota}|"));
    host.expect(&[
        (6, 0, &format!("WRITE /local/domain/5/data/shared|{}", "x".repeat(601)), "EIO"),
        (6, 0, &format!("WRITE /local/domain/5/data/shared|{}", "x".repeat(600)), "OK|"),
    ]);
    assert_eq!(memory(&host, 5), quota);
    host.expect(&[(5, 0, "READ data|", ""), (5, 0, "RM data/shared|", "OK|")]);
    over(&mut host);
}

/// Values written in a transaction are charged to the writer until its end, then to the owner.
#[test]
fn a_commit_does_not_charge_others_above_their_quota() {
    let mut host = scene();
    for n in 0..10 {
        host.ok(5, 0, &format!("WRITE data/{n}|"));
        host.ok(5, 0, &format!("SET_PERMS data/{n}|n5|b6|"));
    }
    let before = memory(&host, 5);
    let quota = before + 5000;
    host.ok(0, 0, &format!("SET_QUOTA 5|memory|{quota}|"));
    let tx = host.start(6);
    for n in 0..10 {
        host.ok(6, tx, &format!("WRITE /local/domain/5/data/{n}|{}", "x".repeat(1000)));
    }
    host.expect(&[(6, tx, "TRANSACTION_END T|", "ENOMEM")]);
    assert_eq!(memory(&host, 5), before);
    // Within the quota, and where it shrinks what is held, a commit goes through.
    let tx = host.start(6);
    for n in 0..4 {
        host.ok(6, tx, &format!("WRITE /local/domain/5/data/{n}|{}", "x".repeat(1000)));
    }
    host.ok(6, tx, "TRANSACTION_END T|");
    host.ok(0, 0, "SET_QUOTA 5|memory|1000|");
    let tx = host.start(6);
    host.ok(6, tx, "WRITE /local/domain/5/data/1|");
    host.ok(6, tx, "TRANSACTION_END T|");
    assert!(memory(&host, 5) < quota);
    over(&mut host);
}

/// Several transactions, each within the limit, do not together make a list of children too long to list.
#[test]
fn commits_do_not_make_a_node_too_large() {
    let mut host = scene();
    let txs: Vec<u32> = (0..4).map(|_| host.start(5)).collect();
    for tx in &txs {
        for n in 0..80 {
            host.ok(5, *tx, &format!("MKDIR data/name-{tx}-{n:012}|"));
        }
    }
    let ends: Vec<String> = txs.iter().map(|tx| host.ask(5, *tx, "TRANSACTION_END T|")).collect();
    assert_eq!(ends, ["OK|", "ENOSPC", "ENOSPC", "ENOSPC"]);
    assert!(host.ask(5, 0, "DIRECTORY data|").len() <= 2048);
    // Room that was made elsewhere counts.
    let tx = host.start(5);
    host.ok(5, tx, "MKDIR data/one-more|");
    for n in 0..10 {
        host.ok(5, 0, &format!("RM data/name-{}-{n:012}|", txs[0]));
    }
    host.ok(5, tx, "TRANSACTION_END T|");
    over(&mut host);
}

/// Every kind of quota is used up, in every order, and freed again. Nothing may be left.
#[test]
fn filling_every_quota_in_every_order() {
    let fills: [fn(&mut support::Host); 5] = [
        |host| {
            crate::scene::fill_nodes(host, 5, 0, 1);
        },
        |host| {
            for n in 0..130 {
                host.ask(5, 0, &format!("WATCH data|{n}|"));
            }
        },
        |host| {
            for _ in 0..11 {
                let id = host.ask(5, 0, "TRANSACTION_START |");
                if let Ok(tx) = id.trim_end_matches('|').parse() {
                    crate::scene::fill_nodes(host, 5, tx, 1);
                    host.ask(5, tx, "RM data/d0|");
                    host.ask(5, tx, "WRITE data/d0/again|x");
                }
            }
        },
        |host| {
            let reads: Vec<u8> = (0..60).flat_map(|n| bytes(MessageType::Read, n, 0, "large|")).collect();
            let mut sent = 0;
            while sent < reads.len() {
                sent += stuff(host, 5, &reads[sent..]);
                host.check();
                drain(host, 5);
            }
        },
        |host| {
            host.push(
                5,
                &bytes(MessageType::Write, 0, 0, &format!("data/partial|{}", "x".repeat(3000)))[..2000],
            );
            host.poll();
            host.check();
        },
    ];
    let mut order = [0, 1, 2, 3, 4];
    for round in 0..10 {
        order.rotate_left(1);
        if round == 5 {
            order.swap(0, 3);
        }
        let mut host = scene();
        // Time passes, so that rate control is no concern here.
        host.xen.ticking = 1_000_000_000;
        host.ok(0, 0, "SET_QUOTA 5|nodes|60|");
        host.ok(0, 0, "SET_QUOTA 5|memory|150000|");
        host.ok(5, 0, &format!("WRITE large|{}", "x".repeat(1500)));
        let (before, totals) = (usage(&host, 5), host.server.in_use());
        for fill in order {
            if fill == 4 {
                // Whatever comes after a message received in part is its rest.
                continue;
            }
            fills[fill](&mut host);
            host.check();
            host.xen.pass(30);
            host.poll();
        }
        fills[4](&mut host);
        if round % 2 == 0 {
            let page = host.client(5).page.clone();
            page.connection.store(1, std::sync::atomic::Ordering::SeqCst);
            host.xen.kick(DomId(5));
            host.poll();
            host.client(5).forget();
            host.ask(5, 0, "RM data/d0|");
            assert_eq!((usage(&host, 5), host.server.in_use()), (before, totals), "{order:?}");
        } else {
            host.kill(5);
            host.clients.remove(&5);
            assert_eq!(host.server.usage(DomId(5)), None);
        }
        over(&mut host);
    }
}

/// One guest fills what all share. Another still gets what ordinary work needs.
#[test]
fn one_guest_cannot_use_up_the_store() {
    type Fill = fn(&mut support::Host, u16, usize) -> String;
    let fills: [(&str, Fill); 3] = [
        ("values", |host, who, n| host.ask(who, 0, &format!("WRITE data/{n}|{}", "x".repeat(1000)))),
        ("permission lists", |host, who, n| {
            host.ask(who, 0, &format!("WRITE data/{n}|"));
            // A guest that has unknown domains asked for has to wait.
            host.xen.pass(1);
            host.ask(who, 0, &format!("SET_PERMS data/{n}|n{who}|r{}|w{}|", n % 200, n / 200))
        }),
        ("copies", |host, who, n| {
            if n % 250 == 0 {
                host.ask(who, 0, "TRANSACTION_START |");
            }
            host.ask(who, 1 + n as u32 / 250, &format!("READ data/{n}|"))
        }),
    ];
    for (what, fill) in fills {
        let capacities = Capacities::for_nodes(3000);
        let mut host = scene_with(Settings::DEFAULT, &capacities);
        for n in 0..2400 {
            if fill(&mut host, 5, n) == "ENOMEM" && n % 250 != 0 {
                break;
            }
        }
        host.check();
        for n in 0..30 {
            let request = format!("WRITE data/{n}|{}", "v".repeat(100));
            assert_eq!(host.ask(6, 0, &request), "OK|", "{what}");
            host.ok(6, 0, &format!("SET_PERMS data/{n}|n6|r5|w{n}|"));
        }
        let tx = host.start(6);
        for n in 0..30 {
            assert_eq!(host.ask(6, tx, &format!("WRITE data/{n}|{}", "w".repeat(100))), "OK|", "{what}");
        }
        host.ok(6, tx, "TRANSACTION_END T|");
        assert_eq!(host.ask(6, 0, "WATCH data|t|"), "OK|; ev data,t", "{what}");
        over(&mut host);
    }
}

/// Guests that leave long answers unread use up the room for answers. Others are answered all the same.
#[test]
fn unread_answers_do_not_silence_others() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(6000));
    let guests: Vec<u16> = (20..60).collect();
    for domid in &guests {
        enter(&mut host, *domid);
        host.ok(*domid, 0, &format!("WRITE data|{}", "x".repeat(1900)));
    }
    for domid in &guests {
        let reads: Vec<u8> = (0..30).flat_map(|n| bytes(MessageType::Read, n, 0, "data|")).collect();
        stuff(&mut host, *domid, &reads);
    }
    host.check();
    host.expect(&[(0, 0, "WRITE /tool/x|1", "OK|"), (6, 0, "READ data|", ""), (6, 0, "RM data|", "OK|")]);
    host.ok(0, 0, &format!("WRITE /tool/x|{}", "x".repeat(4000)));
    assert_eq!(host.ask(0, 0, "READ /tool/x|").len(), 4000);
    for domid in guests {
        host.xen.pass(1);
        host.poll();
        assert!(!drain(&mut host, domid).is_empty());
        assert_eq!(nodes(&host, domid), 2);
    }
    over(&mut host);
}

/// A guest that reads no events uses up the room for events. Another's events still arrive.
#[test]
fn unread_events_do_not_cost_others_theirs() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(3000));
    host.ok(0, 0, "MKDIR /pub|");
    host.ok(0, 0, "SET_PERMS /pub|r0|");
    for n in 0..128 {
        host.ask(5, 0, &format!("WATCH /pub|{n}-{}|", "t".repeat(200)));
    }
    host.ask(6, 0, "WATCH /pub|v|");
    for n in 0..40 {
        host.ok(0, 0, &format!("WRITE /pub/{n}|x"));
        host.hears(6, &format!("ev /pub/{n},v"));
    }
    // V is slow, too, but has little waiting.
    for n in 40..90 {
        host.ok(0, 0, &format!("WRITE /pub/{n}|x"));
    }
    let heard = host.received(6);
    assert_eq!(heard.split("; ").count(), 50, "{heard}");
    over(&mut host);
}

/// Connections that wait for room or for readers are not looked at in each wake-up.
#[test]
fn who_waits_costs_others_nothing() {
    let mut host = scene_with(Settings::DEFAULT, &Capacities::for_nodes(3000));
    for domid in 20..50 {
        enter(&mut host, domid);
        host.ok(domid, 0, &format!("WRITE data|{}", "x".repeat(1900)));
    }
    for domid in 20..50 {
        let reads: Vec<u8> = (0..30).flat_map(|n| bytes(MessageType::Read, n, 0, "data|")).collect();
        stuff(&mut host, domid, &reads);
    }
    let looks = |host: &mut support::Host| host.server.trace().end();
    let before = looks(&mut host);
    for _ in 0..100 {
        assert_eq!(host.ask(6, 0, "READ data|"), "");
    }
    assert_eq!(
        looks(&mut host) - before,
        5 * 100,
        "two wake-ups, a begin, an end and a notification each, no more"
    );
    for domid in 20..50 {
        host.kill(domid);
        host.clients.remove(&domid);
    }
    // News of deaths waits for whoever might read, 50 ms for each.
    for _ in 20..50 {
        host.xen.now = host.xen.now.after_nanoseconds(50_000_000);
        host.poll();
    }
    assert_eq!(host.server.in_use().domains, 3, "dom0, 5 and 6 are left");
    over(&mut host);
}
