//! What requests cost grows with the length of their paths, not with its square.

use std::time::{Duration, Instant};

use support::Host;

/// The shortest of several times that `work` takes.
fn time(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..12).map(once).min().unwrap_or_default()
}

/// Ten times the levels may cost ten times as much, and some more; not a hundred times.
#[track_caller]
fn is_linear(mut work: impl FnMut(&str)) {
    let [short, long] = [90, 900].map(|levels| vec!["a"; levels].join("/"));
    let (short, long) = (time(|| work(&short)), time(|| work(&long)));
    assert!(long < 35 * short, "90 levels take {short:?}, 900 take {long:?}");
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
