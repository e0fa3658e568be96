//! CONTROL: commands, arguments, answers of text.

use support::{Host, log};
use xenstore::config::{Capacities, Settings};

#[test]
fn wrong_commands_and_arguments_are_invalid() {
    let mut host = Host::new();
    for request in [
        "nonsense|",
        "|",
        "",
        "check",
        "check|x|",
        "print|",
        "print|a|b|",
        "help|x|",
        "log|x|",
        "log|on|off|",
        "log|+x|",
        "log|obj|",
        "logfile|",
        "logfile|a|b|",
        "memreport|a|b|",
        "quota|x|",
        "quota|5|6|",
        "quota|set|",
        "quota|set|nodes|",
        "quota|set|nodes|0|",
        "quota|set|nodes|-1|",
        "quota|set|nodes|x|",
        "quota|set|nodes|5|6|",
        "quota|set|foo|5|",
        "quota|set|soft-memory|5|",
        "quota|max|x|",
        "quota|max|-r|x|",
        "quota-soft|x|",
        "quota-soft|set|",
        "quota-soft|set|nodes|5|",
        "quota-soft|set|memory|0|",
    ] {
        host.expect(&[(0, 0, &format!("CONTROL {request}"), "EINVAL")]);
    }
    host.expect(&[(0, 0, "CONTROL quota|99|", "ENOENT")]);
}

#[test]
fn help_lists_every_command() {
    let mut host = Host::new();
    let help = host.ask(0, 0, "CONTROL help|");
    assert!(help.ends_with("\\n|"), "{help}");
    for name in ["check", "log", "logfile", "memreport", "print", "quota", "quota-soft", "version", "help"] {
        assert!(help.contains(&format!("{name:<15} ")), "{name} in {help}");
    }
}

#[test]
fn print_goes_to_the_log() {
    log::catch();
    let mut host = Host::new();
    host.expect(&[(0, 0, "CONTROL print|hello there|", "OK|")]);
    assert_eq!(log::take(), ["control: hello there"]);
}

#[test]
fn switches_decide_what_is_logged() {
    log::catch();
    let mut host = Host::new();
    host.boot(5);
    let settings = |host: &mut Host, states: [&str; 5]| {
        let lines = ["obj", "io", "wrl", "acc", "tdb"].iter().zip(states);
        let text: String = lines.map(|(name, state)| format!("{name:<8}: {state}\\n")).collect();
        host.expect(&[(0, 0, "CONTROL log|", &format!("Log switch settings:\\n{text}|"))]);
    };
    settings(&mut host, ["on", "on", "off", "off", "off"]);
    host.expect(&[
        (0, 0, "CONTROL log|+wrl|", "OK|"),
        (0, 0, "CONTROL log|-io|", "OK|"),
        (0, 0, "READ /tool|", ""),
    ]);
    settings(&mut host, ["on", "off", "on", "off", "off"]);
    assert_eq!(log::take(), [""; 0], "nothing is logged until it is switched on");
    host.expect(&[(0, 0, "CONTROL log|on|", "OK|"), (0, 0, "READ /tool|", "")]);
    host.kill(5);
    assert!(matches!(&log::take()[..], [line] if line.ends_with("d5 released")));
    host.expect(&[(0, 0, "CONTROL log|+io|", "OK|")]);
    log::take();
    host.expect(&[(0, 0, "READ /nope|", "ENOENT"), (0, 0, "CONTROL log|off|", "OK|"), (0, 0, "READ /|", "")]);
    let lines = log::take();
    let ends = |line: &str, text| line.ends_with(text);
    assert!(
        matches!(&lines[..], [line, asked] if ends(line, "d0 READ tx 0 ENOENT, 0 cycles, 0 bytes") && ends(asked, "<6 /nope\\x00")),
        "{lines:#?}"
    );
}

