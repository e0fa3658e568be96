//! Live update as the operator's tool asks for it: the steps, what is refused, and who waits meanwhile.

use std::sync::atomic::Ordering::SeqCst;

use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::server::Order;
use xenstore::trace::Stop;
use xenstore::update::Bounds;
use xenstore::wire::{MessageType, TxId};

use crate::LIMITS;
use crate::image::{BASE, GOOD, Image, upload};
use crate::stops::poll_with_stop;

/// A host whose server another program can replace.
pub fn host() -> Host {
    let mut host = Host::new();
    host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x10_0000, states: 1..=2, hand_over: 1 });
    host
}

pub fn order(host: &Host) -> Option<Order<'_>> {
    host.server.order(&host.xen)
}

#[test]
fn the_steps_of_the_tool_lead_to_an_order() {
    let (mut host, file) = (host(), GOOD.file());
    upload(&mut host, &file, file.len());
    host.ok(0, 0, "CONTROL live-update|-c|--event 5 loglevel=debug|");
    host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|", "")]);
    let order = order(&host).expect("nothing stands in the way");
    assert_eq!((order.image, order.version), (&file[..], 2));
    assert_eq!(order.command_line, Some(&b"--event 5 loglevel=debug"[..]));
    assert_eq!((order.program.entry, order.program.segments.len()), (BASE, 1));
    // The machine finds that it cannot be.
    host.server.refuse(&mut host.xen, format_args!("not enough memory for the state: 5 KiB are missing"));
    host.poll();
    host.hears(0, "not enough memory for the state: 5 KiB are missing|");
    host.expect(&[(0, 0, "CONTROL live-update|-a|", "Not in live-update session.|")]);
    host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
}

#[test]
fn steps_out_of_order_are_refused_as_upstream_does() {
    let mut host = host();
    let active = "live-update session already active.|";
    let inactive = "Not in live-update session.|";
    host.boot(5);
    host.expect(&[
        (5, 0, "CONTROL live-update|-b|100|", "EACCES"),
        (0, 0, "CONTROL live-update|", "EINVAL"),
        (0, 0, "CONTROL live-update|-x|", "EINVAL"),
        (0, 0, "CONTROL live-update|-b|", "EINVAL"),
        (0, 0, "CONTROL live-update|-b|0|", "EINVAL"),
        (0, 0, "CONTROL live-update|-b|x|", "EINVAL"),
        (0, 0, "CONTROL live-update|-b|5|6|", "EINVAL"),
        (0, 0, "CONTROL live-update|-a|x|", "EINVAL"),
        (0, 0, "CONTROL live-update|-a|", inactive),
        (0, 0, "CONTROL live-update|-c|x|", inactive),
        (0, 0, "CONTROL live-update|-d|1|x|", inactive),
        (0, 0, "CONTROL live-update|-s|-t|60|", inactive),
        (
            0,
            0,
            "CONTROL live-update|-b|5000000|",
            "the new image does not fit: 5000000 bytes, there is room for 1048576|",
        ),
        (0, 0, "CONTROL live-update|-b|10|", "OK|"),
        (0, 0, "CONTROL live-update|-b|10|", active),
        (0, 0, "CONTROL live-update|-d|3|ab", "EINVAL"),
        (0, 0, "CONTROL live-update|-d|x|ab|", "EINVAL"),
        (0, 0, "CONTROL live-update|-d|6|abcdef|", "OK|"),
        (0, 0, "CONTROL live-update|-d|6|abcdef|", "Too much kernel data.|"),
        (0, 0, "CONTROL live-update|-s|-t|x|", "EINVAL"),
        (0, 0, "CONTROL live-update|-s|-x|", "EINVAL"),
        (0, 0, "CONTROL live-update|-s|-t|60|", "Kernel not complete.|"),
        (0, 0, "CONTROL live-update|-d|4|abcd|", "OK|"),
        (0, 0, "CONTROL live-update|-s|-t|60|", "the new image is no ELF file|"),
        (0, 0, "CONTROL live-update|-a|", "OK|"),
        (0, 0, "CONTROL live-update|-b|10|", "OK|"),
        (0, 0, "CONTROL check|", "OK|"),
    ]);
    let long = "x".repeat(1025);
    let told = "The command line is too long: 1025 bytes of at most 1024|";
    host.expect(&[(0, 0, &format!("CONTROL live-update|-c|{long}|"), told)]);
}

