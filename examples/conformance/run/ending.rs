//! The end of a transaction, which decides whether differences between the answers in it count.

use std::rc::Rc;

use super::{Flow, Run};
use crate::compare::Difference;
use crate::rows::{
    self, After, CRASH, DOMAINS_IN_TRANSACTION, DOOMED_VIEW, FAILED_IN_TRANSACTION, OWNER_GONE,
    RETRIED_COMMIT, SPECIAL_IN_TRANSACTION,
};
use crate::seen::{Item, Seen};
use crate::transaction::Open;
use conformance::message::{self, TRANSACTION_START};
use conformance::peer::Gone;
use conformance::programs::Release;
use conformance::step::{Request, Step, Tx};

/// A slot that sessions do not use.
const RETRY_SLOT: u8 = 255;

impl Run {
    /// Judges the answers within a transaction that had no effect.
    pub(super) fn lost(&mut self, index: usize, mut open: Open) -> Flow {
        for difference in std::mem::take(&mut open.pending) {
            if !open.explains(&difference) {
                return self.fail(index, difference);
            }
            self.allow(DOOMED_VIEW);
        }
        Flow::Continue(())
    }

    /// Judges a transaction's end; where the reference must try again, `expected` becomes what came of that.
    pub(super) fn end(
        &mut self,
        index: usize,
        who: u16,
        request: &Request,
        expected: &mut Seen,
        got: &Seen,
    ) -> Flow {
        let wellformed = matches!(request.payload.as_slice(), b"T\0" | b"F\0");
        if !self.ledger.is_open(who, request.tx) || !wellformed {
            return Flow::Continue(());
        }
        let Some(open) = self.ledger.take(who, request.tx) else { return Flow::Continue(()) };
        self.facts.ended = open.touched(who);
        let result =
            |seen: &Seen| seen.replies(who).first().map_or("nothing", |item| item.gist()).to_string();
        let (theirs, ours) = (result(expected), result(got));
        match (request.payload[0], theirs.as_str(), ours.as_str()) {
            (b'T', "OK", "OK") => {
                self.ledger.committed(who, &open);
                match open.pending.into_iter().next() {
                    Some(difference) => self.fail(index, difference),
                    None => Flow::Continue(()),
                }
            }
            (b'T', "EAGAIN", "OK") => {
                self.ledger.committed(who, &open);
                self.allow(RETRIED_COMMIT);
                self.retry(index, (who, request), &open, expected)
            }
            (b'T', "OK", "EAGAIN")
                if self.facts.release == Release::Xen4_17
                    && open.done.iter().any(|(inside, _)| inside.payload.starts_with(b"@")) =>
            {
                self.allow(SPECIAL_IN_TRANSACTION);
                Flow::Break(())
            }
            (b'T', "ENOMEM", "OK")
                if open.done.iter().any(|(_, answer)| answer.error() == Some("ENOSPC")) =>
            {
                self.allow(FAILED_IN_TRANSACTION);
                Flow::Break(())
            }
            (b'T', "OK" | "ENOMEM", "EAGAIN") if open.domains_changed && self.names_lost_owner(&open) => {
                self.allow(OWNER_GONE);
                Flow::Break(())
            }
            (b'T', "OK", _) => Flow::Continue(()),
            _ => self.lost(index, open),
        }
    }

    /// The transaction gives a node to a domain that has ended.
    fn names_lost_owner(&self, open: &Open) -> bool {
        let owner = |request: &Request| -> Option<u16> {
            let entry = request.payload.split(|byte| *byte == 0).nth(1)?;
            std::str::from_utf8(entry.get(1..)?).ok()?.parse().ok()
        };
        let given = open.done.iter().filter(|(inside, _)| inside.kind == message::SET_PERMS);
        given.filter_map(|(inside, _)| owner(inside)).any(|domid| self.facts.lost.contains(&domid))
    }

    /// Repeats a transaction on the reference's side; every answer must now be the one we gave.
    fn retry(
        &mut self,
        index: usize,
        (who, request): (u16, &Request),
        open: &Open,
        expected: &mut Seen,
    ) -> Flow {
        let steps = || open.done.iter().map(|(inside, _)| Step::Requests(who, vec![inside.clone()]));
        match self.try_again(who, request, open) {
            Err(gone) if steps().any(|step| rows::may_crash(&self.facts, &step, &gone.0)) => {
                self.allow(CRASH);
                self.outcome.crash = Some((index, gone.0));
                Flow::Break(())
            }
            Err(gone) => self.fail(index, Difference::Gone { ours: false, how: gone.0 }),
            Ok(Err(Difference::Reply { request, .. }))
                if open.domains_changed && request.kind == message::SET_PERMS =>
            {
                self.allow(DOMAINS_IN_TRANSACTION);
                Flow::Break(())
            }
            Ok(Err(difference)) => {
                let rows = rows::find(&self.facts, &repeated(&difference), &difference);
                rows.iter().for_each(|row| self.allow(row.id));
                if rows.is_empty() { self.fail(index, difference) } else { Flow::Break(()) }
            }
            Ok(Ok(seen)) => {
                *expected = seen;
                Flow::Continue(())
            }
        }
    }

    /// The last step's observation, or the first answer that differs.
    fn try_again(
        &mut self,
        who: u16,
        request: &Request,
        open: &Open,
    ) -> Result<Result<Seen, Difference>, Gone> {
        let mut start = Request::new(TRANSACTION_START, *b"\0");
        start.opens = Some(RETRY_SLOT);
        self.reference.requests(who, &[start])?;
        for (inside, answer) in &open.done {
            let mut again = inside.clone();
            again.tx = Tx::Slot(RETRY_SLOT);
            let seen = self.reference.requests(who, std::slice::from_ref(&again))?;
            let replies = seen.replies(who);
            if !matches!(replies.as_slice(), [again] if again.says_the_same(answer)) {
                let expected = replies.first().map_or(Item::Event(Vec::new()), |item| (*item).clone());
                let (request, got) = (inside.clone(), answer.clone());
                let difference = Difference::Reply { who, request, expected, got };
                let rows = rows::find(&self.facts, &repeated(&difference), &difference);
                if rows.is_empty() || rows.iter().any(|row| row.after == After::Stop) {
                    return Ok(Err(difference));
                }
            }
        }
        let mut end = Request::new(message::TRANSACTION_END, *b"T\0");
        end.tx = Tx::Slot(RETRY_SLOT);
        let mut seen = self.reference.requests(who, &[end])?;
        for item in seen.items.values_mut().flatten() {
            if let Item::Reply { to, .. } = item {
                *to = Rc::new(request.clone());
            }
        }
        Ok(Ok(seen))
    }
}

/// The step in which an answer differed.
fn repeated(difference: &Difference) -> Step {
    match difference {
        Difference::Reply { who, request, .. } => Step::Requests(*who, vec![request.clone()]),
        _ => Step::Virq,
    }
}
