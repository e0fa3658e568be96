//! What `scripts/bench` is made of: clients that measure a running server, and the report.
//!
//! Measurements print figures, one line of JSON each; the report reads them.

mod arguments;
mod callgrind;
mod connection;
mod figure;
mod goals;
mod report;
mod requests;

use std::io::{Error, Result, stdin};
use std::process::ExitCode;

use arguments::{Server, Task};
use callgrind::Callgrind;
use connection::Connection;
use figure::Figure;
use requests::Request;

fn main() -> ExitCode {
    let task = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Some(task)) => task,
        Ok(None) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("bench: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Requests { server, times } => requests(&server, times),
        Task::Report => report(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn requests(server: &Server, times: usize) -> Result<()> {
    let callgrind = Callgrind { prefix: &server.vgdb };
    let mut client = Connection::open()?;
    Request::prepare(&mut client)?;
    for request in Request::ALL {
        let value = callgrind.per_request(&mut client, request, times)?;
        let (row, column) = (request.name().to_string(), server.name.clone());
        Figure { table: 1, row, column, value, unit: "instructions".to_string() }.print();
    }
    Ok(())
}

fn report() -> Result<()> {
    let figures = Figure::read(stdin().lock())?;
    let mut text = String::new();
    let tally = report::render(goals::TABLES, &figures, &mut text).map_err(Error::other)?;
    print!("{text}");
    println!("{} goals met, {} missed", tally.met, tally.missed);
    Ok(())
}
