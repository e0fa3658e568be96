//! Transactions: isolation, conflicts, effects at the end, what ends them.

use support::Host;

fn host() -> Host {
    let mut host = Host::new();
    host.expect(&[(0, 0, "WRITE /t/a|a", "OK|"), (0, 0, "WRITE /t/b|b", "OK|")]);
    host
}

/// dom0 makes the requests `inside` in a transaction, then `outside` out of any. Then the transaction must end so.
#[track_caller]
fn ends(inside: &[&str], outside: &[&str], end: &str) {
    let mut host = host();
    let tx = host.start(0);
    for request in inside {
        host.ask(0, tx, request);
    }
    for request in outside {
        host.ok(0, 0, request);
    }
    host.expect(&[
        (0, tx, "TRANSACTION_END T|", end),
        (0, tx, "TRANSACTION_END T|", "ENOENT"),
        (0, tx, "READ /t|", "ENOENT"),
    ]);
}

#[test]
fn changes_show_inside_at_once_and_outside_at_the_end() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "TRANSACTION_START |", "1|"),
        (0, 1, "WRITE /new/x|1", "OK|"),
        (0, 1, "READ /new/x|", "1"),
        (0, 1, "DIRECTORY /new|", "x|"),
        (0, 1, "DIRECTORY /|", "tool|new|"),
        (0, 0, "READ /new/x|", "ENOENT"),
        (0, 0, "DIRECTORY /|", "tool|"),
        (0, 1, "TRANSACTION_END T|", "OK|"),
        (0, 0, "READ /new/x|", "1"),
        (0, 0, "TRANSACTION_START |", "2|"),
        (0, 2, "WRITE /new/x|2", "OK|"),
        (0, 2, "RM /tool|", "OK|"),
        (0, 2, "READ /tool|", "ENOENT"),
        (0, 2, "TRANSACTION_END F|", "OK|"),
        (0, 0, "READ /new/x|", "1"),
        (0, 0, "DIRECTORY /|", "tool|new|"),
    ]);
}

#[test]
fn a_node_is_seen_as_it_is_at_first_touch() {
    let mut host = host();
    let tx = host.start(0);
    host.expect(&[
        (0, 0, "WRITE /t/a|new", "OK|"),
        (0, tx, "READ /t/a|", "new"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
    ]);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "READ /t/a|", "new"),
        (0, 0, "WRITE /t/a|newer", "OK|"),
        (0, tx, "READ /t/a|", "new"),
        (0, tx, "TRANSACTION_END T|", "EAGAIN"),
        (0, tx, "TRANSACTION_END T|", "ENOENT"),
        (0, 0, "READ /t/a|", "newer"),
    ]);
}

#[test]
fn what_was_read_and_has_changed_is_a_conflict() {
    for (inside, outside) in [
        ("READ /t/a|", "WRITE /t/a|x"),
        ("READ /t/a|", "WRITE /t/a|a"),
        ("READ /t/a|", "RM /t/a|"),
        ("GET_PERMS /t/a|", "SET_PERMS /t/a|r0|"),
        ("READ /t/nope|", "WRITE /t/nope|"),
        ("READ /t/nope|", "WRITE /t/nope/deep|"),
        ("MKDIR /t/a|", "RM /t/a|"),
        ("DIRECTORY /t|", "WRITE /t/c|"),
        ("DIRECTORY /t|", "RM /t/b|"),
        ("DIRECTORY_PART /t|0|", "RM /t/b|"),
        ("RM /t|", "WRITE /t/c|"),
        ("RM /t|", "WRITE /t/a/deep|"),
        ("WRITE /t/n|", "WRITE /t/n|"),
        ("WRITE /t/a|x", "RM /t/a|"),
        ("WRITE /t/a/n|x", "RM /t|"),
        ("SET_PERMS /t/a|r0|", "SET_PERMS /t/a|w0|"),
    ] {
        ends(&[inside], &[outside], "EAGAIN");
    }
}

