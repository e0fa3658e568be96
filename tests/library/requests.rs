//! Requests and their answers, as tables through real ring bytes.

use support::Host;

#[test]
fn a_client_reads_what_another_wrote() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "READ /tool/xenstored|", ""),
        (0, 0, "WRITE /a/b/c|hello", "OK|"),
        (0, 0, "DIRECTORY /a|", "b|"),
        (0, 0, "READ /a/b|", ""),
        (0, 0, "READ /a/b/c|", "hello"),
        (5, 0, "READ /a/b/c|", "EACCES"),
        (0, 0, "SET_PERMS /a/b/c|n0|r5|", "OK|"),
        (5, 0, "READ /a/b/c|", "hello"),
        (5, 0, "WRITE data/x|1", "OK|"),
        (0, 0, "GET_PERMS /local/domain/5/data|", "n5|"),
        (0, 0, "WATCH /local/domain/5|tok|", "OK|; ev /local/domain/5,tok"),
        (0, 0, "RM /local/domain/5/data|", "ev /local/domain/5/data,tok; OK|"),
    ]);
}

#[test]
fn transactions_of_one_parent_do_not_meet() {
    let mut host = Host::new();
    host.expect(&[(0, 0, "MKDIR /t|", "OK|")]);
    let (a, b) = (host.start(0), host.start(0));
    host.expect(&[
        (0, a, "WRITE /t/a|1", "OK|"),
        (0, b, "WRITE /t/b|2", "OK|"),
        (0, a, "DIRECTORY /t|", "a|"),
        (0, 0, "DIRECTORY /t|", ""),
        (0, b, "TRANSACTION_END T|", "OK|"),
        (0, a, "TRANSACTION_END T|", "EAGAIN"),
    ]);
    let a = host.start(0);
    host.expect(&[
        (0, a, "WRITE /t/a|1", "OK|"),
        (0, 0, "WRITE /t/c|3", "OK|"),
        (0, a, "TRANSACTION_END T|", "OK|"),
        (0, 0, "DIRECTORY /t|", "b|c|a|"),
    ]);
}
