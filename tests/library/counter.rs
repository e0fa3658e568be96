//! A counter of cycles that begins anew.

use support::Host;

/// As that of a machine may that was suspended.
#[test]
fn nobody_waits_for_a_counter_that_has_begun_anew() {
    let mut host = Host::new();
    [10, 11].into_iter().for_each(|guest| host.boot(guest));
    host.xen.pass(1_000_000);
    for _ in 0..3 {
        host.xen.pass(1);
        [10, 11].into_iter().for_each(|guest| host.ok(guest, 0, "WRITE data|x"));
    }
    host.xen.behind = host.xen.now.0 - 1_000_000_000;
    for _ in 0..3 {
        host.xen.pass(1);
        [10, 11].into_iter().for_each(|guest| host.ok(guest, 0, "WRITE data|y"));
    }
}
