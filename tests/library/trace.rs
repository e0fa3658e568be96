//! The flight recorder: the records of a session, and what their hashes stand for.

use std::collections::BTreeMap;

use crate::json::stats;
use base64::Engine;
use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Cycles;
use xenstore::quota::Quotas;
use xenstore::trace::page::Head;
use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::MessageType;

/// A page of records from `number` on.
fn page(host: &mut Host, number: u64) -> (Head, Vec<Record>) {
    let text = host.ask(0, 0, &format!("CONTROL trace|dump|{number}|")).replace("\\n", "\n");
    let (head, rest) = Head::parse(&text).expect("a page");
    let line = rest.lines().next().expect("the records' line");
    let bytes = base64::engine::general_purpose::STANDARD.decode(line).expect("base64");
    let records: Vec<Record> =
        bytes.as_chunks().0.iter().map(|bytes| Record::from_bytes(bytes).expect("a record")).collect();
    assert_eq!(records.len() as u64, head.count);
    (head, records)
}

/// What a hash stands for.
fn name(host: &mut Host, hash: u64) -> String {
    let line = host.ask(0, 0, &format!("CONTROL trace|paths|{hash:x}|"));
    let (told, name) = line.trim_end_matches("\\n|").split_once(' ').expect("a hash and a name");
    assert_eq!(told, format!("{hash:016x}"));
    name.to_string()
}

/// A host and the number of its next record.
struct Recorded {
    host: Host,
    from: u64,
}

impl Recorded {
    fn new(host: Host) -> Recorded {
        let from = host.server.trace().end();
        Recorded { host, from }
    }

    /// The records since then, except wake-ups and notifications.
    fn records(&mut self) -> Vec<Record> {
        let records: Vec<Record> = self.host.server.trace().from(self.from).collect();
        self.from = self.host.server.trace().end();
        records.into_iter().filter(|record| !matches!(record.kind, Kind::WokeUp | Kind::Notified)).collect()
    }

    /// The same as texts, with paths.
    fn told(&mut self) -> Vec<String> {
        let records = self.records();
        let told = records.into_iter().map(|record| match record.hash {
            0 => record.to_string(),
            hash => format!("{record} {}", name(&mut self.host, hash)),
        });
        let told = told.collect();
        self.from = self.host.server.trace().end();
        told
    }
}

#[test]
fn a_session_leaves_its_records_in_order() {
    let mut host = Host::new();
    host.boot(5);
    let mut recorded = Recorded::new(host);
    recorded.host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t"), (0, 0, "READ /nope|", "ENOENT")]);
    let tx = recorded.host.start(5);
    recorded.host.expect(&[
        (5, tx, "WRITE data/a|xyz", "OK|"),
        (5, tx, "TRANSACTION_END T|", "ev data/a,t; OK|"),
        (5, 0, "RM data|", "ev data,t; OK|"),
        (5, 77, "READ data|", "ENOENT"),
        (0, 0, "99 |", "ENOSYS"),
    ]);
    let home = "/local/domain/5";
    assert_eq!(
        recorded.told(),
        [
            "d5 WATCH begun, tx 0, 7 bytes",
            &format!("d5 event, 7 bytes {home}/data"),
            &format!("d5 WATCH tx 0 ok, 0 cycles, 3 bytes {home}/data"),
            "d0 READ begun, tx 0, 6 bytes",
            "d0 READ tx 0 ENOENT, 0 cycles, 0 bytes /nope",
            "d5 TRANSACTION_START begun, tx 0, 1 bytes",
            "d5 tx-started 1",
            "d5 TRANSACTION_START tx 0 ok, 0 cycles, 2 bytes",
            "d5 WRITE begun, tx 1, 10 bytes",
            &format!("d5 WRITE tx 1 ok, 0 cycles, 3 bytes {home}/data/a"),
            "d5 TRANSACTION_END begun, tx 1, 2 bytes",
            &format!("d5 event, 9 bytes {home}/data/a"),
            "d5 tx-committed 1, 3 nodes",
            "d5 TRANSACTION_END tx 1 ok, 0 cycles, 3 bytes",
            "d5 RM begun, tx 0, 5 bytes",
            &format!("d5 event, 7 bytes {home}/data"),
            &format!("d5 RM tx 0 ok, 0 cycles, 3 bytes {home}/data"),
            "d5 READ begun, tx 77, 5 bytes",
            "d5 READ tx 77 ENOENT, 0 cycles, 0 bytes",
            "d0 ? begun, tx 0, 1 bytes",
            "d0 ? tx 0 ENOSYS, 0 cycles, 0 bytes",
        ]
    );
}

