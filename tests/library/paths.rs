//! Paths and nodes: spelling, lengths, implied parents, order of children, removal.

use support::Host;
use xenstore::config::Settings;
use xenstore::server::sizing;

const PATH_REQUESTS: [&str; 6] = ["READ", "DIRECTORY", "GET_PERMS", "MKDIR", "RM", "WRITE"];

#[test]
fn malformed_paths_are_invalid_whatever_the_request() {
    let mut host = Host::new();
    host.boot(5);
    for who in [0, 5] {
        for path in [
            "",
            "//",
            "/a//b",
            "/a/",
            "a/",
            "/a.b",
            "/a:b",
            "/a b",
            "/é",
            "/local/domain/",
            "/local/domain/5/",
            "/local/domain//",
        ] {
            for name in PATH_REQUESTS {
                host.expect(&[(who, 0, &format!("{name} {path}|"), "EINVAL")]);
            }
            host.expect(&[
                (who, 0, &format!("SET_PERMS {path}|n5|"), "EINVAL"),
                (who, 0, &format!("DIRECTORY_PART {path}|0|"), "EINVAL"),
                (who, 0, &format!("WATCH {path}|t|"), "EINVAL"),
                (who, 0, &format!("UNWATCH {path}|t|"), "EINVAL"),
            ]);
        }
    }
    host.expect(&[
        (0, 0, "READ /a/@b|", "ENOENT"),
        (0, 0, "WRITE /a/@b|1", "OK|"),
        (0, 0, "READ /a/@b|", "1"),
    ]);
}

#[test]
fn a_relative_path_starts_at_the_clients_home() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE rel/x|1", "OK|"),
        (0, 0, "READ /local/domain/0/rel/x|", "1"),
        (5, 0, "WRITE rel/x|5", "OK|"),
        (0, 0, "READ /local/domain/5/rel/x|", "5"),
        (5, 0, "READ /local/domain/5/rel/x|", "5"),
        (5, 0, "READ local/domain/5/rel/x|", "ENOENT"),
    ]);
}

#[test]
fn a_guests_path_may_be_2048_bytes_long_below_its_home() {
    let mut host = Host::new();
    host.boot(5);
    let path = |len: usize| "x".repeat(len);
    host.expect(&[
        (5, 0, &format!("READ {}|", path(2047)), "ENOENT"),
        (5, 0, &format!("READ {}|", path(2048)), "ENOENT"),
        (5, 0, &format!("READ {}|", path(2049)), "EINVAL"),
        (5, 0, &format!("READ /local/domain/5/{}|", path(2048)), "ENOENT"),
        (5, 0, &format!("READ /local/domain/5/{}|", path(2049)), "EINVAL"),
        (5, 0, &format!("READ /local/domain/x/{}|", path(2048)), "EINVAL"),
        (5, 0, &format!("READ /{}|", path(2048)), "EINVAL"),
        (0, 0, &format!("READ /{}|", path(4094)), "ENOENT"),
        (0, 0, &format!("WRITE {}|", path(4095)), "OK|"),
        (0, 0, &format!("READ {}|", path(4095)), ""),
        (0, 0, &format!("RM {}|", path(4095)), "OK|"),
    ]);
}

#[test]
fn one_more_byte_than_the_limit_is_too_long_in_either_spelling() {
    let mut host = Host::new();
    host.boot(5);
    let longest = (0..8).map(|_| "y".repeat(255)).collect::<Vec<_>>().join("/") + "/";
    for len in [2047_usize, 2048] {
        let path = longest.trim_end_matches('/').to_string() + &"z".repeat(len - 2047);
        host.expect(&[
            (5, 0, &format!("WRITE {path}|1"), "OK|"),
            (5, 0, &format!("READ /local/domain/5/{path}|"), "1"),
            (0, 0, &format!("READ /local/domain/5/{path}|"), "1"),
        ]);
    }
}

