//! What requests cost grows with what they touch, not with its square. Counted are operations on slots and looks at
//! them, which depend on nothing else.

use support::Host;
use xenstore::config::{Capacities, Settings};

/// What each step of some work takes, in operations on the store's slots.
struct Costs {
    host: Host,
    steps: Vec<(&'static str, u64)>,
}

impl Costs {
    fn new(capacities: &Capacities) -> Costs {
        let mut host = Host::with(Settings::DEFAULT, capacities);
        host.boot(5);
        Costs { host, steps: Vec::new() }
    }

    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Host)) {
        let before = self.host.server.operations();
        work(&mut self.host);
        self.steps.push((name, self.host.server.operations() - before));
    }

    /// A request of domain 5, and what it is answered.
    #[track_caller]
    fn ask(&mut self, name: &'static str, tx: u32, request: &str, expected: &str) {
        self.step(name, |host| assert_eq!(host.ask(5, tx, request), expected, "{name}"));
    }
}

/// Work that is ten times as large may cost ten times as much and some more, not a hundred times.
#[track_caller]
fn is_linear<T>(few: T, many: T, work: impl Fn(T) -> Costs) {
    let (few, many) = (work(few).steps, work(many).steps);
    for ((name, few), (_, many)) in few.into_iter().zip(many) {
        assert!(few > 0 && many < 20 * few, "{name} takes {few}, and {many} for ten times as much");
    }
}

/// What is done with a path so many levels deep.
#[track_caller]
fn is_linear_in_depth(work: impl Fn(&mut Costs, &str)) {
    is_linear(90, 900, |levels| {
        let mut costs = Costs::new(&Capacities::for_nodes(60_000));
        work(&mut costs, &vec!["a"; levels].join("/"));
        costs
    });
}

/// What is done with so many nodes, whose paths are nearly as long as paths may be.
#[track_caller]
fn is_linear_in_width(work: impl Fn(&mut Costs, &[String])) {
    let below = vec!["component"; 195].join("/");
    is_linear(70, 700, |nodes| {
        let mut costs = Costs::new(&Capacities::for_nodes(300_000));
        // A node has room for so many names of children.
        let paths: Vec<String> = (0..nodes).map(|n| format!("{below}/{}/{n:03}", n % 2)).collect();
        work(&mut costs, &paths);
        costs
    });
}

#[test]
fn a_deep_path_that_is_not_there() {
    is_linear_in_depth(|costs, path| costs.ask("READ", 0, &format!("READ {path}|"), "ENOENT"));
}

#[test]
fn a_deep_tree_comes_and_goes() {
    is_linear_in_depth(|costs, path| {
        costs.ask("WRITE", 0, &format!("WRITE {path}|1"), "OK|");
        costs.ask("RM", 0, "RM a|", "OK|");
    });
}

#[test]
fn a_deep_tree_comes_and_goes_in_transactions() {
    is_linear_in_depth(|costs, path| {
        let tx = costs.host.start(5);
        costs.ask("WRITE", tx, &format!("WRITE {path}|1"), "OK|");
        costs.ask("its end", tx, "TRANSACTION_END T|", "OK|");
        let tx = costs.host.start(5);
        costs.ask("RM", tx, "RM a|", "OK|");
        costs.ask("WRITE again", tx, &format!("WRITE {path}|1"), "OK|");
        costs.ask("RM again", tx, "RM a|", "OK|");
        costs.ask("WRITE once more", tx, &format!("WRITE {path}|1"), "OK|");
        costs.ask("the end of all", tx, "TRANSACTION_END T|", "OK|");
        let tx = costs.host.start(5);
        costs.ask("RM of what was made", tx, "RM a|", "OK|");
        costs.ask("its end", tx, "TRANSACTION_END T|", "OK|");
    });
}

/// Each copy of the transaction has met the change.
#[test]
fn a_deep_tree_goes_under_a_transaction() {
    is_linear_in_depth(|costs, path| {
        costs.host.ok(5, 0, &format!("WRITE {path}|1"));
        let tx = costs.host.start(5);
        costs.ask("RM", tx, "RM a|", "OK|");
        costs.host.ok(5, 0, "RM a|");
        costs.ask("its end", tx, "TRANSACTION_END T|", "EAGAIN");
    });
}

#[test]
fn many_nodes_come_and_go_in_transactions() {
    is_linear_in_width(|costs, paths| {
        let all = |host: &mut Host, tx: u32, value: &str| {
            for path in paths {
                host.ok(5, tx, &format!("WRITE {path}|{value}"));
            }
        };
        let tx = costs.host.start(5);
        costs.step("WRITE of all", |host| all(host, tx, ""));
        costs.step("DIRECTORY", |host| drop(host.ask(5, tx, "DIRECTORY component|")));
        costs.ask("their end", tx, "TRANSACTION_END T|", "OK|");
        let tx = costs.host.start(5);
        costs.step("WRITE of all again", |host| all(host, tx, "value"));
        costs.ask("its end", tx, "TRANSACTION_END T|", "OK|");
        let tx = costs.host.start(5);
        costs.ask("RM of all", tx, "RM component|", "OK|");
        costs.step("WRITE of all that goes", |host| all(host, tx, ""));
        costs.ask("the end of all", tx, "TRANSACTION_END T|", "OK|");
    });
}

