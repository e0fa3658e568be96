//! Takes the state of a running store to a file, and looks at such files: `xs-state save FILE`, `xs-state show FILE`,
//! `xs-state diff OLD NEW`.

mod save;
mod state;
mod stream;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use state::State;

const HELP: &str = "\
usage: xs-state save [--store PLACE] FILE
       xs-state show [--all|--json] FILE
       xs-state diff OLD NEW

save: takes all that a running store holds, as it is at one moment; the store serves on.
  --store PLACE  the store's socket or device (default: XENSTORED_PATH, else /dev/xen/xenbus, else
                 /run/xenstored/socket)
show: the nodes of a state, as `xenstore-ls -f -p` shows those of a store.
  --all    domains, quotas and watches, too
  --json   all of it as JSON
diff: what only one of two states has, with - or + before it. Status: 0 nothing, 1 something.
  --version  say which version this is
FILE is a stream as upstream's live update and our own write it (docs/state.md), `-` the standard input or output.
Status: 2 for a mistake in the call, a file that is no state, or a store that does not give it.
";

enum Task {
    Say(&'static str),
    Save { place: Option<PathBuf>, file: PathBuf },
    Show { file: PathBuf, all: bool, json: bool },
    Diff { old: PathBuf, new: PathBuf },
}

fn main() -> ExitCode {
    let task = match parse(lexopt::Parser::from_env()) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("xs-state: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(&task) {
        Ok((text, status)) => match io::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("xs-state: {error}");
                ExitCode::from(2)
            }
            _ => status,
        },
        Err(problem) => {
            eprintln!("xs-state: {problem}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let (mut words, mut all, mut json, mut place) = (Vec::new(), false, false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Task::Say(HELP)),
            Long("version") => return Ok(Task::Say(concat!("xs-state ", env!("CARGO_PKG_VERSION"), "\n"))),
            Long("all") => all = true,
            Long("json") => json = true,
            Long("store") => place = Some(PathBuf::from(args.value()?)),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["save", file] if !all && !json => Ok(Task::Save { place, file: file.into() }),
        ["show", file] if !(all && json) && place.is_none() => {
            Ok(Task::Show { file: file.into(), all, json })
        }
        ["diff", old, new] if !all && !json && place.is_none() => {
            Ok(Task::Diff { old: old.into(), new: new.into() })
        }
        _ => {
            Err("`save [--store PLACE] FILE`, `show [--all|--json] FILE` or `diff OLD NEW` is wanted".into())
        }
    }
}

/// Writes a file at one stroke that only its owner can read: the state has what all guests have, whatever its permissions.
fn write_private(file: &Path, state: &[u8]) -> io::Result<()> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return std::fs::write(file, state);
    }
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    // A file of that name may be left, with other rights.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    out.write_all(state)?;
    std::fs::rename(&new, file)
}

fn run(task: &Task) -> Result<(String, ExitCode), String> {
    match task {
        Task::Say(text) => Ok(((*text).to_string(), ExitCode::SUCCESS)),
        Task::Save { place, file } => {
            let state = save::fetch(place.as_deref()).map_err(|problem| problem.to_string())?;
            let written = if file == Path::new("-") {
                io::stdout().write_all(&state)
            } else {
                write_private(file, &state)
            };
            written.map_err(|error| format!("{}: {error}", file.display()))?;
            Ok((String::new(), ExitCode::SUCCESS))
        }
        Task::Show { file, json: true, .. } => {
            let text = serde_json::to_string_pretty(&load(file)?).map_err(|error| error.to_string())?;
            Ok((text + "\n", ExitCode::SUCCESS))
        }
        Task::Show { file, all, .. } => {
            let state = load(file)?;
            let mut lines = state.tree();
            if *all {
                lines.extend(state.others());
            }
            Ok((lines.iter().map(|line| format!("{line}\n")).collect(), ExitCode::SUCCESS))
        }
        Task::Diff { old, new } => {
            let text = diff(&load(old)?, &load(new)?);
            let status = ExitCode::from(u8::from(!text.is_empty()));
            Ok((text, status))
        }
    }
}

fn load(file: &Path) -> Result<State, String> {
    let wrong = |problem: String| format!("{}: {problem}", file.display());
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    State::read(&bytes.map_err(|error| wrong(error.to_string()))?).map_err(wrong)
}

/// The lines that only one of them has, each behind the one that stands in its place.
fn diff(old: &State, new: &State) -> String {
    let lines = |state: &State| state.tree().into_iter().chain(state.others()).collect::<BTreeSet<String>>();
    let (old, new) = (lines(old), lines(new));
    let mut text = String::new();
    for line in old.symmetric_difference(&new) {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{} {line}", if old.contains(line) { '-' } else { '+' });
    }
    text
}
