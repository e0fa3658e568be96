//! The sums of `stats`: what each counts, and that all are shown.

use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use support::{Host, log};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::quota::Quotas;
use xenstore::trace::Kind;

#[test]
fn sums_by_type_and_by_domain() {
    let mut host = Host::new();
    host.xen.ticking = 3000;
    host.boot(5);
    host.expect(&[
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (5, 0, "WRITE data|value", "ev data,t; OK|"),
        (5, 0, "READ data|", "value"),
        (5, 0, "READ none|", "ENOENT"),
        (5, 0, "INTRODUCE 6|1|5|", "EACCES"),
    ]);
    let read = stats(&mut host, "READ");
    assert_eq!((&read["requests"], &read["received"], &read["sent"]), (&2.into(), &10.into(), &5.into()));
    assert_eq!(read["errors"], serde_json::json!({"ENOENT": 1}));
    assert_eq!(read["cycles"], 2 * 3000);
    assert_eq!(read["below-cycles"]["4096"], 2);
    let domain = stats(&mut host, "5");
    assert_eq!((&domain["requests"], &domain["events"]), (&5.into(), &2.into()));
    assert_eq!(domain["errors"], serde_json::json!({"ENOENT": 1, "EACCES": 1}));
    assert_eq!(domain["quotas"]["columns"], serde_json::json!(["held", "most", "quota"]));
    assert_eq!(domain["quotas"]["nodes"], serde_json::json!([2, 2, 1000]));
    assert_eq!(stats(&mut host, "WRITE")["events"], 1);
    let all = stats(&mut host, "");
    assert_eq!((&all["types"]["columns"][0], &all["types"]["READ"][0]), (&"requests".into(), &2.into()));
    assert_eq!(all["memory"]["domains"][0], 2);
    assert_eq!(all["memory"]["nodes"][2], 8192);
    // An unused number between types is counted apart from numbers beyond all types.
    for unknown in ["20 |", "99 |"] {
        assert_eq!(host.ask(5, 0, unknown), "ENOSYS");
    }
    assert_eq!(
        (&stats(&mut host, "")["types"]["other"][0], &stats(&mut host, "other")["requests"]),
        (&1.into(), &1.into())
    );
    let totals = stats(&mut host, "totals");
    assert!(totals["requests"].as_u64() > all["requests"].as_u64() && totals["types"].is_null(), "{totals}");
    let version = concat!(env!("CARGO_PKG_VERSION"), ", build 00ab7f");
    assert_eq!(all["version"], version);
    let text = host.ask(0, 0, "CONTROL stats|");
    assert!(text.starts_with(&format!("version          : {version}\\nrequests         : ")), "{text}");
    assert!(text.contains("\\nREAD                          2          1 "), "{text}");
    // Its successor begins at zero.
    host.kill(5);
    host.boot(5);
    assert_eq!(stats(&mut host, "5")["requests"], 0);
    assert_eq!(host.ask(0, 0, "CONTROL stats|77|"), "ENOENT");
    for bad in ["x|", "json|x|", "json|READ|x|", "domains|x|", "|", "json||"] {
        assert_eq!(host.ask(0, 0, &format!("CONTROL stats|{bad}")), "EINVAL", "{bad}");
    }
}

#[test]
fn domains_come_in_pages() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(50_000));
    for domid in 1..300 {
        host.boot(domid);
    }
    let (mut domids, mut from, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = stats(&mut host, &format!("domains {from}"));
        assert_eq!(page["columns"][0], "domid");
        let rows = page["domains"].as_array().expect("rows");
        assert!(rows.len() <= 24, "{} rows, for which others wait", rows.len());
        domids.extend(rows.iter().map(|row| row[0].as_u64()));
        pages += 1;
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(pages > 2, "{pages}");
    domids.sort_unstable();
    assert_eq!(domids, (0..300).map(Some).collect::<Vec<_>>());
    let text = host.ask(0, 0, "CONTROL stats|domains|");
    assert!(text.contains("next "), "{text}");
}

