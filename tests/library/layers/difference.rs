//! CONTROL `layers diff`: what has changed since the store began is a layer, which makes up for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};

use proptest::collection::vec;
use proptest::prelude::*;
use support::Host;
use xenstore::config::{Capacities, Settings};
use xenstore::state::page::{Head, What};
use xenstore::trace::{Kind, Stop};
use xenstore::wire::PAYLOAD_MAX;

use super::{fused, seen, unescaped};
use crate::saved::unused;

const MODULE: &str = "layer vendor\n/a/b = \"1\"   (n0,r32757)\n/a/c/d = \"2\"\n/a/c/e = \"3\"\n/f = \"4\"\n/g/h = \"5\"\nlayer site\n/a/i = \"6\"\nend\n";

/// What has changed, without the first line of each page. `meanwhile` happens after each page but the last.
fn difference(host: &mut Host, all: &str, mut meanwhile: impl FnMut(&mut Host)) -> String {
    let what = What::Layer { all: !all.is_empty() };
    let page = |request: &str, host: &mut Host| {
        let answer = unescaped(&host.ask(0, 0, request));
        assert!(answer.len() <= PAYLOAD_MAX, "{} bytes", answer.len());
        let (head, text) = Head::parse(what, &answer).unwrap_or_else(|| panic!("{request}: {answer}"));
        let text = text.strip_suffix('|').expect("a text").to_string();
        assert_eq!(head.count, text.len());
        (head, text)
    };
    let (head, mut text) = page(&format!("CONTROL layers|diff|{all}"), host);
    assert!(text.starts_with("layer changes\n"), "{text}");
    while text.len() < head.size {
        meanwhile(host);
        let (next, more) = page(&format!("CONTROL layers|diff|{all}{}|{}|", head.number, text.len()), host);
        assert_eq!((next.number, next.first, next.size), (head.number, text.len(), head.size));
        text += &more;
    }
    let lines = text.strip_prefix("layer changes\n").and_then(|text| text.strip_suffix("end\n"));
    lines.expect("a whole layer").to_string()
}

fn now(host: &mut Host) -> String {
    difference(host, "", |_| ())
}

#[test]
fn what_clients_do_is_told() {
    for (rows, expected) in [
        (&[][..], ""),
        (&["WRITE /a/b|1"], "/a/b = \"1\"\n"),
        (&["WRITE /a/b|x\"y\\"], "/a/b = \"x\"y\\\\\"\n"),
        (&["SET_PERMS /a/b|r0|"], "/a/b:   (r0)\n"),
        (&["WRITE /a/b|", "SET_PERMS /a/b|r0|"], "/a/b = \"\"   (r0)\n"),
        (&["WRITE /a/new|7"], "/a/new = \"7\"   (n0)\n"),
        (&["WRITE /a/b/x/y|7"], "/a/b/x = \"\"   (n0,r32757)\n/a/b/x/y = \"7\"   (n0,r32757)\n"),
        (&["WRITE /a/new|7", "RM /a/new|"], ""),
        (&["RM /a/b|"], "whiteout /a/b\n"),
        (&["RM /a/c|"], "whiteout /a/c\n"),
        (&["RM /a/c/d|", "RM /a/c|"], "whiteout /a/c\n"),
        (&["RM /a/c/d|", "RM /a|"], "whiteout /a\n"),
        (&["RM /a/c/d|", "RM /f|", "RM /a/c/e|"], "whiteout /a/c/d\nwhiteout /a/c/e\nwhiteout /f\n"),
        (&["RM /a/b|", "WRITE /a/b|1"], "whiteout /a/b\n/a/b = \"1\"   (n0)\n"),
        (&["RM /a/c|", "MKDIR /a/c|", "RM /a/c|", "MKDIR /a/c|"], "whiteout /a/c\n/a/c = \"\"   (n0)\n"),
        (&["RM /a/c|", "WRITE /a/c/d|x", "RM /a|"], "whiteout /a\n"),
        (&["WRITE /|top", "SET_PERMS @releaseDomain|r0|"], "/ = \"top\"\n@releaseDomain:   (r0)\n"),
        (&["RM /tool|"], "whiteout /tool\n"),
    ] {
        for in_transaction in [false, true] {
            let mut host = fused(MODULE);
            let tx = if in_transaction { host.start(0) } else { 0 };
            rows.iter().for_each(|row| host.ok(0, tx, row));
            if in_transaction {
                host.ok(0, tx, "TRANSACTION_END T|");
            }
            host.check();
            assert_eq!(now(&mut host), expected, "{rows:?}, in a transaction: {in_transaction}");
            // The store after an update says the same, and the layer on top makes the same of the others.
            let tree = seen(&mut host);
            for version in [1, 2] {
                host.update(version);
                host.poll();
                assert_eq!(now(&mut host), expected, "{rows:?}, version {version}");
            }
            let module = MODULE.replace("end\n", &format!("layer changes\n{expected}end\n"));
            let mut again = fused(&module);
            assert_eq!(seen(&mut again), tree, "{rows:?}");
            assert_eq!(now(&mut again), "", "{rows:?}");
        }
    }
}

