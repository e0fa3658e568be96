//! For how long guests are held while a commit of the privileged domain is tried again, and which tries those are.

use std::sync::Arc;

use crate::fairness::{host, lose};
use support::{Client, Host, request};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::platform::{EventChannels, Instant};
use xenstore::server;
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, TxId};

const MILLISECOND: u64 = 1_000_000;

/// A local client of dom0's.
struct Local {
    handle: server::Client,
    client: Client,
}

impl Local {
    fn new(host: &mut Host) -> Local {
        let ring = Arc::new(RingPage::new());
        let port = host.xen.bind_interdomain(DomId(0), Port(9)).expect("a port");
        Local {
            handle: host.server.accept(ring.clone(), port).expect("there is room"),
            client: Client::new(ring),
        }
    }

    fn ask(&mut self, host: &mut Host, kind: MessageType, tx: u32, payload: &[u8]) -> String {
        self.client.write(&request(kind as u32, 1, TxId(tx), payload));
        host.xen.kick(DomId(0));
        host.poll();
        self.client.read().iter().map(ToString::to_string).collect()
    }

    /// It loses transactions to dom0, the first ones that it has.
    fn lose(&mut self, host: &mut Host, times: u32) {
        for tx in 1..=times {
            self.ask(host, MessageType::TransactionStart, 0, b"\0");
            self.ask(host, MessageType::Read, tx, b"/shared\0");
            host.ok(0, 0, "WRITE /shared|x");
            assert_eq!(self.ask(host, MessageType::TransactionEnd, tx, b"T\0"), "EAGAIN");
        }
    }
}

/// A hold that goes on from one second into the next is part of both.
#[test]
fn a_retry_that_ends_has_used_up_what_there_is_of_its_second() {
    let mut host = host();
    lose(&mut host);
    let retry = host.start(0);
    let second = host.xen.now.start_of_second().after_seconds(1);
    host.xen.now = Instant(second.0 - MILLISECOND);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    host.xen.now = second.after_nanoseconds(20 * MILLISECOND);
    host.expect(&[(0, retry, "TRANSACTION_END F|", "OK|")]);
    host.hears(5, "OK|");
    host.start(0);
    host.expect(&[(5, 0, "WRITE data|z", "")]);
    for (after, answer) in [(25 * MILLISECOND - 1, ""), (25 * MILLISECOND, "OK|")] {
        host.xen.now = second.after_nanoseconds(after);
        host.poll();
        host.hears(5, answer);
    }
}

#[test]
fn who_asks_amid_a_hold_does_not_prolong_it() {
    let mut host = host();
    let tx = host.start(0);
    host.ask(0, tx, "READ /local/domain/5/data|");
    host.ask(0, tx, "READ /shared|");
    host.expect(&[
        (5, 0, "WRITE data|x", "OK|"),
        (6, 0, "WRITE /shared|x", "OK|"),
        (0, tx, "TRANSACTION_END T|", "EAGAIN"),
    ]);
    host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    let begin = host.xen.now;
    host.xen.now = begin.after_nanoseconds(20 * MILLISECOND);
    host.expect(&[(6, 0, "WRITE /shared|y", "")]);
    host.xen.now = begin.after_nanoseconds(25 * MILLISECOND);
    host.poll();
    host.hears(5, "OK|");
    host.hears(6, "OK|");
}

/// Has a guest make the server ask Xen as often as it may in this second.
fn ask_xen(host: &mut Host, guest: u16) {
    for n in 0..32 {
        host.ok(guest, 0, &format!("SET_PERMS own|n{guest}|r{}|r{}|", 2000 + n, 3000 + n));
    }
    host.expect(&[(guest, 0, "READ own|", "")]);
}

#[test]
fn who_has_asked_for_too_much_waits_for_the_next_second_and_no_longer() {
    let mut host = host();
    host.ok(6, 0, "WRITE own|");
    // What is looked at once a second is looked at later.
    host.xen.now = host.xen.now.start_of_second().after_nanoseconds(1300 * MILLISECOND);
    host.poll();
    ask_xen(&mut host, 6);
    let second = host.xen.now.start_of_second().after_seconds(1);
    assert_eq!(host.server.poll(&mut host.xen), Some(second));
}

#[test]
fn who_waits_for_less_is_served_before_who_waits_for_more() {
    let mut host = host();
    host.ok(6, 0, "WRITE own|");
    lose(&mut host);
    host.start(0);
    host.expect(&[(5, 0, "WRITE data|y", "")]);
    ask_xen(&mut host, 6);
    let end = host.xen.now.after_nanoseconds(25 * MILLISECOND);
    assert_eq!(host.server.poll(&mut host.xen), Some(end));
}

#[test]
fn a_transaction_that_was_there_before_the_loss_is_no_retry() {
    let mut host = host();
    let before = host.start(0);
    let tx = host.start(0);
    let beside = host.start(0);
    host.ask(0, tx, "READ /local/domain/5/data|");
    host.expect(&[
        (5, 0, "WRITE data|x", "OK|"),
        (0, tx, "TRANSACTION_END T|", "EAGAIN"),
        (5, 0, "WRITE data|y", "OK|"),
    ]);
    // That they succeed does not mean that the retry has.
    let retry = host.start(0);
    host.expect(&[
        (0, before, "TRANSACTION_END T|", "OK|"),
        (0, beside, "TRANSACTION_END T|", "OK|"),
        (5, 0, "WRITE data|z", ""),
        (0, retry, "TRANSACTION_END T|", "OK|"),
    ]);
    host.hears(5, "OK|");
}

#[test]
fn a_retry_is_known_though_identifiers_begin_anew() {
    const KNOWN: u32 = 0x8000_0002;
    let mut host = host();
    let mut state = host.save(2);
    let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
    let next = |at: &usize| Some(at + 8 + word(at + 4) as usize);
    let is_dom0 = |at: &usize| word(*at) == KNOWN && word(at + 8) & 0xffff == 0;
    let known = std::iter::successors(Some(16), next).find(is_dom0).expect("dom0 is there");
    state[known + 12..known + 16].copy_from_slice(&u32::to_le_bytes(u32::MAX - 1));
    host.restore(&state).expect("any number may be the latest");
    host.server.resume(&mut host.xen);
    lose(&mut host);
    let retry = host.start(0);
    assert_eq!(retry, 1);
    host.expect(&[(5, 0, "WRITE data|z", ""), (0, retry, "TRANSACTION_END F|", "OK|")]);
    host.hears(5, "OK|");
}

#[test]
fn losses_are_counted_for_each_loser() {
    let mut host = host();
    Local::new(&mut host).lose(&mut host, 3);
    // Nobody is held for what dom0 itself has changed.
    assert!(host.server.trace().from(0).all(|record| record.kind != Kind::Held));
    lose(&mut host);
    host.start(0);
    host.expect(&[(6, 0, "WRITE own|", "OK|"), (5, 0, "WRITE data|y", "")]);
}

/// Whoever comes in its place has lost nothing.
#[test]
fn a_client_that_has_gone_holds_nobody() {
    let mut host = host();
    let mut local = Local::new(&mut host);
    local.lose(&mut host, 4);
    host.server.disconnect(&mut host.xen, local.handle);
    host.boot(9);
    for _ in 0..5 {
        host.start(9);
    }
    host.expect(&[(5, 0, "WRITE data|y", "OK|")]);
}
