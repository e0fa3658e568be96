//! A request that fails leaves nothing behind, whichever kind of slot runs out at whichever step.
//!
//! A case is tried on stores that grow slot by slot in one kind, from too few to start with until the request succeeds.
//! Whenever it fails, all that a client can see and every count must be as before.

use std::fmt::Write;

use super::{LIMITS, small};
use support::{Host, Message};
use xenstore::abi::{DomId, Port};
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::wire::MessageType;

const AMPLE: Capacities = Capacities {
    domains: 16,
    nodes: 500,
    chunks: 12_000,
    acls: 100,
    watches: 100,
    transactions: 100,
    tx_nodes: 450,
    messages: 100,
    trace: 16,
    names: 16,
};

/// Transactions that keep chunks in use: the store has enough for the reserve of answers, and still few are left.
const FILLERS: u32 = 70;

type Field = fn(&mut Capacities) -> &mut usize;

struct Case {
    name: &'static str,
    /// Requests, each with its client and transaction, that must succeed before the request is tried.
    setup: Vec<(u16, u32, String)>,
    request: (u16, u32, String),
    /// The kinds that it needs, and how often at least each must have made the request fail.
    fails: &'static [(&'static str, usize)],
}

/// Names that do not fit a node's slot.
fn deep(root: &str, levels: usize) -> String {
    (0..levels).fold(root.to_string(), |path, n| format!("{path}/{n:019}"))
}

