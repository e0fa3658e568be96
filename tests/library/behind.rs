//! Who acts for a guest and is behind hears by the rights that it had when each change was made: whatever becomes of the guest
//! meanwhile, and however often the server is replaced.

use super::{LIMITS, small};
use support::Host;
use xenstore::abi::DomId;

/// Guest 1 acts for guest 2, watches everything, and has not read what guest 2's commit tells it.
fn scene() -> Host {
    let mut host = Host::new();
    (1..=4).for_each(|domid| host.boot(domid));
    for (path, permissions) in [
        ("/named", "n0|r2|"),
        ("/hidden", "n0|n2|r1|"),
        ("/others", "r0|n2|"),
        ("/own", "n0|r1|n2|"),
        ("/later", "n0|r3|"),
    ] {
        host.ok(0, 0, &format!("WRITE {path}|"));
        host.ok(0, 0, &format!("SET_PERMS {path}|{permissions}"));
    }
    host.ok(0, 0, "SET_TARGET 1|2|");
    host.ask(1, 0, "WATCH /|t|");
    commit(&mut host, 2);
    host
}

/// Changes what its device model may hear of, more than its ring has room for, and what it may not.
fn commit(host: &mut Host, domid: u16) {
    let tx = host.start(0);
    for n in 0..40 {
        host.ok(0, tx, &format!("WRITE /local/domain/{domid}/{n}|"));
    }
    for path in ["named", "hidden", "others", "own", "later"] {
        host.ok(0, tx, &format!("WRITE /{path}/{domid}|"));
    }
    host.ok(0, tx, "TRANSACTION_END T|");
}

fn told(domid: u16, others: &[&str]) -> Vec<String> {
    let own = (0..40).map(|n| format!("ev /local/domain/{domid}/{n},t"));
    own.chain(others.iter().map(|path| format!("ev /{path}/{domid},t"))).collect()
}

/// A guest dies and its number is free.
fn end(host: &mut Host, domid: u16) {
    host.kill(domid);
    host.xen.vanish(DomId(domid));
    host.poll();
}

/// What happens before guest 1 reads, and what it hears of that.
type Case = (&'static str, fn(&mut Host), fn() -> Vec<String>);

fn gone(domid: u16) -> Vec<String> {
    vec![format!("ev /local/domain/{domid},t")]
}

const CASES: [Case; 7] = [
    ("it lives", |_| {}, Vec::new),
    ("it has died", |host| end(host, 2), || gone(2)),
    (
        "another has its number",
        |host| {
            end(host, 2);
            host.boot(2);
            commit(host, 2);
        },
        // Of that only what it may hear by its own rights, or all may.
        || [gone(2), ["hidden", "others", "own"].map(|path| format!("ev /{path}/2,t")).to_vec()].concat(),
    ),
    (
        "its device model acts for another",
        |host| {
            host.ok(0, 0, "SET_TARGET 1|3|");
            commit(host, 3);
        },
        || told(3, &["hidden", "others", "own", "later"]),
    ),
    (
        "both have died, the first one first",
        |host| {
            host.ok(0, 0, "SET_TARGET 1|3|");
            commit(host, 3);
            end(host, 2);
            end(host, 3);
        },
        || [told(3, &["hidden", "others", "own", "later"]), gone(3)].concat(),
    ),
    (
        "both have died, the second one first",
        |host| {
            host.ok(0, 0, "SET_TARGET 1|3|");
            commit(host, 3);
            end(host, 3);
            end(host, 2);
        },
        || [told(3, &["hidden", "others", "own", "later"]), gone(3)].concat(),
    ),
    (
        "two with one number have died",
        |host| {
            end(host, 2);
            host.boot(2);
            host.ok(0, 0, "SET_PERMS /named|n0|r2|");
            host.ok(0, 0, "SET_TARGET 1|2|");
            commit(host, 2);
            host.ok(0, 0, "SET_TARGET 1|4|");
            end(host, 2);
        },
        // Entries of the first one are not the second one's.
        || [gone(2), told(2, &["named", "hidden", "others", "own"])].concat(),
    ),
];

#[test]
fn who_acts_for_a_guest_hears_by_the_rights_of_the_change() {
    for limits in [LIMITS, small::LIMITS] {
        for (case, between, more) in CASES {
            for updates in [&[][..], &[2], &[1, 2]] {
                let mut host = scene();
                host.limit(limits);
                between(&mut host);
                for version in updates {
                    host.update(*version);
                    host.poll();
                }
                let all = [told(2, &["named", "own"]), more()].concat();
                let heard = host.received(1);
                let heard: Vec<&str> = heard.split("; ").collect();
                assert_eq!(heard, all, "{case}, updates {updates:?}, {limits:?}");
                host.check();
            }
        }
    }
}

/// The target dies, or is replaced, only when the server has been.
#[test]
fn rights_go_on_to_be_those_of_the_change_after_an_update() {
    for (case, between, more) in CASES {
        let mut host = scene();
        host.update(2);
        host.poll();
        between(&mut host);
        host.update(1);
        host.poll();
        let all = [told(2, &["named", "own"]), more()].concat();
        assert_eq!(host.received(1).split("; ").collect::<Vec<_>>(), all, "{case}");
        host.check();
    }
}

/// A state of the version before does not say whose rights those are. A guest still acts for whom its connection names.
#[test]
fn a_state_that_does_not_name_targets_is_read() {
    const STORE: u32 = 0x8000_0001;
    const QUEUE: u32 = 0x8000_000a;
    let mut host = scene();
    let mut state = host.save(2);
    let mut at = 16;
    let mut later = 0;
    while at < state.len() {
        let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
        let (record, len) = (word(at), word(at + 4) as usize);
        match record {
            STORE => state[at + 8] = 3,
            QUEUE => {
                let entries = word(at + 16) as usize;
                for entry in state[at + 24..][..40 * entries].chunks_mut(40) {
                    later += usize::from(entry[0] & 4 != 0);
                    entry[2..4].fill(0);
                }
            }
            _ => {}
        }
        at += 8 + len;
    }
    assert_eq!(later, 1);
    host.restore(&state).expect("it is read");
    host.server.resume(&mut host.xen);
    host.poll();
    assert_eq!(host.received(1).split("; ").collect::<Vec<_>>(), told(2, &["named", "own"]));
    host.check();
}

/// Of an event that is half in the ring, what is left of it tells also of what has happened since, before an update and after.
#[test]
fn an_event_that_is_half_sent_is_not_sent_again() {
    for updated in [false, true] {
        let mut host = scene();
        if updated {
            host.update(2);
            host.poll();
        }
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /local/domain/2/{n}|x")));
        let heard = host.received(1);
        let once = (0..40).filter(|n| heard.matches(&format!("2/{n},t")).count() == 1);
        assert_eq!((once.count(), heard.split("; ").count()), (1, 2 * 40 + 2 - 1), "updated: {updated}");
        host.check();
    }
}
