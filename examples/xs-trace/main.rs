//! Looks at a store's flight recorder: saves its records, and shows, sums up and converts what was saved.

mod arguments;
mod problem;
mod store;

use std::process::ExitCode;

use arguments::Task;
use problem::Problem;
use store::Store;

fn main() -> ExitCode {
    let task = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Some(task)) => task,
        Ok(None) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("xs-trace: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xs-trace: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Problem> {
    match task {
        Task::Dump { store, file } => {
            let mut store = Store::open(store.as_deref())?;
            let page = store.control(&["trace", "dump"])?;
            std::fs::write(&file, page).map_err(|error| Problem::new(format!("{}: {error}", file.display())))
        }
    }
}