#[test]
fn special_names_are_nodes_for_permissions_and_watches_only() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "READ @releaseDomain|", "EINVAL"),
        (0, 0, "MKDIR @releaseDomain|", "EINVAL"),
        (0, 0, "RM @releaseDomain|", "EINVAL"),
        (0, 0, "DIRECTORY @releaseDomain|", "EINVAL"),
        (0, 0, "DIRECTORY_PART @releaseDomain|0|", "EINVAL"),
        (0, 0, "WRITE @releaseDomain|", "EINVAL"),
        (0, 0, "WRITE @foo|", "EINVAL"),
        (0, 0, "GET_PERMS @releaseDomain|", "n0|r32757|"),
        (0, 0, "GET_PERMS @introduceDomain|", "n0|"),
        (0, 0, "GET_PERMS @foo|", "ENOENT"),
        (0, 0, "SET_PERMS @foo|n0|", "ENOENT"),
        (0, 0, "SET_PERMS @introduceDomain|n0|r5|", "OK|"),
        (0, 0, "GET_PERMS @introduceDomain|", "n0|r5|"),
        (0, 0, "DIRECTORY /|", "tool|"),
    ]);
}

#[test]
fn missing_parents_are_made_empty() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "WRITE /a/b/c|hello", "OK|"),
        (0, 0, "DIRECTORY /a|", "b|"),
        (0, 0, "READ /a/b|", ""),
        (0, 0, "DIRECTORY /a/b/c|", ""),
        (0, 0, "READ /a/b/c|", "hello"),
        (0, 0, "WRITE /a/b|x", "OK|"),
        (0, 0, "DIRECTORY /a/b|", "c|"),
        (0, 0, "MKDIR /d/e/f|", "OK|"),
        (0, 0, "DIRECTORY /d|", "e|"),
    ]);
}

#[test]
fn children_are_listed_in_order_of_creation() {
    let mut host = Host::new();
    for name in ["z", "a", "q", "b"] {
        host.ok(0, 0, &format!("WRITE /o/{name}|"));
    }
    host.expect(&[
        (0, 0, "DIRECTORY /o|", "z|a|q|b|"),
        (0, 0, "RM /o/q|", "OK|"),
        (0, 0, "DIRECTORY /o|", "z|a|b|"),
        (0, 0, "WRITE /o/q|", "OK|"),
        (0, 0, "WRITE /o/a|again", "OK|"),
        (0, 0, "DIRECTORY /o|", "z|a|b|q|"),
    ]);
    let generation = |host: &mut Host| {
        let got = host.ask(0, 0, "DIRECTORY_PART /o|0|");
        got.split_once('|').unwrap().0.to_string()
    };
    let g = generation(&mut host);
    host.expect(&[
        (0, 0, "DIRECTORY_PART /o|0|", &format!("{g}|z|a|b|q||")),
        (0, 0, "DIRECTORY_PART /o|2|", &format!("{g}|a|b|q||")),
        (0, 0, "DIRECTORY_PART /o|1|", &format!("{g}||a|b|q||")),
        (0, 0, "DIRECTORY_PART /o|7|", &format!("{g}|||")),
        (0, 0, "DIRECTORY_PART /o|8|", &format!("{g}||")),
        (0, 0, "DIRECTORY_PART /o|100|", &format!("{g}||")),
        (0, 0, "DIRECTORY_PART /o|-1|", &format!("{g}||")),
        (0, 0, "DIRECTORY_PART /o|99999999999999999999|", &format!("{g}||")),
        (0, 0, "DIRECTORY_PART /o|junk|", &format!("{g}|z|a|b|q||")),
        (0, 0, "DIRECTORY_PART /nope|0|", "ENOENT"),
        (0, 0, "WRITE /o/a|value", "OK|"),
        (0, 0, "SET_PERMS /o/a|n0|", "OK|"),
        (0, 0, "WRITE /o/a/deep|", "OK|"),
    ]);
    assert_eq!(generation(&mut host), g, "the list is the same");
    host.expect(&[(0, 0, "WRITE /o/new|", "OK|")]);
    assert_ne!(generation(&mut host), g, "the list has changed");
    // Equal generations mean that the node has not changed, not only its list.
    let tx = host.start(0);
    for tx in [0, tx] {
        for request in ["WRITE /o|", "SET_PERMS /o|n0|r5|", "SET_PERMS /o|n0|r5|", "RM /o/q|", "MKDIR /o/q|"]
        {
            let ask = |host: &mut Host, request: &str| host.ask(0, tx, request);
            let before = ask(&mut host, "DIRECTORY_PART /o|100|");
            assert_eq!(ask(&mut host, request), "OK|", "{request}");
            assert_ne!(ask(&mut host, "DIRECTORY_PART /o|100|"), before, "{request}");
            assert_eq!(ask(&mut host, "READ /o|"), "");
            assert_eq!(ask(&mut host, "MKDIR /o|"), "OK|");
        }
    }
    let g = generation(&mut host);
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
    assert_ne!(generation(&mut host), g, "the commit has changed it");
    let empty = host.ask(0, 0, "DIRECTORY_PART /o/z|0|");
    assert!(empty.ends_with("||") && empty.matches('|').count() == 2, "{empty}");
}