fn cases() -> Vec<Case> {
    let own = |text: &str| text.to_string();
    let value = "v".repeat(1200);
    let tree = |who, tx| -> Vec<(u16, u32, String)> {
        let start = (who, 0, own("TRANSACTION_START |"));
        let nodes = (0..6).map(|n| (0, 0, format!("WRITE {}|{n}", deep("/tree", n + 1))));
        let open = [
            (0, 0, own("SET_PERMS /tree|b0|")),
            (0, 0, own("SET_PERMS /tree/0000000000000000000|b0|")),
            start,
            (who, tx, own("WRITE /tree|written before")),
            (who, tx, own("WRITE /tree/made|before")),
        ];
        nodes.chain(open).collect()
    };
    let many = (1..300).fold(own("SET_PERMS /tree|n0"), |list, n| format!("{list}|r{}", n % 9)) + "|";
    vec![
        Case {
            name: "deep WRITE",
            setup: vec![],
            request: (0, 0, format!("WRITE {}|{value}", deep("/x", 30))),
            fails: &[("nodes", 31)],
        },
        Case {
            name: "deep WRITE by a guest, with a list of its own",
            setup: vec![(0, 0, own("SET_PERMS /local|b0|r6|"))],
            request: (5, 0, format!("WRITE {}|{}", deep("/local/x", 20), value)),
            fails: &[("nodes", 21), ("acls", 1)],
        },
        Case {
            name: "MKDIR so deep that names run out of room",
            setup: vec![],
            request: (0, 0, format!("MKDIR {}|", deep("/x", 60))),
            fails: &[("chunks", 30)],
        },
        Case {
            name: "a long value in place of another",
            setup: vec![(0, 0, format!("WRITE /x|{}", "v".repeat(4000)))],
            request: (0, 0, format!("WRITE /x|{}", "w".repeat(4090))),
            fails: &[("chunks", 60)],
        },
        Case {
            name: "SET_PERMS with a long list",
            setup: vec![(0, 0, own("WRITE /tree|"))],
            request: (0, 0, many.clone()),
            fails: &[("acls", 1), ("chunks", 30)],
        },
        Case {
            name: "SET_PERMS that gives a node to another, with a new list",
            setup: vec![(0, 0, own("WRITE /tree|")), (0, 0, own("WRITE /local/domain/5/a|"))],
            request: (0, 0, own("SET_PERMS /tree|b5|r0|")),
            fails: &[("acls", 1)],
        },
        Case {
            name: "WATCH with a long path and a long token",
            setup: vec![(0, 0, own("WATCH /x|other|"))],
            request: (0, 0, format!("WATCH {}|{}|", deep("/x", 20), "t".repeat(600))),
            fails: &[("watches", 1), ("chunks", 10)],
        },
        Case {
            name: "WATCH of a watched path",
            setup: vec![(5, 0, own("WATCH /x|other|")), (5, 0, own("WATCH /y|other|"))],
            request: (5, 0, own("WATCH /x|a token that does not fit into the slot|")),
            fails: &[("watches", 1)],
        },
        Case {
            name: "TRANSACTION_START",
            setup: vec![(0, 0, own("TRANSACTION_START |"))],
            request: (0, 0, own("TRANSACTION_START |")),
            fails: &[("transactions", 1)],
        },
        Case {
            name: "deep WRITE in a transaction",
            setup: tree(0, 1),
            request: (0, 1, format!("WRITE {}|{value}", deep("/tree", 30))),
            fails: &[("tx_nodes", 20), ("chunks", 50)],
        },
        Case {
            name: "deep WRITE in a guest's transaction",
            setup: tree(5, 1),
            request: (5, 1, format!("WRITE {}|{}", deep("/tree/x", 30), value)),
            fails: &[("tx_nodes", 30), ("chunks", 30)],
        },
        Case {
            name: "WRITE in a transaction of more nodes than are made at once",
            setup: tree(0, 1),
            request: (0, 1, format!("WRITE {}|{value}", deep("/tree/x", 100))),
            fails: &[("tx_nodes", 100), ("chunks", 50)],
        },
        Case {
            name: "the same by a guest, with a list of its own",
            setup: [
                vec![(0, 0, own("WRITE /t|")), (0, 0, own("SET_PERMS /t|b0|r1|r2|r3|r4|r6|"))],
                tree(5, 1),
            ]
            .concat(),
            request: (5, 1, format!("WRITE {}|{value}", deep("/t/x", 70))),
            fails: &[("tx_nodes", 70), ("chunks", 40), ("acls", 1)],
        },
        Case {
            name: "a guest's first node in a transaction",
            setup: tree(5, 1)[..9].to_vec(),
            request: (5, 1, own("WRITE /tree/made/by/a/guest|1")),
            fails: &[("tx_nodes", 1), ("acls", 1)],
        },
        Case {
            name: "a long value in a transaction",
            setup: [tree(0, 1), vec![(0, 0, format!("WRITE /long|{value}"))]].concat(),
            request: (0, 1, format!("WRITE /long|{}", "w".repeat(4090))),
            fails: &[("tx_nodes", 1), ("chunks", 80)],
        },
        Case {
            name: "READ of long values in a transaction",
            setup: [tree(0, 1), vec![(0, 0, format!("WRITE {}|{value}", deep("/tree", 30)))]].concat(),
            request: (0, 1, format!("READ {}|", deep("/tree", 30))),
            fails: &[("tx_nodes", 1), ("chunks", 30)],
        },
        Case {
            name: "SET_PERMS with a long list in a transaction",
            setup: tree(0, 1),
            request: (0, 1, many),
            fails: &[("acls", 1), ("chunks", 30)],
        },
        Case {
            name: "RM of a tree in a transaction",
            setup: tree(5, 1),
            request: (5, 1, own("RM /tree/0000000000000000000|")),
            fails: &[("tx_nodes", 5), ("chunks", 5)],
        },
        Case {
            name: "TRANSACTION_END that creates and removes",
            setup: [
                tree(0, 1),
                (0..20).map(|n| (0, 1, format!("WRITE {}|{n}", deep(&format!("/new{n}"), 3)))).collect(),
                vec![(0, 1, own("RM /tree/0000000000000000000|"))],
                vec![(0, 1, own("SET_PERMS /tree|n5|"))],
            ]
            .concat(),
            request: (0, 1, own("TRANSACTION_END T|")),
            fails: &[("nodes", 80), ("chunks", 60)],
        },
        Case {
            name: "INTRODUCE",
            setup: vec![],
            request: (0, 0, own("INTRODUCE 6|1|5|")),
            fails: &[("domains", 1)],
        },
        Case {
            name: "SET_PERMS that names domains never heard of",
            setup: vec![(0, 0, own("WRITE /x|"))],
            request: (0, 0, own("SET_PERMS /x|n6|r7|")),
            fails: &[("domains", 1), ("acls", 1)],
        },
    ]
}

