//! The library's client against the server: requests, late answers, and how it is asked to shut down.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use support::{End, Host};
use xenstore::abi::{DomId, RING_SIZE, RingPage};
use xenstore::client::{Client, Failure, Machine};
use xenstore::platform::Instant;
use xenstore::wire::{MessageType, TxId, XsError};

/// A host with one guest, and that guest.
fn guest() -> (Rc<RefCell<Host>>, Client<End>) {
    let mut host = Host::new();
    host.boot(5);
    let host = Rc::new(RefCell::new(host));
    let client = Client::new(End::new(&host, DomId(5)));
    (host, client)
}

fn read(client: &mut Client<End>, path: &str) -> Result<Vec<u8>, Failure> {
    client.ask(MessageType::Read, TxId::NONE, &[path.as_bytes(), b"\0"]).map(<[u8]>::to_vec)
}

#[test]
fn a_request_is_answered_whatever_its_length() {
    let (host, mut client) = guest();
    for len in [0, 1, 500, RING_SIZE as usize, 2000] {
        let value = vec![b'v'; len];
        client.write(b"data/value", &value).expect("written");
        assert_eq!(read(&mut client, "data/value").expect("read"), value);
    }
    assert_eq!(read(&mut client, "data/none"), Err(Failure::Refused(XsError::ENOENT)));
    host.borrow().check();
}

#[test]
fn the_store_is_notified_once_of_a_request_in_parts() {
    let (_host, mut client) = guest();
    client.submit(MessageType::Read as u32, TxId::NONE, &[b"data", b"\0"], 1).expect("sent");
    assert_eq!(client.machine.notifications, 1);
    client.submit(MessageType::Write as u32, TxId::NONE, &[b"data/a", b"\0", b"1"], 1).expect("sent");
    assert_eq!(client.machine.notifications, 2);
}

/// A machine that stands still for a minute when it has read its clock so often, while the store works.
struct Halting {
    end: End,
    readings: Cell<u32>,
}

impl Machine for Halting {
    fn page(&self) -> &RingPage {
        self.end.page()
    }

    fn now(&self) -> u64 {
        let left = self.readings.get();
        self.readings.set(left.wrapping_sub(1));
        if left == 0 {
            let mut host = self.end.host.borrow_mut();
            host.poll();
            host.xen.now = Instant(host.xen.now.0 + 60_000_000_000);
        }
        self.end.now()
    }

    fn notify(&mut self) {
        self.end.notify();
    }

    fn wait(&mut self, deadline: u64) {
        self.end.wait(deadline);
    }
}

#[test]
fn an_answer_that_came_while_the_machine_stood_still_is_one() {
    for n in 0..8 {
        let (host, _) = guest();
        let machine = Halting { end: End::new(&host, DomId(5)), readings: Cell::new(n) };
        let mut client = Client::new(machine);
        client.write(b"data/a", b"1").unwrap_or_else(|failure| panic!("halt {n}: {failure}"));
        client.reconnect().unwrap_or_else(|failure| panic!("halt {n}, new connection: {failure}"));
        host.borrow().check();
    }
}

#[test]
fn a_late_answer_is_passed_over() {
    let (_host, mut client) = guest();
    client.write(b"data/a", b"1").expect("written");
    client.write(b"data/b", b"2").expect("written");
    // As long as the client has patience, and then the server answers both.
    client.machine.asleep = 1;
    assert_eq!(read(&mut client, "data/a"), Err(Failure::Silent));
    for _ in 0..3 {
        assert_eq!(read(&mut client, "data/b"), Ok(b"2".to_vec()));
    }
}

#[test]
fn events_are_counted_while_an_answer_is_awaited() {
    let (host, mut client) = guest();
    client.watch(b"data", b"token").expect("watched");
    host.borrow_mut().ok(0, 0, "WRITE /local/domain/5/data/x|1");
    assert_eq!(read(&mut client, "data/x"), Ok(b"1".to_vec()));
    assert_eq!(client.events, 2);
}

#[test]
fn a_new_connection_has_nothing_of_the_old_one() {
    let (host, mut client) = guest();
    client.watch(b"data", b"token").expect("watched");
    // The beginning of a request, of which there will be no more.
    client.push(&[MessageType::Read as u8, 0, 0]);
    client.reconnect().expect("connected");
    assert_eq!(client.machine.page.connection.load(SeqCst), 0);
    host.borrow_mut().ok(0, 0, "WRITE /local/domain/5/data|1");
    let events = client.events;
    assert_eq!(read(&mut client, "data"), Ok(b"1".to_vec()));
    assert_eq!(client.events, events, "the watch is gone");
    client.machine.asleep = 2;
    assert_eq!(client.reconnect(), Err(Failure::Silent));
}

#[test]
fn who_is_told_to_go_says_that_it_has_heard() {
    for (told, goes, reboots) in
        [("poweroff", true, false), ("halt", true, false), ("reboot", true, true), ("suspend", false, false)]
    {
        let (host, mut client) = guest();
        client.watch_shutdown().expect("watched");
        assert!(!client.is_to_stop());
        host.borrow_mut().expect(&[
            (0, 0, &format!("WRITE /local/domain/5/control/shutdown|{told}"), "OK|"),
            (0, 0, "SET_PERMS /local/domain/5/control/shutdown|n5|", "OK|"),
        ]);
        client.listen(u64::MAX);
        assert_eq!((client.is_to_stop(), client.reboots), (goes, reboots), "{told}");
        assert_eq!(client.is_to_stop(), goes, "stays so");
        let left = host.borrow_mut().ask(0, 0, "READ /local/domain/5/control/shutdown|");
        assert_eq!(left, if goes { "" } else { told });
        assert_eq!(client.events, 0);
    }
}