#[test]
fn a_server_that_cannot_be_replaced_says_so() {
    let cannot = "This server cannot be replaced while it runs.|";
    Host::new().expect(&[(0, 0, "CONTROL live-update|-b|100|", cannot)]);
}

#[test]
fn what_is_no_image_for_us_is_refused_with_the_reason() {
    let unsure = "the new image does not promise to give way if it fails; -F tries it all the same|";
    let rows: [(&str, Image, &str); 9] = [
        (
            "",
            Image { machine: 183, ..GOOD },
            "the new image is for another machine: ELF class 2, machine 183, not 2 and 62|",
        ),
        ("", Image { entry: None, ..GOOD }, "the new image has no PVH entry: no Xen note of type 18|"),
        ("", Image { entry: Some(5), ..GOOD }, "the new image has no PVH entry: no Xen note of type 18|"),
        ("", Image { address: 0x8_0000, ..GOOD }, "the new image does not fit: it wants 0x80000 to 0x82000|"),
        (
            "",
            Image { memory: 0x10_0001, ..GOOD },
            "the new image does not fit: it wants 0x100000 to 0x200001|",
        ),
        ("", Image { promise: None, ..GOOD }, unsure),
        ("", Image { promise: Some([1, 2, 0, 1]), ..GOOD }, unsure),
        (
            "-F|",
            Image { promise: Some([3, 4, 1, 1]), ..GOOD },
            "the new image reads versions 3 to 4 of the state, of which none can be written|",
        ),
        (
            "-F|",
            Image { promise: Some([1, 2, 1, 7]), ..GOOD },
            "the new image knows another hand-over: version 7|",
        ),
    ];
    for (flags, image, expected) in rows {
        let (mut host, file) = (host(), image.file());
        upload(&mut host, &file, file.len());
        host.expect(&[
            (0, 0, &format!("CONTROL live-update|-s|-t|60|{flags}"), expected),
            (0, 0, "CONTROL live-update|-a|", "OK|"),
            (0, 0, "CONTROL check|", "OK|"),
        ]);
        assert!(order(&host).is_none());
    }
}

#[test]
fn force_starts_what_promises_nothing() {
    for promise in [None, Some([1, 2, 0, 1])] {
        let (mut host, file) = (host(), Image { promise, ..GOOD }.file());
        upload(&mut host, &file, file.len());
        host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|-F|", "")]);
        assert!(order(&host).is_some());
    }
}

#[test]
fn an_image_cut_off_anywhere_is_refused() {
    let file = GOOD.file();
    for len in (1..file.len()).step_by(7) {
        let mut host = host();
        upload(&mut host, &file[..len], len);
        let answer = host.ask(0, 0, "CONTROL live-update|-s|-t|60|");
        let said = ["is no ELF file", "is cut off: "].iter().any(|text| answer.contains(text));
        assert!(said && order(&host).is_none(), "{len} bytes: {answer}");
    }
}

#[test]
fn the_version_of_the_state_is_what_both_know() {
    for (reads, asked, expected) in [
        ([1, 2], "", Ok(2)),
        ([1, 1], "", Ok(1)),
        ([2, 9], "", Ok(2)),
        ([1, 2], "-v|1|", Ok(1)),
        ([1, 1], "-v|2|", Err("Stream version not supported.|")),
        ([1, 9], "-v|3|", Err("Stream version not supported.|")),
    ] {
        let (mut host, file) = (host(), Image { promise: Some([reads[0], reads[1], 1, 1]), ..GOOD }.file());
        upload(&mut host, &file, file.len());
        let request = format!("CONTROL live-update|-s|-t|60|{asked}");
        host.expect(&[(0, 0, &request, expected.err().unwrap_or(""))]);
        assert_eq!(order(&host).map(|order| order.version), expected.ok(), "{reads:?} {asked}");
    }
}

/// A host with a session that wants to start, with these flags, while domain 5 has a transaction open.
pub fn waiting(flags: &str) -> Host {
    let (mut host, file) = (host(), GOOD.file());
    host.boot(5);
    host.boot(6);
    host.expect(&[(5, 0, "TRANSACTION_START |", "1|")]);
    upload(&mut host, &file, file.len());
    host.expect(&[(0, 0, &format!("CONTROL live-update|-s|-t|60|{flags}"), "")]);
    host
}

