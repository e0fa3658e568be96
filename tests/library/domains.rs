//! Domains: introduction, release, shutdown, death, features, special events.

use support::Host;
use xenstore::abi::DomId;

/// dom0 watches both special events, with and without depth, on a host with these domains.
fn watching(domids: &[u16]) -> Host {
    let mut host = Host::new();
    domids.iter().for_each(|domid| host.boot(*domid));
    for (path, token, depth) in [
        ("@introduceDomain", "i", ""),
        ("@introduceDomain", "i0", "0|"),
        ("@introduceDomain", "i1", "1|"),
        ("@releaseDomain", "r", ""),
        ("@releaseDomain", "r0", "0|"),
        ("@releaseDomain", "r1", "1|"),
        ("@releaseDomain/9", "r9", ""),
        ("@releaseDomain/8", "r8", ""),
    ] {
        let request = format!("WATCH {path}|{token}|{depth}");
        host.expect(&[(0, 0, &request, &format!("OK|; ev {path},{token}"))]);
    }
    host
}

const RELEASED_9: &str = "ev @releaseDomain,r; ev @releaseDomain/9,r1; ev @releaseDomain/9,r9";

#[test]
fn introduction_is_announced_once() {
    let mut host = watching(&[]);
    host.create(6);
    host.xen.unbindable.insert(66);
    host.expect(&[
        (0, 0, "INTRODUCE 6|1|66|", "EINVAL"),
        (0, 0, "IS_DOMAIN_INTRODUCED 6|", "F|"),
        (0, 0, "INTRODUCE 6|1|5|", "ev @introduceDomain,i; ev @introduceDomain/6,i1; OK|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 6|", "T|"),
        (0, 0, "INTRODUCE 6|1|5|", "OK|"),
        (6, 0, "GET_DOMAIN_PATH 6|", "/local/domain/6|"),
        (0, 0, "INTRODUCE 6|1|66|", "OK|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 6|", "T|"),
        (0, 0, "INTRODUCE 6|1|7|", "OK|"),
        (6, 0, "GET_DOMAIN_PATH 6|", "/local/domain/6|"),
        (0, 0, "INTRODUCE 6|1|", "EINVAL"),
        (0, 0, "INTRODUCE 6|1|0|", "EINVAL"),
        (0, 0, "INTRODUCE x|1|5|", "EINVAL"),
        (0, 0, "INTRODUCE 7|1|5|", "EINVAL"),
        (0, 0, "INTRODUCE 0|1|5|", "EINVAL"),
        (0, 0, "INTRODUCE 32752|1|5|", "EINVAL"),
    ]);
    host.create(7);
    host.xen.make_unmappable(DomId(7));
    host.expect(&[(0, 0, "INTRODUCE 7|1|5|", "EINVAL"), (0, 0, "IS_DOMAIN_INTRODUCED 7|", "F|")]);
    assert_eq!(host.xen.open_ports(), 2, "one of dom0, one of domain 6");
}

#[test]
fn what_waits_in_a_ring_is_lost_by_introduction() {
    let mut host = Host::new();
    host.boot(6);
    host.expect(&[(6, 0, "WATCH a|t|", "OK|; ev a,t")]);
    host.client(6).write(&support::request(10, 1, xenstore::wire::TxId(0), b"3\0"));
    host.expect(&[(0, 0, "INTRODUCE 6|1|5|", "OK|"), (0, 0, "WRITE /local/domain/6/a|", "OK|")]);
    host.hears(6, "");
    assert_eq!(host.client(6).indexes(), [0; 4]);
}

#[test]
fn a_port_that_xen_itself_gave_is_the_one() {
    let mut host = Host::new();
    host.create(6);
    host.xen.unbindable.insert(66);
    host.client(6).page.evtchn_port.store(5, std::sync::atomic::Ordering::SeqCst);
    host.expect(&[(0, 0, "INTRODUCE 6|1|66|", "OK|")]);
}

#[test]
fn numbers_of_domains_are_read_strictly() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "IS_DOMAIN_INTRODUCED 0|", "T|"),
        (0, 0, "IS_DOMAIN_INTRODUCED |", "T|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 99|", "F|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 32752|", "T|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 65535|", "F|"),
        (0, 0, "IS_DOMAIN_INTRODUCED junk|", "EINVAL"),
        (0, 0, "GET_DOMAIN_PATH 05|", "/local/domain/5|"),
        (0, 0, "GET_DOMAIN_PATH |", "/local/domain/0|"),
        (0, 0, "GET_DOMAIN_PATH 65535|", "/local/domain/65535|"),
        (0, 0, "GET_DOMAIN_PATH x|", "EINVAL"),
        (0, 0, "GET_DOMAIN_PATH 65536|", "EINVAL"),
        (0, 0, "GET_DOMAIN_PATH -1|", "EINVAL"),
    ]);
}

