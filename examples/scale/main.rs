//! The store with many guests: their recorded lives, replayed in large numbers and measured.

mod arguments;
mod daemon;
mod layers;
mod memory;
mod parallel;
mod replay;
mod rings;

use std::io::{Error, Result, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use arguments::{Server, Task};
use measure::callgrind::Callgrind;
use support::lives::{RECORDED, Recording};

/// As the tables call them.
const OURS: &str = "this server";
const C: &str = "C xenstored";

fn main() -> ExitCode {
    let task = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(task) => task,
        Err(error) => {
            output::tell(format_args!("scale: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let done = match &task {
        Task::Tell(text) => output::put(text),
        Task::Convert => convert(),
        Task::Replay { server, vgdb, guests } => recorded().and_then(|recording| {
            let callgrind = Callgrind { prefix: vgdb };
            match server {
                Server::Ours => replay::ours(OURS, &callgrind, &recording, guests),
                Server::C(place) => {
                    let program = place.program(callgrind_words(vgdb))?;
                    replay::theirs(C, &program, &callgrind, &recording, guests)
                }
            }
        }),
        Task::Parallel { server, vgdb, toolstacks } => recorded().and_then(|recording| match server {
            Server::Ours => {
                let callgrind = vgdb.as_ref().map(|prefix| Callgrind { prefix });
                parallel::ours(OURS, callgrind.as_ref(), &recording, *toolstacks)
            }
            Server::C(place) => parallel::theirs(C, &place.program(Vec::new())?, &recording, *toolstacks),
        }),
        Task::Rings { server, vgdb, profile, times } => {
            let callgrind = Callgrind { prefix: vgdb };
            match server {
                Server::Ours => rings::ours(OURS, &callgrind, profile.as_deref(), *times),
                Server::C(place) => place
                    .program(simulating_words(vgdb))
                    .and_then(|program| rings::theirs(C, &program, &callgrind, *times)),
            }
        }
        Task::Lines { server: Server::Ours, trace } => rings::lines_of_ours(OURS, trace),
        Task::Lines { server: Server::C(place), trace } => place
            .program(rings::tracing_words(trace))
            .and_then(|program| rings::lines_of_theirs(C, &program, trace)),
        Task::Layers { vgdb } => layers::ours(&Callgrind { prefix: vgdb }),
        Task::Rows => rings::serve_rows(),
        Task::Memory { server } => recorded().and_then(|recording| match server {
            Server::Ours => memory::ours(OURS, &recording),
            Server::C(place) => memory::theirs(C, &place.program(Vec::new())?, &recording),
        }),
    };
    output::status("scale", 1, done.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// The words that start a program under callgrind, which counts when it is told to.
fn callgrind_words(prefix: &str) -> Vec<PathBuf> {
    let prefix = format!("--vgdb-prefix={prefix}");
    let words =
        ["valgrind", "--tool=callgrind", &prefix, "--instr-atstart=no", "--callgrind-out-file=/dev/null"];
    words.map(PathBuf::from).to_vec()
}

/// The same, with caches and branches simulated.
fn simulating_words(prefix: &str) -> Vec<PathBuf> {
    let mut words = callgrind_words(prefix);
    words.extend(["--cache-sim=yes", "--branch-sim=yes"].map(PathBuf::from));
    words
}

fn recorded() -> Result<Recording> {
    RECORDED.parse().map_err(|problem| Error::other(format!("examples/scale/guest.txt: {problem}")))
}

fn convert() -> Result<()> {
    let log = std::io::read_to_string(stdin().lock())?;
    output::put(scale::convert::convert(&log).map_err(Error::other)?)
}