/// Sends a request and returns the answer; `None` if the request is left in the ring.
fn ask(host: &mut Host, (who, tx, request): &(u16, u32, String)) -> Option<Vec<Message>> {
    let (name, payload) = request.split_once(' ').expect("a name and a payload");
    let msg_type = MessageType::ALL.iter().find(|t| t.name() == name).expect("a message name");
    let payload = payload.replace('|', "\0").into_bytes();
    let bytes = support::request(*msg_type as u32, 1, xenstore::wire::TxId(*tx), &payload);
    let mut rest = &bytes[..];
    let mut answer = Vec::new();
    while !rest.is_empty() {
        let put = host.client(*who).write(rest);
        if put == 0 {
            return None;
        }
        rest = &rest[put..];
        host.xen.kick(DomId(*who));
        host.poll();
    }
    while host.client(*who).waiting() > 0 {
        answer.extend(host.client(*who).read());
        host.xen.kick(DomId(*who));
        host.poll();
    }
    Some(answer).filter(|answer| !answer.is_empty())
}

/// As `ask`, for a request that must succeed.
fn get(host: &mut Host, who: u16, tx: u32, request: String) -> Option<String> {
    let answer = ask(host, &(who, tx, request))?;
    answer.iter().all(|message| !is_error(message)).then(|| answer[0].to_string())
}

fn is_error(message: &Message) -> bool {
    message.header.msg_type == MessageType::Error as u32
}

/// A host of these capacities in which all of `setup` has succeeded.
fn prepare(capacities: &Capacities, limits: Limits, setup: &[(u16, u32, String)]) -> Option<Host> {
    let mut host = Host::not_started(Settings::DEFAULT, capacities);
    host.limit(limits);
    host.server.start(&mut host.xen, DomId(0), Port(1)).ok()?;
    for domid in [5, 6, 7] {
        host.create(domid);
    }
    for request in ["WRITE /local/domain/5|", "SET_PERMS /local/domain/5|n5|", "INTRODUCE 5|1|5|"] {
        get(&mut host, 0, 0, request.to_string())?;
    }
    for (who, tx, request) in setup {
        get(&mut host, *who, *tx, request.clone())?;
    }
    get(&mut host, 0, 0, format!("WRITE /filler|{}", "v".repeat(4080)))?;
    for _ in 0..FILLERS {
        let tx = get(&mut host, 0, 0, "TRANSACTION_START |".into())?;
        let tx = tx.trim_end_matches('|').parse().expect("an identifier");
        get(&mut host, 0, tx, "GET_PERMS /filler|".into())?;
    }
    Some(host)
}

/// Everything that dom0 can see of the store; `None` if the server cannot answer.
fn dump(host: &mut Host) -> Option<String> {
    let mut out = String::new();
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        let shown = if path.is_empty() { "/" } else { &path };
        let value = get(host, 0, 0, format!("READ {shown}|"))?;
        let perms = get(host, 0, 0, format!("GET_PERMS {shown}|"))?;
        let names = get(host, 0, 0, format!("DIRECTORY {shown}|"))?;
        writeln!(out, "{shown} = {value} [{perms}] {names}").expect("strings take all");
        paths.extend(names.split_terminator('|').map(|name| format!("{path}/{name}")));
    }
    for special in ["@introduceDomain", "@releaseDomain"] {
        writeln!(out, "{special} [{}]", get(host, 0, 0, format!("GET_PERMS {special}|"))?)
            .expect("strings take all");
    }
    Some(out)
}

/// Slots in use, without domains: one that has become known stays known.
fn in_use(host: &Host) -> Capacities {
    Capacities { domains: 0, ..host.server.in_use() }
}

