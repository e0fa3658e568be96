//! Reads a store's flight recorder: saves its records, and shows, sums up and converts what was saved.

mod about;
mod arguments;
mod compare;
mod console;
mod dump;
mod fetch;
mod filter;
mod follow;
mod gone;
mod health;
mod metrics;
mod perfetto;
mod replay;
mod report;
mod requests;
mod show;
mod stats;
mod top;

use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, DumpOptions, ReportOptions, Task};
use dump::Dump;
use filter::Chosen;
use report::Report;
use store_client::{Call, Problem, plural, tell};

/// The status for a mistake in the call.
const MISTAKE: u8 = 2;

fn main() -> ExitCode {
    let task = match store_client::call() {
        Call::Task(Arguments { task: Task::Health(options) }) => return health::run(&options),
        Call::Task(arguments) => arguments.task,
        Call::Told(text) => {
            return match dump::write(Path::new("-"), text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(problem) => {
                    tell(format_args!("xs-trace: {problem}"));
                    ExitCode::FAILURE
                }
            };
        }
        // What runs plugins shows their output alone, and would take 2 for a store that is ill.
        Call::Mistake(line) if std::env::args_os().nth(1).is_some_and(|task| task == "health") => {
            return health::unknown(line);
        }
        Call::Mistake(line) => {
            tell(format_args!("xs-trace: {line}"));
            return ExitCode::from(MISTAKE);
        }
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tell(format_args!("xs-trace: {problem}"));
            if matches!(problem, Problem::Mistake(_)) { ExitCode::from(MISTAKE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(task: Task) -> Result<(), Problem> {
    match task {
        // Its status says what it has found.
        Task::Health(_) => Ok(()),
        Task::Top(options) => top::run(&options),
        Task::Stats(options) => stats::run(&options),
        Task::Metrics(options) => metrics::run(&options),
        Task::Dump(options) => save(&options),
        Task::Follow(options) => follow::run(&options),
        Task::Export(options) => {
            let (file, out) = (&options.file, &options.out);
            dump::write_of(file, out, &perfetto::export(&Dump::load(file)?)?)
        }
        Task::Report(options) => summary(&options),
        Task::Compare(options) => compare::run(&options),
        Task::Replay(options) => replay::run(&options),
        Task::Show(options) => {
            let dump = Dump::load(&options.file)?;
            show::show(&dump, &Chosen::new(&dump, &options.filter)?, options.json)
        }
    }
}

fn save(options: &DumpOptions) -> Result<(), Problem> {
    let dump = match &options.console {
        Some(log) => {
            dump::is_another(log, &options.file)?;
            console::read(log)?
        }
        None => {
            let mut store = options.store.open()?;
            let mut dump = if options.hold { fetch::held(&mut store)? } else { fetch::running(&mut store)? };
            dump.name_the_gone(&options.xl_logs);
            // Nothing is left to see to, and whoever is to read the dump may not be there.
            if options.hold {
                fetch::stop_when_told()?;
            }
            dump
        }
    };
    dump.save(&options.file)?;
    let (before, meanwhile) = dump.lost();
    let records = plural(dump.records.len() as u64, "record");
    tell(format_args!("{records} saved; {before} overwritten before, {meanwhile} meanwhile"));
    if dump.is_off() {
        tell(dump::OFF);
    }
    Ok(())
}

fn summary(options: &ReportOptions) -> Result<(), Problem> {
    let dump = Dump::load(&options.file)?;
    let report = Report::new(&dump, &Chosen::new(&dump, &options.filter)?, options.top);
    match &options.html {
        Some(out) => dump::write_of(&options.file, out, report::page(&report)?.as_bytes()),
        None if options.json => dump::write(Path::new("-"), report::json(&report).as_bytes()),
        None => dump::write(Path::new("-"), report::text(&report).as_bytes()),
    }
}