/// A line's record number and what follows it.
fn numbered(line: &str) -> (usize, &str) {
    let (_, text) = line.split_once('#').unwrap();
    let (number, text) = text.split_once(' ').unwrap();
    (number.parse().unwrap(), text)
}

#[test]
fn requests_and_answers_are_logged_in_full_and_in_order() {
    log::catch();
    let mut host = Host::with(Settings { log: true, ..Settings::DEFAULT }, &Capacities::for_nodes(1000));
    let long = "0123456789".repeat(5);
    log::take();
    host.expect(&[
        (0, 0, &format!("WRITE /a|{long}"), "OK|"),
        (0, 0, "READ /a|", &long),
        (0, 0, "TRANSACTION_START |", "1|"),
        (0, 1, "TRANSACTION_END F|", "OK|"),
    ]);
    let lines = log::take();
    let first = numbered(&lines[0]).0;
    let texts: Vec<(usize, &str)> =
        lines.iter().map(|line| numbered(line)).map(|(number, text)| (number - first, text)).collect();
    assert_eq!(
        texts,
        [
            (0, "d0 WRITE tx 0 ok, 0 cycles, 3 bytes"),
            (0, "<53 /a\\x000123456789012345678901234567890123456"),
            (0, "<13 7890123456789"),
            (1, "d0 READ tx 0 ok, 0 cycles, 50 bytes"),
            (1, "<3 /a\\x00"),
            (1, ">50 0123456789012345678901234567890123456789"),
            (1, ">10 0123456789"),
            (2, "d0 TRANSACTION_START tx 0 ok, 0 cycles, 2 bytes"),
            (2, "<1 \\x00"),
            (2, ">2 1\\x00"),
            (3, "d0 TRANSACTION_END tx 1 ok, 0 cycles, 3 bytes"),
            (3, "<2 F\\x00"),
        ]
    );
}

#[test]
fn memory_is_reported_in_the_answer_and_to_the_log() {
    log::catch();
    let mut host = Host::new();
    let told = host.ask(0, 0, "CONTROL memreport|");
    let lines = log::take();
    assert!(lines.iter().any(|line| line == "memory: 5 nodes, at most 5, room for 8192"), "{lines:#?}");
    assert_eq!(told, lines.join("\\n") + "\\n|");
    // No file is written, which is said.
    let beside = host.ask(0, 0, "CONTROL memreport|/tmp/report|");
    assert_eq!(log::take(), lines);
    let no_file = host.ask(0, 0, "CONTROL logfile|/tmp/log|");
    assert!(no_file.contains("console"), "{no_file}");
    assert_eq!(beside, told.strip_suffix('|').expect("its end").to_owned() + &no_file);
}

#[test]
fn quota_tells_the_settings() {
    let mut host = Host::new();
    host.expect(&[
        (
            0,
            0,
            "CONTROL quota|",
            "Quota settings:\\n\
             nodes            :     1000 Nodes per domain\\n\
             watches          :      128 Watches per domain\\n\
             outstanding      :       20 Outstanding requests per domain\\n\
             memory           :  2621440 Total Xenstore memory per domain\\n\
             transactions     :       10 Active transactions per domain\\n\
             transaction-nodes:     1024 Max. number of accessed nodes per transaction\\n\
             node-permissions :        5 Max. number of permissions per node\\n\
             path-max         :     2048 Max. length of a node path\\n\
             node-size        :     2048 Max. size of a node\\n|",
        ),
        (
            0,
            0,
            "CONTROL quota-soft|",
            "Quota settings:\\nmemory           :  2097152 Total Xenstore memory per domain\\n|",
        ),
        (0, 0, "CONTROL quota|set|nodes|7|", "OK|"),
        (0, 0, "CONTROL quota-soft|set|memory|9|", "OK|"),
        (0, 0, "GET_QUOTA nodes|", "7|"),
        (0, 0, "GET_QUOTA soft-memory|", "9|"),
    ]);
}