/// Events and dropped events in the sums of a domain or a type, in the totals, and as records.
fn events(host: &mut Host, subject: &str) -> [u64; 2] {
    let sums = stats(host, subject);
    ["events", "dropped"].map(|name| sums[name].as_u64().expect("a number"))
}

fn records(host: &Host) -> [u64; 2] {
    let count = |kind| host.server.trace().from(0).filter(|record| record.kind == kind).count() as u64;
    [Kind::Event, Kind::Dropped].map(count)
}

/// Domain 5 watches a node that dom0 makes for all to read.
fn watch(host: &mut Host) {
    host.expect(&[
        (0, 0, "WRITE /w|", "OK|"),
        (0, 0, "SET_PERMS /w|r0|", "OK|"),
        (5, 0, "WATCH /w|token|", "OK|; ev /w,token"),
    ]);
}

#[test]
fn each_event_is_counted_once_and_once_more_if_it_never_gets_there() {
    let quotas = Quotas { memory: 20_000, ..Quotas::DEFAULT };
    let capacities = Capacities { trace: 4096, ..Capacities::for_nodes(8192) };
    let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &capacities);
    host.boot(5);
    watch(&mut host);
    assert_eq!((events(&mut host, "5"), events(&mut host, "WATCH")), ([1, 0], [1, 0]));
    let change = |host: &mut Host, count: u64| {
        // Each with another path, since equal events that wait are one.
        for n in 0..count {
            host.ok(0, 0, &format!("WRITE /w/{n}|"));
        }
    };
    // Some fit the ring, some the queue, and for the others there is no room.
    change(&mut host, 300);
    let [all, refused] = events(&mut host, "5");
    assert_eq!((all, events(&mut host, "WRITE")), (301, [300, refused]));
    assert!((50..250).contains(&refused), "{refused}");
    assert_eq!(stats(&mut host, "totals")["events"], 301);
    // Events that have waited too long are dropped, too.
    host.xen.pass(25);
    host.poll();
    host.xen.pass(2);
    host.poll();
    let [all, expired] = events(&mut host, "5");
    assert!(all == 301 && expired > refused, "{all} events, {expired} dropped");
    let got = host.received(5).matches("ev ").count() as u64;
    assert_eq!(all - expired, got + 1);
    assert_eq!(events(&mut host, "WRITE"), [300, expired]);
    assert_eq!(records(&host), [301, expired]);
}

#[test]
fn events_that_go_with_a_session_are_dropped() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities { trace: 4096, ..Capacities::for_nodes(8192) });
    host.boot(5);
    watch(&mut host);
    for n in 0..200 {
        host.ok(0, 0, &format!("WRITE /w/{n}|"));
    }
    assert_eq!(events(&mut host, "5"), [201, 0]);
    let in_ring = host.client(5).read().len() as u64;
    host.client(5).page.connection.store(1, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!(
        (events(&mut host, "5"), events(&mut host, "WRITE")),
        ([201, 200 - in_ring], [200, 200 - in_ring])
    );
    assert_eq!(records(&host)[1], 200 - in_ring);
    host.check();
}

