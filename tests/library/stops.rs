//! A panic stops the server at every operation on its slots in turn; it recovers and goes on. Each request has happened
//! or it has not, it is answered once, and each event of it is sent once or not at all.
//!
//! Each case runs once without a stop, which shows what it is like if it has happened. If it has not, the answer is EIO
//! and all is as before.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::{LIMITS, small};
use crate::json::stats;
use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::trace::Stop;
use xenstore::wire::MessageType;

const CAPACITIES: Capacities = Capacities {
    domains: 16,
    nodes: 400,
    chunks: 3000,
    acls: 100,
    watches: 100,
    transactions: 50,
    tx_nodes: 300,
    messages: 100,
    trace: 16,
    names: 16,
};

/// What is done while the server may be stopped.
#[derive(Clone, Debug)]
enum Act {
    /// A client, its transaction, its request.
    Ask(u16, u32, String),
    /// The same, but the second half of the request comes after the first has been looked at.
    Halves(u16, String),
    Die(u16),
    ShutDown(u16),
    /// Reads what is in the ring, which makes room for what waits.
    Read(u16),
    /// Breaks the ring protocol.
    Break(u16),
}

/// Names that do not fit a node's slot.
fn deep(root: &str, levels: usize) -> String {
    (0..levels).fold(root.to_string(), |path, n| format!("{path}/{n:019}"))
}

/// Guests 1 and 2 own nodes, watch and have transactions open. Guest 3 leaves unread what waits for it. Only the
/// hypervisor knows guest 4.
fn scene(limits: Limits) -> Host {
    let mut host = Host::started(Settings::DEFAULT, &CAPACITIES);
    // Of these it is remembered if they go.
    let layer = b"/shared/tree/b/c = \"\"\n/shared/tree/a = \"\"\n/shared/value = \"\"\n";
    assert_eq!(host.fuse(&layer[..]), [""; 0]);
    host.poll();
    for domid in 1..4 {
        host.boot(domid);
    }
    host.create(4);
    let long = "v".repeat(500);
    for (who, tx, request) in [
        (0, 0, "WRITE /shared|".to_string()),
        (0, 0, "SET_PERMS /shared|b0|".into()),
        (0, 0, "SET_PERMS /shared/tree|b0|".into()),
        (0, 0, "SET_PERMS /shared/tree/a|b0|".into()),
        (0, 0, "SET_PERMS /shared/tree/b|b0|".into()),
        (0, 0, "SET_PERMS /shared/tree/b/c|b0|".into()),
        (0, 0, "SET_PERMS /shared/value|b0|".into()),
        (0, 0, format!("WRITE {}|{long}", deep("/shared/tree", 12))),
        (0, 0, "WRITE /shared/tree/a|1".into()),
        (0, 0, "WRITE /shared/tree/b/c|2".into()),
        (0, 0, "WRITE /shared/value|short".into()),
        (0, 0, format!("WRITE /shared/long|{long}")),
        (1, 0, "WRITE data/a|1".into()),
        (1, 0, "WRITE data/b|2".into()),
        (1, 0, "WRITE /shared/of-1/x|3".into()),
        (2, 0, "WRITE data/a|1".into()),
        (2, 0, "WRITE /shared/of-1/of-2|4".into()),
        (0, 0, "WATCH /shared|dom0|".into()),
        (0, 0, "WATCH /shared/tree/b/c|exact|".into()),
        (0, 0, "WATCH @releaseDomain|gone|".into()),
        (0, 0, "WATCH @introduceDomain|come|".into()),
        (0, 0, "WATCH /local/domain|guests|".into()),
        (1, 0, "WATCH /shared|one|".into()),
        (1, 0, format!("WATCH data|{}|", "t".repeat(100))),
        (2, 0, "WATCH /shared/tree|two|".into()),
        (3, 0, "WATCH /shared|unread|".into()),
        (3, 0, "WATCH @releaseDomain|unread|".into()),
    ] {
        host.send(who, tx, &request);
        host.poll();
        let answer = host.received(who);
        assert!(answer.contains('|'), "{request}: {answer}");
    }
    let first = host.start(1);
    let second = host.start(0);
    assert_eq!((first, second), (1, 1));
    for (who, request) in [
        (1, "WRITE /shared/value|changed"),
        (1, "WRITE /shared/new/below|made"),
        (1, "RM /shared/tree/b|"),
        (1, "WRITE /shared/tree/a|changed"),
        (1, "WRITE /shared/new/1|"),
        (1, "WRITE /shared/new/2|"),
        (1, "READ /shared/long|"),
        (0, "SET_PERMS /shared/value|b0|r2|"),
        (0, "WRITE /shared/by-0|"),
    ] {
        host.send(who, 1, request);
        host.poll();
    }
    // Guest 2 watches one node so often that it is told of it later.
    for n in 0..10 {
        host.ask(2, 0, &format!("WATCH /shared/tree/a|{n:0120}|"));
    }
    // Its ring is full of events, and more of them wait.
    for n in 0..40 {
        host.send(0, 0, &format!("WRITE /shared/value|{n}"));
        host.poll();
        for domid in 0..3 {
            host.received(domid);
        }
    }
    // So it is with what a transaction has done.
    let many = host.start(2);
    for n in 0..10 {
        host.ask(2, many, &format!("WRITE /shared/of-1/of-2/{n}|"));
    }
    host.ask(2, many, "TRANSACTION_END T|");
    (0..3).for_each(|domid| drop(host.received(domid)));
    assert!(host.client(3).waiting() > 900);
    host.check();
    host.limit(limits);
    host
}

