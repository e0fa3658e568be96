//! Messages: types, headers, privilege, payload shapes.

use support::Host;

/// The one message that waits for dom0: type, request id, transaction and payload.
fn answer(host: &mut Host, msg_type: u32, req_id: u32, tx: u32, payload: &[u8]) -> (u32, u32, u32, Vec<u8>) {
    let bytes = support::request(msg_type, req_id, xenstore::wire::TxId(tx), payload);
    host.push(0, &bytes);
    host.poll();
    let mut messages = host.client(0).read();
    assert_eq!(messages.len(), 1, "one answer to one request");
    let message = messages.remove(0);
    let header = message.header;
    (header.msg_type, header.req_id, header.tx_id.0, message.payload)
}

#[test]
fn a_fresh_store_has_an_empty_node_for_the_server() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "READ /tool/xenstored|", ""),
        (0, 0, "DIRECTORY /|", "tool|"),
        (0, 0, "DIRECTORY /tool|", "xenstored|"),
        (0, 0, "GET_PERMS /tool/xenstored|", "n0|"),
    ]);
}

#[test]
fn unknown_types_are_refused_before_anything_else() {
    let mut host = Host::new();
    for msg_type in [15, 16, 20, 27, 28, 65535, u32::MAX] {
        for tx in [0, 77] {
            for payload in [&b""[..], b"/\0"] {
                let got = answer(&mut host, msg_type, 9, tx, payload);
                assert_eq!(got, (16, 9, tx, b"ENOSYS\0".to_vec()), "type {msg_type}");
            }
        }
    }
    host.boot(5);
    host.expect(&[(5, 77, "20 ", "ENOSYS"), (5, 77, "15 ", "ENOSYS")]);
}

#[test]
fn answers_repeat_request_and_transaction_numbers() {
    let mut host = Host::new();
    assert_eq!(answer(&mut host, 2, 9, 123, b"/tool\0"), (16, 9, 123, b"ENOENT\0".to_vec()));
    assert_eq!(answer(&mut host, 6, 0xffff_ffff, 0, b"\0"), (6, 0xffff_ffff, 0, b"1\0".to_vec()));
    assert_eq!(answer(&mut host, 2, 5, 1, b"/tool\0"), (2, 5, 1, vec![]));
}

#[test]
fn only_watch_and_unwatch_overlook_an_unknown_transaction() {
    let mut host = Host::new();
    host.expect(&[
        (0, 77, "CONTROL check|", "ENOENT"),
        (0, 77, "GET_DOMAIN_PATH 3|", "ENOENT"),
        (0, 77, "INTRODUCE 3|1|1|", "ENOENT"),
        (0, 77, "RESET_WATCHES |", "ENOENT"),
        (0, 77, "GET_FEATURE ", "ENOENT"),
        (0, 77, "WRITE /a|", "ENOENT"),
        (0, 77, "WATCH /z|t|", "OK|; ev /z,t"),
        (0, 77, "UNWATCH /z|t|", "OK|"),
    ]);
    host.send(0, 77, "WATCH /z|t|");
    host.poll();
    let messages = host.client(0).read();
    assert_eq!((messages[0].header.tx_id.0, messages[0].header.req_id), (77, 7));
    let event = messages[1].header;
    assert_eq!((event.msg_type, event.tx_id.0, event.req_id, event.len), (15, 0, 0, 5));
}

#[test]
fn a_transaction_number_is_welcome_where_it_means_nothing() {
    let mut host = Host::new();
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "GET_DOMAIN_PATH 3|", "/local/domain/3|"),
        (0, tx, "CONTROL check|", "OK|"),
        (0, tx, "IS_DOMAIN_INTRODUCED 0|", "T|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
    ]);
}

#[test]
fn one_string_ends_with_its_only_nul() {
    let mut host = Host::new();
    host.ok(0, 0, "WRITE /a|");
    for name in [
        "DIRECTORY",
        "READ",
        "GET_PERMS",
        "MKDIR",
        "RM",
        "RELEASE",
        "RESUME",
        "GET_DOMAIN_PATH",
        "IS_DOMAIN_INTRODUCED",
        "TRANSACTION_END",
    ] {
        for payload in ["/a", "/a|x", "/a|x|", "", "T||", "T"] {
            host.expect(&[(0, 0, &format!("{name} {payload}"), "EINVAL")]);
        }
    }
    host.expect(&[(0, 0, "READ /a|", "")]);
}

#[test]
fn values_are_all_bytes_after_the_path() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "WRITE /zz", "EINVAL"),
        (0, 0, "WRITE ", "EINVAL"),
        (0, 0, "WRITE /bin|a|b|", "OK|"),
        (0, 0, "READ /bin|", "a|b|"),
        (0, 0, "WRITE /bin|", "OK|"),
        (0, 0, "READ /bin|", ""),
    ]);
    let all: Vec<u8> = (0..=255).collect();
    host.send_raw(0, 11, 0, &[b"/bin\0", &all[..]].concat());
    host.poll();
    host.hears(0, "OK|");
    assert_eq!(answer(&mut host, 2, 0, 0, b"/bin\0").3, all);
}

