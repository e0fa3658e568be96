//! More of the worst requests known: what dom0 asks, and what many guests have to do with.

use support::Host;
use xenstore::abi::DomId;

use super::scenes::{Scene, host, watch, write_all};

/// Guests of a large host.
const GUESTS: u16 = 300;
/// Watches of each of them.
const WATCHES: usize = 60;

pub const SCENES: &[Scene] = &[
    Scene { name: "END: new values for 980 nodes of 300 owners", prepare: many_owners },
    Scene {
        name: "end of a domain, of which none may hear who has one of 18,000 watches",
        prepare: unheard_release,
    },
    Scene {
        name: "RELEASE, seen by 37,800 watches on @releaseDomain",
        prepare: || seen_by_all("RELEASE 300|"),
    },
    Scene {
        name: "INTRODUCE, seen by 37,800 watches on @introduceDomain",
        prepare: || seen_by_all("INTRODUCE 301|1|5|"),
    },
    Scene { name: "SET_TARGET, of 300", prepare: || asked("SET_TARGET 300|299|") },
    Scene { name: "news of domains that does not say of which, for 300", prepare: news },
    Scene { name: "3000 events that nobody has read are late", prepare: late },
    Scene { name: "GET_PERMS of 1,364 entries", prepare: long_list },
    Scene { name: "DIRECTORY_PART of the end of 200,000 names", prepare: long_directory },
    Scene { name: "CONTROL stats json domains, of 300", prepare: || asked("CONTROL stats|json|domains|") },
    Scene { name: "CONTROL quota max -r, of 300", prepare: || asked("CONTROL quota|max|-r|") },
    Scene { name: "CONTROL state dump of 27,000 nodes", prepare: || full("CONTROL state|dump|") },
    Scene { name: "CONTROL state dump of 300 guests with 18,000 watches", prepare: watched },
    Scene { name: "CONTROL layers diff of 27,000 nodes", prepare: || full("CONTROL layers|diff|all|") },
    Scene { name: "CONTROL trace dump of a full ring", prepare: || asked("CONTROL trace|dump|") },
    Scene { name: "CONTROL trace paths, of 230 that are not known", prepare: paths },
    Scene { name: "CONTROL trace show", prepare: || asked("CONTROL trace|show|") },
    Scene { name: "a second later, 300 guests that were active", prepare: second },
];

/// dom0 has given nodes to all guests, and let guest 1 write them.
fn many_owners() -> Host {
    let mut host = host(64, GUESTS);
    let node = |n| format!("/shared/{}/{n}", n % 8);
    for n in 0..980 {
        let owner = n % u32::from(GUESTS) + 1;
        host.ok(0, 0, &format!("WRITE {}|", node(n)));
        host.ok(0, 0, &format!("SET_PERMS {}|n{owner}|b1|", node(n)));
    }
    let tx = host.start(1);
    (0..980).for_each(|n| host.ok(1, tx, &format!("WRITE {}|new", node(n))));
    host.send(1, tx, "TRANSACTION_END T|");
    host
}

fn unheard_release() -> Host {
    let mut host = host(64, GUESTS);
    host.ok(0, 0, "SET_PERMS @releaseDomain|r0|");
    watch(&mut host, GUESTS, WATCHES, |_| "@releaseDomain".to_string());
    host.ok(0, 0, "SET_PERMS @releaseDomain|n0|");
    host.xen.kill(DomId(GUESTS));
    host
}

/// All watch domains that begin or end.
fn seen_by_all(request: &str) -> Host {
    let mut host = host(128, GUESTS);
    for event in ["@releaseDomain", "@introduceDomain"] {
        if request.starts_with("RELEASE") == event.starts_with("@release") {
            host.ok(0, 0, &format!("SET_PERMS {event}|r0|"));
            watch(&mut host, GUESTS, 126, |_| event.to_string());
        }
    }
    host.create(GUESTS + 1);
    host.send(0, 0, request);
    host
}

fn news() -> Host {
    let mut host = host(64, GUESTS);
    host.xen.virq();
    host
}

fn late() -> Host {
    let mut host = host(64, 100);
    host.ok(0, 0, "WRITE /shared|");
    host.ok(0, 0, "SET_PERMS /shared|r0|");
    for domid in 1..=100 {
        host.ask(domid, 0, &format!("WATCH /shared|{}|", "t".repeat(900)));
    }
    (0..34).for_each(|n| host.ok(0, 0, &format!("WRITE /shared/{n}|")));
    host.xen.pass(30);
    host
}

fn long_list() -> Host {
    let mut host = host(8, 1);
    host.ok(0, 0, "WRITE /p|");
    host.ok(0, 0, &format!("SET_PERMS /p|n0|{}", "r1|".repeat(1362)));
    host.send(0, 0, "GET_PERMS /p|");
    host
}

fn long_directory() -> Host {
    let mut host = host(64, 1);
    (0..200_000).for_each(|n| host.ok(0, 0, &format!("WRITE /full/{n:06}|")));
    host.send(0, 0, &format!("DIRECTORY_PART /full|{}|", 7 * 199_990));
    host
}

fn asked(request: &str) -> Host {
    let mut host = host(64, GUESTS);
    host.send(0, 0, request);
    host
}

/// All nodes of 28 guests that have what they may.
fn full(request: &str) -> Host {
    let mut host = host(64, 28);
    (1..=28).for_each(|domid| write_all(&mut host, domid, 0, "data"));
    host.send(0, 0, request);
    host
}

fn watched() -> Host {
    let mut host = host(64, GUESTS);
    watch(&mut host, GUESTS, WATCHES, |n| format!("data/{n}"));
    host.send(0, 0, "CONTROL state|dump|");
    host
}

fn paths() -> Host {
    let hashes: String = (0..230).map(|n| format!("{n:016x}|")).collect();
    asked(&format!("CONTROL trace|paths|{hashes}"))
}

/// The rings of all are looked at for requests of which no event has told.
fn second() -> Host {
    let mut host = host(64, GUESTS);
    (1..=GUESTS).for_each(|domid| host.ok(domid, 0, "WRITE data|v"));
    host.xen.pass(1);
    host
}