fn ask(who: u16, tx: u32, request: impl Into<String>) -> Act {
    Act::Ask(who, tx, request.into())
}

fn cases() -> Vec<Act> {
    let long = "w".repeat(700);
    vec![
        ask(0, 0, "CONTROL check|"),
        ask(0, 0, "CONTROL state|dump|"),
        ask(1, 0, "DIRECTORY /shared|"),
        ask(1, 0, "READ /shared/long|"),
        ask(1, 1, "READ /shared/tree/a|"),
        ask(1, 0, "GET_PERMS /shared|"),
        ask(1, 0, "WATCH /shared/tree/a|new|"),
        ask(1, 0, "UNWATCH /shared|one|"),
        ask(2, 0, "TRANSACTION_START |"),
        ask(1, 1, "TRANSACTION_END T|"),
        ask(1, 1, "TRANSACTION_END F|"),
        ask(0, 1, "TRANSACTION_END T|"),
        ask(0, 0, "INTRODUCE 4|1|5|"),
        ask(0, 0, "INTRODUCE 1|1|5|"),
        ask(0, 0, "RELEASE 1|"),
        ask(0, 0, "RELEASE 3|"),
        ask(0, 0, "GET_DOMAIN_PATH 1|"),
        ask(1, 0, "WRITE /shared/value|other"),
        ask(1, 0, "WRITE /shared/tree/a|other"),
        ask(1, 0, format!("WRITE /shared/value|{long}")),
        ask(1, 1, "WRITE /shared/value|other"),
        ask(1, 1, format!("WRITE /shared/long|{long}")),
        ask(1, 0, format!("WRITE {}|{long}", deep("/shared/deep", 5))),
        ask(1, 1, format!("WRITE {}|{long}", deep("/shared/deep", 5))),
        ask(2, 0, "MKDIR /shared/made|"),
        ask(1, 0, "RM /shared/tree|"),
        ask(1, 0, "RM /shared/value|"),
        ask(1, 1, "RM /shared/tree|"),
        ask(0, 0, "SET_PERMS /shared/value|n2|r1|"),
        ask(0, 1, "SET_PERMS /shared/tree|b0|r1|w2|"),
        ask(0, 0, "IS_DOMAIN_INTRODUCED 1|"),
        ask(0, 0, "RESUME 1|"),
        ask(0, 0, "SET_TARGET 1|2|"),
        ask(1, 0, "RESET_WATCHES |"),
        ask(1, 0, "DIRECTORY_PART /shared|0|"),
        ask(0, 0, "GET_FEATURE 1|"),
        ask(0, 0, "SET_FEATURE 4|1|"),
        ask(0, 0, "GET_QUOTA 1|nodes|"),
        ask(0, 0, "SET_QUOTA 1|nodes|50|"),
        // Nobody reads the answer, which waits.
        ask(3, 0, format!("WRITE /shared/value|{long}")),
        Act::Halves(1, format!("WRITE /shared/value|{long}")),
        Act::Die(1),
        Act::Die(2),
        Act::Die(3),
        Act::ShutDown(1),
        Act::Read(3),
        Act::Break(1),
    ]
}