#[test]
fn what_was_not_read_is_none() {
    for (inside, outside) in [
        ("READ /t/a|", "WRITE /t/b|x"),
        ("READ /t/a|", "MKDIR /t/a|"),
        ("READ /t/a|", "WRITE /t/a/deep|"),
        ("READ /t/a|", "SET_PERMS /t/a|r0|"),
        ("DIRECTORY /t|", "WRITE /t/a|x"),
        ("DIRECTORY /t|", "WRITE /t|x"),
        ("DIRECTORY /t|", "WRITE /t/a/deep|"),
        ("WRITE /t/a|x", "WRITE /t/b|x"),
        ("WRITE /t/a|x", "WRITE /t/a|y"),
        ("WRITE /t/x1|", "WRITE /t/x2|"),
        ("RM /t/a|", "RM /t/b|"),
        ("RM /t/a|", "WRITE /t/c|"),
        ("WRITE /t/a/x|", "WRITE /t/b/x|"),
        ("WRITE /new/x|", "WRITE /other/x|"),
    ] {
        ends(&[inside], &[outside], "OK|");
    }
    // Reading a node that the transaction has created is no read of the tree.
    ends(&["RM /t/a|", "WRITE /t/a|", "GET_PERMS /t/a|"], &["SET_PERMS /t/a|r0|"], "OK|");
}

#[test]
fn writes_without_reading_take_effect_in_order_of_their_ends() {
    let mut host = host();
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "WRITE /t/a|inside", "OK|"),
        (0, 0, "WRITE /t/a|outside", "OK|"),
        (0, tx, "READ /t/a|", "inside"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
        (0, 0, "READ /t/a|", "inside"),
    ]);
}

#[test]
fn a_lost_transaction_changes_nothing() {
    let mut host = host();
    host.boot(5);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "READ /t/a|", "a"),
        (0, tx, "WRITE /t/b|x", "OK|"),
        (0, tx, "RM /tool|", "OK|"),
        (0, tx, "WRITE /new|", "OK|"),
        (0, tx, "SET_PERMS /t|n5|", "OK|"),
        (0, 0, "WRITE /t/a|y", "OK|"),
        (0, 0, "WATCH /|w|", "OK|; ev /,w"),
        (0, tx, "TRANSACTION_END T|", "EAGAIN"),
        (0, 0, "READ /t/b|", "b"),
        (0, 0, "DIRECTORY /|", "tool|t|local|"),
        (0, 0, "GET_PERMS /t|", "n0|"),
    ]);
}

#[test]
fn what_is_made_and_removed_inside_leaves_no_trace() {
    let mut host = host();
    let tx = host.start(0);
    host.expect(&[
        (0, 0, "WATCH /|w|", "OK|; ev /,w"),
        (0, tx, "WRITE /t/tmp/deep|", "OK|"),
        (0, tx, "RM /t/tmp|", "OK|"),
        (0, tx, "READ /t/tmp|", "ENOENT"),
        (0, tx, "DIRECTORY /t|", "a|b|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
        (0, 0, "DIRECTORY /t|", "a|b|"),
        (0, 0, "READ /t/tmp|", "ENOENT"),
    ]);
}

#[test]
fn what_is_removed_and_made_again_is_new() {
    let mut host = host();
    host.ok(0, 0, "WRITE /t/a/old|");
    let tx = host.start(0);
    host.expect(&[
        (0, 0, "WATCH /t/a|w|", "OK|; ev /t/a,w"),
        (0, tx, "RM /t/a|", "OK|"),
        (0, tx, "DIRECTORY /t|", "b|"),
        (0, tx, "WRITE /t/a|again", "OK|"),
        (0, tx, "DIRECTORY /t/a|", ""),
        (0, tx, "DIRECTORY /t|", "b|a|"),
        (0, tx, "TRANSACTION_END T|", "ev /t/a,w; OK|"),
        (0, 0, "DIRECTORY /t|", "b|a|"),
        (0, 0, "DIRECTORY /t/a|", ""),
        (0, 0, "READ /t/a|", "again"),
        (0, 0, "READ /t/a/old|", "ENOENT"),
    ]);
}

#[test]
fn transactions_of_different_nodes_do_not_meet() {
    let mut host = host();
    let (one, two) = (host.start(0), host.start(0));
    host.expect(&[
        (0, one, "WRITE /t/a/x|1", "OK|"),
        (0, two, "WRITE /t/b/x|2", "OK|"),
        (0, one, "TRANSACTION_END T|", "OK|"),
        (0, two, "TRANSACTION_END T|", "OK|"),
        (0, 0, "READ /t/a/x|", "1"),
        (0, 0, "READ /t/b/x|", "2"),
    ]);
}

#[test]
fn start_and_end_check_their_arguments_in_order() {
    let mut host = host();
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "TRANSACTION_START |", "EBUSY"),
        (0, 99, "TRANSACTION_START |", "ENOENT"),
        (0, 0, "TRANSACTION_END X|", "EINVAL"),
        (0, 0, "TRANSACTION_END T|", "ENOENT"),
        (0, 0, "TRANSACTION_END F|", "ENOENT"),
        (0, 99, "TRANSACTION_END X|", "ENOENT"),
        (0, tx, "TRANSACTION_END t|", "EINVAL"),
        (0, tx, "TRANSACTION_END T||", "EINVAL"),
        (0, tx, "TRANSACTION_END ", "EINVAL"),
        (0, tx, "TRANSACTION_END T", "EINVAL"),
        (0, tx, "READ /t/a|", "a"),
        (0, tx, "TRANSACTION_END F|", "OK|"),
        (0, tx, "TRANSACTION_END F|", "ENOENT"),
    ]);
}