#[test]
fn strings_are_counted_by_their_nuls() {
    let mut host = Host::new();
    host.create(7);
    host.expect(&[
        (0, 0, "WATCH /tr|tok|junk", "OK|; ev /tr,tok"),
        (0, 0, "WATCH /w|", "EINVAL"),
        (0, 0, "WATCH /w", "EINVAL"),
        (0, 0, "UNWATCH /tr|tok|x|", "EINVAL"),
        (0, 0, "UNWATCH /tr|", "EINVAL"),
        (0, 0, "UNWATCH /tr|tok|junk", "OK|"),
        (0, 0, "SET_PERMS /tool|", "EINVAL"),
        (0, 0, "SET_PERMS /tool|n0", "EINVAL"),
        (0, 0, "SET_PERMS /tool|n0|junk", "OK|"),
        (0, 0, "DIRECTORY_PART /tool|", "EINVAL"),
        (0, 0, "DIRECTORY_PART /tool|0|0|", "EINVAL"),
        (0, 0, "INTRODUCE 7|1|", "EINVAL"),
        (0, 0, "INTRODUCE 7|1|5|more|", "OK|"),
        (0, 0, "SET_TARGET 7|", "EINVAL"),
        (0, 0, "SET_TARGET 7|0|more|", "OK|"),
        (0, 0, "CONTROL check", "EINVAL"),
        (0, 0, "GET_QUOTA 7|nodes|x|", "EINVAL"),
        (0, 0, "SET_QUOTA nodes|", "EINVAL"),
        (0, 0, "SET_FEATURE 7|", "EINVAL"),
        (0, 0, "GET_FEATURE 7|8|", "EINVAL"),
    ]);
}

#[test]
fn some_payloads_are_never_looked_at() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "TRANSACTION_START ", "1|"),
        (0, 0, "TRANSACTION_START |", "2|"),
        (0, 0, "TRANSACTION_START abc", "3|"),
        (0, 0, "RESET_WATCHES ", "OK|"),
        (0, 0, "RESET_WATCHES |", "OK|"),
        (0, 0, "RESET_WATCHES x|y", "OK|"),
    ]);
}

#[test]
fn guests_manage_nothing_whatever_the_transaction() {
    let mut host = Host::new();
    host.boot(5);
    for request in [
        "CONTROL check|",
        "INTRODUCE 6|1|5|",
        "RELEASE 5|",
        "RESUME 5|",
        "SET_TARGET 5|0|",
        "IS_DOMAIN_INTRODUCED 5|",
        "SET_FEATURE 6|0|",
        "GET_QUOTA ",
        "SET_QUOTA nodes|5000|",
        "GET_FEATURE 5|",
    ] {
        host.expect(&[(5, 0, request, "EACCES")]);
        if !request.starts_with("GET_FEATURE") {
            host.expect(&[(5, 77, request, "EACCES")]);
        }
    }
    host.expect(&[(5, 77, "GET_FEATURE 5|", "ENOENT")]);
}

#[test]
fn the_longest_payload_is_served() {
    let mut host = Host::new();
    host.boot(5);
    for payload in ["a".repeat(4096), format!("{}|", "a".repeat(4095))] {
        host.expect(&[(5, 0, &format!("READ {payload}"), "EINVAL")]);
    }
    let value = "v".repeat(4093);
    host.expect(&[
        (0, 0, &format!("WRITE /v|{value}"), "OK|"),
        (0, 0, "READ /v|", &value),
        (5, 0, "GET_DOMAIN_PATH 5|", "/local/domain/5|"),
    ]);
}

#[test]
fn the_longest_list_is_one_answer() {
    let mut host = Host::new();
    // With the NUL of each, all together are just as long as a payload may be.
    let names: Vec<String> = (0..64).map(|n| format!("{n:063}")).collect();
    names.iter().for_each(|name| host.ok(0, 0, &format!("WRITE /big/{name}|")));
    host.expect(&[
        (0, 0, "DIRECTORY /big|", &(names.join("|") + "|")),
        (0, 0, "WRITE /big/a|", "OK|"),
        (0, 0, "DIRECTORY /big|", "E2BIG"),
    ]);
}

#[test]
fn a_list_too_long_for_one_answer_comes_in_parts() {
    let mut host = Host::new();
    let names: Vec<String> = (0..500).map(|n| format!("child{n:05}")).collect();
    for name in &names {
        host.ok(0, 0, &format!("WRITE /big/{name}|"));
    }
    host.expect(&[(0, 0, "DIRECTORY /big|", "E2BIG"), (0, 0, "READ /big|", "")]);
    let (mut listed, mut generations) = (String::new(), vec![]);
    while !listed.ends_with("||") {
        let got = host.ask(0, 0, &format!("DIRECTORY_PART /big|{}|", listed.len()));
        let (generation, part) = got.split_once('|').unwrap();
        assert!(got.len() <= 4096);
        assert!(part.ends_with("||") || got.len() > 4096 - 12, "parts are as long as they can be");
        generations.push(generation.to_string());
        listed.push_str(part);
    }
    assert_eq!(listed, names.join("|") + "||");
    assert_eq!(generations.len(), 2);
    assert_eq!(generations[0], generations[1]);
}
