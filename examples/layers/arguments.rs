//! The command line: every task, option and value. Man pages and shell completions are made of these definitions, so this
//! file uses nothing of the program.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// MiB that a store has at least.
const LEAST_MEMORY: usize = 8;
/// MiB that a store has at most.
pub const MOST_MEMORY: usize = 2048;

/// Domains that there can be beside dom0.
const GUESTS: RangeInclusive<u16> = 1..=32751;

/// Works on layers, the files that a xenstore-stubdom begins with.
///
/// A FILE has layers as text, or as the state stream's records; - is the standard input. The package's pages docs/layers.md
/// and docs/state.md, in /usr/share/doc/xenstore-stubdom, tell both.
///
/// The status is 1 if a layer is wrong, 2 for a mistake in the call or a file that cannot be read.
#[derive(Parser)]
#[command(
    name = "xs-layers",
    version,
    max_term_width = 100,
    arg_required_else_help = false,
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Task,
    /// Domains besides dom0 that permissions may name
    #[arg(long, global = true, value_name = "N,...", value_delimiter = ',', value_parser = guest)]
    pub domains: Vec<u16>,
}

#[derive(Subcommand)]
pub enum Task {
    Pack(PackOptions),
    Check(CheckOptions),
    Fuse(FuseOptions),
    Diff(DiffOptions),
    Split(SplitOptions),
}

/// Makes one file of several, the lowest first, for the store's boot module
#[derive(Args)]
pub struct PackOptions {
    /// Where to write it, instead of the standard output
    #[arg(short = 'o', value_name = "MODULE")]
    pub output: Option<PathBuf>,
    /// Layers, the lowest first
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Says what is in a file, or what is wrong, with line and column
#[derive(Args)]
pub struct CheckOptions {
    /// In a store with this much memory, 8 to 2048, instead of one that is large enough
    #[arg(long, value_name = "MIB", value_parser = memory)]
    pub memory: Option<usize>,
    /// Layers, each file by itself
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Prints the store that comes of them, as `xenstore-ls -f -p` shows it
#[derive(Args)]
pub struct FuseOptions {
    /// Layers, the lowest first
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Prints a layer that makes what a running store is of what it began with, or a file of others
///
/// Of a store it leaves out what toolstacks make anew at each start, and with FILEs what these say. Of another server than
/// xenstore-stubdom it wants FILEs: that does not know what it began with.
#[derive(Args)]
pub struct DiffOptions {
    /// The socket or device of a running store, or a file
    #[arg(value_name = "STORE|FILE")]
    pub now: PathBuf,
    /// Seconds within which a store has to answer, 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = store_client::seconds)]
    pub timeout: Duration,
    /// What it is made of, the lowest first
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Writes a file NAME.layer of each layer; none that is there is replaced
#[derive(Args)]
pub struct SplitOptions {
    /// Where to write them, instead of the current directory
    #[arg(short = 'd', value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// A file of layers; - is the standard input
    pub file: PathBuf,
}

fn memory(text: &str) -> Result<usize, String> {
    let mib = text.parse().ok().filter(|mib| (LEAST_MEMORY..=MOST_MEMORY).contains(mib));
    mib.ok_or_else(|| format!("wanted are MiB from {LEAST_MEMORY} to {MOST_MEMORY}"))
}

fn guest(text: &str) -> Result<u16, String> {
    let domid = text.parse().ok().filter(|domid| GUESTS.contains(domid));
    domid.ok_or_else(|| {
        format!("wanted are numbers from {} to {} with ',' between", GUESTS.start(), GUESTS.end())
    })
}
