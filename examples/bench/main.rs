//! What `scripts/bench` is made of: clients that measure a running server, and the report.
//!
//! Measurements print figures, one line of JSON each; the report reads them.

mod arguments;
mod document;
mod goals;
mod kept;
mod loads;
mod plot;
mod report;
mod requests;
mod upstream;

use std::io::{Error, Result, stdin};
use std::path::Path;
use std::process::ExitCode;

use arguments::Task;
use kept::Kept;
use loads::Load;
use measure::cache_lines::Trace;
use measure::callgrind::Callgrind;
use measure::connection::Connection;
use measure::figure::Figure;
use requests::Request;
use xenstore::wire::{MessageType, TxId};

fn main() -> ExitCode {
    let task = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(task) => task,
        Err(error) => {
            output::tell(format_args!("bench: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    output::status("bench", 1, run(task))
}

fn run(task: Task) -> std::result::Result<ExitCode, Box<dyn std::error::Error>> {
    match task {
        Task::Tell(text) => output::put(text)?,
        Task::Requests { name, vgdb, times, trace_off } => {
            requests(&name, &Callgrind { prefix: &vgdb }, times, trace_off)?;
        }
        Task::Loads { name, vgdb, times, load } => loads(&name, &Callgrind { prefix: &vgdb }, times, load)?,
        Task::CacheLines { name, trace } => cache_lines(&name, &trace)?,
        Task::Counted { column } => counted(column.as_deref())?,
        Task::Report { about, save, only_these } => {
            if !report(about.as_deref(), save.as_deref(), only_these)? {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn requests(name: &str, callgrind: &Callgrind<'_>, times: usize, trace_off: bool) -> Result<()> {
    let mut client = Connection::open()?;
    if trace_off {
        client.ask(MessageType::Control, TxId::NONE, &[b"trace\0off\0"])?;
    }
    Request::prepare(&mut client)?;
    for request in Request::ALL {
        let value = request.count(callgrind, &mut client, times)?;
        Figure::new(1, request.name(), name, value, "instructions").print()?;
    }
    Ok(())
}

fn loads(name: &str, callgrind: &Callgrind<'_>, times: usize, number: usize) -> Result<()> {
    let load = *Load::ALL.get(number).ok_or_else(|| Error::other(format!("there is no load {number}")))?;
    let mut client = Connection::open()?;
    Request::prepare(&mut client)?;
    let _others = load.put()?;
    Request::touch(&mut client)?;
    callgrind.switch(true)?;
    for request in Request::ALL {
        let value = request.count(callgrind, &mut client, times)?;
        let row = format!("{name}: {}", request.name());
        Figure::new(2, &row, load.name(), value, "instructions").print()?;
    }
    Ok(())
}

fn cache_lines(name: &str, trace: &Path) -> Result<()> {
    let trace = Trace::follow(trace)?;
    let mut client = Connection::open()?;
    Request::prepare(&mut client)?;
    for request in Request::ALL {
        request.begin(&mut client)?;
        let [data, code] = trace.per_request(|turn| request.once(&mut client, turn))?;
        request.end(&mut client)?;
        for (what, count) in [("data", data), ("code", code)] {
            let column = format!("{name}, cache lines of {what}");
            Figure::new(1, request.name(), &column, count as f64, "cache lines").print()?;
        }
    }
    Ok(())
}

fn counted(column: Option<&str>) -> Result<()> {
    upstream::figures(stdin().lock(), column)?.iter().try_for_each(Figure::print)
}

/// Prints the report of what was measured, and keeps it in `folder` if there is one, with the other tables that are
/// there if it has `only_these`. True if no goal is missed.
fn report(
    about: Option<&Path>,
    folder: Option<&Path>,
    only_these: bool,
) -> std::result::Result<bool, Box<dyn std::error::Error>> {
    let about = about.map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let measured = Kept::of_a_run(Figure::read(stdin().lock())?, &about);
    let (page, tally) = document::write(&measured, None)?;
    output::put(page)?;
    if let Some(folder) = folder {
        let file = folder.join("performance.jsonl");
        let mut kept = if only_these { Kept::read(&file)? } else { Kept::default() };
        kept.renew(measured);
        kept.write(&file)?;
        std::fs::write(folder.join("performance.md"), document::write(&kept, Some(folder))?.0)?;
    }
    Ok(tally.missed == 0)
}