#[test]
fn the_new_image_waits_for_open_transactions() {
    let mut host = waiting("");
    assert!(order(&host).is_none());
    // All else is served, on dom0's connection too, and who has a transaction may begin another.
    host.expect(&[
        (0, 0, "WRITE /a|b|", "OK|"),
        (5, 1, "WRITE a|b|", "OK|"),
        (5, 0, "TRANSACTION_START |", "2|"),
        (6, 0, "WRITE a|b|", "OK|"),
        (6, 0, "TRANSACTION_START |", ""),
        (0, 0, "TRANSACTION_START |", ""),
        (6, 0, "READ a|", "b|"),
        (5, 2, "TRANSACTION_END F|", "OK|"),
    ]);
    assert!(order(&host).is_none());
    host.expect(&[(5, 1, "TRANSACTION_END T|", "OK|")]);
    assert!(order(&host).is_some());
    host.server.refuse(&mut host.xen, format_args!("no"));
    host.poll();
    host.hears(6, "1|");
    host.hears(0, "no|; 1|");
    host.expect(&[(0, 0, "CONTROL check|", "OK|"), (6, 1, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn who_holds_a_transaction_too_long_is_named() {
    let mut host = waiting("");
    host.xen.pass(59);
    host.poll();
    host.hears(0, "");
    assert!(order(&host).is_none());
    host.xen.pass(1);
    host.poll();
    host.hears(0, "Domains with long running transactions:\\nDomain 5: 60 s|");
    host.expect(&[(5, 1, "TRANSACTION_END T|", "OK|"), (0, 0, "CONTROL check|", "OK|")]);
}

#[test]
fn force_gives_transactions_up_when_the_time_is_over() {
    let mut host = waiting("-F|");
    assert!(order(&host).is_none());
    host.xen.pass(60);
    host.poll();
    assert!(order(&host).is_some());
}

#[test]
fn a_session_can_be_given_up_while_it_waits() {
    let mut host = waiting("");
    host.expect(&[
        (6, 0, "TRANSACTION_START |", ""),
        (0, 0, "CONTROL live-update|-a|", "OK|; live-update session aborted.|"),
    ]);
    host.hears(6, "1|");
    host.expect(&[(5, 1, "TRANSACTION_END T|", "OK|")]);
    assert!(order(&host).is_none());
}

/// The end of a session comes amid what another has decided, and so does a fault: each has its own answer.
#[test]
fn a_fault_at_the_end_of_a_session_does_not_tell_of_success() {
    let none = Limits { attempts: 0, ..LIMITS };
    for n in 1.. {
        let mut host = waiting("");
        host.limit(none);
        (0..24).for_each(|leaf| host.ok(6, 0, &format!("WRITE tree/{leaf}|")));
        host.xen.pass(60);
        host.send(6, 0, "RM tree|");
        let stopped = poll_with_stop(&mut host, n);
        let told = host.received(0);
        assert!(told == "EIO" || told.starts_with("Domains with"), "stopped in {n}: {told}");
        let told = host.received(6);
        assert!(told == "EIO" || told == "OK|", "stopped in {n}: {told}");
        if !stopped {
            break;
        }
    }
}

/// A request that has come in two pieces is put off once, wherever the server is stopped.
#[test]
fn a_beginning_that_is_put_off_is_answered_once() {
    for n in 1.. {
        let mut host = waiting("");
        let start = request(MessageType::TransactionStart as u32, 7, TxId(0), b"any\0");
        let (first, rest) = start.split_at(18);
        host.push(6, first);
        host.poll();
        host.push(6, rest);
        let stopped = poll_with_stop(&mut host, n);
        host.ask(0, 0, "CONTROL live-update|-a|");
        let told = host.received(6);
        assert!(told == "EIO" || told == "1|", "stopped in {n}: {told}");
        assert_eq!(host.ask(6, 0, "READ none|"), "ENOENT", "stopped in {n}");
        if !stopped {
            break;
        }
    }
}

/// Who has given its session up and then resets its ring has begun anew: nobody waits for the answer.
#[test]
fn whoever_begins_anew_hears_of_no_session_before() {
    let mut host = waiting("");
    let page = host.client(0).page.clone();
    let mut resets = Some(move || page.connection.store(1, SeqCst));
    host.xen.meanwhile = Some(Box::new(move || resets.take().into_iter().for_each(|reset| reset())));
    host.xen.responds = Some((0, DomId(0)));
    host.send(0, 0, "CONTROL live-update|-a|");
    for domid in [5, 6] {
        (0..20).for_each(|_| host.send(domid, 0, "READ none|"));
    }
    host.poll();
    assert_eq!(host.client(0).page.connection.load(SeqCst), 0, "it has been reset");
    host.hears(0, "");
    host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
}

/// Whoever has asked to start is answered, whatever comes at once with what gives that up.
#[test]
fn no_session_begins_before_the_end_of_the_last_is_told() {
    let (mut host, file) = (waiting(""), GOOD.file());
    let part = [format!("live-update\0-d\0{}\0", file.len()).as_bytes(), &file, b"\0"].concat();
    host.send(0, 0, "CONTROL live-update|-a|");
    host.send(0, 0, &format!("CONTROL live-update|-b|{}|", file.len()));
    host.send_raw(0, 0, 0, &part);
    host.send(0, 0, "CONTROL live-update|-s|-t|60|");
    host.send(0, 0, "CONTROL live-update|-a|");
    host.poll();
    let inactive = "Not in live-update session.|";
    let refused = format!("live-update session already active.|; {inactive}; {inactive}; {inactive}");
    host.hears(0, &format!("OK|; {refused}; live-update session aborted.|"));
    host.ok(0, 0, "CONTROL live-update|-b|1000|");
}

/// The tool has been killed, and nobody sends the rest.
#[test]
fn an_image_that_does_not_come_is_not_waited_for_for_ever() {
    let mut host = host();
    host.boot(6);
    host.ok(0, 0, "CONTROL live-update|-b|1000|");
    host.expect(&[(6, 0, "TRANSACTION_START |", "")]);
    host.xen.pass(29);
    host.ok(0, 0, "CONTROL live-update|-d|3|abc|");
    host.xen.pass(29);
    let next = host.server.poll(&mut host.xen);
    assert!(next.is_some_and(|next| next <= host.xen.now.after_seconds(1)), "{next:?}");
    host.hears(6, "");
    host.ok(0, 0, "CONTROL live-update|-c|--budget=20|");
    host.xen.pass(29);
    host.poll();
    host.hears(6, "");
    host.expect(&[(0, 0, "CONTROL live-update|-s|-t|5|", "Kernel not complete.|")]);
    host.xen.pass(29);
    host.poll();
    host.hears(6, "");
    host.xen.pass(1);
    host.poll();
    host.hears(6, "1|");
    host.expect(&[
        (0, 0, "CONTROL live-update|-d|3|abc|", "Not in live-update session.|"),
        (0, 0, "CONTROL live-update|-b|1000|", "OK|"),
        (0, 0, "CONTROL live-update|-a|", "OK|"),
    ]);
    host.check();
}

#[test]
fn whoever_goes_while_the_session_lasts_is_not_answered() {
    let mut host = waiting("");
    host.expect(&[(6, 0, "TRANSACTION_START |", "")]);
    host.kill(6);
    host.kill(5);
    assert!(order(&host).is_some());
    host.server.refuse(&mut host.xen, format_args!("no"));
    host.poll();
    host.hears(0, "no|");
    host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
}

#[test]
fn more_beginnings_than_can_be_put_off_are_served() {
    let (mut host, file) = (host(), GOOD.file());
    (1..=33).for_each(|domid| host.boot(domid));
    upload(&mut host, &file, file.len());
    let answers: Vec<String> = (1..=33).map(|domid| host.ask(domid, 0, "TRANSACTION_START |")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_empty()).count(), 32);
    assert_eq!(answers[32], "1|");
    host.ok(0, 0, "CONTROL live-update|-a|");
    host.poll();
    (1..=32).for_each(|domid| host.hears(domid, "1|"));
}

#[test]
fn an_update_that_is_due_waits_for_a_transaction_that_is_served_before_it() {
    let (mut host, file) = (host(), GOOD.file());
    (1..=33).for_each(|domid| host.boot(domid));
    upload(&mut host, &file, file.len());
    host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|", "")]);
    assert!(order(&host).is_some(), "nothing stands in the way");
    let last = (1..=33).map(|domid| host.ask(domid, 0, "TRANSACTION_START |")).last();
    assert_eq!(last.as_deref(), Some("1|"));
    assert!(order(&host).is_none(), "the last one is open");
    host.ok(33, 1, "TRANSACTION_END T|");
    assert!(order(&host).is_some());
}

#[test]
fn an_update_that_faults_is_refused() {
    let (mut host, file) = (host(), GOOD.file());
    upload(&mut host, &file, file.len());
    host.expect(&[(0, 0, "CONTROL live-update|-s|-t|60|", "")]);
    assert!(order(&host).is_some());
    assert!(host.server.survive(&mut host.xen, Stop::Panic(1)));
    assert!(order(&host).is_none());
    host.poll();
    host.hears(0, "a fault stopped the update|");
    host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
}

#[test]
fn a_store_without_room_for_the_image_says_how_much_is_missing() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x10_0000, states: 1..=2, hand_over: 1 });
    let answer = host.ask(0, 0, "CONTROL live-update|-b|200000|");
    let missing = answer.strip_prefix("not enough memory for the new image: ").expect(&answer);
    let missing: usize = missing.strip_suffix(" KiB are missing|").expect(&answer).parse().unwrap();
    assert!((1..200).contains(&missing), "{answer}");
    host.expect(&[(0, 0, "WRITE /a|b|", "OK|"), (0, 0, "CONTROL check|", "OK|")]);
}

