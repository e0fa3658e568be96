//! Guests as they were recorded on Xen: one after the other, many at the same time, and how they are recorded.

use scale::guests::{Host, Order, run_together, tree};
use support::lives::{FIRST, Life, Part, RECORDED, Recording, Section, Step, World};
use xenstore::config::Capacities;
use xenstore::wire::{MessageType, TxId};

fn recorded() -> Recording {
    RECORDED.parse().expect("the recording can be read")
}

fn host(recording: &Recording) -> Host {
    Host::new(&Capacities::for_nodes(20_000), recording).expect("the host comes up")
}

fn live(host: &mut Host, section: &Section, domid: u16) {
    let dom0 = host.dom0();
    Life::new(section, domid, dom0, Part::All).run(host).expect("all is answered as recorded");
}

fn check(host: &mut Host) {
    let dom0 = host.dom0();
    let answer = host.ask(dom0, MessageType::Control, TxId::NONE, b"check\0").expect("an answer");
    assert_eq!(answer.payload, b"OK\0", "{}", answer.payload.escape_ascii());
}

#[test]
fn guests_come_and_go_and_leave_nothing() {
    let recording = recorded();
    let mut host = host(&recording);
    live(&mut host, &recording.start, FIRST);
    let one = (host.in_use(), tree(&mut host));
    for domid in FIRST + 1..FIRST + 20 {
        live(&mut host, &recording.start, domid);
    }
    check(&mut host);
    for domid in FIRST + 1..FIRST + 20 {
        live(&mut host, &recording.stop, domid);
    }
    check(&mut host);
    assert_eq!((host.in_use(), tree(&mut host)), one);
}

