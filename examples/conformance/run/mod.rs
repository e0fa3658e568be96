//! Carries out one session on two peers, step by step, and judges what differs.

mod ending;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::compare::{Difference, compare, stated};
use crate::rows::{self, After, CRASH, Facts};
use crate::seen::Seen;
use crate::side::Side;
use crate::transaction::{Ledger, end_of};
use conformance::message::{self, INTRODUCE, RELEASE, RESET_WATCHES, TRANSACTION_START};
use conformance::peer::{Gone, Peer};
use conformance::programs::Release;
use conformance::step::{Life, Request, Session, Step, Tx};

/// A difference that no row allows.
#[derive(Clone, Debug)]
pub struct Failure {
    pub step: usize,
    pub kind: String,
    pub difference: Difference,
}

/// The result of a session.
#[derive(Default, Debug)]
pub struct Outcome {
    /// Requests sent to each peer.
    pub operations: usize,
    /// Our answers, by message and gist.
    pub answers: BTreeMap<(u32, String), usize>,
    /// How often each row applied.
    pub allowed: BTreeMap<&'static str, usize>,
    pub failure: Option<Failure>,
    /// The step at which the reference ended, and how.
    pub crash: Option<(usize, String)>,
}

pub struct Run {
    options: Options,
    reference: Side,
    ours: Side,
    ledger: Ledger,
    facts: Facts,
    /// Clients that do not read now.
    silent: BTreeSet<u16>,
    outcome: Outcome,
    /// Whether what was to be printed was.
    printed: io::Result<()>,
}

/// How a session is carried out.
#[derive(Clone, Copy)]
pub struct Options {
    /// Which server the reference is.
    pub release: Release,
    /// Both peers are the reference, to test this driver.
    pub alike: bool,
    /// Prints each step with what was seen.
    pub trace: bool,
}

/// Whether the session goes on.
type Flow = std::ops::ControlFlow<()>;

impl Run {
    pub fn new(reference: Box<dyn Peer>, ours: Box<dyn Peer>, options: Options) -> Run {
        Run {
            options,
            reference: Side::new(reference),
            ours: Side::new(ours),
            ledger: Ledger::default(),
            facts: Facts::of(options.release),
            silent: BTreeSet::new(),
            outcome: Outcome::default(),
            printed: Ok(()),
        }
    }

    /// The error is [`output::put`]'s.
    pub fn carry_out(mut self, session: &Session) -> io::Result<Outcome> {
        let sets = |name| session.quotas.iter().any(|quota| quota.name == name);
        self.facts.few_nodes = sets("nodes");
        self.facts.little_memory = sets("memory");
        self.facts.quotas = session.quotas.iter().map(|quota| quota.name.clone()).collect();
        for (index, step) in session.steps.iter().enumerate() {
            if self.step(index, step).is_break() {
                break;
            }
        }
        self.printed?;
        Ok(self.outcome)
    }

    fn step(&mut self, index: usize, step: &Step) -> Flow {
        self.outcome.operations += match step {
            Step::Requests(_, requests) => requests.len(),
            _ => 1,
        };
        if let Step::Update { take, give } = *step {
            return self.update(index, step, take, give);
        }
        self.before(step);
        // Ours first, so that nothing the reference does can influence it.
        let got = self.ours.perform(step);
        let expected = self.reference.perform(step);
        let (mut expected, got) = match (expected, got) {
            (Ok(expected), Ok(got)) => (expected, got),
            // Two of the same kind may well end together.
            (Err(gone), Err(_)) if self.options.alike => return self.reference_ended(index, step, gone),
            (_, Err(gone)) => return self.fail(index, Difference::Gone { ours: true, how: gone.0 }),
            (Err(gone), Ok(_)) => return self.reference_ended(index, step, gone),
        };
        self.share_time();
        if self.options.trace {
            self.printed = output::put(format!("{step}\n    expected {expected}\n    got      {got}\n"));
            if self.printed.is_err() {
                return Flow::Break(());
            }
        }
        if let Some((who, request)) = end_of(step) {
            match self.end(index, who, request, &mut expected, &got) {
                Flow::Continue(()) => {}
                over => return over,
            }
        }
        if let (Step::Store, Some(finding)) = (step, self.ours.peer.check().into_iter().next()) {
            return self.fail(index, Difference::Unsound { finding });
        }
        let mut found = compare(&expected, &got);
        if !self.options.alike {
            found.extend(stated(&got));
        }
        // Where answers differ, events do, too.
        found.sort_by_key(|difference| !matches!(difference, Difference::Reply { .. }));
        self.note(&got);
        for difference in found {
            match self.judge(index, step, difference) {
                Flow::Continue(()) => {}
                over => return over,
            }
        }
        self.after(index, step, &got)
    }

