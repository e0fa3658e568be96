//! Who is served when: by class, and within one by cost. Time is what a script says that each request takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use support::{Client, Host, request};
use xenstore::abi::{DomId, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::{Clock, Instant};
use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::TxId;

const MICROSECOND: u64 = 1000;

/// Guests, and room for all that they make the trace record.
pub fn host(guests: std::ops::Range<u16>) -> Host {
    let nodes = 64 * (guests.len() + 100);
    let mut host =
        Host::with(Settings::DEFAULT, &Capacities { trace: 1 << 17, ..Capacities::for_nodes(nodes) });
    for guest in guests {
        host.create(guest);
        host.ok(0, 0, &format!("WRITE /local/domain/{guest}|"));
        host.ok(0, 0, &format!("SET_PERMS /local/domain/{guest}|n{guest}|"));
        host.ok(0, 0, &format!("INTRODUCE {guest}|1|5|"));
    }
    host
}

/// A READ, whose answer takes less room than itself.
pub fn read() -> Vec<u8> {
    request(2, 0, TxId(0), b"/tool/xenstored/none\0")
}

/// Fills the rest of a client's ring with READs, and notifies. The result is how many.
fn fill(host: &mut Host, who: u16) -> usize {
    let bytes = read();
    let client = host.client(who);
    let mut count = 0;
    while 1024 - client.unread() as usize >= bytes.len() {
        client.write(&bytes);
        count += 1;
    }
    host.xen.kick(DomId(who));
    count
}

/// Each request takes as long as is said for who asks: `costs` has nanoseconds.
fn script(host: &mut Host, costs: &[(u16, u64)]) {
    let mut rings: Vec<(Arc<RingPage>, u32, u64)> = Vec::new();
    for (who, cost) in costs {
        let page = host.client(*who).page.clone();
        let taken = page.req_cons.load(SeqCst);
        rings.push((page, taken, *cost));
    }
    host.xen.script = Some(Box::new(move || {
        let mut passed = 0;
        for (page, taken, cost) in &mut rings {
            let now = page.req_cons.load(SeqCst);
            if std::mem::replace(taken, now) != now {
                passed += *cost;
            }
        }
        passed
    }));
}

/// Whose requests were served since record `from`, in order.
fn order(host: &Host, from: u64) -> Vec<u16> {
    let begun = |record: &Record| record.kind == Kind::Begun;
    host.server.trace().from(from).filter(begun).map(|record| record.domid.0).collect()
}

/// How often each comes.
fn counts(order: &[u16]) -> BTreeMap<u16, usize> {
    order.iter().fold(BTreeMap::new(), |mut counts, who| {
        *counts.entry(*who).or_default() += 1;
        counts
    })
}

#[test]
fn dom0_comes_before_64_guests_with_full_rings() {
    let mut host = host(10..74);
    let from = host.server.trace().end();
    let asked: usize = (10..74).map(|guest| fill(&mut host, guest)).sum();
    host.send(0, 0, "READ /tool|");
    let begin = host.xen.now.after_nanoseconds(MICROSECOND);
    script(&mut host, &[(0, MICROSECOND), (10, MICROSECOND)]);
    host.poll();
    let order = order(&host, from);
    assert_eq!((order.len(), order[0]), (asked + 1, 0));
    // Its answer was told, and the processor left to it, before the others' requests.
    assert_eq!((host.xen.notified_at[&0], &host.xen.gave_way[..]), (host.xen.gave_way[0], &[begin][..]));
    host.check();
    host.client(0).read();
    host.ok(0, 0, "WRITE /tool/x|");
    assert_eq!(host.xen.gave_way.len(), 1, "nobody else waits");
}

#[test]
fn dom0_waits_for_one_turn_at_most_wherever_it_comes_in() {
    for microseconds in [1, 333, 2000, 9999] {
        let mut host = host(10..74);
        host.client(0).write(&read());
        let from = host.server.trace().end();
        let asked: usize = (10..74).map(|guest| fill(&mut host, guest)).sum();
        host.xen.ticking = 5 * MICROSECOND;
        let then = host.xen.now.after_nanoseconds(microseconds * MICROSECOND);
        host.xen.alarms.push((then, DomId(0)));
        host.poll();
        let records: Vec<Record> = host.server.trace().from(from).collect();
        let from_then = records.iter().filter(|record| record.kind == Kind::Begun && record.time.0 > then.0);
        let before = from_then.take_while(|record| record.domid.0 != 0).count();
        assert!(before <= 8, "after {microseconds} us: {before} requests of {asked} came before dom0's");
    }
}

#[test]
fn nobody_starves_while_dom0_never_stops_asking() {
    let mut host = host(10..12);
    let mut dom0 = Client::new(host.client(0).page.clone());
    // Whenever the server looks at the clock, for a thousand times, dom0 has read its answer and asked anew.
    let mut left = 1000;
    host.xen.script = Some(Box::new(move || {
        dom0.read();
        if left > 0 && dom0.unread() == 0 {
            left -= 1;
            dom0.write(&read());
        }
        MICROSECOND
    }));
    host.xen.kick(DomId(0));
    let from = host.server.trace().end();
    fill(&mut host, 10);
    host.poll();
    let order = order(&host, from);
    let first = order.iter().position(|who| *who == 10).expect("it is served");
    assert!(first <= 8 && counts(&order)[&0] > 500, "{first}: {order:?}");
}

#[test]
fn each_of_a_thousand_guests_has_its_turn() {
    let mut host = host(1..1001);
    host.xen.ticking = 3 * MICROSECOND;
    let from = host.server.trace().end();
    let asked = (1..=1000).map(|guest| fill(&mut host, guest)).min().expect("there are some");
    host.poll();
    let order = order(&host, from);
    for round in order.chunks(8 * 1000).take(asked / 8) {
        assert_eq!(counts(round), (1..=1000).map(|guest| (guest, 8)).collect());
    }
}

#[test]
fn who_acts_for_a_guest_comes_before_guests() {
    for acts in [false, true] {
        let mut host = host(10..22);
        if acts {
            host.ok(0, 0, "SET_TARGET 20|21|");
        }
        // It is looked at once a second, in its turn.
        host.xen.pass(1);
        host.ask(20, 0, "READ none|");
        let from = host.server.trace().end();
        for guest in 10..22 {
            fill(&mut host, guest);
        }
        host.poll();
        let first = order(&host, from).iter().position(|who| *who == 20).expect("it is served");
        assert_eq!(first, if acts { 0 } else { 80 });
        host.check();
    }
}

#[test]
fn who_asks_what_costs_more_has_fewer_requests_in_a_turn() {
    let mut host = host(10..12);
    script(&mut host, &[(10, 40 * MICROSECOND), (11, 4 * MICROSECOND)]);
    let from = host.server.trace().end();
    let (dear, cheap) = (fill(&mut host, 10), fill(&mut host, 11));
    assert_eq!(dear, cheap);
    host.poll();
    let order = order(&host, from);
    // Until the cheap ones are done, each has had about the same time.
    let last = order.iter().rposition(|who| *who == 11).expect("it is served");
    let dear = counts(&order[..last])[&10];
    assert!((2..=4).contains(&dear), "{dear} requests of 40 us beside {cheap} of 4 us");
    host.check();
}

#[test]
fn what_a_turn_takes_too_long_is_paid_by_those_that_follow() {
    let mut host = host(10..12);
    script(&mut host, &[(10, 300 * MICROSECOND), (11, 25 * MICROSECOND)]);
    let from = host.server.trace().end();
    fill(&mut host, 10);
    fill(&mut host, 11);
    host.poll();
    let order = order(&host, from);
    // 12 turns of 25 us pay for one request of 300 us.
    let begin = order.iter().position(|who| *who == 10).expect("it is served");
    let next = order[begin + 1..].iter().position(|who| *who == 10).expect("it is served");
    assert!((10..=12).contains(&next), "{order:?}");
    host.check();
}

/// Whether all that the guest has asked is taken.
pub fn is_taken(host: &mut Host, who: u16) -> bool {
    host.client(who).unread() == 0
}

/// Lets time pass until the server wants to be called again, and calls it. It must not have wanted that at once.
pub fn sleep(host: &mut Host) {
    let wake = host.server.poll(&mut host.xen).expect("somebody waits");
    assert!(wake > host.xen.now, "a poll that wants to be called again at once");
    host.xen.now = wake;
    host.poll();
}

pub fn milliseconds_since(host: &Host, then: Instant) -> u64 {
    (host.xen.now.0 - then.0) / 1_000_000
}

#[test]
fn who_is_beyond_its_budget_waits_and_others_do_not() {
    let mut host = host(10..74);
    host.expect(&[(10, 0, "WATCH own|t|", "OK|; ev own,t")]);
    script(&mut host, &[(10, 1000 * MICROSECOND)]);
    let from = host.server.trace().end();
    // 8 s of a thousandth of the time, and what is noticed only after it.
    let asked = fill(&mut host, 10);
    host.poll();
    let served = order(&host, from).len();
    assert!((8..=10).contains(&served) && asked > 25, "{served} of {asked}");
    assert!(!is_taken(&mut host, 10));
    // It hears its answers and events meanwhile, also those that its ring has no room for.
    assert!(host.take_notified(10) > 0);
    for n in 0..44 {
        host.ok(0, 0, &format!("WRITE /local/domain/10/own/{n}|"));
    }
    for guest in 11..74 {
        host.ok(guest, 0, "WRITE own|");
    }
    let mut heard = 0;
    while host.client(10).waiting() > 0 {
        heard +=
            host.client(10).read().iter().filter(|message| message.to_string().starts_with("ev ")).count();
        host.xen.kick(DomId(10));
        host.poll();
    }
    assert_eq!((heard, order(&host, from).iter().filter(|who| **who == 10).count()), (44, served));
    // A second for each that is left: so long does a thousandth of the time take to pay for a millisecond.
    let begin = host.xen.now;
    while !is_taken(&mut host, 10) {
        sleep(&mut host);
        host.client(10).read();
        host.ok(11, 0, "WRITE own|");
    }
    let took = milliseconds_since(&host, begin);
    let expected = (asked - served) as u64 * 1000;
    assert!((expected - 1000..=expected + 1000).contains(&took), "{took} ms");
    host.check();

    let stats_of = |host: &mut Host, who: &str| stats(host, who)["throttled"].as_u64().expect("a number");
    // All but the time in which it was served.
    let waited = took - (asked - served) as u64;
    let throttled = stats_of(&mut host, "10");
    assert!((waited - 2..=waited + 2).contains(&throttled), "{throttled} of {waited} ms");
    assert_eq!((stats_of(&mut host, "11"), stats_of(&mut host, "0")), (0, 0));
    let waits = |record: &Record| record.kind == Kind::Stalled && record.detail == Stall::Budget as u8;
    let stalled: Vec<Record> = host.server.trace().from(from).filter(waits).collect();
    assert!(stalled.iter().all(|record| record.domid == DomId(10)), "{stalled:?}");
    let sum: u64 = stalled.iter().map(|record| u64::from(record.amount)).sum();
    assert!(sum.abs_diff(throttled * 1_000_000) < 20_000_000, "{sum} of {throttled} ms");
    assert!(stalled[0].to_string().contains("beyond its budget"), "{}", stalled[0]);
}

#[test]
fn each_beyond_its_budget_keeps_its_part_and_all_are_served_at_once() {
    let mut host = host(10..74);
    let costs: Vec<(u16, u64)> = (10..74).map(|guest| (guest, 100 * MICROSECOND)).collect();
    script(&mut host, &costs);
    let from = host.server.trace().end();
    let begin = host.xen.now;
    let mut wakes = 0;
    while order(&host, from).len() < 64 * 100 {
        for guest in 10..74 {
            host.client(guest).read();
            fill(&mut host, guest);
        }
        host.poll();
        if !(10..74).all(|guest| is_taken(&mut host, guest)) {
            sleep(&mut host);
            wakes += 1;
        }
    }
    // 8 ms for each at once and a thousandth of the time: 10 ms take 2 s.
    let took = milliseconds_since(&host, begin);
    assert!((1900..2600).contains(&took), "{took} ms");
    assert!(wakes < 100 * (took / 1000 + 1), "{wakes} wake-ups");
    let counts = counts(&order(&host, from));
    assert!(counts.values().all(|count| (96..=104).contains(count)), "{counts:?}");
    host.check();
}

#[test]
fn who_is_alone_takes_nothing_from_anybody() {
    // What it has saved is forgotten with the counter.
    for (anew, most) in [(false, 4500), (true, 5500)] {
        let mut host = host(10..12);
        if anew {
            host.xen.pass(1_000_000);
            [11, 10].into_iter().for_each(|guest| host.ok(guest, 0, "WRITE own|"));
            // The counter begins anew.
            host.xen.behind = host.xen.now.0 - 1_000_000_000;
        }
        script(&mut host, &[(10, 1000 * MICROSECOND), (11, MICROSECOND)]);
        let begin = host.xen.now;
        for _ in 0..100 {
            fill(&mut host, 10);
            host.poll();
            while !is_taken(&mut host, 10) {
                sleep(&mut host);
            }
            host.client(10).read();
        }
        // 3 s of requests have taken hardly longer than that: only in the first second was somebody else there.
        let took = milliseconds_since(&host, begin);
        assert!((3000..most).contains(&took), "{took} ms, {anew}");
        // As soon as another asks, there is a budget again.
        host.ok(11, 0, "WRITE own|");
        fill(&mut host, 10);
        host.poll();
        assert!(!is_taken(&mut host, 10));
    }
}

#[test]
fn ordinary_guests_never_meet_their_budget() {
    let mut host = host(10..20);
    host.xen.ticking = 7 * MICROSECOND;
    // A start: 1,000 requests at once, while nine others do the same.
    for _ in 0..1000 {
        for guest in 10..20 {
            assert_ne!(host.ask(guest, 0, "READ own|"), "");
        }
    }
    for guest in 10..20 {
        let stats = stats(&mut host, &guest.to_string());
        assert_eq!((&stats["requests"], &stats["throttled"]), (&1000.into(), &0.into()));
    }
}

#[test]
fn nobody_pays_for_time_in_which_others_run_or_the_machine_stands_still() {
    // Xen gives the processor to others within each request, or what Xen runs on keeps it.
    for (works_at_most, each, asked) in [(Some(2 * MICROSECOND), 100_000, 20), (None, 10_000_000, 3)] {
        let mut host = host(10..12);
        host.xen.works_at_most = works_at_most;
        script(&mut host, &[(10, each * MICROSECOND)]);
        let client = host.client(10);
        for _ in 0..asked {
            client.write(&read());
        }
        host.xen.kick(DomId(10));
        let from = host.server.trace().end();
        for _ in 0..asked {
            // Whom somebody else keeps company is not let alone.
            host.ok(11, 0, "WRITE own|");
            host.poll();
        }
        assert_eq!(counts(&order(&host, from))[&10], asked);
        assert_eq!(stats(&mut host, "10")["throttled"], 0);
    }
}

/// Xen has others run for a moment in each request: too short to fill a turn.
#[test]
fn nobody_pays_for_moments_in_which_others_run() {
    let mut host = host(10..12);
    host.xen.works_at_most = Some(2 * MICROSECOND);
    script(&mut host, &[(10, 12 * MICROSECOND)]);
    for _ in 0..1500 {
        host.ask(10, 0, "READ /tool/xenstored/none|");
        host.ok(11, 0, "WRITE own|");
    }
    assert_eq!(stats(&mut host, "10")["throttled"], 0);
}

#[test]
fn dom0_has_no_budget_and_a_budget_of_0_binds_nobody() {
    for (who, budget) in [(0, 1), (10, 0)] {
        let mut host = Host::with(Settings { budget, ..Settings::DEFAULT }, &Capacities::for_nodes(8192));
        host.boot(10);
        host.boot(11);
        script(&mut host, &[(who, 10_000 * MICROSECOND)]);
        for _ in 0..10 {
            fill(&mut host, who);
            host.poll();
            assert!(is_taken(&mut host, who));
            host.client(who).read();
            host.ok(11, 0, "WRITE own|");
        }
    }
}

#[test]
fn a_guest_that_comes_in_anothers_place_has_its_own_budget() {
    let mut host = host(10..12);
    script(&mut host, &[(10, 1000 * MICROSECOND)]);
    fill(&mut host, 10);
    host.poll();
    assert!(!is_taken(&mut host, 10));
    host.kill(10);
    host.xen.script = None;
    host.boot(10);
    host.ok(10, 0, "WRITE own|");
    assert_eq!(stats(&mut host, "10")["throttled"], 0);
    host.check();
}

#[test]
fn no_poll_wants_another_at_once_when_a_hold_has_ended() {
    let mut host = host(10..12);
    let tx = host.start(0);
    host.ask(0, tx, "READ /local/domain/10|");
    host.ok(10, 0, "WRITE /local/domain/10|x");
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
    host.start(0);
    host.expect(&[(10, 0, "WRITE data|y", "")]);
    sleep(&mut host);
    host.hears(10, "OK|");
    let wake = host.server.poll(&mut host.xen);
    assert!(wake.is_none_or(|wake| wake > host.xen.now), "a poll that wants to be called again at once");
}

/// To have its connection reset costs a guest what that takes, and beyond its budget it waits for it.
#[test]
fn who_is_reset_again_and_again_waits_and_others_do_not() {
    let mut host = host(10..12);
    let page = host.client(10).page.clone();
    let mut asks = 0;
    // A millisecond for each reset.
    let ring = page.clone();
    host.xen.script = Some(Box::new(move || {
        let now = ring.connection.load(SeqCst);
        let is_done = std::mem::replace(&mut asks, now) == 1 && now == 0;
        u64::from(is_done) * 1000 * MICROSECOND
    }));
    let reset = |host: &mut Host| {
        page.connection.store(1, SeqCst);
        host.xen.cycles();
        host.xen.kick(DomId(10));
        host.ok(11, 0, "WRITE own|");
        page.connection.load(SeqCst) == 0
    };
    let at_once = (0..100).take_while(|_| reset(&mut host)).count();
    assert!((8..=10).contains(&at_once), "{at_once} resets");
    // A second for each more.
    let begin = host.xen.now;
    while page.connection.load(SeqCst) == 1 {
        sleep(&mut host);
        host.ok(11, 0, "WRITE own|");
    }
    let took = milliseconds_since(&host, begin);
    assert!((1..=2100).contains(&took), "{took} ms");
    host.check();
}

/// Where others wait, an event costs its sender what that takes, also if it has asked for nothing.
#[test]
fn who_tells_of_nothing_again_and_again_pays_for_it() {
    let mut host = host(10..140);
    for other in 11..140 {
        host.xen.ticking = 500 * MICROSECOND;
        host.xen.kick(DomId(10));
        host.send(other, 0, "READ own|");
        host.poll();
        host.xen.ticking = 0;
        host.hears(other, "ENOENT");
    }
    host.send(10, 0, "READ own|");
    host.poll();
    assert!(!is_taken(&mut host, 10), "it is beyond its budget");
}
