//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, XsError};

use crate::show::Filter;
use crate::top;

pub const HELP: &str = "\
Usage: xs-trace dump [[--store PLACE] [--hold] | --console LOG] FILE
       xs-trace show [FILTER...] FILE
       xs-trace report [--html OUT] [--top N] FILE
       xs-trace export --perfetto [-o OUT] FILE

Shows what a xenstore-stubdom's flight recorder has taken down. A FILE or OUT of - is the standard input or output.

dump      saves the records of a running store, with the paths and names that they stand for
  --store PLACE    the store's socket or device (default: XENSTORED_PATH, else /dev/xen/xenbus, else
                   /run/xenstored/socket)
  --hold           has the store record nothing meanwhile, so that nothing is overwritten and no name forgotten,
                   however much it has to do
  --console LOG    what an image under `xl create` has put on its console: the console daemon's log, or what
                   `xl console` has shown
show      prints a line for each record: seconds since the server's start, domain, what happened, path
  --domain DOMAIN  only those of a domain, by number or name
  --type TYPE      only those of requests of a type, such as READ
  --kind KIND      only those of a kind, such as ended or tx-conflict
  --errno ERROR    only those of requests that failed so, such as EACCES
  --path PREFIX    only those that name a path that begins so
  --from SECONDS, --to SECONDS
                   only those of this time, in seconds since the server's start
  Each of the first five can be given several times: one must fit.
report    sums up: who asked for what, how long it took, what went wrong
  --html OUT       as a page with drawings, for a browser
  --top N          rows of the longer tables (default 10)
export    writes Chrome's trace-event JSON, which ui.perfetto.dev opens
  -o, --output OUT (default -)
";

const TASKS: &str = "dump, show, report, export and top";

/// Rows of the longer tables of a report.
const TOP: usize = 10;

pub enum Task {
    Dump { from: From, hold: bool, file: PathBuf },
    Export { file: PathBuf, out: PathBuf },
    Report { file: PathBuf, html: Option<PathBuf>, top: usize },
    Show { filter: Filter, file: PathBuf },
    Top(top::Options),
}

/// Where a dump comes from.
pub enum From {
    /// The store at a place, or at the usual one.
    Store(Option<PathBuf>),
    Console(PathBuf),
}

type Parsed = Result<Option<Task>, lexopt::Error>;

/// None if only help was wanted.
pub fn parse(mut args: lexopt::Parser) -> Parsed {
    match args.next()? {
        Some(Long("help") | Short('h')) => Ok(None),
        Some(Value(task)) => match task.string()?.as_str() {
            "dump" => dump(args),
            "export" => export(args),
            "report" => report(args),
            "show" => show(args),
            "top" => Ok(top::Options::parse(args)?.map(Task::Top)),
            other => Err(format!("no task '{other}': {TASKS} are possible").into()),
        },
        Some(other) => Err(other.unexpected()),
        None => Err(format!("a task is missing: {TASKS} are possible").into()),
    }
}

/// The file that a task wants, which must be named once.
#[derive(Default)]
struct File(Option<PathBuf>);

impl File {
    /// Takes an argument that is no option of the task.
    fn take(&mut self, arg: lexopt::Arg<'_>) -> Result<(), lexopt::Error> {
        match arg {
            Value(path) if self.0.is_none() => {
                self.0 = Some(path.into());
                Ok(())
            }
            other => Err(other.unexpected()),
        }
    }

    fn named(self) -> Result<PathBuf, lexopt::Error> {
        self.0.ok_or_else(|| "FILE is missing".into())
    }
}

fn dump(mut args: lexopt::Parser) -> Parsed {
    let (mut from, mut hold, mut file) = (None, false, File::default());
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("store" | "console") if from.is_some() => {
                return Err("one of --store and --console is possible, once".into());
            }
            Long("store") => from = Some(From::Store(Some(args.value()?.into()))),
            Long("console") => from = Some(From::Console(args.value()?.into())),
            Long("hold") => hold = true,
            other => file.take(other)?,
        }
    }
    let from = from.unwrap_or(From::Store(None));
    if hold && matches!(from, From::Console(_)) {
        return Err("--hold is for a store that runs, not for --console".into());
    }
    Ok(Some(Task::Dump { from, hold, file: file.named()? }))
}

fn show(mut args: lexopt::Parser) -> Parsed {
    let (mut filter, mut file) = (Filter::default(), File::default());
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("domain") => filter.domains.push(args.value()?.string()?),
            Long("type") => filter.types.push(value("--type", &mut args, message_type)?),
            Long("kind") => filter.kinds.push(value("--kind", &mut args, kind)?),
            Long("errno") => filter.errors.push(value("--errno", &mut args, error)?),
            Long("path") => filter.paths.push(args.value()?.string()?),
            Long("from") => filter.from = Some(value("--from", &mut args, seconds)?),
            Long("to") => filter.to = Some(value("--to", &mut args, seconds)?),
            other => file.take(other)?,
        }
    }
    Ok(Some(Task::Show { filter, file: file.named()? }))
}

fn report(mut args: lexopt::Parser) -> Parsed {
    let (mut html, mut top, mut file) = (None, TOP, File::default());
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("html") => html = Some(args.value()?.into()),
            Long("top") => top = value("--top", &mut args, rows)?,
            other => file.take(other)?,
        }
    }
    Ok(Some(Task::Report { file: file.named()?, html, top }))
}

fn export(mut args: lexopt::Parser) -> Parsed {
    let (mut perfetto, mut out, mut file) = (false, PathBuf::from("-"), File::default());
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("perfetto") => perfetto = true,
            Long("output") | Short('o') => out = args.value()?.into(),
            other => file.take(other)?,
        }
    }
    if !perfetto {
        return Err("the format is missing: --perfetto is possible".into());
    }
    Ok(Some(Task::Export { file: file.named()?, out }))
}

/// The value of an option; the error of `parse` says what is allowed.
fn value<T>(
    option: &str,
    args: &mut lexopt::Parser,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, lexopt::Error> {
    let text = args.value()?.string()?;
    parse(&text).map_err(|wanted| format!("{option} {text}: {wanted}").into())
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| !seconds.is_nan())
        .ok_or_else(|| "wanted are seconds, like 1.5".to_string())
}

/// Rows of a table.
fn rows(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| "wanted is a number above 0".to_string())
}

/// The one with this name, in any case; else the names that could have been meant.
fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("wanted is one of {}", names.join(", "))
    })
}

fn message_type(text: &str) -> Result<MessageType, String> {
    named(MessageType::ALL, MessageType::name, text)
}

fn kind(text: &str) -> Result<Kind, String> {
    named(Kind::ALL, Kind::name, text)
}

fn error(text: &str) -> Result<XsError, String> {
    named(&XsError::ALL, XsError::name, text)
}
