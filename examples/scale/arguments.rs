//! The command line.

use std::io;
use std::path::PathBuf;

use lexopt::prelude::*;

use conformance::programs::{Daemon, Kind};

pub const HELP: &str = "\
Usage: scale replay --vgdb PREFIX [--guests N,N,...] [--root FOLDER --standin LIBRARY]
       scale parallel [--vgdb PREFIX] [--toolstacks N] [--root FOLDER --standin LIBRARY]
       scale memory [--root FOLDER --standin LIBRARY]
       scale rings --vgdb PREFIX [--times N] [--profile FILE | --root FOLDER --standin LIBRARY]
       scale lines --trace PIPE [--root FOLDER --standin LIBRARY]
       scale layers --vgdb PREFIX
       scale rows
       scale convert

All but the last two print figures of this library, in memory, or of C xenstored, which they start: from the unpacked
packages in FOLDER, with LIBRARY in place of Xen.
replay    measures what a guest costs as the Nth of all (default 1,10,100,1000,10000,32000)
parallel  lets toolstacks (default 300) start and stop guests at the same time
memory    fills the memory of the image, and tells what nodes and domains take
rings     counts what single requests of a guest take (default 1000 times); FILE is callgrind's --callgrind-out-file
lines     counts the cache lines that they touch, as valgrind's lackey tells through PIPE
layers    counts what it takes to begin with layers, and single requests for their nodes; collects '*layers::counted*'
rows      makes the requests of the rows whose numbers it reads, for lines
convert   makes a recording of Xen's log, from standard input to standard output; see scripts/record
  --vgdb PREFIX  counts instructions. C xenstored is started under valgrind; for this library, the whole
                 is to be, with --tool=callgrind --vgdb-prefix=PREFIX --instr-atstart=no
                 --toggle-collect='*Host::serve'
";

/// Numbers of guests at which is measured.
const GUESTS: [u16; 6] = [1, 10, 100, 1000, 10_000, 32_000];

pub enum Task {
    /// What is asked for is this text.
    Tell(String),
    Convert,
    Memory {
        server: Server,
    },
    Rings {
        server: Server,
        vgdb: String,
        profile: Option<PathBuf>,
        times: u32,
    },
    Lines {
        server: Server,
        trace: PathBuf,
    },
    Layers {
        vgdb: String,
    },
    Rows,
    Parallel {
        server: Server,
        vgdb: Option<String>,
        toolstacks: u16,
    },
    Replay {
        server: Server,
        vgdb: String,
        guests: Vec<u16>,
    },
}

pub enum Server {
    Ours,
    C(Place),
}

/// Where C xenstored is, and the library that stands in for Xen.
pub struct Place {
    root: PathBuf,
    standin: PathBuf,
}

impl Place {
    /// The server as it is started, under another command if that has words.
    pub fn program(&self, wrap: Vec<PathBuf>) -> io::Result<Daemon> {
        Daemon::find(Kind::C, &self.root, &self.standin, wrap)
    }
}

pub fn parse(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
    let (mut words, mut vgdb, mut guests, mut toolstacks) = (Vec::new(), None, GUESTS.to_vec(), 300);
    let (mut root, mut standin, mut trace, mut profile, mut times) = (None, None, None, None, 1000);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Task::Tell(HELP.to_string())),
            Long("version") => {
                return Ok(Task::Tell(format!("scale {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Long("vgdb") => vgdb = Some(args.value()?.string()?),
            Long("root") => root = Some(PathBuf::from(args.value()?)),
            Long("standin") => standin = Some(PathBuf::from(args.value()?)),
            Long("trace") => trace = Some(PathBuf::from(args.value()?)),
            Long("profile") => profile = Some(PathBuf::from(args.value()?)),
            Long("times") => times = args.value()?.parse()?,
            Long("guests") => guests = args.value()?.parse_with(counts)?,
            Long("toolstacks") => toolstacks = args.value()?.parse_with(count)?,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let server = match (root, standin) {
        (None, None) => Server::Ours,
        (Some(root), Some(standin)) => Server::C(Place { root, standin }),
        _ => return Err("--root and --standin want each other".into()),
    };
    Ok(match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["convert"] => Task::Convert,
        ["layers"] => Task::Layers { vgdb: vgdb.ok_or("--vgdb is missing")? },
        ["rows"] => Task::Rows,
        ["rings"] => Task::Rings { server, vgdb: vgdb.ok_or("--vgdb is missing")?, profile, times },
        ["lines"] => Task::Lines { server, trace: trace.ok_or("--trace is missing")? },
        ["memory"] => Task::Memory { server },
        ["parallel"] => Task::Parallel { server, vgdb, toolstacks },
        ["replay"] => Task::Replay { server, vgdb: vgdb.ok_or("--vgdb is missing")?, guests },
        _ => return Err("one task is wanted".into()),
    })
}

/// A number of guests.
fn count(text: &str) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count| (1..=32_000).contains(count));
    count.ok_or_else(|| "wanted is a number from 1 to 32000".to_string())
}

/// Numbers of guests, separated by commas, each greater than the one before.
fn counts(text: &str) -> Result<Vec<u16>, String> {
    let counts: Result<Vec<u16>, _> = text.split(',').map(count).collect();
    let rising = counts.ok().filter(|counts| counts.is_sorted_by(|a, b| a < b));
    rising.ok_or_else(|| "wanted are rising numbers from 1 to 32000, like 1,10,100".to_string())
}
