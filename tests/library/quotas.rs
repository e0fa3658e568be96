//! Quotas: the edges of each, who is exempt, what a refusal leaves behind.

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::quota::{Excess, QUOTAS, Quota, Quotas};

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host
}

/// Makes the request with growing numbers until the answer is not `good`. Returns how often it was, and the answer.
fn until_refused(
    host: &mut Host,
    who: u16,
    tx: u32,
    good: impl Fn(&str, usize) -> bool,
    request: impl Fn(usize) -> String,
) -> (usize, String) {
    for n in 0.. {
        let got = host.ask(who, tx, &request(n));
        if !good(&got, n) {
            return (n, got);
        }
        assert!(n < 5000, "never refused");
    }
    unreachable!()
}

#[test]
fn a_guest_has_128_watches_and_dom0_any_number() {
    let mut host = host();
    let watch = |n: usize| format!("WATCH /w{n}|t|");
    let good = |got: &str, _: usize| got.starts_with("OK|");
    assert_eq!(until_refused(&mut host, 5, 0, good, watch), (128, "ENOSPC".into()));
    host.expect(&[(5, 0, "WATCH /w0|t|", "EEXIST"), (5, 0, "UNWATCH /w0|t|", "OK|")]);
    host.expect(&[(5, 0, "WATCH /w0|u|", "OK|; ev /w0,u"), (5, 0, "WATCH /w0|v|", "ENOSPC")]);
    for n in 0..300 {
        assert!(host.ask(0, 0, &watch(n)).starts_with("OK|"));
    }
    host.check();
}

#[test]
fn a_guest_has_10_transactions_and_dom0_any_number() {
    let mut host = host();
    let start = |_: usize| "TRANSACTION_START |".to_string();
    let good = |got: &str, n: usize| got == format!("{}|", n + 1);
    assert_eq!(until_refused(&mut host, 5, 0, good, start), (10, "ENOSPC".into()));
    host.expect(&[(5, 3, "TRANSACTION_END F|", "OK|"), (5, 0, "TRANSACTION_START |", "11|")]);
    for _ in 0..50 {
        host.start(0);
    }
    host.check();
}

#[test]
fn a_guest_owns_1000_nodes_and_dom0_any_number() {
    let mut host = host();
    let good = |got: &str, _: usize| got == "OK|";
    let write = |n: usize| format!("WRITE d{}/n{n}|", n / 100);
    // The home is one, and there are ten directories.
    assert_eq!(until_refused(&mut host, 5, 0, good, write), (989, "ENOSPC".into()));
    host.expect(&[
        (5, 0, "WRITE d0/n0|again", "OK|"),
        (5, 0, "RM d0/n1|", "OK|"),
        (5, 0, "WRITE deep/er|", "ENOSPC"),
        (5, 0, "READ deep|", "ENOENT"),
        (5, 0, "MKDIR one|", "OK|"),
        (5, 0, "MKDIR two|", "ENOSPC"),
        (0, 0, "WRITE /local/domain/5/by-dom0|", "OK|"),
        (0, 0, "GET_PERMS /local/domain/5/by-dom0|", "n5|"),
        (0, 0, "WRITE /given|", "OK|"),
        (0, 0, "SET_PERMS /given|n5|", "OK|"),
    ]);
    for n in 0..1500 {
        host.ok(0, 0, &format!("WRITE /many/{n}|"));
    }
    host.check();
}

#[test]
fn a_node_of_2048_bytes_fits() {
    let mut host = host();
    let write = |len: usize| format!("WRITE k|{}", "v".repeat(len));
    // 16 for the node, 8 for each permission entry.
    host.expect(&[
        (5, 0, &write(2024), "OK|"),
        (5, 0, &write(2025), "ENOSPC"),
        (5, 0, "SET_PERMS k|n5|r1|", "ENOSPC"),
        (5, 0, &write(2016), "OK|"),
        (5, 0, "SET_PERMS k|n5|r1|", "OK|"),
        (5, 0, "WRITE k/c|", "ENOSPC"),
        (5, 0, "READ k/c|", "ENOENT"),
        (5, 0, &write(2014), "OK|"),
        (5, 0, "WRITE k/c|", "OK|"),
        (0, 0, &format!("WRITE /local/domain/5/k|{}", "v".repeat(4000)), "OK|"),
        (5, 0, "RM k/c|", "OK|"),
        (5, 0, "WRITE k|small", "OK|"),
    ]);
}