/// The number of steps. The server looks after each.
fn steps(act: &Act) -> usize {
    if matches!(act, Act::Halves(..)) { 2 } else { 1 }
}

fn do_step(host: &mut Host, act: &Act, step: usize) {
    match act {
        Act::Ask(who, tx, request) => {
            host.send(*who, *tx, request);
            host.poll();
        }
        Act::Halves(who, request) => {
            let (name, payload) = request.split_once(' ').expect("a name and a payload");
            let msg_type = MessageType::ALL.iter().find(|known| known.name() == name).expect("a name");
            let payload = payload.replace('|', "\0").into_bytes();
            let bytes = support::request(*msg_type as u32, 7, xenstore::wire::TxId(0), &payload);
            let (first, second) = bytes.split_at(bytes.len() / 2);
            host.client(*who).write(if step == 0 { first } else { second });
            host.xen.kick(DomId(*who));
            host.poll();
        }
        Act::Die(domid) => host.kill(*domid),
        Act::ShutDown(domid) => {
            host.xen.shut_down(DomId(*domid));
            host.poll();
        }
        Act::Read(domid) => {
            host.client(*domid).read();
            host.xen.kick(DomId(*domid));
            host.poll();
        }
        Act::Break(domid) => {
            host.client(*domid).set_indexes([0, 5000, 0, 0]);
            host.xen.kick(DomId(*domid));
            host.poll();
        }
    }
}

/// All that can be seen of the store: nodes, and what domains hold.
fn dump(host: &mut Host) -> String {
    let mut out = String::new();
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        let shown = if path.is_empty() { "/" } else { &path };
        let [value, perms, names] =
            ["READ", "GET_PERMS", "DIRECTORY"].map(|name| host.ask(0, 0, &format!("{name} {shown}|")));
        writeln!(out, "{shown} = {value} [{perms}] {names}").expect("strings take all");
        paths.extend(names.split_terminator('|').map(|name| format!("{path}/{name}")));
    }
    for domid in 0..5 {
        let here = host.ask(0, 0, &format!("IS_DOMAIN_INTRODUCED {domid}|"));
        // A domain that has become known stays known.
        let usage = host.server.usage(DomId(domid)).filter(|_| here == "T|");
        let usage = usage.map(|usage| (usage.nodes, usage.watches, usage.transactions));
        let features = host.ask(0, 0, &format!("GET_FEATURE {domid}|"));
        let quota = host.ask(0, 0, &format!("GET_QUOTA {domid}|nodes|"));
        writeln!(out, "{domid}: {usage:?} {features} {quota} {here}").expect("strings take all");
    }
    out
}

/// The messages to each client, then the store, and then how the open transactions end.
#[derive(PartialEq, Eq, Debug)]
struct Sight {
    heard: BTreeMap<u16, String>,
    there: String,
    /// Bytes of memory of each domain, and its outstanding requests.
    held: [[u32; 2]; 5],
    /// Requests and events of all domains, as they are counted.
    counted: [u64; 2],
    ends: [String; 2],
    after: String,
}

