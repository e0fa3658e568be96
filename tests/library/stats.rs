//! The sums of `stats`: what each counts, and that all are shown.

use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use support::Host;
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
    let text = host.ask(0, 0, "CONTROL stats|");
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
        domids.extend(page["domains"].as_array().expect("rows").iter().map(|row| row[0].as_u64()));
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
