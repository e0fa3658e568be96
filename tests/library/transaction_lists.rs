//! Long lists of children that are read in parts, in a transaction and while others change them.

use support::Host;

/// The list of a node in parts, and how many there were. `between` is called after each.
fn parts(host: &mut Host, tx: u32, path: &str, mut between: impl FnMut(&mut Host)) -> (Vec<String>, usize) {
    let (mut names, mut offset, mut count) = (Vec::new(), 0, 0);
    loop {
        let answer = host.ask(0, tx, &format!("DIRECTORY_PART {path}|{offset}|"));
        let (_, part) = answer.split_once('|').expect("a generation");
        count += 1;
        let (part, last) = part.strip_suffix("||").map_or((part, false), |part| (part, true));
        names.extend(part.split('|').filter(|name| !name.is_empty()).map(str::to_string));
        if last || part == "|" {
            return (names, count);
        }
        offset += part.len();
        between(host);
    }
}

#[test]
fn a_long_list_is_read_in_parts_as_the_transaction_has_it() {
    let mut host = Host::new();
    let old: Vec<String> = (0..500).map(|n| format!("an-old-name-that-is-long-{n}")).collect();
    let new: Vec<String> = (0..500).map(|n| format!("a-new-name-that-is-long-{n}")).collect();
    for name in &old {
        host.ok(0, 0, &format!("WRITE /l/{name}|"));
    }
    let tx = host.start(0);
    assert_eq!(parts(&mut host, tx, "/l", |_| {}).0, old);
    for name in &new {
        host.ok(0, tx, &format!("WRITE /l/{name}|"));
    }
    for gone in [3, 77, 499] {
        host.ok(0, tx, &format!("RM /l/{}|", old[gone]));
    }
    let kept = old.iter().enumerate().filter(|(n, _)| ![3, 77, 499].contains(n)).map(|(_, name)| name);
    let wanted: Vec<String> = kept.chain(&new).cloned().collect();
    let (names, count) = parts(&mut host, tx, "/l", |_| {});
    assert_eq!(names, wanted);
    assert!(count > 5, "{count} parts");
    // The tree's own list is read in between.
    let mut outside = Vec::new();
    let (names, _) = parts(&mut host, tx, "/l", |host| outside.push(parts(host, 0, "/l", |_| {}).0));
    assert_eq!(names, wanted);
    assert!(outside.iter().all(|names| *names == old));
    host.expect(&[(0, tx, "TRANSACTION_END T|", "OK|")]);
    assert_eq!(parts(&mut host, 0, "/l", |_| {}).0, wanted);
}

#[test]
fn a_long_list_that_others_change_is_read_to_its_end() {
    let mut host = Host::new();
    let names: Vec<String> = (0..1000).map(|n| format!("a-name-that-is-long-{n:04}")).collect();
    for name in &names {
        host.ok(0, 0, &format!("WRITE /l/{name}|"));
    }
    let tx = host.start(0);
    let mut next = 0;
    let (seen, _) = parts(&mut host, tx, "/l", |host| {
        // Gone before the place that has been reached, and behind it.
        for name in [&names[next], &names[999 - next]] {
            host.ok(0, 0, &format!("RM /l/{name}|"));
        }
        next += 1;
    });
    assert!(seen.len() > 900, "{} names", seen.len());
    host.expect(&[(0, tx, "TRANSACTION_END T|", "EAGAIN")]);
}

#[test]
fn a_long_list_whose_node_goes_meanwhile_shows_nothing_of_others() {
    let mut host = Host::new();
    host.boot(5);
    for n in 0..500 {
        host.ok(0, 0, &format!("WRITE /l/an-old-name-that-is-long-{n}|"));
    }
    host.expect(&[(0, 0, "SET_PERMS /l|r0|", "OK|")]);
    let tx = host.start(5);
    let first = host.ask(5, tx, "DIRECTORY_PART /l|0|");
    let (_, part) = first.split_once('|').expect("a generation");
    host.ok(0, 0, "RM /l|");
    for n in 0..500 {
        host.ok(0, 0, &format!("WRITE /secret/name-{n}|"));
    }
    host.expect(&[(5, 0, "DIRECTORY /secret|", "EACCES")]);
    let next = host.ask(5, tx, &format!("DIRECTORY_PART /l|{}|", part.len()));
    assert_eq!(next.split_once('|').map(|(_, names)| names), Some("|"));
    host.expect(&[(5, tx, "TRANSACTION_END T|", "EAGAIN")]);
}
