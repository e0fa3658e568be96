//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Usage: bench requests NAME --vgdb PREFIX [--times N] [--trace-off]
       bench loads NAME --vgdb PREFIX [--times N] --load N
       bench cache-lines NAME --trace PIPE
       bench counted [COLUMN]
       bench report [--about FILE] [--save FOLDER [--only-these]]

The first three measure each kind of request, of the server at XENSTORED_PATH, which the tables call NAME.
It runs under valgrind. All but the last print figures.
requests       counts its instructions, with --tool=callgrind --vgdb-prefix=PREFIX
loads          does so with something else in the store, number N of a list, with --instr-atstart=no
cache-lines    counts what it touches, with --tool=lackey --trace-mem=yes --log-file=PIPE
counted        takes figures out of what Xen's test-xenstore prints, in which a nanosecond was an instruction;
               with a COLUMN the worst, too
report         makes tables of the figures that it reads; status 1 if they miss a goal
  --about FILE   a line that says what was measured with what
  --save FOLDER  writes the figures to performance.jsonl there, the page performance.md from them, and its drawings
  --only-these   keeps the other tables that are there; without any figure, only the page is made anew
  --times N      requests of each kind that are counted (default 1000)
  --trace-off    has the server record nothing meanwhile
";

pub enum Task {
    Tell(String),
    Requests { name: String, vgdb: String, times: usize, trace_off: bool },
    Loads { name: String, vgdb: String, times: usize, load: usize },
    CacheLines { name: String, trace: PathBuf },
    Counted { column: Option<String> },
    Report { about: Option<PathBuf>, save: Option<PathBuf>, only_these: bool },
}

pub fn parse(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
    let (mut words, mut vgdb, mut trace, mut load, mut times) = (Vec::new(), None, None, None, 1000);
    let (mut trace_off, mut only_these) = (false, false);
    let (mut about, mut save) = (None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Task::Tell(HELP.to_string())),
            Long("version") => {
                return Ok(Task::Tell(format!("bench {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Long("vgdb") => vgdb = Some(args.value()?.string()?),
            Long("trace") => trace = Some(PathBuf::from(args.value()?)),
            Long("about") => about = Some(PathBuf::from(args.value()?)),
            Long("save") => save = Some(PathBuf::from(args.value()?)),
            Long("load") => load = Some(args.value()?.parse()?),
            Long("trace-off") => trace_off = true,
            Long("only-these") => only_these = true,
            Long("times") => times = args.value()?.parse()?,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let mut words = words.into_iter();
    let task = words.next().ok_or("what to do is missing")?;
    let name = words.next();
    if let Some(word) = words.next() {
        return Err(format!("unexpected argument '{word}'").into());
    }
    let vgdb = vgdb.ok_or("--vgdb is missing");
    let required = || name.clone().ok_or("the server's name is missing");
    Ok(match task.as_str() {
        "requests" => Task::Requests { name: required()?, vgdb: vgdb?, times, trace_off },
        "loads" => {
            Task::Loads { name: required()?, vgdb: vgdb?, times, load: load.ok_or("--load is missing")? }
        }
        "cache-lines" => Task::CacheLines { name: required()?, trace: trace.ok_or("--trace is missing")? },
        "counted" => Task::Counted { column: name },
        "report" => Task::Report { about, save, only_these },
        other => return Err(format!("no task '{other}'").into()),
    })
}