/// The numbers in the lines of a text, by the lines' names.
fn numbers(text: &str) -> std::collections::BTreeMap<String, Vec<u32>> {
    let lines = text.split("\\n").filter_map(|line| line.split_once(':'));
    let words = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    lines.map(|(name, rest)| (name.trim().to_string(), words(rest))).collect()
}

#[test]
fn quota_of_a_domain_tells_what_it_holds_and_held() {
    let mut host = Host::new();
    host.boot(5);
    let text = host.ask(0, 0, "CONTROL quota|5|");
    assert!(text.starts_with("Domain 5:\\nnodes            :        1 (max        1)\\n"), "{text}");
    let tx = host.start(5);
    host.expect(&[
        (5, 0, "WRITE a/b|value", "OK|"),
        (5, 0, "SET_PERMS a/b|n5|r1|r2|", "OK|"),
        (5, 0, "WATCH a|t|", "OK|; ev a,t"),
        (5, tx, "READ a|", ""),
        (5, tx, "READ b|", "ENOENT"),
        (5, tx, "TRANSACTION_END T|", "OK|"),
        (5, 0, "RM a|", "ev a,t; OK|"),
        (5, 0, "UNWATCH a|t|", "OK|"),
        (5, 0, &format!("WRITE big|{}", "x".repeat(2000)), "OK|"),
        (5, 0, &format!("WRITE big|{}", "x".repeat(3000)), "ENOSPC"),
        (5, 0, "RM big|", "OK|"),
    ]);
    let held = numbers(&host.ask(0, 0, "CONTROL quota|5|"));
    assert_eq!(held["nodes"], [1, 3]);
    assert_eq!(held["watches"], [0, 1]);
    assert_eq!(held["transactions"], [0, 1]);
    assert_eq!(held["transaction-nodes"], [0, 3]);
    assert_eq!(held["node-permissions"], [0, 3]);
    assert_eq!(held["path-max"], [0, 3]);
    assert_eq!(held["node-size"], [0, 2024]);
    assert!(held["memory"][1] > held["memory"][0]);
}

#[test]
fn the_greatest_of_all_guests_is_kept_until_reset() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    for n in 0..30 {
        host.ok(5, 0, &format!("WRITE n{n}|"));
    }
    for n in 0..9 {
        host.ok(6, 0, &format!("WRITE n{n}|"));
    }
    for n in 0..50 {
        host.ok(0, 0, &format!("WRITE /n{n}|"));
    }
    host.kill(5);
    let text = host.ask(0, 0, "CONTROL quota|max|");
    assert!(text.starts_with("Max. seen accounting values:\\nnodes            :       31\\n"), "{text}");
    assert_eq!(numbers(&text)["path-max"], [3]);
    // What is refused resets nothing.
    host.expect(&[(0, 0, "CONTROL quota|max|-r|x|", "EINVAL"), (0, 0, "CONTROL quota|max|", &text)]);
    let text = host.ask(0, 0, "CONTROL quota|max|-r|");
    assert_eq!(numbers(&text)["nodes"], [10]);
    assert_eq!(numbers(&text)["path-max"], [0]);
    host.expect(&[(0, 0, "CONTROL quota|max|", &text)]);
}

