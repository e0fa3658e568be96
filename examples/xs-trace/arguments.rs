//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Usage: xs-trace dump [--store PLACE] FILE

Shows what a xenstore-stubdom's flight recorder has taken down. A FILE of - is the standard input or output.
dump      saves the records of a running store, with the paths and names they stand for
  --store PLACE  the store's socket or device (default: XENSTORED_PATH, else /dev/xen/xenbus, else
                 /run/xenstored/socket)
";

pub enum Task {
    Dump { store: Option<PathBuf>, file: PathBuf },
}

/// None if only help was wanted.
pub fn parse(mut args: lexopt::Parser) -> Result<Option<Task>, lexopt::Error> {
    let mut words = Vec::new();
    let mut store = None;
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("store") => store = Some(PathBuf::from(args.value()?)),
            Value(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    let mut words = words.into_iter();
    let task = words.next().ok_or("a task is missing")?.string()?;
    let file = words.next().map(PathBuf::from);
    if let Some(word) = words.next() {
        return Err(Value(word).unexpected());
    }
    let file = || file.ok_or("FILE is missing");
    let task = match task.as_str() {
        "dump" => Task::Dump { store, file: file()? },
        other => return Err(format!("no task '{other}': dump is possible").into()),
    };
    Ok(Some(task))
}