#[test]
fn a_transaction_belongs_to_its_connection() {
    let mut host = host();
    host.boot(5);
    host.expect(&[
        (5, 0, "TRANSACTION_START |", "1|"),
        (5, 0, "TRANSACTION_START |", "2|"),
        (0, 1, "READ /t/a|", "ENOENT"),
        (0, 2, "TRANSACTION_END T|", "ENOENT"),
        (5, 2, "WRITE k|", "OK|"),
        (0, 0, "INTRODUCE 5|1|5|", "OK|"),
        (5, 2, "TRANSACTION_END T|", "ENOENT"),
        (5, 0, "READ k|", "ENOENT"),
        (5, 0, "TRANSACTION_START |", "3|"),
    ]);
}

#[test]
fn events_come_at_the_end_once_for_each_node() {
    let mut host = host();
    host.ok(0, 0, "WRITE /t/c|");
    let tx = host.start(0);
    host.expect(&[
        (0, 0, "WATCH /t|w|", "OK|; ev /t,w"),
        (0, tx, "WRITE /t/a|1", "OK|"),
        (0, tx, "WRITE /t/a|2", "OK|"),
        (0, tx, "RM /t/c|", "OK|"),
        (0, tx, "WRITE /t/new/x|", "OK|"),
        (0, tx, "READ /t/b|", "b"),
        (0, tx, "TRANSACTION_END T|", "ev /t/a,w; ev /t/c,w; ev /t/new/x,w; OK|"),
    ]);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "WRITE /t/a|1", "OK|"),
        (0, tx, "TRANSACTION_END F|", "OK|"),
        (0, 0, "READ /t/a|", "2"),
    ]);
}

#[test]
fn removal_in_a_transaction_fires_from_the_top() {
    let mut host = Host::new();
    for path in ["/w/t/1", "/w/t/2/x", "/w/t/3"] {
        host.ok(0, 0, &format!("WRITE {path}|"));
    }
    for path in ["/w/t", "/w/t/1", "/w/t/2", "/w/t/2/x", "/w/t/nonexist", "/", "/w"] {
        host.ask(0, 0, &format!("WATCH {path}|{path}|"));
    }
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "RM /w/t|", "OK|"),
        (
            0,
            tx,
            "TRANSACTION_END T|",
            "ev /w/t,/w/t; ev /w/t,/; ev /w/t,/w; ev /w/t/1,/w/t/1; ev /w/t/2,/w/t/2; \
             ev /w/t/2/x,/w/t/2/x; OK|",
        ),
    ]);
}

#[test]
fn of_a_removal_in_a_transaction_only_readers_of_the_node_hear() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /p/b|", "OK|"),
        (0, 0, "WRITE /p/c|", "OK|"),
        (0, 0, "SET_PERMS /p|n0|r5|", "OK|"),
        (5, 0, "WATCH /p|t|", "OK|; ev /p,t"),
    ]);
    let tx = host.start(0);
    host.expect(&[(0, tx, "RM /p/b|", "OK|"), (0, tx, "TRANSACTION_END T|", "OK|")]);
    host.hears(5, "");
    host.ok(0, 0, "RM /p/c|");
    host.hears(5, "ev /p/c,t");
}

#[test]
fn permissions_set_inside_hold_inside() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.ok(0, 0, "WRITE /k|v");
    let nodes = |host: &mut Host, domid: u16| {
        let held = host.ask(0, 0, &format!("CONTROL quota|{domid}|"));
        let line = held.split("\\n").find(|line| line.starts_with("nodes")).unwrap().to_string();
        line.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap()
    };
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "SET_PERMS /k|n6|r5|", "OK|"),
        (0, tx, "GET_PERMS /k|", "n6|r5|"),
        (0, 0, "GET_PERMS /k|", "n0|"),
        (5, 0, "READ /k|", "EACCES"),
    ]);
    let before = nodes(&mut host, 6);
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|"), (5, 0, "READ /k|", "v"), (6, 0, "WRITE /k|", "OK|")]);
    assert_eq!(nodes(&mut host, 6), before + 1);
    let tx = host.start(5);
    host.expect(&[
        (5, 0, "WRITE own|", "OK|"),
        (5, tx, "SET_PERMS own|n5|r6|", "OK|"),
        (5, tx, "SET_PERMS own|n6|", "EPERM"),
        (6, 0, "READ /local/domain/5/own|", "EACCES"),
        (5, tx, "TRANSACTION_END T|", "OK|"),
        (6, 0, "READ /local/domain/5/own|", ""),
    ]);
}

