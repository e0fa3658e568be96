//! Takes the state of a running store to a file, and looks at such files: `xs-state save FILE`, `xs-state show FILE`,
//! `xs-state diff OLD NEW`.

mod arguments;
mod save;
mod state;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, DiffOptions, SaveOptions, ShowOptions, Task};
use state::State;
use store_client::{Call, ORDINARY, Problem, tell, write};

fn main() -> ExitCode {
    let done = match store_client::call::<Arguments>() {
        Call::Task(arguments) => run(&arguments.task),
        Call::Told(text) => put(&text),
        Call::Mistake(line) => Err(line),
    };
    done.unwrap_or_else(|problem| {
        // Names of files can have anything in them.
        tell(format_args!("xs-state: {}", Problem::new(problem)));
        ExitCode::from(2)
    })
}

/// The mode of a file that only its owner can read: the state has what all guests have, whatever its permissions.
const PRIVATE: u32 = 0o600;

fn run(task: &Task) -> Result<ExitCode, String> {
    match task {
        Task::Save(SaveOptions { store, file }) => {
            let state = save::fetch(store).map_err(|problem| problem.to_string())?;
            write(file, &state, PRIVATE).map(|()| ExitCode::SUCCESS)
        }
        Task::Show(ShowOptions { file, json: true, .. }) => {
            let text = serde_json::to_string_pretty(&load(file)?).map_err(|error| error.to_string())?;
            put(&(text + "\n"))
        }
        Task::Show(ShowOptions { file, all, .. }) => {
            let state = load(file)?;
            let mut lines = state.tree();
            if *all {
                lines.extend(state.others());
            }
            put(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        }
        Task::Diff(DiffOptions { old, new }) => {
            let text = diff(&load(old)?, &load(new)?);
            put(&text).map(|_| ExitCode::from(u8::from(!text.is_empty())))
        }
    }
}

fn put(text: &str) -> Result<ExitCode, String> {
    write(Path::new("-"), text.as_bytes(), ORDINARY).map(|()| ExitCode::SUCCESS)
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

/// The lines that only one of them has, or has more often, each behind the one that stands in its place.
fn diff(old: &State, new: &State) -> String {
    let mut counts = BTreeMap::<String, isize>::new();
    for (state, step) in [(old, -1), (new, 1)] {
        for line in state.tree().into_iter().chain(state.others()) {
            *counts.entry(line).or_default() += step;
        }
    }
    let lines = counts.iter().map(|(line, count)| {
        let sign = if *count < 0 { '-' } else { '+' };
        format!("{sign} {line}\n").repeat(count.unsigned_abs())
    });
    lines.collect()
}