#[test]
fn only_introduced_domains_are_released_resumed_or_targets() {
    let mut host = Host::new();
    host.boot(5);
    host.create(6);
    host.expect(&[
        (0, 0, "RELEASE 0|", "EINVAL"),
        (0, 0, "RESUME 0|", "EINVAL"),
        (0, 0, "RELEASE 9|", "ENOENT"),
        (0, 0, "RESUME 9|", "ENOENT"),
        (0, 0, "RELEASE 6|", "ENOENT"),
        (0, 0, "RELEASE x|", "EINVAL"),
        (0, 0, "SET_TARGET 5|9|", "ENOENT"),
        (0, 0, "SET_TARGET 9|5|", "ENOENT"),
        (0, 0, "SET_TARGET 6|5|", "ENOENT"),
        (0, 0, "SET_TARGET 5|", "EINVAL"),
        (0, 0, "RESUME 5|", "OK|"),
    ]);
}

#[test]
fn shutdown_is_announced_once_until_resumed_and_death_once_more() {
    for legacy in [false, true] {
        let mut host = watching(&[9]);
        host.xen.legacy = legacy;
        host.expect(&[
            (0, 0, "WRITE /own9/c|", "OK|"),
            (0, 0, "SET_PERMS /own9/c|n9|", "OK|"),
            (0, 0, "WATCH /own9|w|", "OK|; ev /own9,w"),
        ]);
        let announced = "ev @releaseDomain/9,r1; ev @releaseDomain/9,r9; ev @releaseDomain,r";
        host.xen.shut_down(DomId(9));
        host.poll();
        host.hears(0, announced);
        host.xen.virq();
        host.poll();
        host.xen.shut_down(DomId(9));
        host.poll();
        host.hears(0, "");
        host.expect(&[(0, 0, "RESUME 9|", "OK|")]);
        host.xen.revive(DomId(9));
        host.xen.virq();
        host.poll();
        host.hears(0, "");
        host.xen.shut_down(DomId(9));
        host.poll();
        host.hears(0, announced);
        host.kill(9);
        host.hears(0, &format!("ev /own9/c,w; {RELEASED_9}"));
        host.xen.vanish(DomId(9));
        host.poll();
        host.hears(0, "");
        host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 9|", "F|"), (0, 0, "DIRECTORY /own9|", "")]);
        assert!(!host.xen.is_mapped(DomId(9), 1));
    }
}

