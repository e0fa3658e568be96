//! Makes a failing session small: leaves out steps as long as the same kind of difference remains.

use conformance::step::Session;

/// `fails` says whether a session still shows the difference.
pub fn shrink(session: &Session, mut fails: impl FnMut(&Session) -> bool) -> Session {
    let mut best = session.clone();
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = best.steps.len();
        let mut shorter = false;
        // From the end: late steps are mostly unrelated, and what they depended on can go after them.
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut attempt = best.clone();
            attempt.steps.drain(from..at);
            if fails(&attempt) {
                best = attempt;
                shorter = true;
            }
            at = from;
        }
        size = if size == 1 && shorter { 1 } else { size / 2 };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::step::Step;

    #[test]
    fn keeps_only_what_the_failure_needs() {
        let steps = (0..50).map(Step::Kick).collect();
        let session = Session { steps, ..Session::default() };
        let needs = |session: &Session| {
            session.steps.contains(&Step::Kick(7)) && session.steps.contains(&Step::Kick(33))
        };
        assert_eq!(shrink(&session, needs).steps, [Step::Kick(7), Step::Kick(33)]);
    }
}