#[test]
fn what_comes_anew_is_told_only_if_it_is_asked_for() {
    let mut host = fused(MODULE);
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /vm/u/name|x", "OK|"),
        (0, 0, "WRITE /vmware|x", "OK|"),
        (0, 0, "WRITE /libxl/5/type|pvh", "OK|"),
        (0, 0, "WRITE /tool/xenstored/domid|3", "OK|"),
        (0, 0, "WRITE /tool/mine|1", "OK|"),
        (0, 0, "WRITE /local/pool/0|x", "OK|"),
        (0, 0, "WRITE /local/domain/0/backend/vif/5|x", "OK|"),
        (0, 0, "WRITE /local/domain/0/device-model/5|x", "OK|"),
        (0, 0, "SET_PERMS /local/domain/0/device-model/5|n0|r5|", "OK|"),
        (0, 0, "WRITE /local/domain/0/site|x", "OK|"),
        (5, 0, "WRITE data/x|1", "OK|"),
        (0, 0, "WRITE /shared|1", "OK|"),
        (0, 0, "SET_PERMS /shared|n0|r5|b32757|", "OK|"),
        (0, 0, "WRITE /given|1", "OK|"),
        (0, 0, "SET_PERMS /given|n5|", "OK|"),
        (0, 0, "WRITE /f|new", "OK|"),
        (0, 0, "SET_PERMS /f|n5|r0|", "OK|"),
    ]);
    assert_eq!(
        now(&mut host),
        "/tool/mine = \"1\"   (n0)\n/f = \"new\"\n/local/domain/0/site = \"x\"   (n0)\n\
         /vmware = \"x\"   (n0)\n/shared = \"1\"   (n0,b32757)\n"
    );
    let all = difference(&mut host, "all|", |_| ());
    for line in [
        "/vm/u/name = \"x\"   (n0)",
        "/given = \"1\"   (n5)",
        "/local/domain/5/data/x = \"1\"   (n5)",
        "/f = \"new\"   (n5,r0)",
    ] {
        assert!(all.lines().any(|found| found == line), "{line}: {all}");
    }
    // What is below a node that is left out is left out, too, whoever owns it; beside it nothing is.
    host.expect(&[
        (0, 0, "WRITE /given/mine/deep|1", "OK|"),
        (0, 0, "SET_PERMS /given/mine|n0|", "OK|"),
        (0, 0, "SET_PERMS /given/mine/deep|n0|", "OK|"),
        (0, 0, "WRITE /giver/mine|1", "OK|"),
        (0, 0, "SET_PERMS /vm/u|n5|", "OK|"),
        (0, 0, "WRITE /f/mine|1", "OK|"),
        (0, 0, "SET_PERMS /f/mine|n0|", "OK|"),
        (5, 0, "WRITE /f/its|1", "OK|"),
    ]);
    assert_eq!(
        now(&mut host),
        "/tool/mine = \"1\"   (n0)\n/f = \"new\"\n/f/mine = \"1\"   (n0)\n/local/domain/0/site = \"x\"   (n0)\n\
         /vmware = \"x\"   (n0)\n/shared = \"1\"   (n0,b32757)\n\
         /giver = \"\"   (n0)\n/giver/mine = \"1\"   (n0)\n"
    );
    let all = difference(&mut host, "all|", |_| ());
    for line in ["/given = \"1\"   (n5)", "/given/mine = \"\"   (n0)", "/given/mine/deep = \"1\"   (n0)"] {
        assert!(all.lines().any(|found| found == line), "{line}: {all}");
    }
    // The dead are nobody.
    host.kill(5);
    host.poll();
    let all = difference(&mut host, "all|", |_| ());
    assert!(!all.contains("/given") && all.contains("/shared = \"1\"   (n0,b32757)\n"), "{all}");
    assert!(all.contains("whiteout /f\n"), "{all}");
}