#[test]
fn several_shutdowns_at_once_are_one_announcement() {
    let mut host = Host::new();
    host.boot(8);
    host.boot(9);
    host.expect(&[
        (0, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
        (0, 0, "WATCH @releaseDomain|d|1|", "OK|; ev @releaseDomain,d"),
    ]);
    host.xen.shut_down(DomId(8));
    host.xen.shut_down(DomId(9));
    host.poll();
    host.hears(0, "ev @releaseDomain/8,d; ev @releaseDomain/9,d; ev @releaseDomain,r");
}

#[test]
fn death_removes_nodes_with_all_below_and_rights() {
    let mut host = Host::new();
    host.boot(9);
    host.expect(&[
        (0, 0, "WRITE /own9/c/e|", "OK|"),
        (0, 0, "SET_PERMS /own9/c|n9|", "OK|"),
        (0, 0, "WRITE /acl9|", "OK|"),
        (0, 0, "SET_PERMS /acl9|n0|r9|r5|", "OK|"),
        (9, 0, "TRANSACTION_START |", "1|"),
        (9, 1, "WRITE a|", "OK|"),
    ]);
    host.kill(9);
    host.check();
    host.expect(&[
        (0, 0, "READ /own9/c|", "ENOENT"),
        (0, 0, "READ /own9/c/e|", "ENOENT"),
        (0, 0, "DIRECTORY /own9|", ""),
        (0, 0, "DIRECTORY /local/domain|", ""),
        (0, 0, "GET_PERMS /acl9|", "n0|r5|"),
    ]);
}

#[test]
fn what_a_dead_domain_had_goes_from_the_highest_node_down_but_never_the_root() {
    let mut host = Host::new();
    host.boot(9);
    host.expect(&[
        (0, 0, "WRITE /a/b|", "OK|"),
        // The lower node has been the domain's for longer.
        (0, 0, "SET_PERMS /a/b|n9|", "OK|"),
        (0, 0, "SET_PERMS /a|n9|", "OK|"),
        (0, 0, "SET_PERMS /|n9|", "OK|"),
        (0, 0, "WATCH /|root|", "OK|; ev /,root"),
        (0, 0, "WATCH /a/b|b|", "OK|; ev /a/b,b"),
    ]);
    host.kill(9);
    host.hears(0, "ev /local/domain/9,root; ev /a/b,b; ev /a,root");
    host.expect(&[(0, 0, "GET_PERMS /|", "n0|"), (0, 0, "DIRECTORY /|", "tool|local|")]);
}

#[test]
fn release_is_like_death_and_comes_before_its_answer() {
    let mut host = watching(&[9]);
    host.expect(&[
        (0, 0, "WATCH /local/domain/9|w|", "OK|; ev /local/domain/9,w"),
        (9, 0, "WATCH own|w|", "OK|; ev own,w"),
        (9, 0, "WRITE own|", "ev own,w; OK|"),
    ]);
    host.hears(0, "ev /local/domain/9/own,w");
    // The home is domain 9's too, so all of it goes as one tree.
    host.expect(&[
        (0, 0, "RELEASE 9|", &format!("ev /local/domain/9,w; {RELEASED_9}; OK|")),
        (0, 0, "RELEASE 9|", "ENOENT"),
        (0, 0, "IS_DOMAIN_INTRODUCED 9|", "F|"),
        (0, 0, "READ /local/domain/9|", "ENOENT"),
    ]);
    assert!(!host.xen.is_mapped(DomId(9), 1));
    host.expect(&[
        (0, 0, "INTRODUCE 9|1|5|", "ev @introduceDomain,i; ev @introduceDomain/9,i1; OK|"),
        (9, 0, "GET_DOMAIN_PATH 9|", "/local/domain/9|"),
        (9, 0, "READ own|", "EACCES"),
    ]);
}

#[test]
fn release_of_a_target_is_complete_and_ends_the_link() {
    let mut host = Host::new();
    host.boot(5);
    host.boot(8);
    host.expect(&[
        (0, 0, "SET_TARGET 8|5|", "OK|"),
        (0, 0, "RELEASE 5|", "OK|"),
        (0, 0, "IS_DOMAIN_INTRODUCED 5|", "F|"),
        (0, 0, "RELEASE 5|", "ENOENT"),
        (0, 0, "INTRODUCE 5|1|5|", "OK|"),
        (0, 0, "WRITE /local/domain/5|v", "OK|"),
        (0, 0, "SET_PERMS /local/domain/5|n5|", "OK|"),
        (8, 0, "READ /local/domain/5|", "EACCES"),
        (8, 0, "WRITE own|", "OK|"),
    ]);
    host.kill(8);
    host.expect(&[(5, 0, "READ /local/domain/5|", "v")]);
}

#[test]
fn a_domain_never_introduced_leaves_without_a_word() {
    let mut host = watching(&[]);
    host.create(11);
    host.expect(&[
        (0, 0, "WRITE /own11|", "OK|"),
        (0, 0, "SET_PERMS /own11|n11|", "OK|"),
        (0, 0, "WATCH /own11|w|", "OK|; ev /own11,w"),
    ]);
    host.xen.vanish(DomId(11));
    host.poll();
    host.hears(0, "ev /own11,w");
    host.expect(&[(0, 0, "READ /own11|", "ENOENT")]);
}

#[test]
fn a_number_that_means_another_domain_now_is_a_death() {
    let mut host = watching(&[9]);
    host.create(9);
    host.xen.virq();
    host.poll();
    host.hears(0, RELEASED_9);
    host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 9|", "F|"), (0, 0, "READ /local/domain/9|", "ENOENT")]);
    host.expect(&[(0, 0, "INTRODUCE 9|1|5|", "ev @introduceDomain,i; ev @introduceDomain/9,i1; OK|")]);
}

#[test]
fn an_identity_that_was_unknown_is_learnt() {
    for legacy in [false, true] {
        let mut host = Host::new();
        host.xen.legacy = legacy;
        host.create(9);
        host.xen.set_unique_id(DomId(9), 0);
        host.expect(&[(0, 0, "INTRODUCE 9|1|5|", "OK|")]);
        host.xen.set_unique_id(DomId(9), 77);
        host.xen.tell(DomId(9));
        host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 9|", "T|")]);
        // Another domain has its number by now.
        host.xen.set_unique_id(DomId(9), 78);
        host.xen.tell(DomId(9));
        host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 9|", "F|")]);
    }
}

/// A policy of Flask's may keep a domain from the store: what is not said is no death.
#[test]
fn what_the_hypervisor_does_not_say_ends_no_domain() {
    for legacy in [false, true] {
        let mut host = watching(&[8, 9]);
        host.xen.legacy = legacy;
        host.expect(&[(9, 0, "WRITE own|v", "OK|")]);
        host.xen.untold.insert(9);
        host.xen.virq();
        host.expect(&[
            (0, 0, "IS_DOMAIN_INTRODUCED 9|", "T|"),
            (9, 0, "READ own|", "v"),
            (0, 0, "INTRODUCE 9|1|5|", "EINVAL"),
            (9, 0, "READ own|", "v"),
        ]);
        // It is known of no other one that it lives, so none is introduced nor owns anything.
        host.create(10);
        host.xen.untold.insert(10);
        host.expect(&[
            (0, 0, "INTRODUCE 10|1|5|", "EINVAL"),
            (0, 0, "WRITE /of10|", "OK|"),
            (0, 0, "SET_PERMS /of10|n10|", "ENOENT"),
        ]);
        // Deaths are heard of others, and of this one once it is told of again.
        host.kill(8);
        host.hears(0, "ev @releaseDomain,r; ev @releaseDomain/8,r1; ev @releaseDomain/8,r8");
        host.xen.untold.clear();
        host.xen.kill_silently(DomId(9));
        host.xen.virq();
        host.poll();
        host.hears(0, RELEASED_9);
        host.check();
    }
}

/// What domains are told apart by may be no more than what toolstacks have named them, which they may change.
#[test]
fn a_domain_that_cannot_be_told_from_others_lives_on() {
    for legacy in [false, true] {
        let mut host = watching(&[9]);
        host.xen.legacy = legacy;
        host.expect(&[(9, 0, "WRITE own|v", "OK|")]);
        host.xen.set_unique_id(DomId(9), 0);
        host.xen.tell(DomId(9));
        host.expect(&[
            (0, 0, "IS_DOMAIN_INTRODUCED 9|", "T|"),
            (0, 0, "INTRODUCE 9|1|5|", "OK|"),
            (9, 0, "READ own|", "v"),
        ]);
        // What was known before holds on.
        host.xen.set_unique_id(DomId(9), 77);
        host.xen.tell(DomId(9));
        host.poll();
        host.hears(0, RELEASED_9);
        host.check();
    }
}

#[test]
fn guests_hear_of_releases_and_of_what_they_are_let() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (5, 0, "WATCH @releaseDomain|r|", "OK|; ev @releaseDomain,r"),
        (5, 0, "WATCH @introduceDomain|i|", "OK|; ev @introduceDomain,i"),
    ]);
    host.boot(9);
    host.hears(5, "");
    host.ok(0, 0, "RELEASE 9|");
    host.hears(5, "ev @releaseDomain,r");
    host.expect(&[(0, 0, "SET_PERMS @releaseDomain|n0|", "OK|")]);
    // Whoever loses a right by this change still hears of it.
    host.hears(5, "ev @releaseDomain,r");
    host.ok(0, 0, "INTRODUCE 9|1|5|");
    host.ok(0, 0, "RELEASE 9|");
    host.hears(5, "");
    host.expect(&[(0, 0, "SET_PERMS @releaseDomain|n0|r5|", "OK|")]);
    host.hears(5, "ev @releaseDomain,r");
    host.expect(&[(0, 0, "SET_PERMS @introduceDomain|n0|r5|", "OK|")]);
    host.hears(5, "ev @introduceDomain,i");
    host.ok(0, 0, "INTRODUCE 9|1|5|");
    host.ok(0, 0, "RELEASE 9|");
    host.hears(5, "ev @introduceDomain,i; ev @releaseDomain,r");
}

