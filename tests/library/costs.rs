//! The cost of a request grows with the length of its path, not with the square of it.

use std::time::{Duration, Instant};

use support::Host;
use xenstore::config::{Capacities, Settings};

/// The shortest of several times of `work`.
fn time(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..12).map(once).min().unwrap_or_default()
}

/// Ten times the length may cost ten times as much and some more, not a hundred times.
#[track_caller]
fn is_tenfold(few: Duration, many: Duration) {
    assert!(many < 35 * few, "it takes {few:?}, and {many:?} for ten times as much");
}

#[track_caller]
fn is_linear(mut work: impl FnMut(&str)) {
    let [short, long] = [90, 900].map(|levels| vec!["a"; levels].join("/"));
    let (short, long) = (time(|| work(&short)), time(|| work(&long)));
    is_tenfold(short, long);
}

#[test]
fn a_deep_path_that_is_not_there() {
    let mut host = Host::new();
    host.boot(5);
    is_linear(|path| assert_eq!(host.ask(5, 0, &format!("READ {path}|")), "ENOENT"));
}

#[test]
fn a_deep_tree_comes_and_goes() {
    let mut host = Host::new();
    host.boot(5);
    is_linear(|path| {
        host.ok(5, 0, &format!("WRITE {path}|1"));
        host.ok(5, 0, "RM a|");
    });
}

#[test]
fn a_change_that_many_watches_see() {
    let [few, many] = [100, 1000].map(|watches| {
        let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(80_000));
        for n in 0..watches {
            host.send(0, 0, &format!("WATCH /shared|{n}|"));
            host.poll();
            host.client(0).read();
        }
        time(|| {
            host.send(0, 0, "WRITE /shared|");
            host.poll();
        })
    });
    is_tenfold(few, many);
}