#[test]
fn what_only_asks_changes_nothing() {
    let recording = recorded();
    let trees = [Part::All, Part::Changes].map(|part| {
        let mut host = host(&recording);
        let dom0 = host.dom0();
        Life::new(&recording.start, FIRST, dom0, part).run(&mut host).expect("all is answered as recorded");
        tree(&mut host)
    });
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn toolstacks_at_work_together_need_not_try_again_and_lose_nothing() {
    let recording = recorded();
    for order in [Order::InTurn, Order::AtRandom(1), Order::AtRandom(2)] {
        let (mut together, mut apart) = (host(&recording), host(&recording));
        let sessions: Vec<_> = (0..20).map(|_| together.accept().expect("room for a client")).collect();
        live(&mut together, &recording.start, FIRST);
        live(&mut apart, &recording.start, FIRST);
        for section in [&recording.start, &recording.stop] {
            let guests = (FIRST + 1..).zip(&sessions);
            // A transaction that lists all guests has to be tried again when one ends.
            let life = |(domid, from): (_, &_)| Life::new(section, domid, *from, Part::WithoutSharedLists);
            let mut lives: Vec<_> = guests.map(life).collect();
            run_together(&mut together, &mut lives, order).expect("all is answered as recorded");
            assert!(lives.iter().all(|life| life.again == 0), "EAGAIN, {order:?}");
            for domid in FIRST + 1..FIRST + 21 {
                live(&mut apart, section, domid);
            }
            assert_eq!(tree(&mut together), tree(&mut apart), "{order:?}");
        }
        check(&mut together);
    }
}

#[test]
fn transactions_that_must_be_done_again_are() {
    let recording = recorded();
    let (mut together, mut apart) = (host(&recording), host(&recording));
    let sessions: Vec<_> = (0..3).map(|_| together.accept().expect("room for a client")).collect();
    let mut again = 0;
    for section in [&recording.start, &recording.stop] {
        let life = |(domid, from): (_, &_)| Life::new(section, domid, *from, Part::All);
        let mut lives: Vec<_> = (FIRST..).zip(&sessions).map(life).collect();
        run_together(&mut together, &mut lives, Order::InTurn).expect("all is answered as recorded");
        again += lives.iter().map(|life| life.again).sum::<u64>();
        (FIRST..FIRST + 3).for_each(|domid| live(&mut apart, section, domid));
        assert_eq!(tree(&mut together), tree(&mut apart));
    }
    assert!(again > 0, "all read the list of all guests before any of them ends");
}

#[test]
fn an_unexpected_answer_is_an_error() {
    let recording = recorded();
    let mut host = host(&recording);
    let dom0 = host.dom0();
    let problem = Life::new(&recording.stop, FIRST, dom0, Part::All).run(&mut host);
    assert!(problem.is_err_and(|problem| problem.contains("ENOENT instead of: dom0 READ - ok")));
}

#[test]
fn a_recording_is_written_as_it_is_read() {
    let recording = recorded();
    let sections = [&recording.host, &recording.start, &recording.stop];
    let steps = sections.into_iter().flat_map(|section| &section.steps).map(ToString::to_string);
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#') && !line.starts_with("=="));
    assert!(steps.eq(lines));
    for text in ["guest WRITE - ok a|\\x7c\\x7b\\\\\\xff", "dom0 WRITE 3 EAGAIN /{domid}/{uuid}|{domid}"] {
        assert_eq!(text.parse::<Step>().map(|step| step.to_string()).as_deref(), Ok(text));
    }
}

/// A log with one guest, and a transaction of it that failed.
const LOG: &str = r"
(XEN) something else
(d1) 1.000 INFO 1.000000 #7 d0 WRITE tx 0 ok, 3 bytes
(d1) 1.000 INFO #7 <3 /a\x00
(d1) 1.000 INFO control: recording: host
(d1) 1.000 INFO 1.000000 #8 d0 CONTROL tx 0 ok, 3 bytes
(d1) 1.000 INFO #8 <22 print\x00recording: host\x00
(d1) 1.000 INFO control: recording: start
(d1) 1.000 INFO 1.000000 #9 d0 CONTROL tx 0 ok, 3 bytes
(d1) 1.000 INFO #9 <23 print\x00recording: start\x00
(d1) 1.000 INFO 1.000000 #10 d0 WRITE tx 0 ok, 3 bytes
(d1) 1.000 INFO #10 <42 /vm/01234567-89ab-cdef-0123-456789abcdef
(d1) 1.000 INFO #10 <2 \x00v
(d1) 1.000 INFO 1.000000 #11 d63 introduced
(d1) 1.000 INFO 1.000000 #12 d0 INTRODUCE tx 0 ok, 3 bytes
(d1) 1.000 INFO #12 <7 63\x001\x001\x00
(d1) 1.000 INFO 1.000000 #13 d63 TRANSACTION_START tx 0 ok, 2 bytes
(d1) 1.000 INFO #13 <1 \x00
(d1) 1.000 INFO #13 >2 4\x00
(d1) 1.000 INFO 1.000000 #14 d63 TRANSACTION_END tx 4 EAGAIN, 0 bytes
(d1) 1.000 INFO #14 <2 T\x00
(d1) 1.000 INFO 1.000000 #15 d63 TRANSACTION_START tx 0 ok, 2 bytes
(d1) 1.000 INFO #15 <1 \x00
(d1) 1.000 INFO #15 >2 5\x00
(d1) 1.000 INFO 1.000000 #16 d63 TRANSACTION_END tx 5 ok, 3 bytes
(d1) 1.000 INFO #16 <2 T\x00
(d1) 1.000 INFO control: recording: stop
(d1) 1.000 INFO 1.000000 #17 d0 SET_PERMS tx 0 ok, 3 bytes
(d1) 1.000 INFO #17 <20 /63/163/63a\x00n63\x00r63\x00
(d1) 1.000 INFO 1.000000 #18 d63 released
(d1) 1.000 INFO 1.000000 #19 d0 event, 30 bytes
(d1) 1.000 INFO control: recording: end
";

#[test]
fn a_log_becomes_a_recording() {
    let text = "== host\n\
                dom0 WRITE - ok /a|\n\
                == start\n\
                xen made\n\
                dom0 WRITE - ok /vm/{uuid}|v\n\
                dom0 INTRODUCE - ok {domid}|1|1|\n\
                guest TRANSACTION_START 1 ok |\n\
                guest TRANSACTION_END 1 ok T|\n\
                == stop\n\
                dom0 SET_PERMS - ok /{domid}/163/63a|n{domid}|r{domid}|\n\
                xen gone\n";
    assert_eq!(scale::convert::convert(LOG).as_deref(), Ok(text));
}

#[test]
fn a_log_with_a_line_missing_is_refused() {
    assert!(scale::convert::convert(LOG).is_ok());
    for missing in ["#7 <3", "#10 <42", "#10 <2", "#11 d63", "#12 d0", "#15 >2", "#16 d63", "recording: stop"]
    {
        let lines = LOG.lines().filter(|line| !line.contains(missing));
        let problem = scale::convert::convert(&lines.collect::<Vec<_>>().join("\n"));
        assert!(problem.is_err(), "without {missing}: {problem:?}");
    }
}