/// A client that has broken its ring neither gets messages nor can it ask.
fn look(host: &mut Host, act: Option<&Act>) -> Sight {
    let broken = if let Some(Act::Break(domid)) = act { Some(*domid) } else { None };
    let domids: Vec<u16> = host.clients.keys().copied().filter(|domid| Some(*domid) != broken).collect();
    let heard = domids.iter().map(|domid| (*domid, host.received(*domid))).collect();
    host.check();
    let totals = stats(host, "totals");
    let counted = ["requests", "events"].map(|name| totals[name].as_u64().expect("a number"));
    let there = dump(host);
    let held = [0, 1, 2, 3, 4].map(|domid| {
        host.server.usage(DomId(domid)).map_or([0; 2], |usage| [usage.memory, usage.outstanding])
    });
    let ends = [(1, 1), (0, 1)].map(|(who, tx)| {
        if Some(who) == broken { String::new() } else { host.ask(who, tx, "TRANSACTION_END T|") }
    });
    let after = dump(host);
    host.check();
    Sight { heard, there, held, counted, ends, after }
}

/// Keeps the panics that are stops silent.
pub fn expect_stops() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some("stopped") {
                report(info);
            }
        }));
    });
}

/// Lets the server work, with a stop in the nth operation if there are so many, and then lets it go on.
pub fn poll_with_stop(host: &mut Host, n: u32) -> bool {
    expect_stops();
    host.server.stop_in(n);
    let stopped = catch_unwind(AssertUnwindSafe(|| host.poll())).is_err();
    host.server.stop_in(0);
    if stopped {
        go_on(host);
    }
    stopped
}

/// What the image does after a stop.
fn go_on(host: &mut Host) {
    let sound = host.server.survive(&mut host.xen, Stop::Panic(line!()));
    // Says what is wrong.
    host.check();
    assert!(sound, "it takes something for wrong");
    host.poll();
}

/// Does something with a stop in the nth operation, and goes on. False if there are fewer.
fn stop_in(host: &mut Host, act: &Act, n: u32) -> bool {
    host.server.stop_in(n);
    let mut stopped = false;
    for step in 0..steps(act) {
        if catch_unwind(AssertUnwindSafe(|| do_step(host, act, step))).is_err() {
            stopped = true;
            go_on(host);
        }
    }
    host.server.stop_in(0);
    stopped
}

/// The first line in which two texts differ.
fn difference(left: &str, right: &str) -> Option<(String, String)> {
    let lines = |text: &str| text.lines().map(String::from).chain([String::from("END")]).collect::<Vec<_>>();
    lines(left).into_iter().zip(lines(right)).find(|(left, right)| left != right)
}

/// Whether what is seen is as if it had happened; if not, it must be as if it had not.
fn has_happened(act: &Act, n: u32, seen: &Sight, undone: &Sight, done: &Sight) -> bool {
    let context = format!("stopped in operation {n} of {act:?}");
    let has_not = match act {
        Act::Ask(who, ..) | Act::Halves(who, _) => seen.heard[who].ends_with("EIO").then_some(*who),
        _ => None,
    };
    let Some(who) = has_not else {
        assert_eq!(seen.heard, done.heard, "{context}");
        assert_eq!(difference(&seen.there, &done.there), None, "{context}");
        assert_eq!((&seen.ends, &seen.held), (&done.ends, &done.held), "{context}");
        assert_eq!(seen.counted, done.counted, "{context}");
        assert_eq!(difference(&seen.after, &done.after), None, "{context}");
        return true;
    };
    let mut heard = undone.heard.clone();
    let own = heard.entry(who).or_default();
    own.push_str(if own.is_empty() { "EIO" } else { "; EIO" });
    assert_eq!(seen.heard, heard, "{context}: it has not happened");
    assert_eq!(difference(&seen.there, &undone.there), None, "{context}: it has not happened");
    // A transaction keeps its copies.
    if !matches!(act, Act::Ask(_, 1, _)) {
        assert_eq!(seen.held, undone.held, "{context}: it has not happened");
    }
    let [requests, events] = undone.counted;
    assert_eq!(seen.counted, [requests + 1, events], "{context}: it has not happened");
    assert_eq!(seen.ends, undone.ends, "{context}: it has not happened");
    assert_eq!(difference(&seen.after, &undone.after), None, "{context}: it has not happened");
    false
}