    /// The reference skips sleeps; for our server, too, that time has passed.
    fn share_time(&mut self) {
        let behind = self.reference.peer.clock().saturating_sub(self.ours.peer.clock());
        if behind > 0 {
            self.ours.peer.wait(behind);
        }
    }

    fn fail(&mut self, step: usize, difference: Difference) -> Flow {
        self.outcome.failure = Some(Failure { step, kind: difference.kind(), difference });
        Flow::Break(())
    }

    fn allow(&mut self, row: &'static str) {
        *self.outcome.allowed.entry(row).or_default() += 1;
    }

    fn reference_ended(&mut self, index: usize, step: &Step, gone: Gone) -> Flow {
        if !rows::may_crash(&self.facts, step, &gone.0) {
            return self.fail(index, Difference::Gone { ours: false, how: gone.0 });
        }
        self.allow(CRASH);
        self.outcome.crash = Some((index, gone.0));
        Flow::Break(())
    }

    fn judge(&mut self, index: usize, step: &Step, difference: Difference) -> Flow {
        let rows = rows::find(&self.facts, step, &difference);
        if !rows.is_empty() {
            rows.iter().for_each(|row| self.allow(row.id));
            let stop = rows.iter().any(|row| row.after == After::Stop);
            return if stop { Flow::Break(()) } else { Flow::Continue(()) };
        }
        if let Difference::Reply { who, request, .. } = &difference
            && let Some(open) = self.ledger.get_mut(*who, request.tx)
        {
            open.pending.push(difference);
            return Flow::Continue(());
        }
        self.fail(index, difference)
    }

    /// Facts that hold while the step's differences are judged.
    fn before(&mut self, step: &Step) {
        match step {
            Step::Reading(who, false) => drop(self.silent.insert(*who)),
            Step::Reading(who, true) => drop(self.silent.remove(who)),
            // How its requests were answered will be known too late.
            Step::Requests(who, requests) if self.silent.contains(who) => {
                self.ledger.may_have_changed(*who, requests);
            }
            _ => {}
        }
        if let Step::Requests(_, requests) = step {
            let special = |r: &Request| {
                r.tx != Tx::None && message::changes_a_node(r.kind) && r.payload.starts_with(b"@")
            };
            self.facts.special_in_transaction |= requests.iter().any(special);
        }
        let (Step::Domain(who, life) | Step::Quietly(who, life)) = step else { return };
        let Facts { lost, built, shut_down, .. } = &mut self.facts;
        match life {
            Life::Built if built.insert(*who) => {}
            Life::Built | Life::Dead | Life::Gone => {
                lost.insert(*who);
            }
            Life::ShutDown => {
                shut_down.insert(*who);
            }
            Life::Resumed | Life::Dying => {}
        }
        if matches!(life, Life::Built | Life::Resumed | Life::Gone) {
            shut_down.remove(who);
        }
    }

