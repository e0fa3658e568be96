//! How much is done in one go, between two looks at what others have sent: counted in operations on slots, which stand for some
//! 25 instructions each.

use crate::slices::{CASES, host};

/// A commit is decided in one go. All others are shorter, also where paths are long.
#[test]
fn only_the_decision_of_a_commit_is_more_than_others_wait_for() {
    const MOST: u64 = 10_000;
    let mut longer = Vec::new();
    for (n, (request, prepare)) in
        CASES.iter().filter(|case| case.0.starts_with("TRANSACTION_END")).enumerate()
    {
        let mut host = host(1);
        let tx = prepare(&mut host);
        host.ask(1, 0, "WATCH data|t|");
        host.send(1, tx, request);
        let mut goes = host.goes();
        goes.sort_unstable();
        goes.pop();
        longer.extend(
            goes.into_iter().filter(|operations| *operations > MOST).map(|operations| (n, operations)),
        );
        host.check();
    }
    assert!(longer.is_empty(), "goes by case: {longer:?}");
}
