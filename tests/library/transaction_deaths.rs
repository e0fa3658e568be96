//! Domains that die while a transaction is open: if it depends on their rights, that is a conflict.

use support::Host;

#[test]
fn permissions_that_a_death_changes_are_a_conflict() {
    let mut host = Host::new();
    for domid in [1, 2, 3] {
        host.boot(domid);
    }
    host.expect(&[(1, 0, "WRITE data|", "OK|"), (1, 0, "SET_PERMS data|n1|r2|", "OK|")]);
    let (reads, rewrites, other) = (host.start(1), host.start(1), host.start(1));
    host.expect(&[
        (1, reads, "GET_PERMS data|", "n1|r2|"),
        (1, rewrites, "GET_PERMS data|", "n1|r2|"),
        (1, other, "READ name|", "ENOENT"),
    ]);
    host.kill(2);
    host.boot(2);
    host.expect(&[
        (1, reads, "GET_PERMS data|", "n1|"),
        (1, rewrites, "SET_PERMS data|n1|r2|r3|", "OK|"),
        (1, reads, "TRANSACTION_END T|", "EAGAIN"),
        (1, rewrites, "TRANSACTION_END T|", "EAGAIN"),
        (1, other, "TRANSACTION_END T|", "OK|"),
        (2, 0, "READ /local/domain/1/data|", "EACCES"),
    ]);
    // An entry whose domain was dead before is no reason.
    let again = host.start(1);
    host.expect(&[(1, again, "GET_PERMS data|", "n1|")]);
    host.kill(3);
    host.expect(&[(1, again, "TRANSACTION_END T|", "OK|")]);
}

/// dom0 needs none, so a death does not change what it has read.
#[test]
fn permissions_that_nobody_has_read_are_no_conflict() {
    let mut host = Host::new();
    host.boot(1);
    host.boot(2);
    host.expect(&[(1, 0, "WRITE data|x", "OK|"), (1, 0, "SET_PERMS data|n1|r2|", "OK|")]);
    let tx = host.start(0);
    host.expect(&[(0, tx, "READ /local/domain/1/data|", "x")]);
    host.kill(2);
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
}

#[test]
fn a_death_is_remembered_for_64_more_and_then_any_dead_entry_is_a_conflict() {
    for (dies, others, end) in [
        ("within", 0, "EAGAIN"),
        ("within", 63, "EAGAIN"),
        ("within", 64, "EAGAIN"),
        ("before", 64, "OK|"),
        ("before", 65, "EAGAIN"),
    ] {
        let mut host = Host::new();
        host.boot(1);
        host.boot(2);
        host.expect(&[(1, 0, "WRITE data|", "OK|"), (1, 0, "SET_PERMS data|n1|r2|", "OK|")]);
        if dies == "before" {
            host.kill(2);
        }
        let tx = host.start(1);
        host.ask(1, tx, "GET_PERMS data|");
        if dies == "within" {
            host.kill(2);
        }
        for _ in 0..others {
            host.boot(3);
            host.kill(3);
        }
        assert_eq!(host.ask(1, tx, "TRANSACTION_END T|"), end, "it dies {dies}, and {others} others");
    }
}

#[test]
fn what_was_written_by_the_right_of_a_target_that_has_died_is_given_up() {
    let mut host = Host::new();
    for domid in [1, 2, 3] {
        host.boot(domid);
    }
    host.expect(&[
        (0, 0, "WRITE /shared|", "OK|"),
        (0, 0, "SET_PERMS /shared|n0|b2|", "OK|"),
        (0, 0, "SET_TARGET 1|2|", "OK|"),
    ]);
    let (by_right, elsewhere) = (host.start(1), host.start(3));
    host.expect(&[(1, by_right, "WRITE /shared|x", "OK|"), (3, elsewhere, "WRITE data|x", "OK|")]);
    let passed_on = host.start(1);
    host.expect(&[
        (1, passed_on, "WRITE /shared|y", "OK|"),
        (0, 0, "SET_TARGET 1|3|", "OK|"),
        (1, passed_on, "READ /local/domain/1|", ""),
        (1, passed_on, "TRANSACTION_END T|", "EAGAIN"),
        (0, 0, "SET_TARGET 1|2|", "OK|"),
    ]);
    host.kill(2);
    host.expect(&[
        (1, by_right, "TRANSACTION_END T|", "EAGAIN"),
        (3, elsewhere, "TRANSACTION_END T|", "OK|"),
        (0, 0, "READ /shared|", ""),
    ]);
}