#[test]
fn it_is_of_one_moment_in_pages() {
    let mut host = fused(MODULE);
    (0..300).for_each(|n| host.ok(0, 0, &format!("WRITE /many/{n:030}|{n:030}")));
    let mut pages = 1;
    let text = difference(&mut host, "", |host| {
        pages += 1;
        host.ok(0, 0, &format!("RM /many/{pages:030}|"));
        host.ok(0, 0, &format!("WRITE /later{pages}|"));
    });
    assert!(pages > 5, "{pages} pages");
    assert_eq!(text.lines().count(), 301);
    assert!(!text.contains("later"), "{text}");
    host.check();
}

/// It is as of the moment in which it was asked for. Who looks is served meanwhile; who changes something, and the end of a
/// domain, wait until it is written.
#[test]
fn others_who_look_are_served_while_it_is_written() {
    let mut host = fused(MODULE);
    [5, 6].into_iter().for_each(|domid| host.boot(domid));
    host.expect(&[(5, 0, "WRITE data|early", "OK|")]);
    (0..400).for_each(|n| host.ok(0, 0, &format!("WRITE /many/{}/{n:030}|{n:030}", n % 8)));
    let since = host.server.trace().end();
    let died = Arc::new(AtomicBool::new(false));
    let (page, seen) = (host.client(6).page.clone(), died.clone());
    host.xen.on_look = Some(Box::new(move || {
        // Its guest wants to begin anew, once dom0's request is at hand.
        if !seen.swap(true, Relaxed) {
            page.connection.store(1, Relaxed);
        }
    }));
    host.send(5, 0, "READ data|");
    host.send(6, 0, "WRITE data|late");
    let mut records = Vec::new();
    let text = difference(&mut host, "all|", |host| {
        // After the first page.
        if records.is_empty() {
            records = host.server.trace().from(since).map(|r| (r.kind, r.domid.0)).collect();
        }
    });
    host.xen.on_look = None;
    assert_eq!(text.matches("/many/").count(), 408);
    assert!(text.contains("data = \"early\"") && !text.contains("late"), "{text}");
    let at = |what| {
        records.iter().position(|record| *record == what).unwrap_or_else(|| panic!("{what:?}: {records:?}"))
    };
    assert!(at((Kind::Ended, 5)) < at((Kind::Ended, 0)), "{records:?}");
    assert!(at((Kind::Ended, 0)) < at((Kind::Restarted, 6)), "{records:?}");
    host.hears(5, "early");
    host.send(0, 0, "CONTROL layers|diff|all|");
    let most = host.most_operations();
    assert!(most < 2000, "{most} operations in one go");
    host.check();
}

/// Stopped at any operation, and before any part, it costs the request at most: what was lent is given back, though nobody asks
/// for another.
#[test]
fn it_may_be_stopped_anywhere() {
    crate::stops::expect_stops();
    let mut host = fused(MODULE);
    host.ok(0, 0, "RM /a/b|");
    (0..300).for_each(|n| host.ok(0, 0, &format!("WRITE /many/{n}|{n}")));
    let before = unused(&host);
    let whole = now(&mut host);
    for by_look in [false, true] {
        for n in 1.. {
            host.send(0, 0, "CONTROL layers|diff|");
            let looks = AtomicU32::new(if by_look { n } else { 0 });
            host.xen.on_look = Some(Box::new(move || assert_ne!(looks.fetch_sub(1, Relaxed), 1)));
            host.server.stop_in(if by_look { 0 } else { n });
            let stopped = catch_unwind(AssertUnwindSafe(|| host.poll())).is_err();
            host.server.stop_in(0);
            host.xen.on_look = None;
            if !stopped {
                assert!(n > 6, "{n}");
                break;
            }
            assert!(host.server.survive(&mut host.xen, Stop::Panic(n)));
            host.poll();
            let answer = unescaped(&host.received(0));
            if answer != "EIO" {
                let (head, text) = Head::parse(What::Layer { all: false }, &answer).expect("a page");
                let there = format!("layer changes\n{whole}end\n");
                assert_eq!(text.strip_suffix('|'), there.get(..head.count), "stop {n}");
                assert_eq!(head.size, there.len());
            }
            host.xen.pass(10);
            host.poll();
            assert_eq!(unused(&host), before, "stop {n}");
            assert_eq!(now(&mut host), whole, "stop {n}");
            host.xen.pass(10);
            host.poll();
            host.check();
        }
        host.received(0);
        host.xen.pass(10);
        host.poll();
    }
}

