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

/// A state in which `change` has changed something is refused for this reason.
fn is_refused(change: impl Fn(&mut Vec<u8>), reason: &str) {
    let mut host = Host::new();
    let mut state = host.save(2);
    change(&mut state);
    let refused = host.restore(&state).expect_err(reason);
    assert_eq!(refused.reason, reason);
}

/// Sets bytes of the record with the numbers of the store, from there on behind its head.
fn set_number(state: &mut [u8], at: usize, bytes: &[u8]) {
    const STORE: u32 = 0x8000_0001;
    let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
    let next = |at: &usize| Some(at + 8 + word(at + 4) as usize);
    let store = std::iter::successors(Some(16), next).find(|at| word(*at) == STORE);
    let start = store.expect("each state has it") + 8 + at;
    state[start..start + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn a_state_that_a_newer_server_has_written_otherwise_is_refused() {
    let newer = xenstore::state::OWN_VERSION + 1;
    is_refused(
        |state| set_number(state, 2, &newer.to_le_bytes()),
        "a newer version of this server has written it in a way that this one does not know",
    );
}

#[test]
fn numbers_that_no_server_gets_to_are_refused() {
    // The generation; then the latest watch and the latest change.
    for (at, number) in [(8, 1_u64 << 40), (16, u64::MAX), (24, u64::MAX)] {
        is_refused(
            |state| set_number(state, at, &number.to_le_bytes()),
            "a number is higher than any server gets to",
        );
    }
}

#[test]
fn names_that_no_node_may_have_are_refused() {
    is_refused(
        |state| {
            let name = b"/tool/xenstored\0";
            let at = state.windows(name.len()).position(|at| at == name).expect("each store has it");
            state[at + 8] = b'*';
        },
        "the path is none that a node may have",
    );
}