#[test]
fn a_conflict_names_its_node_and_who_changed_it() {
    let mut host = Host::new();
    host.boot(5);
    host.ok(0, 0, "WRITE /shared|1");
    host.ok(0, 0, "SET_PERMS /shared|n0|b5|");
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "READ /shared|", "1"),
        (5, 0, "WRITE /shared|2", "OK|"),
        (0, tx, "WRITE /b|", "OK|"),
    ]);
    let mut recorded = Recorded::new(host);
    recorded.host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
    let told = recorded.told();
    assert!(told.contains(&format!("d0 tx-conflict {tx} with d5 /shared")), "{told:#?}");
    assert!(told.contains(&"d5 held for d0".to_string()), "{told:#?}");
    let tx = recorded.host.start(0);
    recorded.host.ok(0, tx, "TRANSACTION_END F|");
    assert!(recorded.told().contains(&format!("d0 tx-aborted {tx}")));
    let tx = recorded.host.start(5);
    recorded.host.kill(5);
    assert!(recorded.told().contains(&format!("d5 tx-aborted {tx}")));
}

#[test]
fn a_session_that_begins_anew_is_recorded_with_what_it_drops() {
    use std::sync::atomic::Ordering::SeqCst;
    let mut host = Host::new();
    host.boot(5);
    let mut recorded = Recorded::new(host);
    for anew in ["by its own wish", "by INTRODUCE"] {
        let tx = recorded.host.start(5);
        recorded.told();
        if anew == "by INTRODUCE" {
            recorded.host.ok(0, 0, "INTRODUCE 5|1|5|");
        } else {
            recorded.host.client(5).page.connection.store(1, SeqCst);
            recorded.host.xen.kick(DomId(5));
            recorded.host.poll();
        }
        recorded.host.client(5).forget();
        let told = recorded.told();
        let at = |what: String| told.iter().position(|line| *line == what);
        let (aborted, restarted) = (at(format!("d5 tx-aborted {tx}")), at("d5 restarted".to_string()));
        assert!(aborted.is_some() && aborted < restarted, "{anew}: {told:#?}");
    }
}

#[test]
fn refusals_stalls_and_lost_events_are_recorded() {
    let quotas = Quotas { nodes: 2, outstanding: 2, ..Quotas::DEFAULT };
    let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(8192));
    host.boot(5);
    host.ok(5, 0, &format!("WRITE data|{}", "x".repeat(900)));
    let mut recorded = Recorded::new(host);
    assert_eq!(recorded.host.ask(5, 0, "WRITE other|x"), "ENOSPC");
    let told = recorded.told();
    assert!(
        told.contains(
            &"d5 WRITE refused, tx 0, ENOSPC: quota nodes, 2 allowed /local/domain/5/other".to_string()
        ),
        "{told:#?}"
    );

    for _ in 0..6 {
        recorded.host.send(5, 0, "READ data|");
    }
    recorded.host.poll();
    let stalls = |records: Vec<Record>| -> Vec<u8> {
        records
            .into_iter()
            .filter(|record| record.kind == Kind::Stalled)
            .map(|record| record.detail)
            .collect()
    };
    // It is recorded once, however often the connection is looked at.
    assert_eq!(stalls(recorded.records()), [Stall::Unread as u8]);
    for _ in 0..3 {
        recorded.host.xen.pass(2);
        recorded.host.poll();
    }
    assert_eq!(stalls(recorded.records()), [0_u8; 0]);
    recorded.host.received(5);
    let stats = stats(&mut recorded.host, "5");
    assert_eq!(stats["stalls"], 1);
    assert_eq!(stats["refused"], 1);
    assert_eq!(stats["errors"]["ENOSPC"], 1);
}

#[test]
fn an_answer_longer_than_the_ring_is_no_stall_unless_it_is_left_there() {
    let mut host = Host::new();
    host.boot(5);
    host.ok(5, 0, &format!("WRITE data|{}", "x".repeat(1500)));
    let mut recorded = Recorded::new(host);
    assert_eq!(recorded.host.ask(5, 0, "READ data|").len(), 1500);
    let stalled = |records: Vec<Record>| records.iter().filter(|record| record.kind == Kind::Stalled).count();
    assert_eq!(stalled(recorded.records()), 0);
    recorded.host.send(5, 0, "READ data|");
    recorded.host.poll();
    recorded.host.xen.pass(2);
    recorded.host.poll();
    let records = recorded.records();
    assert!(records.iter().any(|record| record.detail == Stall::RingFull as u8), "{records:#?}");
    assert_eq!(stalled(records), 1);
}

