//! What a dead domain leaves goes in turns of its own. Nobody sees some of it gone and some still there, whatever it looks at
//! and whatever it has heard.

use std::cell::RefCell;
use std::rc::Rc;

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, TxId};

/// Who dies, and who looks meanwhile.
const DEAD: u16 = 1;
const LOOKER: u16 = 2;

/// Trees in dom0's directory that are the dead guest's.
const TREES: usize = 12;

fn host(guests: u16) -> Host {
    let capacities = Capacities { trace: 1 << 16, ..Capacities::for_nodes(60_000) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.limit(super::LIMITS);
    (1..=guests).for_each(|domid| host.boot(domid));
    host
}

/// The trees, each with so many nodes below its top, and what else the end of the guest changes.
fn leave_trees(host: &mut Host, nodes: usize) {
    host.expect(&[
        (0, 0, "MKDIR /shared|", "OK|"),
        (0, 0, "SET_PERMS /shared|r0|", "OK|"),
        (0, 0, "WRITE /named|x", "OK|"),
        (0, 0, "SET_PERMS /named|n0|r1|r2|", "OK|"),
        (0, 0, "WRITE /lent|x", "OK|"),
        (0, 0, "SET_PERMS /lent|n0|r1|", "OK|"),
        (0, 0, "MKDIR /local/domain/2/guests|", "OK|"),
        (0, 0, "SET_PERMS /local/domain/2/guests|b2|", "OK|"),
        (DEAD, 0, "WRITE /local/domain/2/guests/1|x", "OK|"),
        (LOOKER, 0, "WRITE own|mine", "OK|"),
    ]);
    for tree in 0..TREES {
        host.ok(0, 0, &format!("WRITE /shared/{tree}|x"));
        host.ok(0, 0, &format!("SET_PERMS /shared/{tree}|n1|r2|"));
        (0..nodes).for_each(|n| host.ok(DEAD, 0, &format!("WRITE /shared/{tree}/{}/{n}|y", n % 8)));
    }
    host.ok(0, 0, "WRITE /shared/4/mine|y");
    host.ok(0, 0, "SET_PERMS /shared/4/mine|n0|r2|");
}

fn encoded(look: &str) -> Vec<u8> {
    let (name, path) = look.split_once(' ').expect("a name and a path");
    let kind = MessageType::ALL.iter().find(|kind| kind.name() == name).expect("a request");
    request(*kind as u32, 0, TxId(0), path.replace('|', "\0").as_bytes())
}

/// All that the looker hears while `end` takes effect: it looks again and again, at one after the other.
fn looks_during(host: &mut Host, looks: &[&str], end: impl Fn(&mut Host)) -> Vec<String> {
    let mut client = Client::new(host.client(LOOKER).page.clone());
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (all, looks) = (heard.clone(), looks.iter().map(|look| encoded(look)).collect::<Vec<_>>());
    let mut next = 0;
    host.xen.on_look = Some(Box::new(move || {
        all.borrow_mut().extend(client.read().iter().map(ToString::to_string));
        if client.unread() == 0 && next < 40 * looks.len() {
            client.write(&looks[next % looks.len()]);
            next += 1;
        }
    }));
    host.xen.ticking = 10;
    for n in 0..1000 {
        host.xen.alarms.push((host.xen.now.after_nanoseconds(n * 10), DomId(LOOKER)));
    }
    end(host);
    host.poll();
    host.poll();
    host.xen.on_look = None;
    assert_eq!(host.client(LOOKER).waiting(), 0, "all is read");
    host.check();
    heard.take()
}

/// Who dies, and who is released.
const ENDS: [fn(&mut Host); 2] = [|host| host.xen.kill(DomId(DEAD)), |host| host.send(0, 0, "RELEASE 1|")];

/// What it looks at, and what it sees of that afterwards.
const LOOKS: [(&str, &str); 8] = [
    ("DIRECTORY /shared|", ""),
    ("READ /shared/0|", "ENOENT"),
    ("READ /shared/11|", "ENOENT"),
    ("READ /shared/4/mine|", "ENOENT"),
    ("DIRECTORY /shared/7|", "ENOENT"),
    ("READ guests/1|", "ENOENT"),
    ("DIRECTORY guests|", ""),
    ("GET_PERMS /named|", "n0|r2|"),
];

/// Once it has seen or heard of anything afterwards, it sees nothing as it was before.
#[test]
fn nobody_sees_half_of_a_burial() {
    for (nodes, end) in [0, 3, 30].into_iter().flat_map(|nodes| ENDS.map(|end| (nodes, end))) {
        let mut host = host(2);
        leave_trees(&mut host, nodes);
        host.ask(LOOKER, 0, "WATCH /shared|w|");
        let before = LOOKS.map(|(look, after)| {
            let seen = host.ask(LOOKER, 0, look);
            assert_ne!(seen, after, "{look}");
            seen
        });
        let heard = looks_during(&mut host, &LOOKS.map(|(look, _)| look), end);
        let (mut looked, mut gone) = (0, None);
        for told in &heard {
            let event = told.starts_with("ev ");
            let (look, after) = LOOKS[looked % LOOKS.len()];
            if event || told == after {
                gone = gone.or(Some(told));
            } else {
                assert_eq!(*told, before[looked % LOOKS.len()], "{nodes}: {look}");
                assert_eq!(gone, None, "{nodes}: {look} is answered {told} afterwards");
            }
            looked += usize::from(!event);
        }
        assert!(looked >= 10 * LOOKS.len() && gone.is_some(), "{nodes}: {looked} looks");
    }
}

/// By the rights of the dead domain, too, nobody sees anything once it has heard of its end.
#[test]
fn who_acts_for_the_dead_has_no_rights_after_what_it_hears() {
    for end in ENDS {
        let mut host = host(2);
        leave_trees(&mut host, 3);
        host.ok(0, 0, "SET_TARGET 2|1|");
        host.ask(LOOKER, 0, "WATCH /shared|w|");
        let heard = looks_during(&mut host, &["READ /lent|"], end);
        let gone = heard.iter().position(|told| told.starts_with("ev ") || told == "EACCES");
        let (_, after) = heard.split_at(gone.expect("it is told"));
        assert!(after.iter().all(|told| told.starts_with("ev ") || told == "EACCES"), "{heard:?}");
    }
}

/// What has nothing to do with the dead is seen meanwhile, also by who may see something else of theirs.
#[test]
fn who_looks_at_something_else_is_served_before_a_burial_is_done() {
    for (look, answer) in [
        ("READ own|", "mine"),
        ("READ missing|", "ENOENT"),
        ("DIRECTORY /local/domain/2/other|", "here|"),
        ("READ /named|", "x"),
        ("GET_PERMS own|", "n2|"),
    ] {
        let mut host = host(2);
        leave_trees(&mut host, 30);
        host.ok(LOOKER, 0, "WRITE other/here|");
        let since = host.server.trace().end();
        host.xen.kill(DomId(DEAD));
        host.send(LOOKER, 0, look);
        host.poll();
        let records: Vec<_> =
            host.server.trace().from(since).map(|record| (record.kind, record.domid.0)).collect();
        let place = |record| records.iter().position(|other| *other == record).expect("it is recorded");
        assert!(place((Kind::Ended, LOOKER)) < place((Kind::Released, DEAD)), "{look}");
        host.hears(LOOKER, answer);
        host.check();
    }
}

/// The ends of requests and of burials, since a record of the trace.
fn ends(host: &Host, since: u64) -> Vec<(Kind, u16)> {
    let trace = host.server.trace().from(since).map(|record| (record.kind, record.domid.0));
    trace.filter(|(kind, _)| [Kind::Ended, Kind::Released].contains(kind)).collect()
}

/// Guests whose burials take several slices, each.
fn large(host: &mut Host, guests: std::ops::RangeInclusive<u16>) {
    for domid in guests {
        (0..300).for_each(|n| host.ok(domid, 0, &format!("WRITE data/{}/{n}|", n % 8)));
    }
}

#[test]
fn who_waits_for_a_burial_has_its_turn_before_the_next() {
    for who in [&[0][..], &[20], &[0, 20, 21, 22, 23]] {
        let mut host = host(23);
        large(&mut host, 1..=6);
        host.ok(0, 0, "SET_TARGET 21|22|");
        let since = host.server.trace().end();
        (1..=6).for_each(|domid| host.xen.kill(DomId(domid)));
        who.iter().for_each(|domid| host.send(*domid, 0, "WRITE /local/domain/20/x|"));
        host.poll();
        let ends = ends(&host, since);
        for domid in who {
            let served = ends.iter().position(|end| *end == (Kind::Ended, *domid)).expect("it is answered");
            let before = ends[..served].iter().filter(|(kind, _)| *kind == Kind::Released).count();
            assert_eq!(before, 1, "domain {domid} waits for so many burials: {ends:?}");
        }
        assert_eq!(ends.iter().filter(|(kind, _)| *kind == Kind::Released).count(), 6);
        host.check();
    }
}

/// Guests that wait with large changes have one each before the next burial, and no more.
#[test]
fn a_burial_waits_for_one_change_of_each_guest_at_most() {
    const CHANGES: usize = 3;
    let mut host = host(14);
    large(&mut host, 1..=3);
    for domid in 11..=14 {
        for n in 0..CHANGES * 230 {
            host.ok(domid, 0, &format!("WRITE data/{}/{}/{n}|", n % CHANGES, n % 8));
        }
    }
    let since = host.server.trace().end();
    (1..=3).for_each(|domid| host.xen.kill(DomId(domid)));
    for tree in 0..CHANGES {
        (11..=14).for_each(|domid| host.send(domid, 0, &format!("RM data/{tree}|")));
    }
    host.poll();
    let ends = ends(&host, since);
    let burials: Vec<&[(Kind, u16)]> = ends.split(|(kind, _)| *kind == Kind::Released).collect();
    assert_eq!(burials.len(), 4, "{ends:?}");
    for changes in &burials[1..3] {
        for domid in 11..=14 {
            let count = changes.iter().filter(|(_, who)| *who == domid).count();
            assert_eq!(count, 1, "guest {domid}, between two burials: {ends:?}");
        }
    }
    (11..=14).for_each(|domid| host.hears(domid, "OK|; OK|; OK|"));
    host.check();
}

/// Where Xen does not say which domains have changed, more are asked about than in one go.
#[test]
fn a_death_is_heard_of_on_a_host_where_nothing_else_happens() {
    const GUESTS: u16 = 100;
    for legacy in [false, true] {
        let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(8192));
        host.xen.legacy = legacy;
        (1..=GUESTS).for_each(|domid| host.boot(domid));
        host.expect(&[(0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d")]);
        host.xen.pass(2);
        host.kill(GUESTS);
        assert!(host.client(0).waiting() > 0, "dom0 hears of it before the server sleeps");
        host.hears(0, "ev @releaseDomain,d");
        host.check();
    }
}
