//! Compares our server with another xenstore server, answer by answer.
//!
//! Sessions, fixed and random, are carried out on both at once; each difference must be one that
//! docs/differences.md allows. scripts/conformance builds what this needs and starts it.

mod arguments;
mod compare;
mod generate;
mod lives;
mod malformed;
mod ours;
mod parse;
mod report;
mod rows;
mod run;
mod seen;
mod shrink;
mod side;
mod store;
mod transaction;

use std::process::ExitCode;

use crate::arguments::{Arguments, Call, Task};
use crate::report::Report;
use crate::run::{Options, Outcome, Run};
use conformance::programs::Release;
use conformance::step::{Session, Step};

/// The fixed sessions, most of them cases of the behavioural reference.
const CASES: [&str; 11] = [
    include_str!("cases/wire.txt"),
    include_str!("cases/ring.txt"),
    include_str!("cases/nodes.txt"),
    include_str!("cases/permissions.txt"),
    include_str!("cases/watches.txt"),
    include_str!("cases/transactions.txt"),
    include_str!("cases/domains.txt"),
    include_str!("cases/quotas.txt"),
    include_str!("cases/control.txt"),
    include_str!("cases/newer.txt"),
    include_str!("cases/state.txt"),
];

/// The table of allowed differences, which must have a row for each of ours.
const TABLE: &str = include_str!("../../docs/differences.md");

/// Steps of a random session.
const LENGTH: usize = 150;

type Fault = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Arguments::read() {
        Ok(Call::Compare(arguments)) => compare(&arguments),
        Ok(Call::Tell(text)) => output::put(text).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Err(problem) => Err(problem.into()),
    };
    output::status("conformance", 2, done)
}

/// The status is 1 unless all went well.
fn compare(arguments: &Arguments) -> Result<ExitCode, Fault> {
    report::check_table(TABLE)?;
    let mut report = Report::default();
    report.verbose = arguments.verbose;
    match &arguments.task {
        Task::Replay(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
            for session in parse::sessions(&text)? {
                carry_out(arguments, &mut report, &session)?;
            }
        }
        Task::Compare => {
            for text in CASES {
                for mut session in parse::sessions(text)? {
                    session.steps.push(Step::Store);
                    for (take, give) in [(true, false), (false, true)] {
                        session.steps.extend([Step::Update { take, give }, Step::Store]);
                    }
                    // Our server on a hypervisor that lists changed domains, and on one that does not.
                    for lists_changes in [false, true] {
                        session.lists_changes = lists_changes;
                        carry_out(arguments, &mut report, &session)?;
                    }
                }
            }
            let newer = arguments.release() >= Release::Xen4_22;
            let mut seed = arguments.seed;
            while report.operations < arguments.operations {
                let mut session = generate::session(seed, LENGTH, newer);
                // In the middle, where a transaction may be open, and at the end.
                let middle = session.steps.len() / 2;
                let take = seed.is_multiple_of(2);
                session.steps.insert(middle, Step::Update { take, give: !take });
                session.steps.extend([Step::Update { take: true, give: false }, Step::Store]);
                carry_out(arguments, &mut report, &session)?;
                seed = seed.wrapping_add(1);
            }
        }
    }
    output::put(report.to_string())?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn carry_out(arguments: &Arguments, report: &mut Report, session: &Session) -> Result<(), Fault> {
    let outcome = once(arguments, session)?;
    if let Some(failure) = &outcome.failure
        && !arguments.traces()
        && report.is_new(failure)
    {
        let kind = failure.kind.clone();
        let mut small = session.clone();
        small.steps.truncate(failure.step + 1);
        // Each attempt with a peer that hangs takes the whole time limit.
        if !failure.difference.is_slow() {
            small = shrink::shrink(&small, |attempt| {
                once(arguments, attempt).is_ok_and(|again| again.failure.is_some_and(|f| f.kind == kind))
            });
        }
        let again = once(arguments, &small)?;
        report.show(&small, again.failure.as_ref().unwrap_or(failure))?;
    }
    Ok(report.add(session, outcome)?)
}

fn once(arguments: &Arguments, session: &Session) -> Result<Outcome, Fault> {
    let reference = arguments.reference.start(&session.quotas)?;
    let ours = arguments.ours(session)?;
    let options =
        Options { release: arguments.release(), alike: arguments.tests_itself(), trace: arguments.traces() };
    Ok(Run::new(reference, ours, options).carry_out(session)?)
}