#[test]
fn what_others_have_given_a_guest_counts_too() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(6);
    let most = |host: &mut Host, name: &str| {
        let of_one = numbers(&host.ask(0, 0, "CONTROL quota|5|"))[name][1];
        assert_eq!(numbers(&host.ask(0, 0, "CONTROL quota|max|"))[name], [of_one], "{name}");
        of_one
    };
    // The home.
    assert_eq!(most(&mut host, "nodes"), 1);
    let value = "x".repeat(3000);
    host.expect(&[
        (0, 0, "WRITE /given/a/b|", "OK|"),
        (0, 0, "SET_PERMS /given|n5|", "OK|"),
        (0, 0, "WRITE /given/c/d|", "OK|"),
    ]);
    assert_eq!(most(&mut host, "nodes"), 4);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "SET_PERMS /given/a|n5|", "OK|"),
        (0, tx, "WRITE /given/c/e|", "OK|"),
        (0, tx, "TRANSACTION_END T|", "OK|"),
    ]);
    assert_eq!(most(&mut host, "nodes"), 6);
    let before = most(&mut host, "memory");
    host.expect(&[(0, 0, &format!("WRITE /given/c|{value}"), "OK|"), (0, 0, "WRITE /given/c|", "OK|")]);
    assert!(most(&mut host, "memory") >= before + 3000);
    host.expect(&[(0, 0, "RM /given|", "OK|")]);
    assert_eq!(most(&mut host, "nodes"), 6, "what it held once");
    assert_eq!(numbers(&host.ask(0, 0, "CONTROL quota|max|-r|"))["nodes"], [1]);
    // A device model writes into what belongs to its target.
    let before = most(&mut host, "memory");
    host.expect(&[
        (0, 0, "SET_TARGET 6|5|", "OK|"),
        (6, 0, &format!("WRITE /local/domain/5|{}", "x".repeat(2000)), "OK|"),
    ]);
    assert!(most(&mut host, "memory") >= before + 2000);
    host.kill(5);
    host.kill(6);
    assert_eq!(numbers(&host.ask(0, 0, "CONTROL quota|max|"))["nodes"], [1], "that of those who are gone");
}

#[test]
fn a_domain_above_its_soft_quota_is_named_every_ten_seconds() {
    log::catch();
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[(0, 0, "SET_QUOTA 5|soft-memory|4000|", "OK|"), (5, 0, "WRITE a|", "OK|")]);
    assert_eq!(log::take(), [""; 0]);
    for n in 0..20 {
        host.ok(5, 0, &format!("WRITE n{n}|{}", "x".repeat(300)));
    }
    let lines = log::take();
    assert!(
        matches!(&lines[..], [line] if line.contains("domain 5 ") && line.ends_with("is 4000")),
        "{lines:?}"
    );
    host.xen.pass(9);
    host.ok(5, 0, "WRITE a|");
    assert_eq!(log::take(), [""; 0]);
    host.xen.pass(1);
    host.ok(5, 0, "WRITE a|");
    assert_eq!(log::take().len(), 1);
}

#[test]
fn stats_count_from_the_start() {
    let mut host = Host::new();
    host.boot(5);
    let stats = |host: &mut Host| numbers(&host.ask(0, 0, "CONTROL stats|"));
    let first = stats(&mut host);
    let before = stats(&mut host);
    host.expect(&[
        (5, 0, "WATCH a|t|", "OK|; ev a,t"),
        (5, 0, "WRITE a|1", "ev a,t; OK|"),
        (5, 0, "READ b|", "ENOENT"),
    ]);
    for _ in 0..20 {
        host.send(5, 0, "READ a|");
    }
    host.poll();
    host.received(5);
    let after = stats(&mut host);
    let counted = |name: &str| after[name][0] - before[name][0];
    // Each of these requests is counted, once it is answered, and its answer needs more than one ring.
    assert_eq!(counted("requests"), 3 + 20 + 1);
    assert_eq!(counted("events"), 2);
    assert_eq!(counted("notify"), 3 + 1 + before["notify"][0] - first["notify"][0]);
    assert!(counted("polls") > 3 + 1);
    assert_eq!(counted("other-hypercalls"), 0);
    host.expect(&[(0, 0, "CONTROL stats|more|", "EINVAL"), (5, 0, "CONTROL stats|", "EACCES")]);
}

#[test]
fn the_version_names_the_build() {
    let mut host = Host::new();
    let version = concat!("xenstore-stubdom ", env!("CARGO_PKG_VERSION"));
    assert_eq!(host.ask(0, 0, "CONTROL version|"), format!("{version}, build 00ab7f\\n|"));
    host.expect(&[(0, 0, "CONTROL version|x|", "EINVAL")]);
}
