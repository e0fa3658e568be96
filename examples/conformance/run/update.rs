//! Live updates: the reference goes on from its own state or from ours, and our server from the reference's.

use super::{Flow, Run};
use crate::compare::{Difference, compare};
use crate::rows::CRASH;
use crate::seen::Seen;
use conformance::peer::Gone;
use conformance::programs::Release;
use conformance::step::Step;

impl Run {
    /// No state has open transactions. A reference that takes our place has no state of ours, and none of the daemon's says
    /// that a ring has been given up.
    pub(super) fn update(&mut self, index: usize, step: &Step, take: bool, give: bool) -> Flow {
        if self.options.alike || !self.ledger.is_empty() || self.ours.has_given_up() {
            return Flow::Continue(());
        }
        if self.facts.release >= Release::Xen4_22 {
            // What it writes of a watch with a depth nobody can read, nor does it read what others write.
            if self.facts.watches_with_depth {
                return Flow::Continue(());
            }
            // A state has quotas, of which the daemon's are one higher.
            self.facts.quotas_set.extend(self.facts.quotas.iter().cloned());
        }
        let given = if give { self.ours.peer.state().map(Some) } else { Ok(None) };
        let given = match given {
            Ok(given) => given,
            Err(Gone(how)) => return self.fail(index, Difference::Gone { ours: true, how }),
        };
        let expected = match self.reference.update(given.as_deref()) {
            Ok(None) => return Flow::Continue(()),
            Ok(Some(expected)) => Ok(expected),
            Err(gone) => Err(gone),
        };
        self.facts.updated_with_targets |= !self.facts.targets.is_empty();
        let (expected, got) = match (expected, self.replace(take)) {
            (Ok(expected), Ok(got)) => (expected, got),
            (_, Err(Gone(how))) => return self.fail(index, Difference::Gone { ours: true, how }),
            // It does not survive its own state.
            (Err(gone), Ok(_)) if !give => {
                self.allow(CRASH);
                self.outcome.crash = Some((index, gone.0));
                return Flow::Break(());
            }
            (Err(Gone(how)), Ok(_)) => return self.fail(index, Difference::Gone { ours: false, how }),
        };
        for difference in compare(&expected, &got) {
            match self.judge(index, step, difference) {
                Flow::Continue(()) => {}
                over => return over,
            }
        }
        Flow::Continue(())
    }

    /// Has a server made from the reference's state take the place of ours. Either looks at all domains.
    fn replace(&mut self, take: bool) -> Result<Seen, Gone> {
        if take {
            let state = self.reference.peer.state()?;
            self.ours.peer.replace(&state)?;
        } else {
            self.ours.peer.virq();
        }
        self.ours.replaced()
    }
}
