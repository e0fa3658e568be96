//! Watches: registration, what fires, for whom, in which order, and what is merged or dropped.

use support::Host;

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host
}

/// A watch on a path, with the path as its token too.
fn watch(host: &mut Host, who: u16, path: &str) {
    host.expect(&[(who, 0, &format!("WATCH {path}|{path}|"), &format!("OK|; ev {path},{path}"))]);
}

#[test]
fn a_watch_is_path_and_token() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "WATCH /w|tok|", "OK|; ev /w,tok"),
        (0, 0, "WATCH /w|tok|", "EEXIST"),
        (0, 0, "WATCH /w|other|", "OK|; ev /w,other"),
        (0, 0, "UNWATCH /w|wrong|", "ENOENT"),
        (0, 0, "UNWATCH /x|tok|", "ENOENT"),
        (0, 0, "UNWATCH /w//|tok|", "EINVAL"),
        (0, 0, "UNWATCH /w|tok|", "OK|"),
        (0, 0, "UNWATCH /w|tok|", "ENOENT"),
        (0, 0, "WRITE /w|", "ev /w,other; OK|"),
        (0, 0, "WATCH /w||", "OK|; ev /w,"),
        (0, 0, "WATCH |t|", "EINVAL"),
        (0, 0, "WATCH /w/|t|", "EINVAL"),
    ]);
}

#[test]
fn changes_fire_before_their_answer() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "WATCH /w|tok|", "OK|; ev /w,tok"),
        (0, 0, "WRITE /w/a/b|", "ev /w/a/b,tok; OK|"),
        (0, 0, "WRITE /w/a/b|", "ev /w/a/b,tok; OK|"),
        (0, 0, "MKDIR /w/a|", "OK|"),
        (0, 0, "MKDIR /w/m|", "ev /w/m,tok; OK|"),
        (0, 0, "SET_PERMS /w/m|n0|", "ev /w/m,tok; OK|"),
        (0, 0, "RM /w/missing|", "OK|"),
        (0, 0, "WRITE /wide|", "OK|"),
        (0, 0, "WRITE /w|", "ev /w,tok; OK|"),
        (0, 0, "WRITE /x//|", "EINVAL"),
    ]);
}

#[test]
fn removal_fires_for_each_node_deepest_first() {
    let mut host = Host::new();
    for path in ["/w/t/1", "/w/t/2/x", "/w/t/3"] {
        host.ok(0, 0, &format!("WRITE {path}|"));
    }
    for path in ["/w/t", "/w/t/1", "/w/t/2", "/w/t/2/x", "/w/t/nonexist", "/", "/w"] {
        watch(&mut host, 0, path);
    }
    host.expect(&[(
        0,
        0,
        "RM /w/t|",
        "ev /w/t/1,/w/t/1; ev /w/t/2/x,/w/t/2/x; ev /w/t/2,/w/t/2; ev /w/t,/w/t; ev /w/t,/; ev /w/t,/w; OK|",
    )]);
}

#[test]
fn a_relative_watch_tells_relative_paths() {
    let mut host = host();
    host.expect(&[
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (5, 0, "WRITE data/q|", "ev data/q,t; OK|"),
        (5, 0, "WRITE /local/domain/5/data/q|", "ev data/q,t; OK|"),
        (5, 0, "WATCH /local/domain/5/data|t|", "EEXIST"),
        (5, 0, "UNWATCH /local/domain/5/data|t|", "OK|"),
        (5, 0, "WATCH /local/domain/5/data|t|", "OK|; ev /local/domain/5/data,t"),
        (5, 0, "WRITE data/q|", "ev /local/domain/5/data/q,t; OK|"),
        (5, 0, "UNWATCH data|t|", "OK|"),
        (5, 0, "WRITE data/q|", "OK|"),
    ]);
}

