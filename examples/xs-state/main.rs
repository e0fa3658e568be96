//! Takes the state of a running store to a file, and looks at such files: `xs-state save FILE`, `xs-state show FILE`,
//! `xs-state diff OLD NEW`.

mod arguments;
mod save;
mod state;
mod stream;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, DiffOptions, SaveOptions, ShowOptions, Task};
use state::State;
use store_client::{Call, replace};

fn main() -> ExitCode {
    let done = match store_client::call::<Arguments>() {
        Call::Task(arguments) => run(&arguments.task),
        Call::Told(text) => Ok((text, ExitCode::SUCCESS)),
        Call::Mistake(line) => Err(line),
    };
    match done {
        Ok((text, status)) => match io::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("xs-state: standard output: {error}");
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

/// The mode of a file that only its owner can read: the state has what all guests have, whatever its permissions.
const PRIVATE: u32 = 0o600;

fn run(task: &Task) -> Result<(String, ExitCode), String> {
    match task {
        Task::Save(SaveOptions { store, file }) => {
            let state = save::fetch(store).map_err(|problem| problem.to_string())?;
            if file == Path::new("-") {
                io::stdout().write_all(&state).map_err(|error| format!("standard output: {error}"))?;
            } else {
                replace(file, &state, PRIVATE).map_err(|error| format!("{}: {error}", file.display()))?;
            }
            Ok((String::new(), ExitCode::SUCCESS))
        }
        Task::Show(ShowOptions { file, json: true, .. }) => {
            let text = serde_json::to_string_pretty(&load(file)?).map_err(|error| error.to_string())?;
            Ok((text + "\n", ExitCode::SUCCESS))
        }
        Task::Show(ShowOptions { file, all, .. }) => {
            let state = load(file)?;
            let mut lines = state.tree();
            if *all {
                lines.extend(state.others());
            }
            Ok((lines.iter().map(|line| format!("{line}\n")).collect(), ExitCode::SUCCESS))
        }
        Task::Diff(DiffOptions { old, new }) => {
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