#[test]
fn the_size_of_a_list_limits_the_children() {
    let mut host = host();
    let good = |got: &str, _: usize| got == "OK|";
    let write = |n: usize| format!("WRITE d/child{n:04}|");
    let (made, error) = until_refused(&mut host, 5, 0, good, write);
    // 2048 bytes less 16 and 8, at ten bytes a name.
    assert_eq!((made, error.as_str()), (202, "ENOSPC"));
    host.expect(&[
        (5, 0, "READ d/child0202|", "ENOENT"),
        (5, 0, "MKDIR d/child0202/x|", "ENOSPC"),
        (5, 0, "RM d/child0000|", "OK|"),
        (5, 0, "WRITE d/child0202|", "OK|"),
        (0, 0, "WRITE /local/domain/5/d/another|", "OK|"),
    ]);
}

/// What a transaction writes, and what others have put below the same node meanwhile, are within the quota each.
#[test]
fn a_commit_makes_no_node_too_large() {
    let mut host = host();
    let (write, permit) = (format!("WRITE k|{}", "v".repeat(1024)), "SET_PERMS k|n5|r1|r2|".to_string());
    for (inside, name, end) in
        [(&write, 999, "OK|"), (&write, 1000, "ENOSPC"), (&permit, 2007, "OK|"), (&permit, 2008, "ENOSPC")]
    {
        host.expect(&[(5, 0, "RM k|", "OK|"), (5, 0, "WRITE k|", "OK|")]);
        let tx = host.start(5);
        host.expect(&[
            (5, tx, inside, "OK|"),
            (5, 0, &format!("MKDIR k/{}|", "n".repeat(name)), "OK|"),
            (5, tx, "TRANSACTION_END T|", end),
        ]);
    }
}

#[test]
fn a_transaction_that_touches_too_much_is_lost() {
    // A share of the store is more than the quota.
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(20_000));
    host.boot(5);
    for n in 0..1100 {
        host.ok(0, 0, &format!("WRITE /n/{n}|v"));
    }
    host.ok(0, 0, "SET_PERMS /n|r0|");
    let tx = host.start(5);
    // The home directory is where the permission of what is not there is looked up.
    let good = |got: &str, _: usize| got == "ENOENT";
    let read = |n: usize| format!("READ x{n}|");
    assert_eq!(until_refused(&mut host, 5, tx, good, read), (1023, "ENOSPC".into()));
    host.expect(&[
        (5, tx, "READ x5000|", "ENOSPC"),
        (5, tx, "READ x0|", "ENOENT"),
        (5, tx, "TRANSACTION_END T|", "ENOMEM"),
        (5, tx, "TRANSACTION_END T|", "ENOENT"),
    ]);
    let tx = host.start(0);
    for n in 0..1100 {
        assert_eq!(host.ask(0, tx, &format!("READ /n/{n}|")), "v");
    }
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn a_commit_that_makes_too_many_nodes_makes_none() {
    let mut host = host();
    host.expect(&[(0, 0, "SET_QUOTA 5|nodes|20|", "OK|")]);
    let tx = host.start(5);
    host.ok(5, tx, "WRITE first|");
    for n in 0..19 {
        host.ok(5, tx, &format!("WRITE d/n{n}|"));
    }
    host.expect(&[
        (5, tx, "TRANSACTION_END T|", "ENOSPC"),
        (5, 0, "READ first|", "ENOENT"),
        (5, 0, "READ d|", "ENOENT"),
    ]);
    let tx = host.start(5);
    for n in 0..18 {
        host.ok(5, tx, &format!("WRITE d/n{n}|"));
    }
    host.expect(&[(5, tx, "TRANSACTION_END T|", "OK|"), (5, 0, "WRITE one-more|", "ENOSPC")]);
    let tx = host.start(5);
    host.expect(&[
        (5, tx, "RM d/n0|", "OK|"),
        (5, tx, "WRITE instead|", "OK|"),
        (5, tx, "TRANSACTION_END T|", "OK|"),
    ]);
}