#[test]
fn what_would_be_told_twice_is_told_once_in_the_place_of_the_first() {
    let mut host = host();
    let long = "l".repeat(100);
    for (who, path, token) in [
        (5, "/local/domain/5/data/q", "t"),
        (5, "/", "u"),
        (0, "/", "t"),
        (5, "data", "t"),
        (5, "/local", &long),
        (5, "/local/domain", "t"),
        (5, "data/q", "t:1"),
        (5, "/", &long),
        (5, "/", "t"),
        (0, "/local", "t"),
        (5, "/local/domain", "u"),
    ] {
        host.expect(&[(who, 0, &format!("WATCH {path}|{token}|"), &format!("OK|; ev {path},{token}"))]);
    }
    let full = "/local/domain/5/data/q";
    host.expect(&[(
        5,
        0,
        "WRITE data/q|",
        &format!("ev {full},t; ev {full},u; ev data/q,t; ev {full},{long}; ev data/q,t:1; OK|"),
    )]);
    host.hears(0, &format!("ev {full},t"));
}

#[test]
fn any_name_may_be_watched() {
    let mut host = host();
    host.expect(&[
        (0, 0, "WATCH @foo|t|", "OK|; ev @foo,t"),
        (0, 0, "UNWATCH @foo|t|", "OK|"),
        (5, 0, "WATCH /secret/x|t|", "OK|; ev /secret/x,t"),
        (5, 0, "WATCH @introduceDomain|t|", "OK|; ev @introduceDomain,t"),
        (0, 0, "WRITE /secret/x|", "OK|"),
    ]);
    host.boot(6);
    host.hears(5, "");
}

#[test]
fn events_reach_those_who_may_read_before_or_after() {
    let mut host = host();
    host.expect(&[(0, 0, "MKDIR /p|", "OK|"), (5, 0, "WATCH /p|t|", "OK|; ev /p,t")]);
    for (request, heard) in [
        ("WRITE /p/n|1", ""),
        ("SET_PERMS /p/n|n0|r5|", "ev /p/n,t"),
        ("WRITE /p/n|2", "ev /p/n,t"),
        ("SET_PERMS /p/n|n0|", "ev /p/n,t"),
        ("WRITE /p/n|3", ""),
        ("SET_PERMS /p|n0|r5|", "ev /p,t"),
        ("WRITE /p/n|4", "ev /p/n,t"),
        ("WRITE /p/n/deep|", ""),
        ("RM /p/n|", "ev /p/n,t"),
        ("WRITE /p/m/deep|", "ev /p/m/deep,t"),
        ("SET_PERMS /p|n0|", "ev /p,t"),
        ("WRITE /p|", ""),
    ] {
        host.ok(0, 0, request);
        assert_eq!(host.received(5), heard, "{request}");
    }
}

#[test]
fn an_event_that_waits_already_is_not_queued_again() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t"), (5, 0, "WATCH data|u|", "OK|; ev data,u")]);
    for n in 0..500 {
        host.ok(0, 0, &format!("WRITE /local/domain/5/data/x|{n}"));
    }
    let heard = host.received(5);
    let (t, u) = (heard.matches("data/x,t").count(), heard.matches("data/x,u").count());
    // The ring holds some 30 of them, which the server cannot take back.
    assert!(t + u <= 1024 / 25 + 2 && t.abs_diff(u) <= 1, "{t} and {u}");
    host.check();
}

#[test]
fn what_was_queued_last_is_told_after_the_last_change() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t")]);
    for n in 0..200 {
        host.ok(0, 0, &format!("WRITE /local/domain/5/data/x{}|", n % 50));
    }
    let heard = host.received(5);
    for n in 0..50 {
        assert!(heard.contains(&format!("ev data/x{n},t")), "x{n} in {heard}");
    }
}

#[test]
fn special_events_are_never_merged() {
    let mut host = host();
    for domid in [6, 7] {
        host.boot(domid);
    }
    host.expect(&[(5, 0, "WATCH @releaseDomain|t|", "OK|; ev @releaseDomain,t")]);
    for domid in [6, 7] {
        host.kill(domid);
    }
    host.hears(5, "ev @releaseDomain,t; ev @releaseDomain,t");
}

#[test]
fn special_events_are_never_merged_in_the_queue_either() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH @releaseDomain|t|", "OK|; ev @releaseDomain,t")]);
    for _ in 0..60 {
        host.boot(6);
        host.kill(6);
        host.xen.vanish(xenstore::abi::DomId(6));
    }
    assert_eq!(host.received(5).matches("@releaseDomain,t").count(), 60);
}

