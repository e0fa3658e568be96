//! Who may do what: XSA-352, and the neighbours 57 and 175.

use crate::scene::{memory, nodes, over, scene};

#[test]
fn xsa_352_only_the_privileged_give_nodes_away() {
    let mut host = scene();
    host.expect(&[
        (5, 0, "WRITE data/a|some-value-that-does-not-fit-its-node", "OK|"),
        (0, 0, "SET_TARGET 6|5|", "OK|"),
    ]);
    let held = |host: &support::Host| [nodes(host, 5), nodes(host, 6), memory(host, 5), memory(host, 6)];
    let before = held(&host);
    let tx = host.start(5);
    for tx in [0, tx] {
        host.expect(&[(5, tx, "SET_PERMS data/a|n6|", "EPERM"), (5, tx, "SET_PERMS data/a|n0|", "EPERM")]);
    }
    host.expect(&[
        (5, tx, "TRANSACTION_END T|", "OK|"),
        (6, 0, "SET_PERMS /local/domain/5/data/a|n6|", "EPERM"),
        (6, 0, "SET_PERMS /local/domain/5/data/a|n0|", "EPERM"),
        (0, 0, "GET_PERMS /local/domain/5/data/a|", "n5|"),
        (6, 0, "SET_PERMS /local/domain/5/data/a|r5|b6|", "OK|"),
        (5, 0, "SET_PERMS data/a|r5|b6|", "OK|"),
    ]);
    assert_eq!(held(&host), before);
    host.expect(&[(0, 0, "SET_PERMS /local/domain/5/data/a|n6|", "OK|")]);
    let moved = before[2] - memory(&host, 5);
    assert!(moved > 128);
    assert_eq!(held(&host), [before[0] - 1, before[1] + 1, before[2] - moved, before[3] + moved]);
    over(&mut host);
}

#[test]
fn xsa_57_the_owner_of_a_directory_does_not_own_what_is_in_it() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "WRITE /local/domain/5/dev/ro|tty", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/dev/ro|n0|r5|", "OK|"),
        (5, 0, "WRITE dev/ro|x", "EACCES"),
        (5, 0, "RM dev/ro|", "EACCES"),
        (5, 0, "MKDIR dev/ro|", "EACCES"),
        (5, 0, "SET_PERMS dev/ro|n5|", "EACCES"),
        (5, 0, "WRITE dev/ro/below|x", "EACCES"),
        (5, 0, "READ dev/ro|", "tty"),
        (5, 0, "MKDIR dev/new|", "OK|"),
    ]);
    over(&mut host);
}

#[test]
fn xsa_175_removal_asks_the_top_and_making_again_asks_the_parent() {
    let mut host = scene();
    host.expect(&[
        (0, 0, "MKDIR /local/domain/5/vif|", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/vif|n0|r5|", "OK|"),
        (0, 0, "MKDIR /local/domain/5/vif/0|", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/vif/0|n5|", "OK|"),
        (0, 0, "WRITE /local/domain/5/vif/0/x|1", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/vif/0/x|n0|r5|", "OK|"),
        (0, 0, "WRITE /libxl/5/y|1", "OK|"),
        (5, 0, "RM vif/0|", "OK|"),
        (0, 0, "READ /local/domain/5/vif/0/x|", "ENOENT"),
        (5, 0, "MKDIR vif/0|", "EACCES"),
        (5, 0, "DIRECTORY /libxl|", "EACCES"),
        (5, 0, "WRITE /libxl/5/y|2", "EACCES"),
    ]);
    over(&mut host);
}