/// In an image's 8 MiB: beside what is sent, the state and a copy of the old image lie in memory that was never used.
fn can_be_updated(nodes: fn(&Capacities) -> usize, request: impl Fn(usize) -> String) {
    use xenstore::server::sizing;
    use xenstore::state::Length;
    // The bound of its file, scripts/audit-image.
    const IMAGE: usize = 476 << 10;
    const PAGE: usize = 4096;
    let capacities = sizing::of_image(8 << 20).expect("it is enough");
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.xen.bounds = Some(Bounds { memory: BASE..BASE + 0x10_0000, states: 1..=2, hand_over: 1 });
    let nodes = nodes(&capacities);
    for n in 0..nodes {
        host.ok(0, 0, &request(n));
    }
    assert!(host.server.in_use().nodes >= nodes);
    host.ok(0, 0, &format!("CONTROL live-update|-b|{IMAGE}|"));
    let mut state = Length::default();
    host.server.save(2, &mut state).expect("numbers have room");
    let whole = |memory: std::ops::Range<usize>| {
        (memory.end / PAGE * PAGE).saturating_sub(memory.start.next_multiple_of(PAGE))
    };
    let room: usize = host.server.untouched().map(whole).sum();
    let wanted = (state.0 as usize).next_multiple_of(PAGE) + IMAGE;
    assert!(room >= wanted, "{} KiB for {} KiB", room >> 10, wanted >> 10);
}