#[test]
fn no_generation_comes_twice_however_often_permissions_are_set() {
    let mut host = Host::new();
    host.expect(&[(0, 0, "MKDIR /o/a|", "OK|")]);
    let generation = |host: &mut Host| host.ask(0, 0, "DIRECTORY_PART /o|0|");
    let (mut seen, first) = (std::collections::BTreeSet::new(), generation(&mut host));
    seen.insert(first);
    for n in 0..65_540 {
        host.ok(0, 0, "SET_PERMS /o|n0|");
        // Where the count starts over, and now and then before.
        if n % 64 == 0 || n > 65_500 {
            assert!(seen.insert(generation(&mut host)), "after {n} times");
        }
    }
    host.check();
}

#[test]
fn a_list_may_be_read_from_any_byte() {
    let mut host = Host::new();
    let names = ["alpha", "b", "gamma-delta", "e"];
    for name in names {
        host.ok(0, 0, &format!("WRITE /o/{name}|"));
    }
    let whole = names.join("|") + "||";
    for offset in 0..whole.len() - 1 {
        let got = host.ask(0, 0, &format!("DIRECTORY_PART /o|{offset}|"));
        assert_eq!(got.split_once('|').unwrap().1, &whole[offset..], "from {offset}");
    }
}

#[test]
fn mkdir_of_what_is_there_changes_nothing() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "MKDIR /m/n|", "OK|"),
        (0, 0, "WRITE /m/n|v", "OK|"),
        (0, 0, "MKDIR /m/n|", "OK|"),
        (0, 0, "READ /m/n|", "v"),
        (0, 0, "MKDIR /|", "OK|"),
    ]);
}

#[test]
fn removal_needs_a_place_where_the_node_could_be() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "MKDIR /a|", "OK|"),
        (0, 0, "RM /a/nope|", "OK|"),
        (0, 0, "RM /nope|", "OK|"),
        (0, 0, "RM /nope/nope|", "ENOENT"),
        (0, 0, "RM /a/nope/nope|", "ENOENT"),
        (0, 0, "RM /|", "EINVAL"),
        (5, 0, "RM /|", "EACCES"),
        (5, 0, "RM /a|", "EACCES"),
        (5, 0, "RM /nope/nope|", "EACCES"),
        (5, 0, "RM nope|", "OK|"),
        (5, 0, "RM nope/nope|", "ENOENT"),
    ]);
}