#[test]
fn only_what_the_filter_wants_is_recorded() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    let mut recorded = Recorded::new(host);
    let states = recorded.host.ask(0, 0, "CONTROL trace|filter|");
    assert!(Kind::ALL.iter().all(|kind| states.contains(&format!("{:<17}: on\\n", kind.name()))), "{states}");
    recorded.host.expect(&[(0, 0, "CONTROL trace|filter|none|+ended|domain|5|", "OK|")]);
    let states = recorded.host.ask(0, 0, "CONTROL trace|filter|");
    assert!(
        states.contains("ended            : on\\n") && states.contains("begun            : off\\n"),
        "{states}"
    );
    assert!(states.ends_with("domain           : 5\\n|"), "{states}");
    recorded.records();
    recorded.host.expect(&[(5, 0, "READ a|", "ENOENT"), (6, 0, "READ a|", "ENOENT")]);
    let seen: Vec<_> = recorded.records().iter().map(|record| (record.kind, record.domid.0)).collect();
    assert_eq!(seen, [(Kind::Ended, 5)]);
    recorded.host.expect(&[(0, 0, "CONTROL trace|off|", "OK|"), (5, 0, "READ a|", "ENOENT")]);
    assert_eq!(recorded.records(), []);
    recorded.host.expect(&[
        (0, 0, "CONTROL trace|on|", "OK|"),
        (0, 0, "CONTROL trace|filter|all|-begun|", "OK|"),
        (6, 0, "READ a|", "ENOENT"),
    ]);
    let seen = recorded.records();
    assert!(seen.iter().any(|record| record.domid == DomId(6)), "{seen:#?}");
    assert!(
        seen.iter().skip(1).all(|record| record.kind != Kind::Begun || record.domid == DomId(0)),
        "{seen:#?}"
    );
    for bad in [
        "more|",
        "filter|+x|",
        "filter|begun|",
        "filter|domain|",
        "filter|domain|x|",
        "filter|domain||",
        "on|x|",
        "off|x|",
        "mark|",
        "dump|x|",
    ] {
        assert_eq!(recorded.host.ask(0, 0, &format!("CONTROL trace|{bad}")), "EINVAL", "{bad}");
    }
    assert!(recorded.host.ask(0, 0, "CONTROL trace|").starts_with("trace            : on\\n"));
    assert_eq!(recorded.host.ask(0, 0, "CONTROL trace|paths|xyz|"), "EINVAL");
    assert_eq!(recorded.host.ask(5, 0, "CONTROL trace|"), "EACCES");
}

#[test]
fn pages_put_together_are_the_trace_and_what_is_lost_is_known() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities { trace: 1000, ..Capacities::for_nodes(1000) });
    host.xen.ticking = 1;
    let mut all: BTreeMap<u64, Record> = BTreeMap::new();
    let (mut next, mut lost, mut written) = (0, 0, 0_u32);
    for round in 0..60 {
        // Each round leaves more than a page, and one of them more than there is room for.
        let requests = if round == 30 { 700 } else { 40 };
        for _ in 0..requests {
            host.ok(0, 0, &format!("WRITE /n|{written}"));
            written += 1;
        }
        loop {
            let (head, records) = page(&mut host, next);
            lost += head.first - next;
            assert!(head.end - head.first <= 1000 && head.lost == head.end.saturating_sub(1000));
            for (number, record) in (head.first..).zip(records) {
                assert!(all.insert(number, record).is_none(), "no record comes twice");
            }
            next = head.first + head.count;
            if head.end - next < 10 {
                break;
            }
        }
    }
    assert!(lost > 1000, "a round overwrote what was not fetched: {lost}");
    assert_eq!(all.len() as u64 + lost, next);
    // In each run of numbers without a gap, times rise and each request that begins also ends.
    let mut before: Option<(u64, Record)> = None;
    for (number, record) in all {
        if let Some((last, earlier)) = before.filter(|(last, _)| last + 1 == number) {
            assert!(earlier.time <= record.time, "record {last} is later than the next");
            if earlier.kind == Kind::Begun && earlier.msg_type == MessageType::Write as u8 {
                assert_eq!(
                    (record.kind, record.msg_type),
                    (Kind::Ended, MessageType::Write as u8),
                    "{number}"
                );
            }
        }
        before = Some((number, record));
    }
}