#[test]
fn many_nodes_that_are_not_there() {
    is_linear_in_width(|costs, paths| {
        costs.host.ok(5, 0, &format!("WRITE {}|", paths[0]));
        let tx = costs.host.start(5);
        costs.step("READ of all", |host| {
            for path in &paths[1..] {
                host.ask(5, tx, &format!("READ {path}|"));
            }
        });
        costs.ask("their end", tx, "TRANSACTION_END T|", "OK|");
    });
}

#[test]
fn a_change_that_many_watches_see() {
    is_linear(100, 1000, |watches| {
        let mut costs = Costs::new(&Capacities::for_nodes(80_000));
        for n in 0..watches {
            costs.host.send(0, 0, &format!("WATCH /shared|{n}|"));
            costs.host.poll();
            costs.host.client(0).read();
        }
        costs.step("WRITE", |host| {
            host.send(0, 0, "WRITE /shared|");
            host.poll();
        });
        costs
    });
}

#[test]
fn many_events_that_wait() {
    is_linear(100, 1000, |events| {
        let mut costs = Costs::new(&Capacities::for_nodes(80_000));
        costs.host.ask(0, 0, "WATCH /shared|token|");
        // dom0 leaves all that it is told in its ring and its queue.
        costs.step("WRITE of each", |host| {
            for n in 0..events {
                host.send(0, 0, &format!("WRITE /shared/{n}|"));
                host.poll();
            }
        });
        assert!(costs.host.server.in_use().messages >= events);
        // What waits already is not queued again.
        costs.step("WRITE of each again", |host| {
            for n in 0..events {
                host.send(0, 0, &format!("WRITE /shared/{n}|"));
                host.poll();
            }
        });
        costs
    });
}

#[test]
fn a_death_beside_many_domains() {
    let [few, many] = [10, 1000].map(|domains| {
        let mut costs = Costs::new(&Capacities::for_nodes(80_000));
        (0..domains).for_each(|n| costs.host.boot(10 + n));
        costs.step("death", |host| {
            host.kill(5);
            host.poll();
        });
        assert_eq!(costs.host.server.in_use().domains, usize::from(domains) + 1);
        costs.steps
    });
    assert_eq!(few, many, "whoever dies, nobody looks at all others");
}

/// So many guests have watches on one path.
fn watchers(guests: u16) -> Costs {
    let mut costs = Costs::new(&Capacities::for_nodes(80_000));
    for domid in 10..10 + guests {
        costs.host.boot(domid);
        (0..120).for_each(|token| drop(costs.host.ask(domid, 0, &format!("WATCH @releaseDomain|{token}|"))));
    }
    costs
}

#[test]
fn a_watch_beside_those_of_others() {
    let [few, many] = [3, 30].map(|guests| {
        let mut costs = watchers(guests);
        costs.ask("WATCH", 0, "WATCH @releaseDomain|own|", "OK|; ev @releaseDomain,own");
        costs.ask("WATCH again", 0, "WATCH @releaseDomain|own|", "EEXIST");
        costs.ask("UNWATCH of none", 0, "UNWATCH @releaseDomain|none|", "ENOENT");
        costs.ask("UNWATCH", 0, "UNWATCH @releaseDomain|own|", "OK|");
        costs.steps
    });
    assert_eq!(few, many, "nobody looks through the watches of others");
}

#[test]
fn an_update_with_many_watches_on_one_path() {
    is_linear(4, 40, |guests| {
        let mut costs = watchers(guests);
        let state = costs.host.save(2);
        // A new server counts from none.
        costs.host.restore(&state).expect("what was saved can be restored");
        costs.steps.push(("restore", costs.host.server.operations()));
        costs
    });
}

#[test]
fn an_update_of_a_tree_that_was_made_across() {
    is_linear(9, 90, |folders| {
        let mut costs = Costs::new(&Capacities::for_nodes(80_000));
        for n in 0..10 * folders {
            // Each folder has its first node, then each has its second one, in an order of no kind.
            let (round, folder) = (n / folders, (n % folders) * 7 % folders);
            costs.host.ok(5, 0, &format!("WRITE data/{folder}/{round}|x"));
        }
        let state = costs.host.save(2);
        costs.host.restore(&state).expect("what was saved can be restored");
        costs.steps.push(("restore", costs.host.server.operations()));
        assert!(costs.host.save(2) == state, "its nodes are in the order in which they were made");
        costs
    });
}
