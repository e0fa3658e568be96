//! Permissions: who may do what, which error says so, what new nodes inherit, lives of domains.

use support::Host;

#[test]
fn a_guest_cannot_tell_what_exists_where_it_may_not_read() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /secret/x|1", "OK|"),
        (5, 0, "READ /secret/x|", "EACCES"),
        (5, 0, "READ /secret/nope|", "EACCES"),
        (5, 0, "READ /secret/nope/nope|", "EACCES"),
        (5, 0, "DIRECTORY /secret|", "EACCES"),
        (5, 0, "GET_PERMS /secret/nope|", "EACCES"),
        (5, 0, "READ /secret//x|", "EINVAL"),
        (0, 0, "READ /secret/nope|", "ENOENT"),
    ]);
}

#[test]
fn the_right_that_a_request_needs_decides_its_error() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "SET_PERMS /local/domain/5|n0|r5|", "OK|"),
        (5, 0, "READ nope|", "ENOENT"),
        (5, 0, "READ nope/a/b|", "ENOENT"),
        (5, 0, "DIRECTORY nope|", "ENOENT"),
        (5, 0, "GET_PERMS nope|", "ENOENT"),
        (5, 0, "WRITE new|", "EACCES"),
        (5, 0, "MKDIR new|", "EACCES"),
        (5, 0, "MKDIR /local/domain/5|", "EACCES"),
        (5, 0, "RM nope|", "EACCES"),
        (5, 0, "SET_PERMS nope|n5|", "EACCES"),
        (5, 0, "WRITE /local/domain/5|", "EACCES"),
    ]);
}

#[test]
fn who_makes_a_node_owns_it_unless_dom0_does() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[
        (5, 0, "WRITE data/k|1", "OK|"),
        (5, 0, "GET_PERMS data/k|", "n5|"),
        (5, 0, "SET_PERMS data|n5|b6|", "OK|"),
        (6, 0, "WRITE /local/domain/5/data/by6|1", "OK|"),
        (0, 0, "GET_PERMS /local/domain/5/data/by6|", "n6|b6|"),
        (5, 0, "READ data/by6|", "EACCES"),
        (5, 0, "RM data/by6|", "EACCES"),
        (0, 0, "WRITE /local/domain/5/data/by0|", "OK|"),
        (0, 0, "GET_PERMS /local/domain/5/data/by0|", "n5|b6|"),
        (6, 0, "READ /local/domain/5/data/by0|", ""),
    ]);
}

#[test]
fn writing_needs_no_right_on_the_way_and_gives_no_right_to_read() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[
        (0, 0, "MKDIR /wo|", "OK|"),
        (0, 0, "SET_PERMS /wo|w0|", "OK|"),
        (5, 0, "WRITE /wo/a/b/c|1", "OK|"),
        (0, 0, "GET_PERMS /wo/a|", "w5|"),
        (0, 0, "GET_PERMS /wo/a/b|", "w5|"),
        (0, 0, "GET_PERMS /wo/a/b/c|", "w5|"),
        (5, 0, "READ /wo/zz|", "EACCES"),
        (5, 0, "DIRECTORY /wo|", "EACCES"),
        (5, 0, "READ /wo/a/b/c|", "1"),
        (6, 0, "READ /wo/a/b/c|", "EACCES"),
        (6, 0, "WRITE /wo/a/b/c|2", "OK|"),
        (5, 0, "RM /wo/zz|", "OK|"),
    ]);
}

#[test]
fn the_first_entry_that_names_a_domain_counts() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[
        (0, 0, "WRITE /fm|v", "OK|"),
        (0, 0, "SET_PERMS /fm|n0|n5|r5|", "OK|"),
        (5, 0, "READ /fm|", "EACCES"),
        (0, 0, "SET_PERMS /fm|r0|n5|", "OK|"),
        (5, 0, "READ /fm|", "EACCES"),
        (6, 0, "READ /fm|", "v"),
        (0, 0, "GET_PERMS /fm|", "r0|n5|"),
    ]);
}

#[test]
fn set_perms_checks_in_order() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    host.expect(&[
        (0, 0, "WRITE /secret/x|", "OK|"),
        (5, 0, "WRITE k|", "OK|"),
        (5, 0, "SET_PERMS k|", "EINVAL"),
        (5, 0, "SET_PERMS k|x5|", "EINVAL"),
        (5, 0, "SET_PERMS k|r|", "EINVAL"),
        (5, 0, "SET_PERMS k|r5x|", "EINVAL"),
        (5, 0, "SET_PERMS k|n5|x5|", "EINVAL"),
        (5, 0, "SET_PERMS k||", "EINVAL"),
        (5, 0, "SET_PERMS k|n6|", "EPERM"),
        (5, 0, "SET_PERMS k|n0|", "EPERM"),
        (5, 0, "SET_PERMS k|n77|", "ENOENT"),
        (5, 0, "SET_PERMS k//|n77|", "ENOENT"),
        (5, 0, "SET_PERMS k//|n5|", "EINVAL"),
        (5, 0, "SET_PERMS missing|n5|", "ENOENT"),
        (5, 0, "SET_PERMS /secret/zz|n5|", "EACCES"),
        (5, 0, "SET_PERMS /secret/x|n5|", "EACCES"),
        (5, 0, "SET_PERMS k|n5|b6|", "OK|"),
        (6, 0, "SET_PERMS /local/domain/5/k|n6|", "EACCES"),
        (6, 0, "SET_PERMS /local/domain/5/k|n5|", "EACCES"),
        (5, 0, "GET_PERMS k|", "n5|b6|"),
    ]);
}

