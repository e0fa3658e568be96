//! All that a server holds at its longest: it is handed over, and nobody notices.

use support::{Host, request};
use xenstore::config::{Capacities, Settings};
use xenstore::wire::{MessageType, PAYLOAD_MAX, TxId};

/// Guests whose quotas refuse nothing.
fn host() -> Host {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(8192));
    for domid in [1, 2] {
        host.boot(domid);
        for quota in ["node-size", "path-max", "node-permissions", "memory"] {
            host.ok(0, 0, &format!("SET_QUOTA {domid}|{quota}|0|"));
        }
    }
    host
}

#[test]
fn the_longest_of_everything_is_handed_over() {
    for version in [1, 2] {
        let mut host = host();
        let most = |taken: &str| PAYLOAD_MAX - taken.len();
        let path = format!("/{}", "p/".repeat(2000)).trim_end_matches('/').to_string();
        let value = "v".repeat(most("data|"));
        let list = format!("n1|{}", "r2|".repeat(most("data|n1|") / 3));
        let token = "t".repeat(most("data||4294967295|"));
        host.expect(&[
            (0, 0, &format!("WRITE {path}|"), "OK|"),
            (1, 0, &format!("WRITE data|{value}"), "OK|"),
            (1, 0, &format!("SET_PERMS data|{list}"), "OK|"),
        ]);
        assert!(host.ask(1, 0, &format!("WATCH data|{token}|4294967295|")).starts_with("OK|"));
        // All but the last byte of the longest request.
        let whole = request(
            MessageType::Write as u32,
            7,
            TxId(0),
            format!("half|{}", "h".repeat(most("half|"))).replace('|', "\0").as_bytes(),
        );
        let (first, last) = whole.split_at(whole.len() - 1);
        host.push(2, first);
        host.poll();
        host.update(version);
        host.poll();
        host.push(2, last);
        host.poll();
        host.hears(2, "OK|");
        host.expect(&[
            (0, 0, &format!("READ {path}|"), ""),
            (1, 0, "READ data|", &value),
            (1, 0, "GET_PERMS data|", &list),
            (2, 0, "READ half|", &"h".repeat(most("half|"))),
            (1, 0, &format!("UNWATCH data|{token}|"), "OK|"),
        ]);
    }
}