#[test]
fn only_who_may_and_only_what_is_held() {
    let mut host = fused(MODULE);
    host.boot(5);
    host.expect(&[
        (5, 0, "CONTROL layers|diff|", "EACCES"),
        (0, 0, "CONTROL layers|diff|x|", "EINVAL"),
        (0, 0, "CONTROL layers|diff|0|", "EINVAL"),
        (0, 0, "CONTROL layers|diff|0|0|0|", "EINVAL"),
        (0, 0, "CONTROL layers|diff|all|0|x|", "EINVAL"),
        (0, 0, "CONTROL layers|diff|0|0|", "The changes are not held any more.|"),
    ]);
    (0..100).for_each(|n| host.ok(0, 0, &format!("WRITE /many/{n:030}|{n:030}")));
    let answer = host.ask(0, 0, "CONTROL layers|diff|").replace("\\n", "\n");
    let (head, _) = Head::parse(What::Layer { all: false }, &answer).expect("a page");
    // A state is something else.
    host.expect(&[
        (0, 0, &format!("CONTROL state|dump|{}|0|", head.number), "The state is not held any more.|"),
        (0, 0, &format!("CONTROL layers|diff|all|{}|0|", head.number), "The changes are not held any more.|"),
        (0, 0, &format!("CONTROL layers|diff|{}|{}|", head.number, head.size), "EINVAL"),
    ]);
}

#[test]
fn a_full_store_says_how_much_is_missing() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    (0..900).for_each(|n| host.ok(0, 0, &format!("WRITE /n{n}|{n:040}")));
    let answer = host.ask(0, 0, "CONTROL layers|diff|");
    assert!(answer.starts_with("not enough memory for the changes: "), "{answer}");
}

/// A change of what a node says is not one of where it comes from, and what is gone costs no room beside the layers'.
#[test]
fn what_is_gone_is_remembered_once() {
    let many: String = (0..100).map(|n| format!("/many/{n} = \"\"\n")).collect();
    let mut host = fused(&many);
    let used = |host: &mut Host| -> usize {
        let report = host.ask(0, 0, "CONTROL memreport|");
        report
            .split_once("memory: ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .expect("nodes")
    };
    let before = used(&mut host);
    for _ in 0..5 {
        (0..50).for_each(|n| host.ok(0, 0, &format!("RM /many/{n}|")));
        (0..50).for_each(|n| host.ok(0, 0, &format!("WRITE /many/{n}|")));
        assert_eq!(used(&mut host), before + 50);
    }
    host.ok(0, 0, "RM /many|");
    host.check();
    // What was gone before, and the top.
    assert_eq!(used(&mut host), before - 100 + 50);
    host.update(1);
    host.poll();
    assert_eq!(used(&mut host), before - 100);
    assert_eq!(now(&mut host), "whiteout /many\n");
}

fn request() -> impl Strategy<Value = String> {
    let path = vec(prop::sample::select(vec!["a", "b", "ab"]), 1..4).prop_map(|names| names.join("/"));
    (path, 0..6, "[a-c]{0,2}").prop_map(|(path, what, value)| match what {
        0 | 1 => format!("RM /{path}|"),
        2 => format!("SET_PERMS /{path}|r0|"),
        3 => format!("MKDIR /{path}|"),
        _ => format!("WRITE /{path}|{value}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    /// With the difference on top the same store comes again.
    #[test]
    fn diff_then_fuse_gives_the_store_back(
        low in super::properties::layer(),
        up in super::properties::layer(),
        requests in vec((request(), any::<bool>()), 0..16),
    ) {
        let module = super::naive::module(&[&low, &up]);
        let mut host = fused(&module);
        let tx = host.start(0);
        for (request, inside) in &requests {
            host.ask(0, if *inside { tx } else { 0 }, request);
        }
        host.ask(0, tx, "TRANSACTION_END T|");
        host.check();
        let changes = now(&mut host);
        let tree = seen(&mut host);
        let on_top = module.replace("end\n", &format!("layer changes\n{changes}end\n"));
        prop_assert_eq!(&seen(&mut fused(&on_top)), &tree, "{}", changes);
        host.update(2);
        host.poll();
        prop_assert_eq!(now(&mut host), changes);
    }
}