    fn note(&mut self, got: &Seen) {
        for (who, request, answer) in got.answers() {
            *self.outcome.answers.entry((request.kind, answer.gist().to_string())).or_default() += 1;
            if request.kind == TRANSACTION_START || message::is_about_a_node(request.kind) {
                self.ledger.note(who, request, answer);
            }
        }
    }

    /// Transactions that end without being asked to.
    fn after(&mut self, index: usize, step: &Step, got: &Seen) -> Flow {
        let mut over = Vec::new();
        if let Step::Domain(..) | Step::Quietly(..) = step {
            self.ledger.domain_changed();
        }
        if let Step::Domain(who, Life::Dead | Life::Gone) = step {
            self.ledger.domain_lost();
            over.extend(self.ledger.take_all(*who));
        }
        let refused = got
            .answers()
            .filter(|(_, request, answer)| request.kind == INTRODUCE && answer.error() == Some("EINVAL"));
        self.facts.refused.extend(refused.filter_map(|(_, request, _)| named_domain(request)));
        for (who, request, _) in got.answers().filter(|(_, _, answer)| answer.is_success()) {
            self.facts.any_domain |= names_everybody(request);
            self.facts.quota_changed |=
                request.kind == message::CONTROL && request.payload.starts_with(b"quota\0set\0");
            self.facts.newer_unknown |= (message::GET_FEATURE..=message::SET_QUOTA).contains(&request.kind)
                && self.facts.release < Release::Xen4_22;
            self.facts.quotas_set.extend(set_quota(request));
            self.facts.watches_bare_at |=
                request.kind == message::WATCH && request.payload.starts_with(b"@\0");
            self.facts.watches_with_depth |= request.kind == message::WATCH
                && request.payload.iter().filter(|byte| **byte == 0).count() == 3;
            self.facts.root_given |=
                request.kind == message::SET_PERMS && request.payload.starts_with(b"/\0");
            self.facts.special_given |=
                request.kind == message::SET_PERMS && request.payload.starts_with(b"@");
            match (request.kind, named_domain(request)) {
                (INTRODUCE | message::RESUME, Some(domid)) if self.facts.shut_down.contains(&domid) => {
                    self.facts.shut_down_early.insert(domid);
                }
                (message::SET_TARGET, _) => self.facts.targets.extend(target_of(request)),
                _ => {}
            }
            match (request.kind, named_domain(request)) {
                (RESET_WATCHES, _) => over.extend(self.ledger.take_all(who)),
                (INTRODUCE, Some(domid)) => over.extend(self.ledger.take_all(domid)),
                (RELEASE, Some(domid)) => {
                    self.ledger.domain_lost();
                    self.facts.lost.insert(domid);
                    over.extend(self.ledger.take_all(domid));
                }
                _ => {}
            }
        }
        for open in over {
            match self.lost(index, open) {
                Flow::Continue(()) => {}
                over => return over,
            }
        }
        Flow::Continue(())
    }
}

fn named_domain(request: &Request) -> Option<u16> {
    let text = request.payload.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The domain that SET_TARGET names second.
fn target_of(request: &Request) -> Option<u16> {
    let text = request.payload.split(|byte| *byte == 0).nth(1)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The name of the quota that the request sets.
fn set_quota(request: &Request) -> Option<String> {
    let strings: Vec<&[u8]> = request.payload.split(|byte| *byte == 0).collect();
    let name = match (request.kind, strings.as_slice()) {
        (message::CONTROL, [b"quota", b"set", name, ..]) => name,
        (message::SET_QUOTA, [_, name, _, _] | [name, _, _]) => name,
        _ => return None,
    };
    Some(String::from_utf8_lossy(name).into_owned())
}

/// SET_PERMS with an entry for DOMID_ANY.
fn names_everybody(request: &Request) -> bool {
    let mut strings = request.payload.split(|byte| *byte == 0).skip(1);
    request.kind == message::SET_PERMS && strings.any(|entry| entry.get(1..) == Some(b"32757"))
}