#[test]
fn what_is_gone_and_what_was_said_keeps_its_name() {
    let mut recorded = Recorded::new(Host::new());
    let long = format!("/{}", "long/".repeat(30)).trim_end_matches('/').to_string();
    recorded.host.expect(&[
        (0, 0, "WRITE /a/b|", "OK|"),
        (0, 0, "RM /a|", "OK|"),
        (0, 0, &format!("READ {long}|"), "ENOENT"),
        (0, 0, "CONTROL trace|mark|before|the|boot|", "OK|"),
    ]);
    let told = recorded.told();
    assert!(told.iter().any(|line| line.ends_with("bytes /a/b")), "{told:#?}");
    assert!(told.iter().any(|line| line == "d0 mark before the boot"), "{told:#?}");
    let cut: String = long.chars().take(118).collect();
    assert!(told.iter().any(|line| line.ends_with(&format!(" {cut}..."))), "{told:#?}");
    assert_eq!(name(&mut recorded.host, 12345), "?");
    let many: String = (1..200).map(|hash| format!("{hash:016x}|")).collect();
    let answer = recorded.host.ask(0, 0, &format!("CONTROL trace|paths|{many}"));
    assert_eq!(answer.matches("\\n").count(), 199);
    // Hashes at the end that do not fit are left out.
    recorded.host.ok(0, 0, &format!("WRITE {}|", "/x".repeat(700)));
    let hash = recorded.records().into_iter().find_map(|r| (r.hash != 0).then_some(r.hash)).expect("a path");
    let answer = recorded.host.ask(0, 0, &format!("CONTROL trace|paths|{}", format!("{hash:x}|").repeat(9)));
    assert_eq!(answer.matches("\\n").count(), 3, "1024 bytes of each and dots: {answer}");
}

#[test]
fn the_end_is_recorded_and_told() {
    let mut host = Host::new();
    host.ok(0, 0, "WRITE /last|");
    host.server.note_panic(Cycles(9_000_000_000), 77);
    let mut lines = Vec::new();
    host.server.tell_trace(64, 1_000_000, &mut |line| lines.push(line.to_string()));
    assert_eq!(lines.first().map(String::as_str), Some("1.000000 started"));
    assert!(
        lines.iter().any(|line| line == "1.000000 d0 WRITE tx 0 ok, 0 cycles, 3 bytes /last"),
        "{lines:#?}"
    );
    assert_eq!(lines.last().map(String::as_str), Some("9.000000 panic in line 77"));
}

#[test]
fn only_who_is_there_is_notified() {
    let mut host = Host::new();
    host.boot(5);
    host.take_notified(0);
    let from = host.server.trace().end();
    host.send(5, 0, "READ none|");
    host.send(0, 0, "RELEASE 5|");
    host.poll();
    let told = host.server.trace().from(from).filter(|record| record.kind == Kind::Notified);
    let told: Vec<u16> = told.map(|record| record.domid.0).collect();
    assert_eq!((told, host.take_notified(0)), (vec![0], 1));
}

#[test]
fn a_domains_first_stall_is_recorded_whoever_had_its_slot() {
    let quotas = Quotas { outstanding: 2, ..Quotas::DEFAULT };
    let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(8192));
    for domid in [5, 6] {
        host.boot(domid);
        host.ok(domid, 0, &format!("WRITE data|{}", "x".repeat(900)));
        for _ in 0..6 {
            host.send(domid, 0, "READ data|");
        }
        host.poll();
        assert_eq!(stats(&mut host, &domid.to_string())["stalls"], 1, "domain {domid}");
        host.kill(domid);
    }
}

#[test]
fn marks_pass_a_filter_for_a_domain() {
    let mut recorded = Recorded::new(Host::new());
    recorded.host.expect(&[
        (0, 0, "CONTROL trace|filter|domain|5|", "OK|"),
        (0, 0, "CONTROL trace|mark|here|", "OK|"),
    ]);
    assert_eq!(recorded.told().last().map(String::as_str), Some("d0 mark here"));
}

#[test]
fn what_went_with_a_node_above_keeps_its_name() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (5, 0, "WRITE data/a/b|", "OK|"),
        (0, 0, "WATCH /local/domain/5/data/a/b|t|", "OK|; ev /local/domain/5/data/a/b,t"),
    ]);
    for n in 0..200 {
        host.ask(0, 0, &format!("READ /none/{n}|"));
    }
    let mut recorded = Recorded::new(host);
    recorded.host.kill(5);
    recorded.host.hears(0, "ev /local/domain/5/data/a/b,t");
    let told = recorded.told();
    assert!(told.contains(&"d0 event, 27 bytes /local/domain/5/data/a/b".to_string()), "{told:#?}");
}