#[test]
fn removal_takes_all_below_whoever_owns_it() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /local/domain/5/a/b|", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5/a/b|n0|", "OK|"),
        (5, 0, "RM a/b|", "EACCES"),
        (5, 0, "RM a|", "OK|"),
        (0, 0, "READ /local/domain/5/a/b|", "ENOENT"),
        (0, 0, "READ /local/domain/5/a|", "ENOENT"),
        (0, 0, "DIRECTORY /local/domain/5|", ""),
        (5, 0, "RM /local/domain/5|", "OK|"),
        (0, 0, "DIRECTORY /local/domain|", ""),
    ]);
}

#[test]
fn the_root_is_a_node_like_others() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "WRITE /|rootval", "OK|"),
        (0, 0, "READ /|", "rootval"),
        (0, 0, "GET_PERMS /|", "n0|"),
    ]);
    for request in ["WRITE /|x", "READ /|", "DIRECTORY /|", "GET_PERMS /|", "MKDIR /|", "MKDIR /x|", "RM /|"]
    {
        host.expect(&[(5, 0, request, "EACCES")]);
    }
    host.expect(&[
        (5, 0, "SET_PERMS /|n5|", "EACCES"),
        (5, 0, "SET_PERMS /|b5|", "EACCES"),
        (0, 0, "SET_PERMS /|r0|", "OK|"),
        (5, 0, "READ /|", "rootval"),
        (5, 0, "WRITE /|", "EACCES"),
    ]);
}

/// The deepest path that fits a message, in a store of the usual size.
#[test]
fn a_path_of_any_depth_is_made_and_removed_in_and_out_of_a_transaction() {
    let capacities = sizing::capacities_for(8 << 20, 0).expect("8 MiB are enough");
    // A guest's, one as long as XENSTORE_ABS_PATH_MAX says, and one to the end of a payload.
    let cases = [(5, "a", 1000, "WRITE"), (0, "/a", 1535, "WRITE"), (0, "/a", 2040, "MKDIR")];
    for (who, top, depth, request) in cases {
        let mut host = Host::with(Settings::DEFAULT, &capacities);
        host.boot(5);
        host.expect(&[
            (0, 0, "SET_QUOTA 5|nodes|0|", "OK|"),
            (0, 0, "SET_QUOTA 5|transaction-nodes|0|", "OK|"),
        ]);
        let path = |depth: usize| top.to_string() + &"/a".repeat(depth);
        let (deepest, parent, half) = (path(depth), path(depth - 1), path(depth / 2));
        let tx = host.start(who);
        host.expect(&[
            // Part of it is looked for before, which takes copies.
            (who, tx, &format!("READ {half}|"), "ENOENT"),
            (who, tx, &format!("{request} {deepest}|"), "OK|"),
            (who, tx, &format!("DIRECTORY {parent}|"), "a|"),
            (who, tx, &format!("DIRECTORY {top}|"), "a|"),
        ]);
        host.check();
        host.expect(&[
            (who, tx, "TRANSACTION_END T|", "OK|"),
            (who, 0, &format!("DIRECTORY {parent}|"), "a|"),
        ]);
        let tx = host.start(who);
        host.expect(&[
            (who, tx, &format!("RM {deepest}|"), "OK|"),
            (who, tx, &format!("DIRECTORY {parent}|"), ""),
            (who, tx, &format!("RM {top}|"), "OK|"),
            (who, tx, &format!("READ {half}|"), "ENOENT"),
        ]);
        host.check();
        host.expect(&[
            (who, tx, "TRANSACTION_END T|", "OK|"),
            (who, 0, &format!("READ {half}|"), "ENOENT"),
            (who, 0, &format!("{request} {deepest}|"), "OK|"),
            (who, 0, &format!("WATCH {deepest}|t|"), &format!("OK|; ev {deepest},t")),
            (who, 0, &format!("GET_PERMS {deepest}|"), &format!("n{who}|")),
            (who, 0, &format!("RM {top}|"), &format!("ev {deepest},t; OK|")),
        ]);
    }
}