#[test]
fn memory_is_refused_above_and_given_back() {
    let mut host = host();
    host.expect(&[(0, 0, "SET_QUOTA 5|memory|20000|", "OK|")]);
    let good = |got: &str, _: usize| got == "OK|";
    let value = "v".repeat(1000);
    let (made, error) = until_refused(&mut host, 5, 0, good, |n| format!("WRITE n{n}|{value}"));
    assert!((10..20).contains(&made), "{made}");
    assert_eq!(error, "EIO");
    host.expect(&[
        (5, 0, &format!("WATCH a|{}|", "t".repeat(2000)), "ENOMEM"),
        (5, 0, "WRITE n0|less", "OK|"),
        (5, 0, "READ n0|", "less"),
        (5, 0, &format!("WRITE n0|{}", "v".repeat(500)), "OK|"),
        (5, 0, "RM n1|", "OK|"),
        (5, 0, "RM n2|", "OK|"),
        (5, 0, &format!("WRITE n1|{value}"), "OK|"),
    ]);
}

/// Each kind of request, in and out of transactions, of a guest that holds as much as it may.
#[test]
fn without_memory_what_changes_nodes_is_eio_and_all_else_enomem() {
    let mut host = host();
    host.boot(6);
    let (long, longer) = ("v".repeat(400), "w".repeat(900));
    for name in ["a", "b", "c", "d", "e"] {
        host.ok(5, 0, &format!("WRITE {name}|{long}"));
    }
    let shared = "/local/domain/6/shared";
    host.expect(&[
        (6, 0, "WRITE shared|", "OK|"),
        (6, 0, "SET_PERMS shared|b6|", "OK|"),
        (5, 0, "WATCH w|t|", "OK|; ev w,t"),
        (0, 0, "SET_QUOTA memory|1|", "OK|"),
    ]);
    let [made, gift, open, small] = [5; 4].map(|who| host.start(who));
    host.expect(&[
        (5, made, &format!("WRITE f|{long}"), "OK|"),
        (5, gift, &format!("WRITE {shared}|{longer}"), "OK|"),
        (5, open, "READ a|", &long),
        (5, small, &format!("WRITE {shared}|12"), "OK|"),
        (0, 0, "SET_QUOTA 5|memory|1|", "OK|"),
        (0, 0, "SET_QUOTA 6|memory|1|", "OK|"),
        // Nodes that grow or are new.
        (5, 0, &format!("WRITE a|{longer}"), "EIO"),
        (5, 0, &format!("WRITE {shared}|{longer}"), "EIO"),
        (5, 0, "WRITE new|", "EIO"),
        (5, 0, "WRITE d/e/e/p|", "EIO"),
        (5, 0, "MKDIR new|", "EIO"),
        (5, 0, "WATCH x|t|", "ENOMEM"),
        (5, 0, "TRANSACTION_START |", "ENOMEM"),
        // What needs no more memory.
        (5, 0, "READ a|", &long),
        (5, 0, "WRITE a|less", "OK|"),
        (5, 0, "SET_PERMS a|n5|r1|", "OK|"),
        (5, 0, "UNWATCH w|t|", "OK|"),
        (5, 0, "RM b|", "OK|"),
        (5, made, "READ f|", &long),
        (5, made, "TRANSACTION_END T|", "OK|"),
        (5, 0, "READ f|", &long),
        // Whoever is charged for it.
        (5, gift, "TRANSACTION_END T|", "ENOMEM"),
        (5, small, "TRANSACTION_END T|", "OK|"),
        (6, 0, "READ shared|", "12"),
        // The first look at a node takes a copy.
        (5, open, "READ c|", "ENOMEM"),
    ]);
    for (request, answer) in [
        ("READ c|", "ENOMEM"),
        ("DIRECTORY c|", "ENOMEM"),
        ("DIRECTORY_PART c|0|", "ENOMEM"),
        ("GET_PERMS c|", "ENOMEM"),
        ("WRITE c|", "EIO"),
        ("WRITE new|", "EIO"),
        ("MKDIR new|", "EIO"),
        ("RM c|", "EIO"),
        ("SET_PERMS c|n5|", "EIO"),
    ] {
        host.expect(&[(0, 0, "SET_QUOTA 5|memory|0|", "OK|")]);
        let tx = host.start(5);
        host.expect(&[
            (0, 0, "SET_QUOTA 5|memory|1|", "OK|"),
            (5, tx, request, answer),
            (5, tx, "TRANSACTION_END T|", "ENOMEM"),
        ]);
    }
    // dom0 is not limited, and neither is a new guest for what it owns already.
    host.create(7);
    host.expect(&[
        (0, 0, &format!("WRITE /local/domain/7/x|{longer}"), "OK|"),
        (0, 0, "SET_PERMS /local/domain/7/x|n7|", "OK|"),
        (0, 0, "INTRODUCE 7|1|5|", "OK|"),
        (7, 0, "READ x|", &longer),
        (7, 0, "RM x|", "OK|"),
    ]);
    host.check();
}

