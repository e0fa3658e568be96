//! A session of a live update as its operator may have it: given up at each step, without patience, or too large.

use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::update::Bounds;

use crate::image::{BASE, GOOD, upload};
use crate::update::{host, order, waiting};

/// Whatever has come of the image, and whether it waits or is due, and then another session begins.
#[test]
fn it_is_given_up_at_each_step() {
    let file = GOOD.file();
    let steps: [&dyn Fn(&mut Host); 5] = [
        &|host| host.ok(0, 0, &format!("CONTROL live-update|-b|{}|", file.len())),
        &|host| {
            host.ok(0, 0, "CONTROL live-update|-b|1000|");
            host.ok(0, 0, "CONTROL live-update|-d|3|abc|");
        },
        &|host| upload(host, &file, file.len()),
        &|host| {
            upload(host, &file, file.len());
            host.ok(0, 0, "CONTROL live-update|-c|--budget=20|");
        },
        &|host| {
            upload(host, &file, file.len());
            host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|", "")]);
            assert!(order(host).is_some());
        },
    ];
    for (n, step) in steps.iter().enumerate() {
        let mut host = host();
        host.boot(6);
        step(&mut host);
        host.expect(&[(6, 0, "TRANSACTION_START |", "")]);
        let told = host.ask(0, 0, "CONTROL live-update|-a|");
        let expected = if n == 4 { "OK|; live-update session aborted.|" } else { "OK|" };
        assert_eq!(told, expected, "step {n}");
        host.hears(6, "1|");
        assert!(order(&host).is_none(), "step {n}");
        host.expect(&[
            (6, 1, "TRANSACTION_END T|", "OK|"),
            (0, 0, "CONTROL live-update|-a|", "Not in live-update session.|"),
        ]);
        upload(&mut host, &file, file.len());
        host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|", "")]);
        // The command line was the other session's.
        assert_eq!(order(&host).and_then(|order| order.command_line), None, "step {n}");
    }
}

#[test]
fn without_patience_it_is_decided_at_once() {
    let mut host = waiting_for("0", "");
    host.hears(0, "Domains with long running transactions:\\nDomain 5: 0 s|");
    host.ok(5, 1, "TRANSACTION_END T|");
    assert!(order(&waiting_for("0", "-F|")).is_some());
    // As long as it may be.
    let mut host = waiting_for("4294967295", "");
    host.xen.pass(86_400);
    host.poll();
    host.hears(0, "");
    host.ok(5, 1, "TRANSACTION_END T|");
    assert!(order(&host).is_some());
    for wrong in ["4294967296", "-1", ""] {
        let mut host = self::host();
        host.expect(&[(0, 0, &format!("CONTROL live-update|-s|-t|{wrong}|"), "EINVAL")]);
    }
}

/// A session that wants to start within so many seconds, while domain 5 has a transaction open.
fn waiting_for(seconds: &str, flags: &str) -> Host {
    let (mut host, file) = (host(), GOOD.file());
    host.boot(5);
    host.start(5);
    upload(&mut host, &file, file.len());
    host.send(0, 0, &format!("CONTROL live-update|-s|-t|{seconds}|{flags}"));
    host.poll();
    host
}

/// A second tool says why it cannot, and gives up as it always does: that is the first one's session.
#[test]
fn the_second_of_two_tools_ends_the_session() {
    let mut host = waiting("");
    host.expect(&[
        (0, 0, "CONTROL live-update|-b|1000|", "live-update session already active.|"),
        (0, 0, "CONTROL live-update|-a|", "OK|; live-update session aborted.|"),
        (0, 0, "CONTROL live-update|-b|1000|", "OK|"),
    ]);
}

/// A domain dies while those are notified who have been served before an image takes over.
#[test]
fn nobody_is_half_buried_when_an_image_takes_over() {
    let mut host = waiting("");
    host.expect(&[
        (0, 0, "WRITE /shared|", "OK|"),
        (0, 0, "SET_PERMS /shared|b0|", "OK|"),
        (0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d"),
    ]);
    for domid in 7..12 {
        host.boot(domid);
        host.expect(&[(domid, 0, "WATCH /shared|t|", "OK|; ev /shared,t")]);
    }
    // More than goes at once.
    (0..400).for_each(|n| host.ok(11, 0, &format!("WRITE {n}|")));
    host.ok(5, 1, "WRITE /shared|new");
    host.send(5, 1, "TRANSACTION_END T|");
    host.xen.dies = Some((7, DomId(11)));
    host.poll();
    assert!(order(&host).is_some());
    host.update(2);
    host.poll();
    host.hears(0, "ev @releaseDomain,d");
    host.expect(&[(0, 0, "DIRECTORY /local/domain/11|", "ENOENT")]);
}

/// So many KiB as are missing: with one less wanted it is as many less, and with all of them there is room.
#[test]
fn what_is_missing_is_what_is_wanted_too_much() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x100_0000, states: 1..=2, hand_over: 1 });
    let mut begin = |size: usize| {
        let told = host.ask(0, 0, &format!("CONTROL live-update|-b|{size}|"));
        if told == "OK|" {
            host.ok(0, 0, "CONTROL live-update|-a|");
            return 0;
        }
        let missing = told.strip_prefix("not enough memory for the new image: ").expect(&told);
        missing.strip_suffix(" KiB are missing|").expect(&told).parse::<usize>().expect("a number")
    };
    let (mut fits, mut too_large) = (0, 0x100_0000);
    while too_large - fits > 1 {
        let middle = fits + (too_large - fits) / 2;
        if begin(middle) == 0 { fits = middle } else { too_large = middle }
    }
    for (more, missing) in [(0, 0), (1, 1), (1024, 1), (1025, 2), (100 << 10, 100), ((100 << 10) + 1, 101)] {
        assert_eq!(begin(fits + more), missing, "{more} bytes too many");
    }
}
