//! Reads a store's flight recorder: saves its records, and shows, sums up and converts what was saved.

mod arguments;
mod console;
mod dump;
mod fetch;
mod perfetto;
mod report;
mod requests;
mod show;
mod top;

use std::path::Path;
use std::process::ExitCode;

use arguments::{From, Task};
use dump::Dump;
use report::Report;
use store_client::{Problem, Store};

fn main() -> ExitCode {
    let task = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Some(task)) => task,
        Ok(None) => {
            print!("{}\n{}", arguments::HELP, top::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("xs-trace: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xs-trace: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Problem> {
    match task {
        Task::Top(options) => top::run(&options),
        Task::Dump { from, hold, file } => {
            let dump = match from {
                From::Console(log) => console::read(&log)?,
                From::Store(place) => {
                    let mut store = Store::open(place.as_deref())?;
                    if hold { fetch::held(&mut store)? } else { fetch::running(&mut store)? }
                }
            };
            dump.save(&file)?;
            let (before, meanwhile) = dump.lost();
            eprintln!(
                "{} records saved; {before} older ones were overwritten before, {meanwhile} meanwhile",
                dump.records.len()
            );
            if dump.is_off() {
                eprintln!("{}", dump::OFF);
            }
            Ok(())
        }
        Task::Export { file, out } => dump::write(&out, &perfetto::export(&Dump::load(&file)?)?),
        Task::Report { file, html, top } => {
            let dump = Dump::load(&file)?;
            let report = Report::new(&dump, top);
            match html {
                Some(out) => dump::write(&out, report::page(&report)?.as_bytes()),
                None => dump::write(Path::new("-"), report::text(&report).as_bytes()),
            }
        }
        Task::Show { filter, file } => show::show(&Dump::load(&file)?, &filter),
    }
}
