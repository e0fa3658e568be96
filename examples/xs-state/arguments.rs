//! The command line: every task, option and value. Man pages and shell completions are made of these definitions, so this
//! file uses nothing of the program.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use store_client::Place;

/// Saves, shows and compares the state of a xenstore server.
///
/// A FILE is a stream as upstream's live update and our own write it, which docs/state.md tells, in
/// /usr/share/doc/xenstore-stubdom; - is the standard input or output.
///
/// The status is 2 for a mistake in the call, a file that is no state, or a store that does not give it.
#[derive(Parser)]
#[command(
    name = "xs-state",
    version,
    max_term_width = 100,
    arg_required_else_help = false,
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Subcommand)]
pub enum Task {
    Save(SaveOptions),
    Show(ShowOptions),
    Diff(DiffOptions),
}

/// Takes all that a running store holds, as it is at one moment; the store serves on
#[derive(Args)]
pub struct SaveOptions {
    #[command(flatten)]
    pub store: Place,
    /// Where to write it; - is the standard output
    pub file: PathBuf,
}

/// Prints the nodes of a state, as `xenstore-ls -f -p` shows those of a store
#[derive(Args)]
pub struct ShowOptions {
    /// Domains, quotas and watches, too
    #[arg(long, conflicts_with = "json")]
    pub all: bool,
    /// All of it as JSON
    #[arg(long)]
    pub json: bool,
    /// A state; - is the standard input
    pub file: PathBuf,
}

/// Prints what only one of two states has, with - or + before it: status 0 if that is nothing, 1 if it is something
#[derive(Args)]
pub struct DiffOptions {
    /// A state; one of the two may be -, the standard input
    pub old: PathBuf,
    /// Another one, which is compared with it
    pub new: PathBuf,
}