#[test]
fn permissions_of_a_special_node_are_told_to_all_who_watch_it() {
    let mut host = Host::new();
    host.boot(5);
    for (path, token, depth) in [
        ("@releaseDomain", "r", ""),
        ("@releaseDomain", "r0", "0|"),
        ("@releaseDomain", "r1", "1|"),
        ("@releaseDomain/9", "r9", ""),
        ("@introduceDomain", "i1", "1|"),
    ] {
        let (request, told) = (format!("WATCH {path}|{token}|{depth}"), format!("OK|; ev {path},{token}"));
        host.expect(&[(0, 0, &request, &told), (5, 0, &request, &told)]);
    }
    let told = "ev @releaseDomain,r; ev @releaseDomain,r0; ev @releaseDomain,r1";
    host.expect(&[(0, 0, "SET_PERMS @releaseDomain|n0|r5|", &format!("{told}; OK|"))]);
    host.hears(5, told);
    let tx = host.start(0);
    host.expect(&[
        (0, tx, "SET_PERMS @releaseDomain|n0|", "OK|"),
        (0, tx, "SET_PERMS @introduceDomain|n0|r5|", "OK|"),
        (0, tx, "TRANSACTION_END T|", &format!("{told}; ev @introduceDomain,i1; OK|")),
    ]);
    host.hears(5, &format!("{told}; ev @introduceDomain,i1"));
    // Whoever could not read it before and cannot now hears nothing.
    host.expect(&[(0, 0, "SET_PERMS @releaseDomain|n0|", &format!("{told}; OK|"))]);
    host.hears(5, "");
    // What happens to domains has its own rules about depth, see `introduction_is_announced_once`.
    host.expect(&[(0, 0, "RELEASE 5|", "ev @releaseDomain,r; ev @releaseDomain/5,r1; OK|")]);
}

