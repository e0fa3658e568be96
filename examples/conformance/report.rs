//! The output of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use crate::rows;
use crate::run::{Failure, Outcome};
use conformance::message;
use conformance::step::Session;

#[derive(Default)]
pub struct Report {
    pub operations: usize,
    sessions: usize,
    crashes: usize,
    /// Shows the answers by message, too.
    pub verbose: bool,
    answers: BTreeMap<(u32, String), usize>,
    allowed: BTreeMap<&'static str, usize>,
    unlisted: BTreeMap<String, usize>,
}

impl Report {
    /// True for the first failure of its kind, the one worth showing.
    pub fn is_new(&self, failure: &Failure) -> bool {
        !self.unlisted.contains_key(&failure.kind)
    }

    /// Prints a failure with the session that leads to it.
    pub fn show(&self, session: &Session, failure: &Failure) -> io::Result<()> {
        let Failure { step, kind, difference } = failure;
        output::put(format!("\nDIFFERENCE ({kind})\n{session}## at step {}:\n{difference}\n", step + 1))
    }

    pub fn add(&mut self, session: &Session, outcome: Outcome) -> io::Result<()> {
        self.sessions += 1;
        self.operations += outcome.operations;
        for (answer, times) in outcome.answers {
            *self.answers.entry(answer).or_default() += times;
        }
        for (row, times) in outcome.allowed {
            *self.allowed.entry(row).or_default() += times;
        }
        if let Some(failure) = outcome.failure {
            *self.unlisted.entry(failure.kind).or_default() += 1;
        }
        if let Some((step, how)) = outcome.crash {
            self.crashes += 1;
            let step = session.steps.get(step).map(ToString::to_string).unwrap_or_default();
            let how = how.rsplit_once(": ").map_or(how.as_str(), |(_, last)| last);
            output::put(format!("the reference crashed in \"{}\" at \"{step}\": {how}\n", session.name))?;
        }
        Ok(())
    }

    pub fn is_good(&self) -> bool {
        self.unlisted.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} operations in {} sessions", self.operations, self.sessions)?;
        writeln!(f, "{} sessions cut short because the reference crashed", self.crashes)?;
        for ((kind, gist), times) in self.answers.iter().filter(|_| self.verbose) {
            writeln!(f, "answered {times:>6}  {:<20} {gist}", message::name(*kind))?;
        }
        for (row, times) in &self.allowed {
            writeln!(f, "allowed  {times:>6}  {row}")?;
        }
        for (kind, times) in &self.unlisted {
            writeln!(f, "UNLISTED {times:>6}  {kind}")?;
        }
        writeln!(f, "unlisted differences: {}", self.unlisted.values().sum::<usize>())
    }
}

/// The table of docs/differences.md and the rows here must be the same.
pub fn check_table(table: &str) -> Result<(), String> {
    let written: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(id, _)| id)
        .collect();
    let known: BTreeSet<&str> = rows::ids().into_iter().collect();
    match written.symmetric_difference(&known).next() {
        None => Ok(()),
        Some(id) if known.contains(id) => Err(format!("docs/differences.md has no row {id}")),
        Some(id) => Err(format!("docs/differences.md has a row {id} that nothing checks")),
    }
}