/// The cases of `stats refused`, as (domid, quota, limit, times, type, error, path).
fn refused(host: &mut Host) -> Vec<String> {
    let told = stats(host, "refused");
    let mut rows: Vec<String> = told["refused"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|case| {
            let members = ["domid", "quota", "limit", "times", "type", "error", "path"];
            members.map(|member| case[member].to_string().replace('"', "")).join(" ")
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn refusals_name_guest_quota_limit_and_path() {
    let quotas = Quotas {
        nodes: 3,
        watches: 1,
        transactions: 1,
        node_permissions: 2,
        node_size: 100,
        ..Quotas::DEFAULT
    };
    let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(1000));
    host.boot(5);
    host.boot(6);
    assert_eq!(refused(&mut host), [""; 0]);
    let long = "x".repeat(101);
    host.expect(&[
        (5, 0, "WRITE a/b/c/d|1", "ENOSPC"),
        (5, 0, "MKDIR e/f/g/h|", "ENOSPC"),
        (5, 0, &format!("WRITE /local/domain/5|{long}"), "ENOSPC"),
        (5, 0, "SET_PERMS a|n5|r1|r2|", "ENOSPC"),
        (5, 0, "WATCH w|t|", "OK|; ev w,t"),
        (5, 0, "WATCH /v|t|", "ENOSPC"),
        (5, 0, "TRANSACTION_START |", "1|"),
        (5, 0, "TRANSACTION_START |", "ENOSPC"),
        (6, 0, "WRITE a/b/c/d|1", "ENOSPC"),
        // What is refused for other reasons is no case.
        (6, 0, "READ none|", "ENOENT"),
        (0, 0, "CONTROL quota|set|memory|100|", "OK|"),
    ]);
    host.boot(7);
    host.expect(&[(7, 0, "WRITE a|1", "EIO"), (7, 0, "WATCH w|t|", "ENOMEM")]);
    assert_eq!(
        refused(&mut host),
        [
            "5 node-permissions 2 1 SET_PERMS ENOSPC ",
            "5 node-size 100 1 WRITE ENOSPC /local/domain/5",
            "5 nodes 3 2 MKDIR ENOSPC /local/domain/5/e/f/g/h",
            "5 transactions 1 1 TRANSACTION_START ENOSPC ",
            "5 watches 1 1 WATCH ENOSPC /v",
            "6 nodes 3 1 WRITE ENOSPC /local/domain/6/a/b/c/d",
            "7 memory 100 2 WATCH ENOMEM /local/domain/7/w",
        ]
    );
    let text = host.ask(0, 0, "CONTROL stats|refused|");
    let line = "2 times: d5 MKDIR refused, tx 0, ENOSPC: quota nodes, 3 allowed /local/domain/5/e/f/g/h\\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(host.ask(0, 0, "CONTROL stats|refused|x|"), "EINVAL");
}

#[test]
fn the_latest_cases_of_refusals_stay_and_fit_an_answer() {
    let quotas = Quotas { nodes: 1, ..Quotas::DEFAULT };
    let mut host = Host::with(
        Settings { quotas, ..Settings::DEFAULT },
        &Capacities { names: 4096, ..Capacities::for_nodes(50_000) },
    );
    for domid in 1..40 {
        host.boot(domid);
    }
    let long = "long/".repeat(24);
    for domid in (1..40).chain([24]) {
        host.xen.pass(1);
        host.expect(&[(domid, 0, &format!("WRITE {long}a|1"), "ENOSPC")]);
    }
    let told = refused(&mut host);
    assert_eq!(told.len(), 16);
    assert!(told[0].starts_with("24 nodes 1 2 WRITE ") && told[0].ends_with("..."), "{}", told[0]);
    assert!(told[15].starts_with("39 nodes 1 1 "), "{}", told[15]);
    assert!(host.ask(0, 0, "CONTROL stats|refused|").contains("d39 WRITE refused"));
}

#[test]
fn refusals_are_logged_once_a_second() {
    log::catch();
    let quotas = Quotas { nodes: 3, ..Quotas::DEFAULT };
    let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(1000));
    host.boot(5);
    log::take();
    let refuse = |host: &mut Host| host.expect(&[(5, 0, "WRITE a/b/c/d|1", "ENOSPC")]);
    let line = |unlogged: u32| {
        [format!(
            "d5 WRITE refused, tx 0, ENOSPC: quota nodes, 3 allowed /local/domain/5/a/b/c/d, after {unlogged} that were not logged"
        )]
    };
    refuse(&mut host);
    assert_eq!(log::take(), line(0));
    refuse(&mut host);
    refuse(&mut host);
    assert_eq!(log::take(), [""; 0]);
    host.xen.pass(1);
    refuse(&mut host);
    assert_eq!(log::take(), line(2));
}