#[test]
fn dom0_names_owners_that_exist_and_readers_that_need_not() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /p|", "OK|"),
        (0, 0, "SET_PERMS /p|n77|", "ENOENT"),
        (0, 0, "SET_PERMS /p|n32757|", "ENOENT"),
        (0, 0, "SET_PERMS /p|n65535|", "ENOENT"),
        (0, 0, "SET_PERMS /p|n0|r77|", "OK|"),
        (0, 0, "GET_PERMS /p|", "n0|r77|"),
        (0, 0, "SET_PERMS /p|r0x5|b010|", "OK|"),
        (0, 0, "GET_PERMS /p|", "r5|b8|"),
        (0, 0, "SET_PERMS /p|w5|", "OK|"),
        (5, 0, "READ /p|", ""),
    ]);
}

#[test]
fn a_guest_gives_at_most_five_entries() {
    let mut host = Host::new();
    host.boot(5);
    let entries = |count: usize| (1..count).map(|n| format!("r{n}|")).collect::<String>();
    host.expect(&[
        (5, 0, "WRITE k|", "OK|"),
        (5, 0, &format!("SET_PERMS k|n5|{}", entries(4)), "OK|"),
        (5, 0, &format!("SET_PERMS k|n5|{}", entries(5)), "OK|"),
        (5, 0, "GET_PERMS k|", "n5|r1|r2|r3|r4|"),
        (5, 0, &format!("SET_PERMS k|n5|{}", entries(6)), "ENOSPC"),
        (5, 0, "SET_PERMS k|n5|x|x|x|x|x|", "ENOSPC"),
        (0, 0, &format!("SET_PERMS /local/domain/5/k|n5|{}", entries(8)), "OK|"),
        (5, 0, "GET_PERMS k|", "n5|r1|r2|r3|r4|r5|r6|r7|"),
    ]);
}

/// As many as fit a message, whose answer is as long; what comes from such a list is told, inherited and removed like any.
#[test]
fn the_privileged_give_as_many_entries_as_fit_a_message() {
    const MOST: usize = 4094 / 3;
    let mut host = Host::new();
    host.boot(5);
    host.boot(10_005);
    let list = |owner: &str, last: &str, count: usize| format!("{owner}|{}{last}|", "r7|".repeat(count - 2));
    let most = list("w0", "b5", MOST);
    let set = |path: &str, list: &str| format!("SET_PERMS {path}|{list}");
    assert_eq!("/|".len() + most.len(), 4094);
    host.expect(&[
        (0, 0, &set("/", &most), "OK|"),
        (0, 0, "GET_PERMS /|", &most),
        (5, 0, "READ /|", ""),
        (0, 0, "SET_QUOTA 10005|node-size|0|", "OK|"),
        (10_005, 0, "WRITE /x|", "OK|"),
        (10_005, 0, "GET_PERMS /x|", &list("w10005", "b5", MOST)),
        (5, 0, "READ /x|", ""),
        (0, 0, "WRITE /y/z|", "OK|"),
        (0, 0, "GET_PERMS /y|", &most),
        (0, 0, "RM /y|", "OK|"),
        (0, 0, &set("/", &list("n0", "r5", MOST)), "OK|"),
        (0, 0, "RM /x|", "OK|"),
    ]);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, &set("/", &list("n0", "w5", MOST)), "OK|"),
        (0, tx, "MKDIR /t|", "OK|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
        (0, 0, "GET_PERMS /t|", &list("n0", "w5", MOST)),
        // One that is no entry among so many, and one more.
        (0, 0, &set("/", &list("n0", "x5", MOST)), "EINVAL"),
        (0, 0, &set("/", &list("n0", "r5", 6)), "OK|"),
        (5, 0, &format!("SET_PERMS /local/domain/5|{}", list("n5", "r7", MOST - 6)), "ENOSPC"),
    ]);
    host.check();
}

#[test]
fn a_right_for_a_domain_that_does_not_exist_is_never_a_right() {
    let mut host = Host::new();
    host.expect(&[(0, 0, "WRITE /p|v", "OK|"), (0, 0, "SET_PERMS /p|n0|r21|", "OK|")]);
    host.boot(21);
    host.expect(&[
        (21, 0, "READ /p|", "EACCES"),
        (0, 0, "WRITE /p|w", "OK|"),
        (21, 0, "READ /p|", "EACCES"),
        (0, 0, "SET_PERMS /p|n0|r21|", "OK|"),
        (21, 0, "READ /p|", "w"),
    ]);
}