/// A request that exceeds a quota of this value; none if the quota stops no request.
fn beyond(quota: &Quota) -> Option<(u32, String)> {
    let owned = |value, request: &str| Some((value, request.to_string()));
    match quota.name {
        "nodes" => owned(1, "MKDIR more|"),
        "watches" => owned(1, "WATCH more|t|"),
        "memory" => owned(1, "WATCH more|t|"),
        "transactions" => owned(1, "TRANSACTION_START |"),
        "transaction-nodes" => owned(1, "READ more|"),
        "node-permissions" => owned(2, "SET_PERMS own|n5|r1|r2|"),
        "path-max" => owned(40, &format!("READ {}|", "x".repeat(41))),
        "node-size" => owned(40, &format!("WRITE own|{}", "v".repeat(41))),
        "outstanding" | "soft-memory" => None,
        new => panic!("tests/library/quotas.rs has no request that goes beyond {new}"),
    }
}

#[test]
fn what_exceeds_a_quota_is_answered_as_the_table_says() {
    for quota in QUOTAS {
        let mut host = host();
        host.expect(&[(5, 0, "WRITE own|", "OK|"), (5, 0, "WATCH own|t|", "OK|; ev own,t")]);
        let tx = host.start(5);
        host.expect(&[(5, tx, "READ own|", "")]);
        let Some((value, request)) = beyond(quota) else {
            assert!(quota.excess.error(false).is_none(), "{}", quota.name);
            continue;
        };
        host.ok(0, 0, &format!("SET_QUOTA 5|{}|{value}|", quota.name));
        let error = quota.excess.error(false).unwrap_or_else(|| panic!("{} refuses nothing", quota.name));
        let tx = if quota.name == "transaction-nodes" { tx } else { 0 };
        host.expect(&[(5, tx, &request, error.name())]);
        // All of these errors but that of paths report a lack of room.
        assert_eq!(error.is_refusal(), quota.name != "path-max", "{}", quota.name);
    }
}

#[test]
fn the_list_of_quotas_in_the_documentation_is_the_table() {
    let page = include_str!("../../docs/install.md");
    let (_, section) = page.split_once("## What a guest may hold").expect("docs/install.md lists quotas");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()
    };
    let listed: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let expected = QUOTAS.iter().map(|quota| {
        let answer = match quota.excess {
            Excess::Refused(error) => error.name().to_string(),
            Excess::NoMemory => "EIO to WRITE, MKDIR, RM and SET_PERMS, ENOMEM to all others".to_string(),
            Excess::Waits => "waits".to_string(),
            Excess::Logged => "is served, and logged".to_string(),
        };
        [format!("`{}`", quota.name), (quota.get)(&Quotas::DEFAULT).to_string(), answer]
    });
    let shown = |row: &Vec<String>| match row.as_slice() {
        [name, default, what, answer] if !what.is_empty() => [name.clone(), default.clone(), answer.clone()],
        _ => panic!("docs/install.md: a row of four cells is wanted, not {row:?}"),
    };
    assert_eq!(listed.iter().map(shown).collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "docs/install.md");
}

#[test]
fn a_message_in_the_making_never_keeps_its_own_rest_out() {
    let mut host = host();
    host.expect(&[(0, 0, "SET_QUOTA 5|memory|2000|", "OK|")]);
    host.expect(&[(5, 0, &format!("WRITE k|{}", "v".repeat(3500)), "ENOSPC"), (5, 0, "WRITE k|", "OK|")]);
}

