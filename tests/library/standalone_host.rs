//! The report of a trial in the host's store, and the commands that it takes there.

use std::cell::RefCell;
use std::rc::Rc;

use support::{End, Host as Fake};
use xenstore::abi::DomId;
use xenstore::client::{Client, Failure};
use xenstore::standalone::host::{Host, Request};
use xenstore::wire::XsError;

const REQUEST: &str = "/local/domain/5/data/xenstore-stubdom/request";

/// A host, and a trial on it that listens.
fn trial() -> (Rc<RefCell<Fake>>, Host<End>) {
    let mut fake = Fake::new();
    fake.boot(5);
    let fake = Rc::new(RefCell::new(fake));
    let mut host = Host::new(Client::new(End::new(&fake, DomId(5))));
    host.listen().expect("watches");
    assert_eq!(host.wish(), None);
    (fake, host)
}

fn ask(fake: &Rc<RefCell<Fake>>, request: &str) -> String {
    fake.borrow_mut().ask(0, 0, request)
}

fn wish(fake: &Rc<RefCell<Fake>>, words: &str) {
    assert_eq!(ask(fake, &format!("WRITE {REQUEST}|{words}")), "OK|");
}

#[test]
fn a_fact_is_a_node() {
    let (fake, mut host) = trial();
    host.note("benchmark/READ", format_args!("{} ns", 5)).expect("noted");
    assert_eq!(ask(&fake, "READ /local/domain/5/data/xenstore-stubdom/benchmark/READ|"), "5 ns");
}

#[test]
fn each_wish_is_granted_once() {
    let (fake, mut host) = trial();
    for (words, request) in [
        ("dump", Request::Dump),
        ("run", Request::Run),
        ("run", Request::Run),
        ("stop", Request::Stop),
        ("sing", Request::Unknown),
    ] {
        wish(&fake, words);
        assert_eq!(host.next_wish(), request);
        host.granted().expect("emptied");
        assert_eq!(ask(&fake, &format!("READ {REQUEST}|")), "");
        assert_eq!(host.wish(), None);
    }
}

#[test]
fn a_wish_that_cannot_be_emptied_is_granted_once_for_an_event() {
    let (fake, mut host) = trial();
    wish(&fake, "run");
    assert_eq!(ask(&fake, &format!("SET_PERMS {REQUEST}|n0|r5|")), "OK|");
    assert_eq!(host.next_wish(), Request::Run);
    assert_eq!(host.granted(), Err(Failure::Refused(XsError::EACCES)));
    for _ in 0..3 {
        assert_eq!(host.wish(), None);
    }
    wish(&fake, "dump");
    assert_eq!(host.next_wish(), Request::Dump);
    assert_eq!(host.granted(), Err(Failure::Refused(XsError::EACCES)));
    assert_eq!(ask(&fake, "WRITE /local/domain/5/control/shutdown|poweroff"), "OK|");
    assert_eq!(ask(&fake, "SET_PERMS /local/domain/5/control/shutdown|n5|"), "OK|");
    assert_eq!(host.next_wish(), Request::Stop);
}

#[test]
fn a_store_that_was_silent_once_is_told_again_what_it_answers() {
    let (fake, mut host) = trial();
    host.client.machine.asleep = 1;
    assert_eq!(host.note("state", format_args!("lost")), Err(Failure::Silent));
    // No time is spent on it.
    let before = fake.borrow().xen.now;
    assert_eq!(host.note("clock", format_args!("not told")), Ok(()));
    assert_eq!(fake.borrow().xen.now, before);
    assert_eq!(ask(&fake, "READ /local/domain/5/data/xenstore-stubdom/clock|"), "ENOENT");
    wish(&fake, "run");
    assert_eq!(host.next_wish(), Request::Run);
    host.note("clock", format_args!("told")).expect("noted");
    host.granted().expect("emptied");
    assert_eq!(ask(&fake, "READ /local/domain/5/data/xenstore-stubdom/clock|"), "told");
    assert_eq!(host.wish(), None);
}