#[test]
fn a_request_that_fails_inside_leaves_the_transaction_as_it_was() {
    let mut host = Host::new();
    host.boot(5);
    let tx = host.start(5);
    host.expect(&[
        (5, tx, "WRITE k|1", "OK|"),
        (5, tx, &format!("WRITE k|{}", "x".repeat(2100)), "ENOSPC"),
        (5, tx, &format!("WRITE a/b/c|{}", "x".repeat(2100)), "ENOSPC"),
        (5, tx, "WRITE /tool/x|", "EACCES"),
        (5, tx, "READ k//|", "EINVAL"),
        (5, tx, "TRANSACTION_END T|", "OK|"),
        (5, 0, "READ k|", "1"),
        (5, 0, "READ a|", "ENOENT"),
    ]);
}

#[test]
fn identifiers_skip_none_and_open_ones() {
    let mut host = Host::new();
    for id in 1..=30 {
        assert_eq!(host.start(0), id);
        if id % 2 == 0 {
            host.ok(0, id, "TRANSACTION_END F|");
        }
    }
}

#[test]
fn who_hears_of_a_change_is_decided_at_the_commit() {
    let mut host = Host::new();
    host.boot(2);
    host.expect(&[
        (2, 0, "WRITE a|", "OK|"),
        (2, 0, "WATCH a|t|", "OK|; ev a,t"),
        (0, 0, "SET_PERMS /local/domain/2|n0|", "OK|"),
    ]);
    host.received(2);
    for inside in [&["RM"][..], &["WRITE"], &["RM", "WRITE"]] {
        for (before, after, heard) in [("n2", "n0", ""), ("n0|r2", "n0", ""), ("n0", "n0|r2", "ev a,t")] {
            host.ok(0, 0, "WRITE /local/domain/2/a|");
            host.ok(0, 0, &format!("SET_PERMS /local/domain/2/a|{before}|"));
            let tx = host.start(0);
            for request in inside {
                host.ok(0, tx, &format!("{request} /local/domain/2/a|"));
            }
            host.received(2);
            host.ok(0, 0, &format!("SET_PERMS /local/domain/2/a|{after}|"));
            host.hears(2, "ev a,t");
            host.ok(0, tx, "TRANSACTION_END T|");
            assert_eq!(host.received(2), heard, "{inside:?}, {before} to {after}");
            host.check();
        }
    }
}

#[test]
fn what_appears_where_nothing_was_is_not_in_the_view() {
    let mut host = Host::new();
    host.ok(0, 0, "WRITE /t|");
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "WRITE /t/b/a|", "OK|"),
        (0, 0, "WRITE /t/b/c|", "OK|"),
        (0, tx, "DIRECTORY /t/b|", "a|"),
        (0, 0, "RM /t/b|", "OK|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
        (0, 0, "DIRECTORY /t/b|", "a|"),
    ]);
}

/// xl looks, in the transaction that ends a guest, whether the list that the guest was in is empty now. Of two that each see
/// the other's guest there, neither removes the list: no order of the two leaves that, so the second must not commit.
#[test]
fn of_two_stops_at_once_one_is_done_again() {
    let mut host = Host::new();
    for guest in [5, 6] {
        host.ok(0, 0, &format!("WRITE /backend/vif/{guest}/0/state|6"));
    }
    let (first, second) = (host.start(0), host.start(0));
    host.expect(&[
        (0, first, "RM /backend/vif/5|", "OK|"),
        (0, second, "RM /backend/vif/6|", "OK|"),
        (0, first, "DIRECTORY /backend/vif|", "6|"),
        (0, second, "DIRECTORY /backend/vif|", "5|"),
        (0, first, "TRANSACTION_END T|", "OK|"),
        (0, second, "TRANSACTION_END T|", "EAGAIN"),
    ]);
    let again = host.start(0);
    host.expect(&[
        (0, again, "RM /backend/vif/6|", "OK|"),
        (0, again, "DIRECTORY /backend/vif|", ""),
        (0, again, "RM /backend/vif|", "OK|"),
        (0, again, "TRANSACTION_END T|", "OK|"),
        (0, 0, "DIRECTORY /backend|", ""),
    ]);
}