fn entry(n: usize, name: &str, value: &str) -> String {
    let (guest, device) = (n / 178, n / 18 % 10);
    format!("WRITE /local/domain/{guest}/device/{device}/{name}{n}|{value}")
}

/// Of a guest's values one of five takes a chunk.
#[test]
fn a_store_filled_to_sixty_percent_can_be_updated() {
    can_be_updated(
        |capacities| capacities.nodes * 60 / 100,
        |n| {
            let value = if n % 5 == 0 { format!("an entry's value, of {n}") } else { n.to_string() };
            entry(n, "", &value)
        },
    );
}

/// Nodes with a chunk each, which fill three quarters of the chunks.
#[test]
fn a_store_of_longer_values_can_be_updated() {
    can_be_updated(
        |capacities| capacities.chunks * 3 / 4,
        |n| entry(n, "entry-", &format!("a value of {n}")),
    );
}

/// Nodes with two chunks each, which fill nearly all chunks.
#[test]
fn a_store_of_longer_texts_can_be_updated() {
    can_be_updated(
        |capacities| capacities.nodes * 32 / 100,
        |n| entry(n, "Entry-", &format!("a value of {n}")),
    );
}

/// Memory that is lent is taken for nothing else, and is the store's again afterwards.
#[test]
fn lent_memory_is_no_room_for_nodes() {
    let (mut host, file) = (host(), GOOD.file());
    let fill = |host: &mut Host, from: usize| {
        (from..).take_while(|n| host.ask(0, 0, &format!("WRITE /n{n}|x|")) == "OK|").count()
    };
    host.ok(0, 0, &format!("CONTROL live-update|-b|{}|", 256 * 1024));
    let with_loan = fill(&mut host, 0);
    host.expect(&[(0, 0, "CONTROL check|", "OK|"), (0, 0, "CONTROL live-update|-a|", "OK|")]);
    let after = fill(&mut host, with_loan);
    assert!(after > 256 * 1024 / 160, "{with_loan}, then {after}");
    host.expect(&[(0, 0, "CONTROL check|", "OK|")]);
    let refused = host.ask(0, 0, &format!("CONTROL live-update|-b|{}|", file.len()));
    assert!(refused.starts_with("not enough memory"), "{refused}");
}