#[test]
fn a_depth_limits_how_far_below_a_watch_sees() {
    let mut host = Host::new();
    for (path, depth) in [("/", 1), ("/", 2), ("/q", 0), ("/q", 1), ("/q", 2)] {
        host.expect(&[(
            0,
            0,
            &format!("WATCH {path}|{path}:{depth}|{depth}|"),
            &format!("OK|; ev {path},{path}:{depth}"),
        )]);
    }
    host.expect(&[
        (0, 0, "WRITE /q|", "ev /q,/:1; ev /q,/:2; ev /q,/q:0; ev /q,/q:1; ev /q,/q:2; OK|"),
        (0, 0, "WRITE /q/a|", "ev /q/a,/:2; ev /q/a,/q:1; ev /q/a,/q:2; OK|"),
        (0, 0, "WRITE /q/a/b|", "ev /q/a/b,/q:2; OK|"),
        (0, 0, "WRITE /q/a/b/c|", "OK|"),
        (0, 0, "WRITE /|", "ev /,/:1; ev /,/:2; OK|"),
        (0, 0, "WATCH /q|t|-1|", "EINVAL"),
        (0, 0, "WATCH /q|t|1|1|", "EINVAL"),
        (0, 0, "WATCH /q|/q:1|2|", "EEXIST"),
        (0, 0, "WATCH /q|/q:1|", "EEXIST"),
        (0, 0, "WATCH /z|t|junk|", "OK|; ev /z,t"),
        (0, 0, "WRITE /z/a|", "ev /z/a,/:2; OK|"),
        (0, 0, "WRITE /z|", "ev /z,/:1; ev /z,/:2; ev /z,t; OK|"),
        (0, 0, "UNWATCH /q|/q:1|", "OK|"),
    ]);
}

#[test]
fn a_parent_made_on_the_way_has_no_event_of_its_own() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "WATCH /ip/b|t|0|", "OK|; ev /ip/b,t"),
        (0, 0, "WATCH /ip|u|", "OK|; ev /ip,u"),
        (0, 0, "WRITE /ip/b/c|", "ev /ip/b/c,u; OK|"),
    ]);
}

#[test]
fn reset_watches_drops_watches_and_transactions() {
    let mut host = host();
    let tx = host.start(5);
    host.expect(&[
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (5, 0, "RESET_WATCHES |", "OK|"),
        (5, 0, "WRITE data|", "OK|"),
        (5, tx, "READ data|", "ENOENT"),
        (5, tx, "TRANSACTION_END T|", "ENOENT"),
        (5, 0, "TRANSACTION_START |", "2|"),
        (5, 2, "WRITE data|x", "OK|"),
        (5, 2, "RESET_WATCHES ", "OK|"),
        (5, 2, "TRANSACTION_END T|", "ENOENT"),
        (5, 0, "READ data|", ""),
        (5, 0, "UNWATCH data|t|", "ENOENT"),
        (5, 0, "TRANSACTION_START |", "3|"),
    ]);
}

#[test]
fn an_event_too_long_for_a_message_is_dropped() {
    let mut host = host();
    let token = "t".repeat(4000);
    host.expect(&[
        (5, 0, &format!("WATCH data|{token}|"), &format!("OK|; ev data,{token}")),
        (5, 0, &format!("WRITE {}|", "data/".to_string() + &"x".repeat(90)), "OK|"),
        (
            5,
            0,
            &format!("WRITE {}|", "data/".to_string() + &"x".repeat(89)),
            // Path, token and two NULs: 94 + 4000 + 2 is just 4096.
            &format!("ev data/{},{token}; OK|", "x".repeat(89)),
        ),
        (5, 0, &format!("UNWATCH data|{token}|"), "OK|"),
    ]);
}

#[test]
fn unread_events_expire_and_answers_do_not() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t")]);
    for n in 0..100 {
        host.ok(0, 0, &format!("WRITE /local/domain/5/data/x{n}|"));
    }
    host.xen.pass(19);
    host.poll();
    host.check();
    host.xen.pass(1);
    host.poll();
    host.check();
    let heard = host.received(5).matches("ev data/").count();
    assert!((30..40).contains(&heard), "{heard} were in the ring or on their way");
    host.expect(&[(5, 0, "READ data|", ""), (0, 0, "WRITE /local/domain/5/data/x7|", "OK|")]);
    host.hears(5, "ev data/x7,t");
}
