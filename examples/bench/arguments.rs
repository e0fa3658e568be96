//! The command line.

use lexopt::prelude::*;

pub const HELP: &str = "\
Usage: bench requests --name NAME --vgdb PREFIX [--times N]
       bench report

requests counts instructions for each kind of request, of the server at XENSTORED_PATH.
  --name NAME     the server's name in the table
  --vgdb PREFIX   it runs under valgrind --tool=callgrind --vgdb-prefix=PREFIX
  --times N       requests of each kind (default 1000)
report makes tables of the figures that it reads, and says which goals they meet.
";

/// The server that is measured.
pub struct Server {
    pub name: String,
    /// By which vgdb reaches its valgrind.
    pub vgdb: String,
}

pub enum Task {
    Requests { server: Server, times: usize },
    Report,
}

/// None if only help was wanted.
pub fn parse(mut args: lexopt::Parser) -> Result<Option<Task>, lexopt::Error> {
    let (mut name, mut vgdb, mut times, mut task) = (None, None, 1000, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("name") => name = Some(args.value()?.string()?),
            Long("vgdb") => vgdb = Some(args.value()?.string()?),
            Long("times") => times = args.value()?.parse()?,
            Value(word) if task.is_none() => task = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(match task.as_deref() {
        Some("requests") => {
            let name = name.ok_or("--name is missing")?;
            let vgdb = vgdb.ok_or("--vgdb is missing")?;
            Task::Requests { server: Server { name, vgdb }, times }
        }
        Some("report") => Task::Report,
        Some(other) => return Err(format!("no task '{other}'").into()),
        None => return Err("what to do is missing".into()),
    }))
}
