//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Usage: bench requests NAME --vgdb PREFIX [--times N]
       bench loads NAME --vgdb PREFIX [--times N] --load N
       bench cache-lines NAME --trace PIPE
       bench report

The first three measure each kind of request, of the server at XENSTORED_PATH, which the tables call NAME,
and print figures. It runs under valgrind:
requests     counts its instructions, with --tool=callgrind --vgdb-prefix=PREFIX
loads        does so with something else in the store, number N of a list, with --instr-atstart=no
cache-lines  counts what it touches, with --tool=lackey --trace-mem=yes --log-file=PIPE
report       makes tables of the figures that it reads, and says which goals they meet
  --times N  requests of each kind that are counted (default 1000)
";

pub enum Task {
    Requests { name: String, vgdb: String, times: usize },
    Loads { name: String, vgdb: String, times: usize, load: usize },
    CacheLines { name: String, trace: PathBuf },
    Report,
}

/// None if only help was wanted.
pub fn parse(mut args: lexopt::Parser) -> Result<Option<Task>, lexopt::Error> {
    let (mut words, mut vgdb, mut trace, mut load, mut times) = (Vec::new(), None, None, None, 1000);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("vgdb") => vgdb = Some(args.value()?.string()?),
            Long("trace") => trace = Some(PathBuf::from(args.value()?)),
            Long("load") => load = Some(args.value()?.parse()?),
            Long("times") => times = args.value()?.parse()?,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let vgdb = vgdb.ok_or("--vgdb is missing");
    let task = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["requests", name] => Task::Requests { name: name.to_string(), vgdb: vgdb?, times },
        ["loads", name] => {
            Task::Loads { name: name.to_string(), vgdb: vgdb?, times, load: load.ok_or("--load is missing")? }
        }
        ["cache-lines", name] => {
            Task::CacheLines { name: name.to_string(), trace: trace.ok_or("--trace is missing")? }
        }
        ["report"] => Task::Report,
        _ => return Err("one task is wanted, and the server's name with most".into()),
    };
    Ok(Some(task))
}