/// Stops it in every operation of each case, or in each nth one from the first on.
fn stop_all(limits: Limits, each: u32) {
    expect_stops();
    let undone = look(&mut scene(limits), None);
    let (mut stops, mut happened) = (0, 0);
    for act in cases() {
        let mut host = scene(limits);
        (0..steps(&act)).for_each(|step| do_step(&mut host, &act, step));
        let done = look(&mut host, Some(&act));
        if let Act::Ask(who, ..) = &act {
            let error = |heard: &&str| heard.starts_with('E');
            assert_eq!(done.heard[who].split("; ").find(error), None, "{act:?} is to happen");
        }
        for n in (1..).step_by(each as usize) {
            let mut host = scene(limits);
            if !stop_in(&mut host, &act, n) {
                break;
            }
            stops += 1;
            happened += u32::from(has_happened(&act, n, &look(&mut host, Some(&act)), &undone, &done));
        }
    }
    println!("{stops} stops, after {happened} of which it had happened");
    // Without debug assertions nothing stops.
    let (least, after) = (1000 / each, 300 / each);
    assert!(stops > least && happened > after, "{stops} stops, after {happened} of which it had happened");
}

#[test]
fn at_every_operation() {
    stop_all(LIMITS, 1);
}

/// Each change takes many goes.
#[test]
fn in_small_steps() {
    stop_all(small::LIMITS, 3);
}

/// A change has one outstanding request, however many wait to hear of it.
#[test]
fn who_is_told_later_waits_because_of_one_request() {
    let run = |n: u32| {
        let mut host = scene(small::LIMITS);
        for unread in [5, 6] {
            host.create(unread);
            host.ask(0, 0, &format!("INTRODUCE {unread}|1|5|"));
            host.ask(unread, 0, "WATCH /shared|unread|");
        }
        for n in 0..40 {
            host.send(0, 0, &format!("WRITE /shared/value|{n}"));
            host.poll();
            (0..3).for_each(|reader| drop(host.received(reader)));
        }
        host.send(1, 0, "WRITE /shared/long|new");
        let stopped = poll_with_stop(&mut host, n);
        let answer = host.received(1);
        [0, 2].iter().for_each(|reader| drop(host.received(*reader)));
        let outstanding = host.server.usage(DomId(1)).expect("it lives").outstanding;
        let happened = answer.ends_with("OK|");
        assert!(happened || answer.ends_with("EIO"), "{answer}");
        assert_eq!(outstanding, u32::from(happened), "stopped in operation {n}");
        (stopped, happened)
    };
    assert_eq!(run(0), (false, true));
    let stops: Vec<bool> =
        (1..).map(run).take_while(|(stopped, _)| *stopped).map(|(_, happened)| happened).collect();
    let happened = stops.iter().filter(|happened| **happened).count();
    println!("{} stops, after {happened} of which it had happened", stops.len());
    assert!(happened > 50 || stops.is_empty(), "{happened}");
}

/// Each message type that clients send is in play.
#[test]
fn in_every_message_type() {
    let asked = |name: &str| {
        cases()
            .iter()
            .any(|act| matches!(act, Act::Ask(_, _, request) if request.starts_with(&format!("{name} "))))
    };
    for known in MessageType::ALL {
        let of_server = matches!(known, MessageType::WatchEvent | MessageType::Error);
        assert_eq!(asked(known.name()), !of_server, "{}", known.name());
    }
}
