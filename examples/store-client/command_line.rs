//! A tool's call, read by the definitions of its command line.

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

/// What a call asks for.
pub enum Call<A> {
    Task(A),
    /// The help or the version, to be printed.
    Told(String),
    /// What is wrong and what is allowed, in one line.
    Mistake(String),
}

/// The call of this process.
pub fn call<A: Parser>() -> Call<A> {
    match A::try_parse() {
        Ok(task) => Call::Task(task),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Call::Told(error.render().to_string())
        }
        Err(error) => Call::Mistake(mistake(&error, A::command())),
    }
}

fn mistake(error: &clap::Error, mut command: Command) -> String {
    command.build();
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim);
    let line = lines.clone().take_while(|line| !line.starts_with("Usage:")).collect::<Vec<_>>().join(" ");
    let line = line.trim().trim_start_matches("error: ");
    // A second thought of clap's is for people who type on.
    let line = [" tip:", " For more information"]
        .iter()
        .fold(line, |line, more| line.split(more).next().unwrap_or(line));
    let allowed = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::InvalidSubcommand, _) => Some(tasks(&command)),
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) if word.starts_with('-') => {
            Some(options(&command, word))
        }
        (ErrorKind::UnknownArgument, _) => {
            lines.into_iter().find_map(|line| line.strip_prefix("Usage: ").map(str::to_owned))
        }
        _ => None,
    };
    let allowed = allowed.map(|allowed| format!("; allowed: {allowed}")).unwrap_or_default();
    format!("{}{allowed}; see --help", line.trim_end())
}

fn tasks(command: &Command) -> String {
    command.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(", ")
}

/// Those that can stand in the place of one: a task's behind its name, else those that all tasks have.
fn options(command: &Command, unknown: &str) -> String {
    let before = env::args_os().skip(1).take_while(|word| !word.to_string_lossy().starts_with(unknown));
    let task = before.into_iter().find_map(|word| command.find_subcommand(word)).unwrap_or(command);
    let name = |option: &clap::Arg| match (option.get_long(), option.get_short()) {
        (Some(long), _) => Some(format!("--{long}")),
        (None, short) => short.map(|short| format!("-{short}")),
    };
    task.get_arguments().filter_map(name).collect::<Vec<_>>().join(", ")
}