#[test]
fn a_special_node_outlives_the_guest_that_owned_it() {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (0, 0, "SET_PERMS @releaseDomain|n5|", "OK|"),
        (5, 0, "SET_PERMS @releaseDomain|n5|r6|", "OK|"),
    ]);
    host.kill(5);
    host.expect(&[(0, 0, "GET_PERMS @releaseDomain|", "n0|r6|")]);
}

#[test]
fn features_are_restricted_before_introduction() {
    let mut host = Host::new();
    host.create(7);
    host.boot(5);
    host.expect(&[
        (0, 0, "GET_FEATURE ", "15|"),
        (0, 0, "SET_FEATURE 7|2|", "OK|"),
        (0, 0, "GET_FEATURE 7|", "2|"),
        (0, 0, "SET_FEATURE 7|16|", "EINVAL"),
        (0, 0, "SET_FEATURE 7|-1|", "EINVAL"),
        (0, 0, "SET_FEATURE 7|1|", "OK|"),
        (0, 0, "SET_FEATURE 7|2|", "OK|"),
        (0, 0, "SET_FEATURE 99|2|", "ENOENT"),
        (0, 0, "GET_FEATURE 99|", "ENOENT"),
        (0, 0, "INTRODUCE 7|1|5|", "OK|"),
        (0, 0, "SET_FEATURE 7|2|", "EBUSY"),
        (0, 0, "SET_FEATURE 0|2|", "EBUSY"),
        (7, 0, "WATCH /a|t|1|", "EINVAL"),
        (7, 0, "WATCH /a|t|", "OK|; ev /a,t"),
        (7, 0, "GET_FEATURE ", "2|"),
        (7, 0, "GET_FEATURE 7|", "EACCES"),
        (7, 0, "GET_FEATURE 7|8|", "EACCES"),
        (5, 0, "GET_FEATURE ", "15|"),
    ]);
    assert_eq!(host.client(7).page.server_features.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[test]
fn orphans_go_to_dom0_where_they_are_kept() {
    let settings = xenstore::config::Settings { keep_orphans: true, ..xenstore::config::Settings::DEFAULT };
    let mut host = Host::with(settings, &xenstore::config::Capacities::for_nodes(1000));
    host.boot(5);
    host.ok(5, 0, "WRITE data/k|v");
    host.kill(5);
    host.expect(&[
        (0, 0, "READ /local/domain/5/data/k|", "v"),
        (0, 0, "GET_PERMS /local/domain/5/data|", "n0|"),
    ]);
}

#[test]
fn news_of_one_domain_makes_us_ask_about_that_one_alone() {
    let mut host = Host::new();
    (5..45).for_each(|domid| host.boot(domid));
    let before = host.xen.domctls;
    host.kill(5);
    // What has changed, and that there is no more of it.
    assert_eq!(host.xen.domctls - before, 2);
    host.xen.virq();
    host.poll();
    // Xen told nothing, so each domain is asked about but dom0.
    assert!(host.xen.domctls - before >= 2 + 39);
    assert_eq!(host.ask(0, 0, "READ /local/domain/5|"), "ENOENT");
}

#[test]
fn dom0_hears_of_deaths_whoever_the_announcement_belongs_to() {
    for permissions in ["n5|", "n5|r9|", "b5|"] {
        let mut host = Host::new();
        host.boot(5);
        host.boot(9);
        host.ask(0, 0, "WATCH @releaseDomain|r|");
        host.ok(0, 0, &format!("SET_PERMS /|{permissions}"));
        host.ask(0, 0, &format!("SET_PERMS @releaseDomain|{permissions}"));
        host.kill(9);
        host.hears(0, "ev @releaseDomain,r");

        host.kill(5);
        host.hears(0, "ev @releaseDomain,r");
    }
}
