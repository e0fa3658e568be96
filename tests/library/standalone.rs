//! The trial of the image under `xl create`, here on a machine in memory.

use std::cell::RefCell;
use std::rc::Rc;

use support::{End, Host};
use xenstore::client::Client;
use xenstore::standalone::{DOMIDS, Loopback, bench, selftest};

/// A store in which the guest is not introduced yet. Its clock advances whenever it is read.
fn with_loopback<T>(serves: bool, run: impl FnOnce(&mut Loopback<'_, End>) -> T) -> T {
    let mut host = Host::new();
    host.create(DOMIDS[1].0);
    host.xen.ticking = 100;
    let host = Rc::new(RefCell::new(host));
    let mut clients = DOMIDS.map(|domid| Client::new(End::new(&host, domid)));
    let mut poll = || {
        if serves {
            host.borrow_mut().poll();
        }
    };
    run(&mut Loopback { clients: &mut clients, poll: &mut poll })
}

/// What the self-test says, and its verdict.
fn tried(spoilt: bool) -> (Vec<String>, selftest::Verdict) {
    let mut told = Vec::new();
    let verdict = with_loopback(true, |loopback| {
        selftest::run(loopback, spoilt, &mut |text| told.push(text.to_string()))
    });
    (told, verdict)
}

#[test]
fn a_store_that_works_passes() {
    let (told, verdict) = tried(false);
    assert_eq!(told, Vec::<String>::new());
    assert!(verdict.is_good());
    assert_eq!(verdict.to_string(), format!("{} passed, 0 failed", selftest::ROWS.len()));
}

#[test]
fn what_fails_is_told() {
    let (told, verdict) = tried(true);
    assert_eq!(
        told,
        ["self-test: FAILED: domain 0, transaction 0, \"READ /secret|\": expected \"43\", came \"42\""]
    );
    assert!(!verdict.is_good());
    assert_eq!(verdict.to_string(), format!("{} passed, 1 failed", selftest::ROWS.len()));
}

#[test]
fn a_store_that_is_silent_fails() {
    let mut told = Vec::new();
    // Few rows: the ring would be full.
    let verdict = with_loopback(false, |loopback| {
        selftest::run_rows(loopback, &selftest::ROWS[..5], &mut |text| told.push(text.to_string()))
    });
    assert_eq!((verdict.passed, verdict.failed), (0, 5));
    assert!(told[0].ends_with("expected \"tool|\", came \"\""), "{}", told[0]);
}

#[test]
fn the_benchmark_runs_again_and_again() {
    with_loopback(true, |loopback| {
        for _ in 0..3 {
            let all = bench::run(loopback, 5_000_000).expect("figures");
            for (mix, figures) in bench::MIXES.iter().zip(all) {
                assert!(figures.count > 0, "{}: {figures}", mix.name);
                assert!(
                    figures.least <= figures.median && figures.least <= figures.mean,
                    "{}: {figures}",
                    mix.name
                );
            }
        }
        let rows = [(0, 0, "DIRECTORY /local/domain|", ""), (0, 0, "CONTROL check|", "OK|")];
        let verdict = selftest::run_rows(loopback, &rows, &mut |text| panic!("{text}"));
        assert!(verdict.is_good());
    });
}
