//! Setting and reading quotas and features: which numbers are accepted, for which domain, from when, until when.

use support::Host;
use xenstore::abi::DomId;

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host
}

#[test]
fn a_quota_is_set_to_a_plain_number_or_not_at_all() {
    let mut host = host();
    let odd = ["", "junk", " 5", "5 ", "5x", "+5", "-1", "-2", "0x10", "5.0", "4294967296", "4294967301"];
    let large = "9".repeat(40);
    for bad in odd.into_iter().chain([large.as_str(), "4294967295"]) {
        for request in ["SET_QUOTA 5|nodes", "SET_QUOTA nodes", "CONTROL quota|set|nodes"] {
            host.expect(&[(0, 0, &format!("{request}|{bad}|"), "EINVAL")]);
        }
        host.expect(&[
            (0, 0, &format!("CONTROL quota-soft|set|memory|{bad}|"), "EINVAL"),
            (0, 0, "GET_QUOTA 5|nodes|", "1000|"),
            (0, 0, "GET_QUOTA nodes|", "1000|"),
            (0, 0, "GET_QUOTA soft-memory|", "2097152|"),
        ]);
    }
    for (good, told) in
        [("05", "5|"), ("0", "0|"), ("2147483648", "2147483648|"), ("4294967294", "4294967294|")]
    {
        host.ok(0, 0, &format!("SET_QUOTA 5|nodes|{good}|"));
        host.expect(&[(0, 0, "GET_QUOTA 5|nodes|", told)]);
    }
    for (value, answer) in [("0", "EINVAL"), ("2147483648", "EINVAL"), ("2147483647", "OK|"), ("1", "OK|")] {
        host.expect(&[(0, 0, &format!("CONTROL quota|set|nodes|{value}|"), answer)]);
    }
    host.expect(&[(0, 0, "GET_QUOTA nodes|", "1|")]);
}

#[test]
fn features_are_set_to_a_plain_number_or_not_at_all() {
    let mut host = Host::new();
    host.create(7);
    for bad in ["", "junk", " 5", "5x", "+5", "-1", "0x1", "16", "4294967296", "4294967301"] {
        host.expect(&[(0, 0, &format!("SET_FEATURE 7|{bad}|"), "EINVAL"), (0, 0, "GET_FEATURE 7|", "15|")]);
    }
    host.expect(&[(0, 0, "SET_FEATURE 7|06|", "OK|"), (0, 0, "GET_FEATURE 7|", "6|")]);
}

#[test]
fn a_quota_below_what_is_held_stops_growth_only() {
    let mut host = host();
    for n in 0..30 {
        host.ok(5, 0, &format!("WRITE n{n}|{}", "v".repeat(500)));
    }
    host.expect(&[
        (0, 0, "SET_QUOTA 5|nodes|10|", "OK|"),
        (0, 0, "SET_QUOTA 5|memory|100|", "OK|"),
        (5, 0, "READ n0|", &"v".repeat(500)),
        (5, 0, "WRITE n0|less", "OK|"),
        (5, 0, "WRITE new|", "ENOSPC"),
    ]);
    for n in 0..30 {
        host.ok(5, 0, &format!("RM n{n}|"));
    }
    host.expect(&[(0, 0, "SET_QUOTA 5|memory|10000|", "OK|"), (5, 0, "WRITE new|", "OK|")]);
}

#[test]
fn quotas_are_named_read_and_set() {
    let mut host = host();
    host.boot(6);
    host.expect(&[
        (
            0,
            0,
            "GET_QUOTA ",
            "nodes watches outstanding memory soft-memory transactions transaction-nodes node-permissions \
             path-max node-size|",
        ),
        (0, 0, "GET_QUOTA nodes|", "1000|"),
        (0, 0, "GET_QUOTA 6|nodes|", "1000|"),
        (0, 0, "SET_QUOTA 6|nodes|50|", "OK|"),
        (0, 0, "GET_QUOTA 6|nodes|", "50|"),
        (0, 0, "GET_QUOTA 5|nodes|", "1000|"),
        (0, 0, "GET_QUOTA nodes|", "1000|"),
        (0, 0, "SET_QUOTA nodes|60|", "OK|"),
        (0, 0, "GET_QUOTA nodes|", "60|"),
        (0, 0, "GET_QUOTA 5|nodes|", "1000|"),
        (0, 0, "GET_QUOTA foo|", "EINVAL"),
        (0, 0, "SET_QUOTA foo|1|", "EINVAL"),
        (0, 0, "SET_QUOTA nodes|-1|", "EINVAL"),
        (0, 0, "SET_QUOTA nodes|", "EINVAL"),
        (0, 0, "GET_QUOTA 99|nodes|", "ENOENT"),
        (0, 0, "SET_QUOTA 99|nodes|1|", "ENOENT"),
        (0, 0, "SET_QUOTA x|nodes|1|", "EINVAL"),
    ]);
    host.boot(7);
    host.expect(&[(0, 0, "GET_QUOTA 7|nodes|", "60|")]);
}

