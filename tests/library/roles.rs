//! Honest guests of tests, each on a host of its own: they find nothing wrong where nothing is.

use std::cell::RefCell;
use std::rc::Rc;

use support::{End, Host};
use xenstore::abi::DomId;
use xenstore::client::Client;
use xenstore::config::Settings;
use xenstore::roles::{Guest, Role};
use xenstore::server::sizing;

#[test]
fn all_is_as_it_must_be() {
    for (name, rounds, watches, domid) in [
        ("load", 50, 3, 5),
        ("reconnect", 3, 0, 5),
        ("hvmloader-reset", 3, 0, 5),
        ("recorded", 3, 0, 1),
        ("recorded", 3, 0, 2),
        ("recorded", 3, 0, 3),
        ("recorded", 3, 0, 5),
    ] {
        let mut host = Host::new();
        host.boot(domid);
        let host = Rc::new(RefCell::new(host));
        let mut guest = Guest::new(Client::new(End::new(&host, DomId(domid))), DomId(domid), 1);
        guest.watches = watches;
        let role = Role::named(name).unwrap_or_else(|| panic!("no role {name}"));
        (0..rounds).for_each(|_| guest.live(role));
        let counts = &guest.counts;
        assert_eq!((counts.refused, counts.silent, counts.wrong), (0, 0, 0), "{name}");
        assert_eq!(guest.events_due > 0, ["load", "recorded"].contains(&name), "{name} counts events");
        if guest.events_due > 0 {
            assert_eq!(guest.client.events, guest.events_due, "{name}");
        }
        host.borrow().check();
    }
}

#[test]
fn a_life_that_fails_leaves_nothing_in_the_next_ones_way() {
    let mut host = Host::new();
    host.boot(5);
    host.ok(0, 0, "SET_QUOTA 5|nodes|50|");
    let host = Rc::new(RefCell::new(host));
    let mut guest = Guest::new(Client::new(End::new(&host, DomId(5))), DomId(5), 1);
    let role = Role::named("recorded").expect("the role is there");
    guest.live(role);
    assert_eq!(guest.counts.refused, 1, "a life needs more nodes");
    host.borrow_mut().ok(0, 0, "SET_QUOTA 5|nodes|1000|");
    guest.live(role);
    let counts = &guest.counts;
    assert_eq!((counts.refused, counts.silent, counts.wrong), (1, 0, 0));
    host.borrow().check();
}

#[test]
fn a_recorded_life_needs_no_more_copies_than_each_guest_has_a_share_of() {
    let mut host =
        Host::with(Settings::DEFAULT, &sizing::capacities_for(7 << 20, 8 << 16).expect("there is memory"));
    host.boot(5);
    for hoarder in 100..132 {
        host.boot(hoarder);
    }
    // One after the other, and then once more, as all of them are there.
    for _ in 0..2 {
        for hoarder in 100..132 {
            let tx = host.start(hoarder);
            let refused = (0..1000).find(|n| host.ask(hoarder, tx, &format!("READ missing{n}|")) == "ENOMEM");
            assert!(refused.is_some(), "guest {hoarder} gets all that it wants");
        }
    }
    let host = Rc::new(RefCell::new(host));
    let mut guest = Guest::new(Client::new(End::new(&host, DomId(5))), DomId(5), 1);
    guest.live(Role::named("recorded").expect("the role is there"));
    let counts = &guest.counts;
    assert_eq!((counts.refused, counts.silent, counts.wrong), (0, 0, 0));
    assert_eq!(guest.client.events, guest.events_due);
    host.borrow().check();
}