#[test]
fn who_floods_a_client_that_does_not_read_waits_for_it() {
    let mut host = host();
    host.boot(6);
    host.expect(&[
        (0, 0, "WRITE /shared|", "OK|"),
        (0, 0, "SET_PERMS /shared|b0|", "OK|"),
        (5, 0, "WATCH /shared|t|", "OK|; ev /shared,t"),
    ]);
    let mut answered = 0;
    for n in 0..200 {
        host.send(6, 0, &format!("WRITE /shared/n{n}|"));
        host.poll();
        answered += host.client(6).read().len();
        if host.client(6).unread() > 0 {
            break;
        }
    }
    // Some 27 events are in the ring, one of them half.
    assert!((40..60).contains(&answered), "{answered}");
    host.expect(&[(0, 0, "READ /shared|", "")]);
    host.boot(7);
    host.expect(&[(7, 0, "WRITE /shared/other|", "OK|")]);
    host.xen.pass(19);
    host.poll();
    host.hears(6, "");
    host.xen.pass(1);
    host.poll();
    host.hears(6, "OK|");
    host.check();
}

/// However many owners a transaction gives something to, each of them has to have room for it.
#[test]
fn a_commit_for_many_owners_keeps_to_the_quota_of_each() {
    let mut host = Host::new();
    (1..=20).for_each(|domid| host.boot(domid));
    for domid in 2..=20 {
        host.ok(domid, 0, "WRITE data|");
        host.ok(domid, 0, &format!("SET_PERMS data|b{domid}|"));
    }
    let commit = |host: &mut Host| {
        let tx = host.start(1);
        for domid in 2..=20 {
            host.ok(1, tx, &format!("WRITE /local/domain/{domid}/data|{}", "v".repeat(100)));
        }
        host.ask(1, tx, "TRANSACTION_END T|")
    };
    for full in [2, 20] {
        let held = host.server.usage(DomId(full)).expect("it lives").memory;
        host.ok(0, 0, &format!("SET_QUOTA {full}|memory|{held}|"));
        assert_eq!(commit(&mut host), "ENOMEM", "domain {full}");
        host.ok(0, 0, &format!("SET_QUOTA {full}|memory|0|"));
        host.check();
    }
    assert_eq!(commit(&mut host), "OK|");
    host.check();
}

/// What others write to a guest's nodes is the guest's, in a transaction, too. The privileged may give it more.
#[test]
fn a_commit_gives_nobody_more_than_its_share() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[(5, 0, "WRITE gift|", "OK|"), (5, 0, "SET_PERMS gift|b5|", "OK|")]);
    for len in [1900, 40] {
        let value = "v".repeat(len);
        let refused = (0..900).any(|n| host.ask(5, 0, &format!("WRITE n{len}-{n}|{value}")) == "ENOMEM");
        assert!(refused, "there is no end of it");
    }
    let gift = format!("WRITE /local/domain/5/gift|{}", "v".repeat(400));
    host.expect(&[(6, 0, &gift, "ENOMEM")]);
    for (who, answer) in [(6, "ENOMEM"), (0, "OK|")] {
        let tx = host.start(who);
        host.expect(&[(who, tx, &gift, "OK|"), (who, tx, "TRANSACTION_END T|", answer)]);
    }
}

/// Also of nodes that the transaction has touched before.
#[test]
fn values_in_a_transaction_count_as_its_senders_memory() {
    let mut host = host();
    (0..10).for_each(|n| host.ok(5, 0, &format!("WRITE data/{n}|")));
    let tx = host.start(5);
    (0..10).for_each(|n| drop(host.ask(5, tx, &format!("READ data/{n}|"))));
    let quota = host.server.usage(DomId(5)).expect("it lives").memory + 6000;
    host.ok(0, 0, &format!("SET_QUOTA 5|memory|{quota}|"));
    let value = "v".repeat(1500);
    let done = (0..10).take_while(|n| host.ask(5, tx, &format!("WRITE data/{n}|{value}")) == "OK|").count();
    assert!((1..=3).contains(&done), "{done} values");
    host.check();
}