#[test]
fn names_stay_while_nothing_is_recorded_and_marks_whatever_is_asked() {
    let mut recorded = Recorded::new(Host::new());
    recorded.host.expect(&[
        (0, 0, "CONTROL trace|mark|before|", "OK|"),
        (0, 0, "READ /asked|", "ENOENT"),
        (0, 0, "CONTROL trace|off|", "OK|"),
    ]);
    let flood = |host: &mut Host| {
        for n in 0..1000 {
            host.ask(0, 0, &format!("READ /none/{n}|"));
        }
    };
    flood(&mut recorded.host);
    let told = recorded.told();
    assert!(told.iter().any(|line| line.ends_with(" /asked")), "{told:#?}");
    recorded.host.expect(&[(0, 0, "CONTROL trace|on|", "OK|"), (0, 0, "CONTROL trace|mark|here|", "OK|")]);
    let mark = recorded.records().into_iter().find(|record| record.kind == Kind::Mark).expect("a mark");
    flood(&mut recorded.host);
    assert_eq!(name(&mut recorded.host, mark.hash), "here");
}

#[test]
fn a_filter_for_a_domain_keeps_the_names_that_it_asks_for() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    let mut recorded = Recorded::new(host);
    recorded.host.expect(&[(0, 0, "CONTROL trace|filter|domain|5|", "OK|"), (5, 0, "READ asked|", "ENOENT")]);
    for n in 0..1000 {
        recorded.host.ask(6, 0, &format!("READ none/{n}|"));
    }
    let told = recorded.told();
    assert!(told.iter().any(|line| line.ends_with(" /local/domain/5/asked")), "{told:#?}");
}

#[test]
fn marks_that_are_not_recorded_leave_the_texts_of_those_that_are() {
    let mut recorded = Recorded::new(Host::new());
    recorded.host.ok(0, 0, "CONTROL trace|mark|before|");
    let mark = recorded.records().into_iter().find(|record| record.kind == Kind::Mark).expect("a mark");
    for (without, again) in [("off", "on"), ("filter|-mark", "filter|all")] {
        recorded.host.ok(0, 0, &format!("CONTROL trace|{without}|"));
        for n in 0..20 {
            recorded.host.ok(0, 0, &format!("CONTROL trace|mark|unheard|{n}|"));
        }
        assert_eq!(name(&mut recorded.host, mark.hash), "before", "{without}");
        recorded.host.ok(0, 0, &format!("CONTROL trace|{again}|"));
    }
}

#[test]
fn a_pause_of_the_trace_ends_by_itself() {
    let mut host = Host::new();
    host.boot(5);
    let mut recorded = Recorded::new(host);
    let state = |recorded: &mut Recorded| {
        let told = recorded.host.ask(0, 0, "CONTROL trace|");
        told.split("\\n").take(2).collect::<Vec<_>>().join(", ")
    };
    recorded.host.expect(&[(0, 0, "CONTROL trace|off|10|", "OK|"), (5, 0, "READ a|", "ENOENT")]);
    assert_eq!(state(&mut recorded), "trace            : off, on again in s    :       10");
    recorded.records();
    recorded.host.xen.pass(9);
    // A filter that is set meanwhile does not end it, nor make it last.
    recorded.host.expect(&[(0, 0, "CONTROL trace|filter|all|", "OK|"), (5, 0, "READ a|", "ENOENT")]);
    assert_eq!(recorded.records(), []);
    assert_eq!(state(&mut recorded), "trace            : off, on again in s    :        1");
    recorded.host.xen.pass(1);
    recorded.host.expect(&[(5, 0, "READ a|", "ENOENT")]);
    assert!(recorded.records().iter().any(|record| record.kind == Kind::Ended && record.domid.0 == 5));
    assert_eq!(state(&mut recorded), "trace            : on, on again in s    :        0");
    // What is said last counts.
    recorded.host.expect(&[(0, 0, "CONTROL trace|off|10|", "OK|"), (0, 0, "CONTROL trace|off|", "OK|")]);
    recorded.host.xen.pass(60);
    assert_eq!(state(&mut recorded), "trace            : off, on again in s    :        0");
    recorded.host.expect(&[(0, 0, "CONTROL trace|off|10|", "OK|"), (0, 0, "CONTROL trace|on|", "OK|")]);
    assert_eq!(state(&mut recorded), "trace            : on, on again in s    :        0");
    for wrong in ["off|0|", "off|x|", "off|-1|", "off|4294967296|", "off|1|2|", "on|1|"] {
        assert_eq!(recorded.host.ask(0, 0, &format!("CONTROL trace|{wrong}")), "EINVAL", "{wrong}");
    }
}