#[test]
fn a_right_for_a_domain_that_is_not_yet_introduced_is_kept_for_it() {
    let mut host = Host::new();
    host.create(20);
    host.expect(&[
        (0, 0, "WRITE /p|v", "OK|"),
        (0, 0, "SET_PERMS /p|n0|r20|", "OK|"),
        (0, 0, "INTRODUCE 20|1|5|", "OK|"),
        (20, 0, "READ /p|", "v"),
    ]);
}

#[test]
fn a_right_ends_with_the_life_it_was_given_to() {
    let mut host = Host::new();
    host.boot(9);
    host.expect(&[
        (0, 0, "WRITE /p|v", "OK|"),
        (0, 0, "SET_PERMS /p|n0|r9|", "OK|"),
        (9, 0, "READ /p|", "v"),
        (0, 0, "RELEASE 9|", "OK|"),
        (0, 0, "GET_PERMS /p|", "n0|"),
        (0, 0, "INTRODUCE 9|1|5|", "OK|"),
        (9, 0, "READ /p|", "EACCES"),
        (0, 0, "WRITE /p|w", "OK|"),
        (9, 0, "READ /p|", "EACCES"),
        (0, 0, "GET_PERMS /p|", "n0|"),
        (0, 0, "SET_PERMS /p|n0|r9|", "OK|"),
        (9, 0, "READ /p|", "w"),
    ]);
}

#[test]
fn a_domain_has_its_targets_rights_beside_its_own() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(8);
    host.expect(&[
        (5, 0, "WRITE k|v", "OK|"),
        (8, 0, "READ /local/domain/5/k|", "EACCES"),
        (0, 0, "SET_TARGET 8|5|", "OK|"),
        (8, 0, "READ /local/domain/5/k|", "v"),
        (8, 0, "WRITE /local/domain/5/k|w", "OK|"),
        (8, 0, "WRITE /local/domain/5/new|", "OK|"),
        (0, 0, "GET_PERMS /local/domain/5/new|", "n8|"),
        (5, 0, "READ new|", "EACCES"),
        (8, 0, "SET_PERMS /local/domain/5/k|n5|r8|", "OK|"),
        (8, 0, "SET_PERMS /local/domain/5/k|n8|", "EPERM"),
        (5, 0, "READ /local/domain/8|", "EACCES"),
        (8, 0, "WRITE own|", "OK|"),
    ]);
}

#[test]
fn an_entry_for_everybody_is_one() {
    let mut host = Host::new();
    host.boot(20);
    host.boot(21);
    host.expect(&[
        (20, 0, "WRITE k|v", "OK|"),
        (21, 0, "READ /local/domain/20/k|", "EACCES"),
        (20, 0, "SET_PERMS k|n20|r32757|", "OK|"),
        (21, 0, "READ /local/domain/20/k|", "v"),
        (21, 0, "WRITE /local/domain/20/k|", "EACCES"),
        (20, 0, "GET_PERMS k|", "n20|r32757|"),
    ]);
}

#[test]
fn an_entry_for_everybody_means_nothing_from_those_without_the_feature() {
    let mut host = Host::new();
    host.create(20);
    host.boot(21);
    host.expect(&[
        (0, 0, "SET_FEATURE 20|7|", "OK|"),
        (0, 0, "WRITE /local/domain/20|", "OK|"),
        (0, 0, "SET_PERMS /local/domain/20|n20|", "OK|"),
        (0, 0, "INTRODUCE 20|1|5|", "OK|"),
        (20, 0, "WRITE k|v", "OK|"),
        (20, 0, "SET_PERMS k|n20|r32757|", "OK|"),
        (20, 0, "GET_PERMS k|", "n20|r32757|"),
        (21, 0, "READ /local/domain/20/k|", "EACCES"),
    ]);
}

#[test]
fn guests_do_not_open_special_nodes() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (5, 0, "SET_PERMS @releaseDomain|n5|", "EACCES"),
        (5, 0, "SET_PERMS @introduceDomain|n5|", "EACCES"),
        (5, 0, "GET_PERMS @introduceDomain|", "EACCES"),
        (5, 0, "GET_PERMS @releaseDomain|", "n0|r32757|"),
        // What is above an unknown name is the root.
        (5, 0, "GET_PERMS @foo|", "EACCES"),
        (5, 0, "SET_PERMS @foo|n5|", "EACCES"),
        (0, 0, "SET_PERMS /|r0|", "OK|"),
        (5, 0, "GET_PERMS @foo|", "ENOENT"),
        (5, 0, "SET_PERMS @foo|n5|", "EACCES"),
        (0, 0, "SET_PERMS /|b0|", "OK|"),
        (5, 0, "SET_PERMS @foo|n5|", "ENOENT"),
    ]);
}