/// The store after a transaction of the case that goes without `request`, or with it.
fn ended(case: &Case, with_request: bool) -> Option<String> {
    let mut host = prepare(&AMPLE, LIMITS, &case.setup).expect("there is room for everything");
    let (who, tx, request) = &case.request;
    if *tx == 0 || request.starts_with("TRANSACTION_END") {
        return None;
    }
    if with_request {
        get(&mut host, *who, *tx, request.clone())
            .unwrap_or_else(|| panic!("there is no room for {}", case.name));
    }
    get(&mut host, *who, *tx, "TRANSACTION_END T|".into()).expect("there is room for everything");
    dump(&mut host)
}

/// Tries a case with growing capacity of one kind, by `each` slots at a time. Returns how often it failed before it succeeded.
fn try_kind(case: &Case, limits: Limits, kind: &str, field: Field, each: usize) -> usize {
    let (with, without) = (ended(case, true), ended(case, false));
    let mut failures = 0;
    // All chunks that fillers leave are in the reserves below this.
    let least = if kind == "chunks" { 7280 } else { 0 };
    for capacity in (least..=*field(&mut AMPLE.clone())).step_by(each) {
        let mut capacities = AMPLE;
        *field(&mut capacities) = capacity;
        let Some(mut host) = prepare(&capacities, limits, &case.setup) else { continue };
        let Some(before) = dump(&mut host) else { continue };
        let (ports, used) = (host.xen.open_ports(), in_use(&host));
        let Some(answer) = ask(&mut host, &case.request) else { continue };
        let context = format!("{}, {capacity} {kind}: {}", case.name, answer[0]);
        let failed = is_error(&answer[0]);
        if failed {
            failures += 1;
            assert_eq!(dump(&mut host).as_ref(), Some(&before), "{context}");
            assert_eq!(host.xen.open_ports(), ports, "{context}");
            // A transaction keeps its copies until it ends.
            assert!(case.request.1 != 0 || in_use(&host) == used, "{context}");
        }
        if with.is_some() {
            let end = ask(&mut host, &(case.request.0, case.request.1, "TRANSACTION_END T|".into()));
            let end = end.expect("an answer")[0].to_string();
            let expected = match (end.as_str(), failed) {
                ("OK|", false) => with.as_ref(),
                ("OK|", true) => without.as_ref(),
                ("ENOMEM", _) => Some(&before),
                _ => panic!("{context}, then {end}"),
            };
            assert_eq!(dump(&mut host).as_ref(), expected, "{context}, then {end}");
        }
        host.check();
        if !failed {
            return failures;
        }
    }
    panic!("{}: never succeeds, whatever the number of {kind}", case.name)
}

/// Tries each case that needs one of `kinds` in the given capacity.
fn try_kinds(limits: Limits, kinds: &[(&str, Field)], each: usize) {
    for case in cases() {
        for (kind, least) in case.fails {
            let Some((_, field)) = kinds.iter().find(|(name, _)| name == kind) else { continue };
            let failures = try_kind(&case, limits, kind, *field, each);
            assert!(failures >= *least / each, "{}: {kind} ran out at {failures} steps only", case.name);
            println!("{}: {kind} ran out at {failures} steps", case.name);
        }
    }
}

const SLOTS: &[(&str, Field)] = &[
    ("domains", |c| &mut c.domains),
    ("nodes", |c| &mut c.nodes),
    ("acls", |c| &mut c.acls),
    ("watches", |c| &mut c.watches),
    ("transactions", |c| &mut c.transactions),
    ("tx_nodes", |c| &mut c.tx_nodes),
];

const STRINGS: &[(&str, Field)] = &[("chunks", |c| &mut c.chunks)];

#[test]
fn when_slots_run_out() {
    try_kinds(LIMITS, SLOTS, 1);
}

#[test]
fn when_memory_for_strings_runs_out() {
    try_kinds(LIMITS, STRINGS, 1);
}

/// What is done takes many goes.
#[test]
fn in_small_steps() {
    try_kinds(small::LIMITS, SLOTS, 1);
    try_kinds(small::LIMITS, STRINGS, 8);
}