#[test]
fn what_is_set_before_its_introduction_is_kept_for_a_domain() {
    for first in ["SET_QUOTA 7|nodes|5|", "GET_QUOTA 7|nodes|", "GET_FEATURE 7|", "SET_FEATURE 7|2|"] {
        let mut host = Host::new();
        // The server does not know the domain yet.
        host.create(7);
        let told = if first.starts_with("GET_F") { "15|" } else { "1000|" };
        host.expect(&[(0, 0, first, if first.starts_with("SET") { "OK|" } else { told })]);
        host.expect(&[
            (0, 0, "SET_QUOTA 7|nodes|3|", "OK|"),
            (0, 0, "SET_QUOTA 7|watches|1|", "OK|"),
            (0, 0, "SET_FEATURE 7|6|", "OK|"),
            (0, 0, "GET_QUOTA 7|nodes|", "3|"),
            (0, 0, "GET_QUOTA 7|foo|", "EINVAL"),
            (0, 0, "GET_FEATURE 7|", "6|"),
            (0, 0, "IS_DOMAIN_INTRODUCED 7|", "F|"),
            // New defaults are for domains that are not known yet.
            (0, 0, "SET_QUOTA nodes|60|", "OK|"),
            (0, 0, "WRITE /local/domain/7|", "OK|"),
            (0, 0, "SET_PERMS /local/domain/7|n7|", "OK|"),
        ]);
        let text = host.ask(0, 0, "CONTROL quota|7|");
        assert!(text.starts_with("Domain 7:\\nnodes            :        1 (max        1)\\n"), "{text}");
        host.expect(&[
            (0, 0, "INTRODUCE 7|1|5|", "OK|"),
            (0, 0, "GET_QUOTA 7|nodes|", "3|"),
            (7, 0, "GET_FEATURE ", "6|"),
            (7, 0, "WRITE a|", "OK|"),
            (7, 0, "WRITE b|", "OK|"),
            (7, 0, "WRITE c|", "ENOSPC"),
            (7, 0, "WATCH a|t|", "OK|; ev a,t"),
            (7, 0, "WATCH a|u|", "ENOSPC"),
        ]);
        // The next domain of this number has the defaults, and so has the same one after RELEASE.
        host.expect(&[
            (0, 0, "RELEASE 7|", "OK|"),
            (0, 0, "GET_QUOTA 7|nodes|", "60|"),
            (0, 0, "GET_FEATURE 7|", "15|"),
        ]);
    }
}

#[test]
fn what_is_set_for_a_domain_goes_with_it_though_it_was_never_introduced() {
    for legacy in [false, true] {
        let mut host = Host::new();
        host.xen.legacy = legacy;
        host.create(7);
        host.expect(&[
            (0, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
            (0, 0, "SET_QUOTA 7|nodes|3|", "OK|"),
        ]);
        host.xen.vanish(DomId(7));
        host.poll();
        host.hears(0, "");
        for request in [
            "GET_QUOTA 7|nodes|",
            "SET_QUOTA 7|nodes|3|",
            "GET_FEATURE 7|",
            "SET_FEATURE 7|2|",
            "CONTROL quota|7|",
        ] {
            host.expect(&[(0, 0, request, "ENOENT")]);
        }
        host.create(7);
        host.expect(&[(0, 0, "GET_QUOTA 7|nodes|", "1000|"), (0, 0, "GET_QUOTA 65535|nodes|", "ENOENT")]);
    }
}

#[test]
fn a_quota_of_0_checks_nothing() {
    let mut host = host();
    for name in [
        "nodes",
        "watches",
        "transactions",
        "node-permissions",
        "path-max",
        "node-size",
        "memory",
        "transaction-nodes",
    ] {
        host.ok(0, 0, &format!("SET_QUOTA 5|{name}|0|"));
    }
    for n in 0..1100 {
        host.ok(5, 0, &format!("WRITE n{n}|"));
    }
    host.expect(&[
        (5, 0, &format!("WRITE n0|{}", "v".repeat(4000)), "OK|"),
        (5, 0, &format!("READ {}|", "x".repeat(4000)), "ENOENT"),
        (5, 0, "SET_PERMS n0|n5|r1|r2|r3|r4|r5|r6|r7|", "OK|"),
    ]);
    for n in 0..200 {
        assert!(host.ask(5, 0, &format!("WATCH n{n}|t|")).starts_with("OK|"));
    }
    for _ in 0..20 {
        host.start(5);
    }
    host.check();
}
